"""What Gemini accepts as a generate request, and how it refuses the rest.

Names come in camelCase or snake_case, and a single item may stand for a list: `canonical`
brings a request into one form, `check_request` judges that form.

What does not live here: the fields (`schema.py`), the order of turns (`turns.py`), answers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from compatgw_testing.fakes.answer import Json, Problem, Refused
from compatgw_testing.fakes.gemini.schema import BUILT_IN, COUNTED, REQUEST, VERTEX
from compatgw_testing.fakes.gemini.turns import ROLES, Signatures, check_turns, refuse
from compatgw_testing.fakes.shape import Obj, Violation, check, tidy
from compatgw_testing.script import dump

if TYPE_CHECKING:
    from collections.abc import Iterator

_FUNCTION_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
_PROTO_TYPES = {
    "string": "TYPE_STRING",
    "boolean": "TYPE_BOOL",
    "number": "TYPE_FLOAT",
    "integer": "TYPE_INT32",
    "object": "type.googleapis.com/google.protobuf.Struct",
    "array": "repeated field",
}
_BUDGETS = (("flash-lite", 512, 24_576, True), ("flash", 1, 24_576, True), ("pro", 128, 32_768, False))


def version_of(model: str) -> tuple[int, int] | None:
    """Generation of a Gemini model by its name; None if the name does not say it."""
    match = re.match(r"gemini-(\d+)(?:\.(\d+))?(?!\d)", model)
    return (int(match[1]), int(match[2] or 0)) if match else None


def canonical(body: Any, shape: Obj = REQUEST) -> Any:
    """A request of this shape with known names in camelCase and single items as lists."""
    return tidy(shape, body, _camel)


def _camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: f"_{match[1].lower()}", name)


def check_request(body: Any, model: str, signatures: Signatures, *, vertex: bool = False) -> None:
    """Raises Refused at the first thing in a canonical request that the vendor would not take."""
    for violation in check(VERTEX if vertex else REQUEST, body):
        raise phrased(violation)
    version = version_of(model)
    if body.get("cachedContent") and any(body.get(name) for name in ("systemInstruction", "tools", "toolConfig")):
        raise refuse(
            "CachedContent can not be used with a GenerateContent request that sets system_instruction, tools or "
            "tool_config."
        )
    for part in (body.get("systemInstruction") or {}).get("parts") or ():
        if "text" not in part:
            raise refuse("system_instruction takes text parts only")
    _safety(body)
    _tools(body, model, version, vertex=vertex)
    _generation(body.get("generationConfig") or {}, model, version)
    check_turns(body.get("contents"), model, version, signatures)


def check_count(body: Any, model: str, *, vertex: bool) -> Json:
    """The canonical request whose tokens are counted.

    Raises:
        Refused: At the first thing that the vendor would not take.
    """
    for violation in check(VERTEX if vertex else COUNTED, body):
        raise phrased(violation, "CountTokensRequest")
    whole = None if vertex else body.get("generateContentRequest")
    if whole is not None and body.get("contents"):
        raise refuse("Only one of contents and generate_content_request may be set")
    counted: Json = body if whole is None else whole
    if whole is not None and not str(whole.get("model") or "").endswith(model):
        raise refuse("* CountTokensRequest.generate_content_request.model: unexpected model name format")
    if not counted.get("contents"):
        raise refuse("* CountTokensRequest.contents: contents is not specified")
    for content in counted["contents"]:
        if (content.get("role") or "user") not in ROLES:
            raise refuse("Please use a valid role: user, model.")
    return counted


def _where(violation: Violation) -> str:
    out = ""
    for part in violation.path:
        name = _snake(part) if isinstance(part, str) else part
        out += f"[{name}]" if isinstance(name, int) else f".{name}" if out else name
    return out


def phrased(violation: Violation, request: str = "GenerateContentRequest") -> Refused:
    """A violation in the vendor's words; `request` names what the vendor read."""
    where = _where(violation)
    if violation.kind == "unknown":
        parent, _, _ = where.rpartition(".")
        at = f" at '{parent}'" if parent else ""
        text = f'Invalid JSON payload received. Unknown name "{violation.path[-1]}"{at}: Cannot find field.'
        details = {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": parent, "description": text}],
        }
        return Refused(Problem(status=400, message=text, type="INVALID_ARGUMENT", details=(details,)))
    match violation.kind:
        case "missing":
            return refuse(f"* {request}.{where}: {violation.path[-1]} is not specified")
        case "type" | "value":
            kind = _PROTO_TYPES.get(violation.want, "type.googleapis.com/google.ai.Enum")
            return refuse(f"Invalid value at '{where}' ({kind}), {dump(violation.got)}")
        case "many":
            return refuse(f"* {request}.{where}: at most {violation.want} items, got {violation.got}")
        case _:
            bound = "at least" if violation.kind in ("low", "short", "few") else "at most"
            return refuse(f"* {request}.{where}: must be {bound} {violation.want}, got {violation.got}")


def _safety(body: Json) -> None:
    categories = [one["category"] for one in body.get("safetySettings") or ()]
    if len(set(categories)) < len(categories):
        raise refuse("* GenerateContentRequest.safety_settings: element with duplicated category")


def declarations(body: Json) -> list[Json]:
    """All function declarations of a canonical request."""
    return [one for tool in body.get("tools") or () for one in tool.get("functionDeclarations") or ()]


def _tools(body: Json, model: str, version: tuple[int, int] | None, *, vertex: bool) -> None:
    functions = declarations(body)
    config = body.get("toolConfig") or {}
    names = [one["name"] for one in functions]
    for number, one in enumerate(functions):
        at = f"GenerateContentRequest.tools[0].function_declarations[{number}]"
        if not _FUNCTION_NAME.fullmatch(one["name"]):
            raise refuse(
                f"* {at}.name: Invalid function name. Must start with a letter or an underscore, be alphanumeric, "
                "underscores, dots, colons or dashes, of at most 128 characters."
            )
        if names.count(one["name"]) > 1:
            raise refuse(f"Duplicate function declaration found: {one['name']}")
        if one.get("parameters") is not None and one.get("parametersJsonSchema") is not None:
            raise refuse(f"* {at}: only one of parameters and parameters_json_schema may be set")
        root = one.get("parameters") or {}
        if root and str(root.get("type", "")).upper() != "OBJECT":
            raise refuse(f"* {at}.parameters: schema should be of type OBJECT")
    mixed = functions and any(tool.get(name) is not None for tool in body.get("tools") or () for name in BUILT_IN)
    flag = config.get("includeServerSideToolInvocations")
    if version is not None and version < (3, 0):
        if mixed:
            raise refuse("Tool use with function calling is unsupported")
        if flag:
            raise refuse("include_server_side_tool_invocations is not supported for this model")
        if functions and (body.get("generationConfig") or {}).get("responseMimeType") == "application/json":
            raise refuse("Function calling with a response mime type: 'application/json' is unsupported")
    elif mixed and version is not None and not flag and not vertex:
        raise refuse("Built-in tools together with functions need tool_config.include_server_side_tool_invocations")
    if functions and "-image" in model:
        raise refuse("Function calling is not enabled for this model")
    _calling(config.get("functionCallingConfig") or {}, names)


def _calling(config: Json, names: list[str]) -> None:
    allowed = config.get("allowedFunctionNames")
    if not allowed:
        return
    if config.get("mode") not in ("ANY", "VALIDATED"):
        raise refuse("allowed_function_names may only be set when the function calling mode is ANY or VALIDATED")
    for name in allowed:
        if name not in names:
            raise refuse(f"allowed_function_names holds '{name}', which is not among the function declarations")


def _generation(config: Json, model: str, version: tuple[int, int] | None) -> None:
    mime = config.get("responseMimeType")
    schemas = [name for name in ("responseSchema", "responseJsonSchema") if config.get(name) is not None]
    if len(schemas) > 1:
        raise refuse("Only one of response_schema and response_json_schema may be set")
    if schemas and mime not in ("application/json", "text/x.enum"):
        raise refuse(
            "* GenerateContentRequest.generation_config.response_schema: only allowed when response_mime_type is "
            "application/json"
        )
    if config.get("logprobs") is not None and not config.get("responseLogprobs"):
        raise refuse("generation_config.logprobs needs generation_config.response_logprobs")
    for name in ("presencePenalty", "frequencyPenalty"):
        if config.get(name) == 2:
            raise refuse(f"* GenerateContentRequest.generation_config.{_snake(name)}: must be in [-2.0, 2.0)")
    for fault in _thinking_faults(config.get("thinkingConfig"), model, version):
        raise refuse(fault)


def _thinking_faults(config: Json | None, model: str, version: tuple[int, int] | None) -> Iterator[str]:
    if config is None:
        return
    budget, level = config.get("thinkingBudget"), config.get("thinkingLevel")
    if budget is not None and level is not None:
        yield "You can only set only one of thinking budget and thinking level."
    if level is not None and level.upper() not in ("MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"):
        yield f"Invalid value at 'generation_config.thinking_config.thinking_level' (Enum), {dump(level)}"
    if version is None:
        if model.startswith("gemma"):
            yield "Thinking is not enabled for this model"
        return
    if version < (2, 5) or (version == (2, 5) and "-image" in model):
        yield "Thinking is not enabled for this model"
    if version == (2, 5):
        if level is not None:
            yield "Thinking level is not supported for this model."
        for family, low, high, off in _BUDGETS:
            if family in model:
                if budget is not None and budget != -1 and not (off and budget == 0) and not low <= budget <= high:
                    yield f"The thinking budget {budget} is invalid. Please choose a value between {low} and {high}."
                break
    elif level is not None and level.upper() == "MINIMAL" and re.match(r"gemini-3(\.1)?-pro|gemini-3\.7-flash", model):
        yield "Thinking level MINIMAL is not supported for this model."
