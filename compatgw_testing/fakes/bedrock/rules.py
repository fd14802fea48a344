"""What Converse accepts, and how it refuses the rest. From the service's published model and its own sentences.

What does not live here: answers, signatures.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from compatgw_testing.fakes.answer import Json, Problem, Refused
from compatgw_testing.fakes.media import decoded, media_type_of
from compatgw_testing.fakes.shape import (
    Arr,
    Bool,
    Free,
    Map,
    Num,
    Obj,
    Str,
    Violation,
    check,
    kind_of,
    written,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOOL_ID = Str(low=1, high=64, pattern=r"[a-zA-Z0-9_.:-]+")
_TOOL_NAME = Str(low=1, high=64, pattern=r"[a-zA-Z0-9_-]+")
_SOURCE = Obj({"bytes": Str(), "s3Location": Obj({"uri": Str(low=1), "bucketOwner": Str()}, ("uri",))})
_DOCUMENT_SOURCE = Obj({**_SOURCE.fields, "text": Str(), "content": Arr(Free())})
_IMAGE = Obj({"format": Str(("png", "jpeg", "gif", "webp")), "source": _SOURCE}, ("format", "source"))
_DOCUMENT = Obj(
    {
        "format": Str(("pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md")),
        "name": Str(low=1, high=200),
        "source": _DOCUMENT_SOURCE,
        "context": Str(),
        "citations": Obj({"enabled": Bool()}, ("enabled",)),
    },
    ("name", "source"),
)
_VIDEO = Obj(
    {
        "format": Str(("mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp")),
        "source": _SOURCE,
    },
    ("format", "source"),
)
_SOUNDS = (
    "mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a", "mpeg", "mpga", "pcm", "webm",
)  # fmt: skip
_AUDIO = Obj({"format": Str(_SOUNDS), "source": _SOURCE}, ("format", "source"))
_POINT = Obj({"type": Str(("default",)), "ttl": Str(("5m", "1h"))}, ("type",))
_GUARDED = Obj({"text": Obj({"text": Str(), "qualifiers": Arr(Str())}, ("text",)), "image": Free()})
_RESULT = Obj(
    {
        "toolUseId": _TOOL_ID,
        "content": Arr(Obj({"text": Str(), "json": Free(), "image": _IMAGE, "document": _DOCUMENT, "video": _VIDEO})),
        "status": Str(("success", "error")),
        "type": Str(),
    },
    ("toolUseId", "content"),
)
_USE = Obj(
    {"toolUseId": _TOOL_ID, "name": _TOOL_NAME, "input": Map(Free()), "type": Str(("server_tool_use",))},
    ("toolUseId", "name", "input"),
)
_REASONING = Obj({"reasoningText": Obj({"text": Str(), "signature": Str()}, ("text",)), "redactedContent": Str()})
_BLOCK = Obj(
    {
        "text": Str(),
        "image": _IMAGE,
        "document": _DOCUMENT,
        "video": _VIDEO,
        "audio": _AUDIO,
        "toolUse": _USE,
        "toolResult": _RESULT,
        "guardContent": _GUARDED,
        "cachePoint": _POINT,
        "reasoningContent": _REASONING,
    }
)
_SPEC = Obj(
    {
        "name": _TOOL_NAME,
        "description": Str(low=1),
        "inputSchema": Obj({"json": Map(Free())}, ("json",)),
        "strict": Bool(),
    },
    ("name", "inputSchema"),
)
_SCHEMA = Obj({"schema": Str(), "name": Str(), "description": Str()}, ("schema",))
REQUEST = Obj(
    {
        "messages": Arr(Obj({"role": Str(("user", "assistant")), "content": Arr(_BLOCK)}, ("role", "content")), low=1),
        "system": Arr(Obj({"text": Str(low=1), "guardContent": _GUARDED, "cachePoint": _POINT})),
        "inferenceConfig": Obj(
            {
                "maxTokens": Num(1, whole=True),
                "temperature": Num(0, 1),
                "topP": Num(0, 1),
                "stopSequences": Arr(Str(low=1), high=2500),
            }
        ),
        "toolConfig": Obj(
            {
                "tools": Arr(
                    Obj({"toolSpec": _SPEC, "systemTool": Obj({"name": _TOOL_NAME}, ("name",)), "cachePoint": _POINT}),
                    low=1,
                ),
                "toolChoice": Obj({"auto": Obj({}), "any": Obj({}), "tool": Obj({"name": _TOOL_NAME}, ("name",))}),
            },
            ("tools",),
        ),
        "guardrailConfig": Map(Free()),
        "additionalModelRequestFields": Map(Free()),
        "additionalModelResponseFieldPaths": Arr(Str(), high=10),
        "promptVariables": Map(Free()),
        "requestMetadata": Map(Str(pattern=r"[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}"), high=16),
        "performanceConfig": Obj({"latency": Str(("standard", "optimized"))}),
        "serviceTier": Obj({"type": Str(("priority", "default", "flex", "reserved"))}, ("type",)),
        "outputConfig": Obj(
            {
                "textFormat": Obj(
                    {"type": Str(("json_schema",)), "structure": Obj({"jsonSchema": _SCHEMA}, ("jsonSchema",))},
                    ("type", "structure"),
                ),
                "effort": Str(("low", "medium", "high", "xhigh", "max")),
            }
        ),
    },
    ("messages",),
)
_NAME = re.compile(r"[a-zA-Z0-9()\[\]-]+( [a-zA-Z0-9()\[\]-]+)*")
_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp", "pdf": "application/pdf"}
_MOST_POINTS = 4
_MODEL = "The model returned the following errors"


class Thoughts:
    """Signatures that were given out, with what they vouch for."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def issue(self, signature: str, text: str) -> None:
        """Remembers a signature."""
        self._known[signature] = text

    def holds(self, signature: str, text: str) -> bool:
        """True for a signature that was given out for this very text."""
        return self._known.get(signature) == text


def refuse(message: str, type: str = "ValidationException", status: int = 400) -> Refused:
    """A refusal as an exception, for raising."""
    return Refused(Problem(status=status, message=message, type=type))


def check_request(body: Any, model: str, thoughts: Thoughts) -> None:
    """Raises Refused at the first thing in a request that the service would not take."""
    for violation in check(REQUEST, body):
        raise phrased(violation)
    body = _present(body)
    _unions(body)
    _tools(body)
    _messages(body, thoughts)
    for fault in _together(body, model):
        raise refuse(fault)


def phrased(violation: Violation) -> Refused:
    """A violation in the service's words."""
    where = written(violation.path).replace("[", ".").replace("]", "") or "body"
    match violation.kind:
        case "missing":
            return refuse(f"1 validation error detected: Value at '{where}' failed to satisfy constraint: not null")
        case "unknown":
            return refuse(f"Malformed input request: #/{where}: extraneous key is not permitted, please reformat")
        case "type":
            return refuse(
                f"Unexpected field type at '{where}': {kind_of(violation.got)} instead of {violation.want}",
                "SerializationException",
            )
        case "value":
            return refuse(f"Value '{violation.got}' at '{where}' failed to satisfy enum value set: {violation.want}")
        case _:
            return refuse(f"Value at '{where}' failed to satisfy constraint: {violation.kind}, {violation.want}")


def _present(value: Any) -> Any:
    """`value` without members that are null: they count as absent."""
    if isinstance(value, dict):
        return {name: _present(inner) for name, inner in value.items() if inner is not None}
    return [_present(inner) for inner in value] if isinstance(value, list) else value


def _unions(body: Json) -> None:
    """Blocks, tools and choices have exactly one member."""
    config = body.get("toolConfig") or {}
    places = [("system", body.get("system") or []), ("toolConfig.tools", config.get("tools") or [])]
    if config.get("toolChoice") is not None:
        places.append(("toolConfig.toolChoice", [config["toolChoice"]]))
    for number, message in enumerate(body["messages"]):
        places.append((f"messages.{number}.content", message["content"]))
        results = [block["toolResult"] for block in message["content"] if "toolResult" in block]
        places += [(f"messages.{number}.content.toolResult", one["content"]) for one in results]
    for where, blocks in places:
        for place, block in enumerate(blocks):
            if len(block) != 1:
                raise refuse(f"Exactly one member must be set in the union at {where}.{place}")


def _tools(body: Json) -> None:
    config = body.get("toolConfig")
    used = any("toolUse" in one or "toolResult" in one for message in body["messages"] for one in message["content"])
    if config is None:
        if used:
            raise refuse("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
        return
    specs = [one["toolSpec"] for one in config["tools"] if "toolSpec" in one]
    names = [one["name"] for one in specs]
    if len(set(names)) < len(names):
        raise refuse("The tool names in toolConfig must be unique.")
    for one in specs:
        if one["inputSchema"]["json"].get("type") != "object":
            raise refuse(
                f"The value at toolConfig.tools.{names.index(one['name'])}.toolSpec.inputSchema.json.type must be one "
                "of the following: object."
            )
    chosen = ((config.get("toolChoice") or {}).get("tool") or {}).get("name")
    if chosen is not None and chosen not in names:
        raise refuse(f"The tool '{chosen}' in toolChoice is not among the tools.")


def _messages(body: Json, thoughts: Thoughts) -> None:
    messages = body["messages"]
    if messages[0]["role"] != "user":
        raise refuse("A conversation must start with a user message. Try again with a conversation that does.")
    asked: list[str] = []
    names: set[str] = set()
    for number, message in enumerate(messages):
        where = f"messages.{number}"
        if number and message["role"] == messages[number - 1]["role"]:
            raise refuse(
                "A conversation must alternate between user and assistant roles. Make sure the conversation alternates "
                "between user and assistant roles and try again."
            )
        content = message["content"]
        if not [one for one in content if "cachePoint" not in one]:
            raise refuse(f"The content field in the Message object at {where} is empty. Add a ContentBlock object.")
        _blocks(message, where, names, thoughts)
        given = [one["toolResult"]["toolUseId"] for one in content if "toolResult" in one]
        if sorted(given) != sorted(asked):
            raise refuse(
                f"Expected toolResult blocks at {where}.content for the following Ids: {', '.join(asked) or 'none'}"
            )
        asked = [one["toolUse"]["toolUseId"] for one in content if "toolUse" in one]
        if len(set(asked)) < len(asked):
            raise refuse(f"The toolUse blocks at {where}.content contain duplicate Ids.")
    if asked:
        raise refuse(f"Expected toolResult blocks for the following Ids: {', '.join(asked)}")
    last = messages[-1]
    if (
        last["role"] == "assistant"
        and str(last["content"][-1].get("text", "")) != str(last["content"][-1].get("text", "")).rstrip()
    ):
        raise refuse("messages: final assistant content cannot end with trailing whitespace")


def _blocks(message: Json, where: str, names: set[str], thoughts: Thoughts) -> None:
    for place, block in enumerate(message["content"]):
        here = f"{where}.content.{place}"
        inner = block["toolResult"]["content"] if "toolResult" in block else []
        for one in (block, *inner):
            if "text" in one and not one["text"].strip():
                raise refuse(f"The text field in the ContentBlock object at {here} is blank. Add text and try again.")
            _media(one, here, names)
        ours = ("toolUse", "reasoningContent")
        if message["role"] == "user" and any(name in block for name in ours):
            raise refuse(f"The block at {here} is not allowed in a user message.")
        theirs = ("toolResult", "image", "document", "video", "audio")
        if message["role"] == "assistant" and any(name in block for name in theirs):
            raise refuse(f"The block at {here} is not allowed in an assistant message.")
        if "reasoningContent" in block:
            _thought(block["reasoningContent"], here, thoughts)
    content = message["content"]
    if any("document" in one for one in content) and not any("text" in one for one in content):
        raise refuse(f"A text block must be included in {where} when a document is.")


def _media(block: Json, where: str, names: set[str]) -> None:
    for kind in ("image", "document", "video", "audio"):
        if kind not in block:
            continue
        source = block[kind]["source"]
        if len(source) != 1:
            raise refuse(f"Exactly one member must be set in the union at {where}.{kind}.source")
        if kind == "document":
            name = block[kind]["name"]
            if not _NAME.fullmatch(name):
                raise refuse(
                    "The document file name can only contain alphanumeric characters, whitespace characters, hyphens, "
                    "parentheses, and square brackets. The name can't contain more than one consecutive whitespace "
                    "character."
                )
            if name in names:
                raise refuse(f"The document name '{name}' at {where} is used twice.")
            names.add(name)
        if "bytes" in source:
            data = decoded(source["bytes"])
            if not data:
                raise refuse(f"The bytes at {where}.{kind}.source are no base64.", "SerializationException")
            known, said = media_type_of(data), _TYPES.get(str(block[kind].get("format")))
            if known is not None and said is not None and known != said:
                raise refuse(f"The provided {kind} does not match the specified {block[kind]['format']} format.")


def _thought(block: Json, where: str, thoughts: Thoughts) -> None:
    if len(block) != 1:
        raise refuse(f"Exactly one member must be set in the union at {where}.reasoningContent")
    text = block.get("reasoningText") or {}
    signature = block.get("redactedContent") or text.get("signature") or ""
    if not thoughts.holds(signature, text.get("text") or ""):
        raise refuse(f"The model returned the following errors: {where}: Invalid `signature` in `thinking` block")


def _together(body: Json, model: str) -> Iterator[str]:
    """What single members allow and their combination does not."""
    config, fields = body.get("inferenceConfig") or {}, body.get("additionalModelRequestFields") or {}
    choice = (body.get("toolConfig") or {}).get("toolChoice") or {}
    thinking = fields.get("thinking") or {}
    blocks = [
        *((body.get("toolConfig") or {}).get("tools") or ()),
        *(body.get("system") or ()),
        *(one for message in body["messages"] for one in message["content"]),
    ]
    if sum("cachePoint" in one for one in blocks) > _MOST_POINTS:
        yield f"You can specify at most {_MOST_POINTS} cache points."
    if "claude" not in model:
        return
    if config.get("temperature") is not None and config.get("topP") is not None and re.search(r"-4-[15]", model):
        yield (
            "The model returned the following errors: `temperature` and `top_p` cannot both be specified for this "
            "model. Please use only one."
        )
    if thinking.get("type") == "enabled":
        budget, most = thinking.get("budget_tokens"), config.get("maxTokens")
        if not isinstance(budget, int) or budget < 1024:
            yield "The model returned the following errors: thinking.enabled.budget_tokens: must be at least 1024"
        elif most is not None and most <= budget:
            yield "The model returned the following errors: `max_tokens` must be greater than `thinking.budget_tokens`."
        if config.get("temperature") not in (None, 1) or fields.get("top_k") is not None:
            yield f"{_MODEL}: `temperature` may only be set to 1 when thinking is enabled."
        if "any" in choice or "tool" in choice:
            yield f"{_MODEL}: Thinking may not be enabled when tool_choice forces tool use."
