"""The order that Anthropic wants messages and blocks in: who speaks first, which result answers which call.

What does not live here: fields and types (`rules.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw_testing.fakes.answer import Json, Problem, Refused
from compatgw_testing.fakes.anthropic.models import limits_of
from compatgw_testing.fakes.media import decoded, media_type_of

if TYPE_CHECKING:
    from compatgw_testing.fakes.anthropic.models import Limits

THOUGHT = ("thinking", "redacted_thinking")


def refuse(message: str, status: int = 400) -> Refused:
    """A refusal as an exception, for raising."""
    return Refused(Problem(status=status, message=message, type="invalid_request_error"))


class Thoughts:
    """Signatures that the fake has issued: for which thought, by which model."""

    def __init__(self) -> None:
        self._issued: dict[str, tuple[str | None, str | None]] = {}

    def issue(self, signature: str, text: str, model: str) -> None:
        """Remembers a signature or the data of a redacted block."""
        self._issued[signature] = (text, limits_of(model).name)

    def trust(self, signature: str) -> None:
        """Takes a signature of somebody else's for good, whatever the thought and the model."""
        self._issued[signature] = (None, None)

    def fits(self, signature: str, text: str, model: str) -> bool:
        """True if `signature` was issued for this thought (or comes back without its text) and model."""
        if signature not in self._issued:
            return False
        known, by = self._issued[signature]
        return known is None or (text in (known, "") and by == limits_of(model).name)


def check_turns(body: Json, version: str, limits: Limits, thoughts: Thoughts) -> None:
    """Raises Refused at the first message that stands where it may not."""
    messages = body["messages"]
    if messages[0]["role"] != "user":
        raise refuse("messages: first message must use the user role")
    for index, message in enumerate(messages):
        _content(message, index, last=index == len(messages) - 1, version=version)
        if message["role"] == "assistant":
            _thoughts(message, index, body["model"], thoughts)
        if message["role"] == "system":
            _system(messages, index, limits)
    _pairs(messages)
    _end(body, messages[-1], limits)
    _pending(body, messages)


def blocks_of(message: Json) -> list[Json]:
    """The content of a message as blocks."""
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _content(message: Json, index: int, *, last: bool, version: str) -> None:
    content = message["content"]
    optional = last and message["role"] == "assistant"
    if not content and not optional:
        raise refuse(
            f"messages.{index}: all messages must have non-empty content except for the optional final assistant "
            "message"
        )
    if isinstance(content, str):
        if content and not content.strip():
            raise refuse(f"messages.{index}: text content must contain non-whitespace text")
        return
    for number, block in enumerate(content):
        at = f"messages.{index}.content.{number}"
        if block["type"] == "text":
            _text(block, at, message["role"], version)
        elif block["type"] in ("image", "document"):
            _media(block, at)
        elif block["type"] == "search_result":
            _found(block, at, version)
        if block["type"] == "document" and message["role"] == "assistant" and version >= "2026-10-21":
            raise refuse(f"{at}: document blocks are not permitted in assistant messages")
        inside = block.get("content") or () if block["type"] == "tool_result" else ()
        for inner, one in enumerate(inside):
            if isinstance(one, dict) and one["type"] == "text":
                _text(one, f"{at}.content.{inner}", "user", version)
            elif isinstance(one, dict) and one["type"] in ("image", "document"):
                _media(one, f"{at}.content.{inner}")
            elif isinstance(one, dict) and one["type"] == "search_result":
                _found(one, f"{at}.content.{inner}", version)


def _found(block: Json, at: str, version: str) -> None:
    """What a search of the caller's found is text, and as a user's text it cites nothing."""
    for number, one in enumerate(block["content"]):
        if not isinstance(one, dict) or one.get("type") != "text" or not isinstance(one.get("text"), str):
            raise refuse(f"{at}.content.{number}: Input should be a text block")
        _text(one, f"{at}.content.{number}", "user", version)


def _text(block: Json, at: str, role: str, version: str) -> None:
    if not block["text"]:
        raise refuse(f"{at}.text: text content blocks must be non-empty")
    if not block["text"].strip():
        raise refuse(f"{at}.text: text content blocks must contain non-whitespace text")
    if block.get("citations") and role == "user" and version >= "2026-10-21":
        raise refuse(f"{at}.citations: citations are not permitted in user messages")


def _media(block: Json, at: str) -> None:
    source = block["source"]
    if source["type"] != "base64":
        return
    data = decoded(source["data"])
    if not data:
        raise refuse(f"{at}.source.base64.data: Input should be valid base64")
    found = media_type_of(data)
    if block["type"] == "document" and found != "application/pdf":
        raise refuse(f"{at}.source.base64.data: The PDF specified was not valid.")
    if found is not None and found != source["media_type"]:
        raise refuse(
            f"{at}.source.base64: The image was specified using the {source['media_type']} media type, but the image "
            f"appears to be a {found} image"
        )


def _thoughts(message: Json, index: int, model: str, thoughts: Thoughts) -> None:
    for number, block in enumerate(blocks_of(message)):
        if block["type"] == "thinking" and not thoughts.fits(block["signature"], block["thinking"], model):
            raise refuse(f"messages.{index}.content.{number}: Invalid `signature` in `thinking` block")
        if block["type"] == "redacted_thinking" and not thoughts.fits(block["data"], "", model):
            raise refuse(f"messages.{index}.content.{number}: Invalid `data` in `redacted_thinking` block")


def _system(messages: list[Json], index: int, limits: Limits) -> None:
    at = f"messages.{index}"
    if not limits.system_role:
        raise refuse(f"{at}: role 'system' is not supported on this model")
    before = messages[index - 1]
    after = messages[index + 1]["role"] if index + 1 < len(messages) else "assistant"
    server = before["role"] == "assistant" and blocks_of(before)[-1:] and "tool" in blocks_of(before)[-1]["type"]
    if before["role"] != "user" and not server:
        raise refuse(f"{at}: a system message must follow a user message")
    if after != "assistant":
        raise refuse(f"{at}: a system message must be last or be followed by an assistant message")


def _pairs(messages: list[Json]) -> None:
    """Calls are answered at the beginning of the very next message, and only calls are answered."""
    for index, message in enumerate(messages):
        blocks = blocks_of(message)
        used = [block["id"] for block in blocks if block["type"] == "tool_use"]
        if len(set(used)) < len(used):
            raise refuse(f"messages.{index}: `tool_use` ids must be unique")
        if used and blocks[-1]["type"] not in ("tool_use", "server_tool_use"):
            # What follows a call counts as the next thing said, so the call stays without its result.
            raise _unanswered(index, used)
        following = messages[index + 1] if index + 1 < len(messages) else None
        if used and following is not None:
            answered = _leading_results(following) if following["role"] == "user" else []
            if missing := [one for one in used if one not in answered]:
                raise _unanswered(index, missing)
        before = messages[index - 1] if index else None
        asked = [] if before is None else [one["id"] for one in blocks_of(before) if one["type"] == "tool_use"]
        for number, block in enumerate(blocks):
            if block["type"] == "tool_result" and block["tool_use_id"] not in asked:
                raise refuse(
                    f"messages.{index}.content.{number}: unexpected `tool_use_id` found in `tool_result` blocks: "
                    f"{block['tool_use_id']}. Each `tool_result` block must have a corresponding `tool_use` block in "
                    "the previous message."
                )


def _leading_results(message: Json) -> list[str]:
    """The calls that a user message answers before it says anything else."""
    answered = []
    for block in blocks_of(message):
        if block["type"] != "tool_result":
            break
        answered.append(block["tool_use_id"])
    return answered


def _unanswered(index: int, missing: list[str]) -> Refused:
    return refuse(
        f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after: "
        f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block in the next "
        "message."
    )


def _end(body: Json, message: Json, limits: Limits) -> None:
    """A last message of the assistant is a beginning that the model goes on with."""
    if message["role"] != "assistant":
        return
    blocks = blocks_of(message)
    last = blocks[-1] if blocks else {"type": "text", "text": ""}
    if last["type"] == "tool_use":
        raise _unanswered(len(body["messages"]) - 1, [last["id"]])
    if last["type"] != "text":
        return
    if not limits.prefill:
        raise refuse(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )
    if last["text"] != last["text"].rstrip():
        raise refuse("messages: final assistant content cannot end with trailing whitespace")


def _pending(body: Json, messages: list[Json]) -> None:
    """With manual thinking the turn whose calls are being answered has to begin with its thought."""
    if (body.get("thinking") or {}).get("type") != "enabled" or len(messages) < 2:
        return
    before, last = messages[-2], messages[-1]
    if last["role"] != "user" or not any(one["type"] == "tool_result" for one in blocks_of(last)):
        return
    first = blocks_of(before)[0]["type"]
    if first not in THOUGHT:
        raise refuse(
            f"messages.{len(messages) - 2}.content.0.type: Expected `thinking` or `redacted_thinking`, but found "
            f"`{first}`. When `thinking` is enabled, a final `assistant` message must start with a thinking block."
        )
