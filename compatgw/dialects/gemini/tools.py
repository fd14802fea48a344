"""Functions, built-in tools, the choice among them, and answer formats that need a function.

All functions go into one list of declarations. A JSON format beside tools is emulated where a
model does not take both: one more function, whose arguments are the answer, and a forced call.
Notes for the decoder go into the memo:

    names         sent name -> the caller's, for names that Gemini refuses
    custom        names of custom tools, sent as functions with one text argument
    legacy        answers are `function_call`, because the request used `functions`
    single_call   only the first call is kept
    json_tool     name of the function whose arguments are the answer

What does not live here: schemas (`schema.py`), calls in the history (`messages.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from compatgw.dialects.gemini import schema
from compatgw.dialects.gemini.messages import sent_name
from compatgw.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw.dialects.base import Leftovers
    from compatgw.dialects.gemini.models import Traits

_CUSTOM = {
    "type": "object",
    "properties": {"input": {"type": "string", "description": "The tool's whole input, as plain text."}},
    "required": ["input"],
}
_JSON_TOOL = "json_response"


class Function(NamedTuple):
    """A function to declare: the caller's name for it, and the one that is sent."""

    name: str
    sent: str
    description: str
    parameters: Mapping[str, Any]
    strict: bool = False
    custom: bool = False


class Tools(NamedTuple):
    """What a request may call.

    Attributes:
        functions: To declare.
        native: Built-in tools, as they are sent.
        mode: Calling mode, None for the default (the model decides).
        allowed: Sent names of the only functions that may be called, empty for all.
    """

    functions: Sequence[Function] = ()
    native: Sequence[Mapping[str, Any]] = ()
    mode: str | None = None
    allowed: Sequence[str] = ()


def collect(
    members: Mapping[str, Any], native: Sequence[Mapping[str, Any]], left: Leftovers, traits: Traits
) -> tuple[Tools, dict[str, Any]]:
    """The tools of a request, and the memo that reading their calls needs.

    Raises:
        InvalidRequest: The choice names a function that is not there.
        UnsupportedParameter: The model has no tools, or not these together.
    """
    functions = _functions(members, left, traits)
    legacy = "tools" not in members and bool(members.get("functions"))
    choice = _normal(members.get("function_call")) if legacy else members.get("tool_choice")
    if functions and not traits.tools:
        if choice != "none":
            name = "functions" if legacy else "tools"
            left.semantic(name, members[name], why="This model calls no functions; leave them out.")
        functions, choice = [], None
    if functions and native and not traits.search_beside_tools:
        why = "This model does not take built-in tools together with functions; send one of the two."
        left.semantic("web_search_options" if "web_search_options" in members else "google.tools", True, why=why)
        native = ()
    tools = _chosen(Tools(functions, native), choice, "function_call" if legacy else "tool_choice", traits)
    memo: dict[str, Any] = {}
    if renamed := {f.sent: f.name for f in functions if f.sent != f.name}:
        memo["names"] = renamed
    if custom := tuple(f.name for f in functions if f.custom):
        memo["custom"] = custom
    if legacy and functions:
        memo["legacy"] = True
    if functions and (legacy or members.get("parallel_tool_calls") is False):
        memo["single_call"] = True
    return _validated(tools, left, traits), memo


def _functions(members: Mapping[str, Any], left: Leftovers, traits: Traits) -> list[Function]:
    found: list[Function] = []
    for index, tool in enumerate(members.get("tools") or ()):
        if tool["type"] == "custom":
            inner = tool["custom"]
            form = inner.get("format") or {}
            if form.get("type", "text") != "text":
                why = "Grammars cannot be sent; describe the form in words, or use a function."
                left.semantic("tools", form, f"tools[{index}].custom.format", why)
            name = inner["name"]
            sent = sent_name(name, traits.name_length)
            found.append(Function(name, sent, inner.get("description") or "", _CUSTOM, custom=True))
        else:
            found.append(_function(tool["function"], traits))
    if "tools" not in members:
        found = [_function(function, traits) for function in members.get("functions") or ()]
    return found


def _function(function: Mapping[str, Any], traits: Traits) -> Function:
    return Function(
        function["name"],
        sent_name(function["name"], traits.name_length),
        function.get("description") or "",
        function.get("parameters") or {},
        bool(function.get("strict")),
    )


# --- the choice ------------------------------------------------------------------------------


def _normal(choice: Any) -> Any:
    """The oldest form of a choice in the newer one."""
    return {"type": "function", "function": choice} if isinstance(choice, dict) else choice


def _chosen(tools: Tools, choice: Any, param: str, traits: Traits) -> Tools:
    if choice is None or choice == "auto":
        return tools
    if choice == "none":
        return tools._replace(mode="NONE") if tools.functions else tools
    if not tools.functions:
        raise InvalidRequest(f"'{param}' asks for a call, but there are no functions to call.", param=param)
    if choice == "required":
        return tools._replace(mode="ANY")
    forced = True
    if choice["type"] == "allowed_tools":
        names = [_named(entry) for entry in choice["allowed_tools"]["tools"]]
        forced = choice["allowed_tools"]["mode"] == "required"
        param = f"{param}.allowed_tools.tools"
    else:
        names = [choice[choice["type"]]["name"]]
        param = f"{param}.{choice['type']}.name"
    known = {function.name: function for function in tools.functions}
    for name in names:
        if name not in known:
            raise InvalidRequest(f"'{param}' names '{name}', which is not among the tools.", param=param)
    if not names:
        raise InvalidRequest(f"'{param}' names no function.", param=param)
    if not forced and not traits.validated:  # a subset without force: the others are not even shown
        return tools._replace(functions=[function for function in tools.functions if function.name in names])
    return tools._replace(mode="ANY" if forced else "VALIDATED", allowed=[known[name].sent for name in names])


def _named(entry: Mapping[str, Any]) -> str:
    inner = entry.get(str(entry.get("type")))
    return str((inner if isinstance(inner, dict) else entry).get("name"))


def _validated(tools: Tools, left: Leftovers, traits: Traits) -> Tools:
    """`strict` on all functions makes calls obey their schemas; on some of them it cannot be said."""
    strict = [function for function in tools.functions if function.strict]
    if not strict or tools.mode is not None:
        return tools
    if traits.validated and len(strict) == len(tools.functions):
        return tools._replace(mode="VALIDATED")
    left.hint("tools.strict", True)
    return tools


# --- answer formats --------------------------------------------------------------------------


def formatted(
    wanted: Mapping[str, Any] | None, tools: Tools, left: Leftovers, traits: Traits
) -> tuple[dict[str, Any], Tools, dict[str, Any]]:
    """`response_format` as members of `generationConfig`, or as one more function; and the memo for it.

    Raises:
        UnsupportedParameter: The format cannot be kept by this model, or not beside its tools.
    """
    if wanted is None or wanted["type"] == "text":
        return {}, tools, {}
    inner = wanted.get("json_schema") or {}
    given = inner.get("schema")
    if tools.mode == "NONE" and not traits.json_beside_tools:
        tools = tools._replace(functions=(), mode=None, allowed=())  # they would only forbid the format
    alone = not tools.functions and not tools.native
    if traits.json and (alone or traits.json_beside_tools):
        config: dict[str, Any] = {"responseMimeType": "application/json"}
        if given and traits.json_schema:
            config["responseJsonSchema"] = schema.json_schema(given)
        elif given:
            config["responseSchema"] = schema.openapi(given)
        return config, tools, {}
    if tools.mode == "ANY":
        return {}, tools, {}  # the answer will be a call, which no format governs
    if tools.native or not traits.tools or not given or not schema.is_object(given):
        why = "Beside tools this model needs a 'json_schema' whose root is an object, and no built-in tools."
        left.semantic("response_format", wanted, why=why if traits.json else "This model has no JSON mode.")
        return {}, tools, {}
    name = _JSON_TOOL
    while any(function.sent == name for function in tools.functions):
        name += "_"
    words = (
        inner.get("description") or "Gives the final answer. Call it once, when no other function is needed any more."
    )
    answer = Function(name, name, words, given)
    allowed = [*tools.allowed, name] if tools.allowed else ()
    return {}, Tools([*tools.functions, answer], mode="ANY", allowed=allowed), {"json_tool": name}


# --- writing ---------------------------------------------------------------------------------


def written(tools: Tools, traits: Traits) -> dict[str, Any]:
    """The request's `tools` and `toolConfig`, as far as there is anything to say."""
    out: dict[str, Any] = {}
    listed = [dict(tool) for tool in tools.native]
    config: dict[str, Any] = {}
    if tools.functions:
        listed.append({"functionDeclarations": [_declaration(function, traits) for function in tools.functions]})
        if tools.mode is not None:
            config["functionCallingConfig"] = {"mode": tools.mode}
            if tools.allowed:
                config["functionCallingConfig"]["allowedFunctionNames"] = list(tools.allowed)
        if tools.native and traits.server_invocations:
            config["includeServerSideToolInvocations"] = True
    if listed:
        out["tools"] = listed
    if config:
        out["toolConfig"] = config
    return out


def _declaration(function: Function, traits: Traits) -> dict[str, Any]:
    out: dict[str, Any] = {"name": function.sent}
    if function.description:
        out["description"] = function.description
    if not schema.takes_arguments(function.parameters):
        return out  # an empty object schema was an error once; to leave it out never was
    if traits.json_schema:
        out["parametersJsonSchema"] = {"type": "object", **schema.json_schema(function.parameters)}
    else:
        out["parameters"] = schema.openapi({"type": "object", **function.parameters})
    return out
