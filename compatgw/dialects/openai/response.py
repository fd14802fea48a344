"""A whole answer of an OpenAI-like upstream becomes a hub completion.

One that is canonical already is passed on as its own bytes; any other is rebuilt member by
member. Members that nobody here knows are kept at every level.

What does not live here: streams (`stream.py`), refusals with an error status (`failure.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson

from compatgw.dialects import failure, ids
from compatgw.dialects.base import Answer
from compatgw.dialects.openai import content, finish, usage
from compatgw.errors import UpstreamFailure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Context, Target
    from compatgw.wire.chat import ChatCompletion

TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})
_WRITTEN = frozenset({"id", "object", "created", "model", "choices", "usage"})
_FIVE = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
_MESSAGE = ("role", "content", "refusal", "tool_calls", "function_call", "audio", *content.REASONING)


def decode(body: bytes, context: Context) -> Answer:
    """The completion that `body` holds.

    Raises:
        UpstreamFailure: Not JSON, an error in spite of status 200, or no choices.
    """
    value = parse(body, context.target)
    if is_canonical(value):
        return Answer(cast("ChatCompletion", value), body)
    return Answer(mend(value, context))


def parse(body: bytes, target: Target) -> dict[str, Any]:
    """The object that `body` holds, with at least one choice.

    Raises:
        UpstreamFailure: As `decode`.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        where = _where(target)
        raise UpstreamFailure(f"{where} answered with something that is not JSON: {failure.extract(body)[0]}") from None
    if isinstance(value, list) and value and isinstance(value[0], dict):
        value = value[0]
    if not isinstance(value, dict):
        raise UpstreamFailure(
            f"{_where(target)} answered with JSON that is not a completion: {failure.extract(body)[0]}"
        )
    if (problem := finish.fault(value, target)) is not None:
        raise problem
    choices = value.get("choices")
    if not isinstance(choices, list) or not choices or not _all_objects(choices):
        raise UpstreamFailure(
            f"{_where(target)} answered with a completion that has no choices. Send the request again."
        )
    return value


def _where(target: Target) -> str:
    return f"{target.provider} (model '{target.model}')"


def _all_objects(values: list[Any]) -> bool:
    # A generator would cost more than what it looks at.
    for value in values:  # noqa: SIM110
        if not isinstance(value, dict):
            return False
    return True


def is_canonical(value: dict[str, Any]) -> bool:
    """True when `mend` would change nothing that a client can tell."""
    if (
        value.get("object") != "chat.completion"
        or value.get("created").__class__ is not int
        or value["created"] <= 0
        or not value.get("id")
        or value["id"].__class__ is not str
        or not value.get("model")
        or value["model"].__class__ is not str
        or not _known_tier(value.get("service_tier"))
        or not usage.is_canonical(value.get("usage"))
        or "search_results" in value
        or "citations" in value
    ):
        return False
    for index, choice in enumerate(value["choices"]):  # noqa: SIM110 - as above
        if not _canonical_choice(choice, index):
            return False
    return True


def _canonical_choice(choice: dict[str, Any], index: int) -> bool:
    reason, message = choice.get("finish_reason"), choice.get("message")
    if (
        reason.__class__ is not str
        or reason not in _FIVE
        or message.__class__ is not dict
        or choice.get("index") != index
        or "logprobs" not in choice
        or "delta" in choice
        or message.get("role") != "assistant"
        or "content" not in message
        or "refusal" not in message
        or message["refusal"] == ""
        or (choice["logprobs"] is not None and choice["logprobs"] != content.logprobs(choice["logprobs"]))
    ):
        return False
    for name, value in message.items():
        if value is not None and not content.fits(name, value):
            return False
    text = message["content"]
    if text.__class__ is str:
        if text[:1] in "<\n " and text.lstrip().startswith(content.OPEN):
            return False
    elif text is not None:
        return False
    if "reasoning_content" in message or "reasoning" in message or "reasoning_details" in message:
        said = message.get("reasoning_content")
        if not said or said.__class__ is not str or said != message.get("reasoning"):
            return False
    if "tool_calls" in message:
        return text != "" and reason not in ("stop", "function_call") and _canonical_calls(message["tool_calls"])
    if "function_call" in message or "audio" in message:
        return False
    return bool(reason != "tool_calls")


def _canonical_calls(calls: Any) -> bool:
    if calls.__class__ is not list or not calls:
        return False
    for call in calls:
        if call.__class__ is not dict or not call.get("id") or call.get("type") != "function" or len(call) != 3:
            return False
        function = call.get("function")
        if function.__class__ is not dict or not function.get("name"):
            return False
        arguments = function.get("arguments")
        if arguments.__class__ is not str or not arguments:
            return False
    return True


def mend(value: Mapping[str, Any], context: Context) -> ChatCompletion:
    """The completion as OpenAI would have written it.

    Raises:
        UpstreamFailure: A choice ended because the upstream failed.
    """
    created = value.get("created")
    id, model = value.get("id"), value.get("model")
    out: dict[str, Any] = {
        "id": id if isinstance(id, str) and id else context.id,
        "object": "chat.completion",
        "created": int(created) if isinstance(created, (int, float)) and created > 0 else context.created,
        "model": model if isinstance(model, str) and model else context.target.model,
        "choices": [_choice(choice, index, value, context) for index, choice in _ordered(value["choices"])],
    }
    if (found := usage.find(value)) is not None:
        excludes = context.target.quirks.excludes_reasoning
        out["usage"] = usage.normal(found, excludes_reasoning=excludes)
    return cast("ChatCompletion", {**out, **beside(value)})


def beside(value: Mapping[str, Any]) -> dict[str, Any]:
    """The members of an answer or a chunk that nothing here writes anew; empty ones are left out."""
    rest = {
        name: member for name, member in value.items() if name not in _WRITTEN and member is not None and member != ""
    }
    tier = rest.get("service_tier")
    if not _known_tier(tier):
        rest["service_tier"] = "default"  # typed clients know no other words; Groq says `on_demand`
    return rest


def _known_tier(tier: Any) -> bool:
    return tier is None or (tier.__class__ is str and tier in TIERS)


def _ordered(choices: list[dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    """The choices by their own indexes, or as they stand where those make no sense."""
    by_index = {choice["index"]: choice for choice in choices if isinstance(choice.get("index"), int)}
    if set(by_index) == set(range(len(choices))):
        return [(index, by_index[index]) for index in range(len(choices))]
    return list(enumerate(choices))


def _choice(choice: Mapping[str, Any], index: int, value: Mapping[str, Any], context: Context) -> dict[str, Any]:
    message = choice.get("message")
    if not isinstance(message, dict):
        message = {"content": choice.get("text")}
    mended = mend_message(message, f"{value.get('id') or context.id}|{index}")
    if "annotations" not in mended and (cited := content.citations(value)):
        mended["annotations"] = cited
    calls = bool(mended.get("tool_calls"))
    default = "tool_calls" if calls else "function_call" if "function_call" in mended else "stop"
    reason = finish.reason(choice.get("finish_reason"), calls, context.target) or default
    rest = {
        name: member
        for name, member in choice.items()
        if name not in ("index", "message", "logprobs", "finish_reason", "delta", "usage", "text")
    }
    return {
        "index": index,
        "message": mended,
        "logprobs": content.logprobs(choice.get("logprobs")),
        "finish_reason": reason,
        **rest,
    }


def mend_message(message: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """An assistant's message with every member in its place.

    Args:
        message: The upstream's own.
        origin: What ids of tool calls without one are made from.
    """
    said = _said(message.get("content"))
    thought = content.reasoning(message) or said.reasoning
    given = message.get("tool_calls")
    calls = [
        mend_call(call, f"{origin}|{number}")
        for number, call in enumerate(given if isinstance(given, list) else ())
        if isinstance(call, dict)
    ]
    has_text = message.get("content") is not None
    refusal = message.get("refusal")
    out: dict[str, Any] = {
        "role": "assistant",
        "content": said.text if said.text or (has_text and not calls) else None,
        "refusal": refusal if refusal and isinstance(refusal, str) else None,
    }
    if thought:
        out["reasoning_content"] = out["reasoning"] = thought
    if calls:
        out["tool_calls"] = calls
    legacy = message.get("function_call")
    if isinstance(legacy, dict) and legacy.get("name"):
        out["function_call"] = {"name": legacy["name"], "arguments": content.as_text(legacy.get("arguments")) or "{}"}
    audio = message.get("audio")
    if isinstance(audio, dict) and audio.get("id"):
        out["audio"] = audio
    if said.images:
        out["images"] = list(said.images)
    rest = {
        name: member
        for name, member in message.items()
        if name not in _MESSAGE and member is not None and content.fits(name, member)
    }
    return {**out, **rest}


def _said(value: Any) -> content.Said:
    if isinstance(value, list):
        return content.of_list(value)
    # Workers AI parses structured answers and sends the object itself.
    return content.split(content.as_text(value))


def mend_call(call: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """A tool call with id, type and arguments as a string."""
    id = call.get("id")
    if not isinstance(id, str) or id in ("", "null"):
        id = ids.minted(origin)
    rest = {name: member for name, member in call.items() if name not in ("id", "type", "function", "custom", "index")}
    custom, function = call.get("custom"), call.get("function")
    if isinstance(custom, dict) and custom.get("name"):
        body = {"name": custom["name"], "input": content.as_text(custom.get("input"))}
        return {"id": id, "type": "custom", "custom": body, **rest}
    inner = function if isinstance(function, dict) else call
    arguments = content.as_text(inner.get("arguments"))
    if arguments.strip() in ("", "null"):
        arguments = "{}"
    rest = {name: member for name, member in rest.items() if inner is function or name not in ("name", "arguments")}
    return {
        "id": id,
        "type": "function",
        "function": {"name": str(inner.get("name") or ""), "arguments": arguments},
        **rest,
    }
