"""Reasoning that has to come back: what of it is kept of an answer, under which names, and where it may go.

Models sign what they thought, and take it back only unchanged, only from themselves, and some of them only then go
on at all. It travels in the hub's extension members (`reasoning_details`, `extra_content`, `thinking_blocks`), which
most clients drop. So it is kept here, under names that the next request will show again:

* a tool call by its id, its name and its arguments;
* a turn without calls by its text and everything that the user had said until then.

It is put back only for the very model that made it; what another vendor signed goes to nobody else.

What does not live here: keeping it (`flow/vault.py`), what a vendor's request looks like (`dialects/`).
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from compatgw.dialects.base import Dialect, Target
    from compatgw.errors import UpstreamFailure
    from compatgw.wire.chat import ChatCompletion, ChatRequest

MOST = 64
"""Names that are looked for in one request, and kept of one answer: the newest."""

_TURN = ("reasoning_details", "extra_content", "reasoning_content")
# The two forms whose members have no `format` of their own; what they are called in `reasoning_details`.
_BLOCKS, _GOOGLE = "anthropic-claude-v1", "google-gemini-v1"
_SUFFIX = "__thought__"
_NAME = "thought:"
_DIGEST = 32
_HIDDEN = ("thought_signature", "provider_specific_fields")
_WITH_CALL = frozenset({"extra_content", *_HIDDEN})
_SIGNED = frozenset({"reasoning_details", "thinking_blocks", "extra_content"})
# A date, a version or a stage at the end of a model's name: the same model under another.
_VERSION = re.compile(r"([-@]\d{8}|-\d{4}-\d\d-\d\d|-\d\d-\d\d(\d\d)?|-latest|-preview|-exp|-v\d+(:\d+)?|@default)+\Z")
_REFUSED = re.compile(
    r"thought[ _]?signature|thinking\W{0,3}signature|signature\W{1,3}in\W{1,3}thinking|redacted_thinking"
    r"|thinking`? blocks?|encrypted[ _]content|reasoning[ _]?(content|text|item).{0,80}signature",
    re.IGNORECASE,
)
_BAD_REQUEST = (400, 422)


class Want(NamedTuple):
    """Something that a request lacks.

    Attributes:
        message: Its assistant message. call: Its tool call, None for a turn without.
        key: Under which it would have been kept.
    """

    message: int
    call: int | None
    key: str


class Kept(NamedTuple):
    """What is kept under one key.

    Attributes:
        family: Who made it.
        call: `extra_content` of a tool call.
        turn: Members of the assistant's message.
    """

    family: str
    call: Mapping[str, Any] | None = None
    turn: Mapping[str, Any] | None = None


def family(dialect: Dialect, target: Target) -> str:
    """Who signs: the protocol, the platform, and the model without date, version and stage."""
    return f"{dialect.name} {target.provider} {_VERSION.sub('', target.model)}"


def returns(dialect: Dialect, target: Target) -> bool:
    """True for a target that takes back what it thought."""
    return bool(dialect.signs) or target.quirks.reasoning_back != "never"


# --- what is kept ----------------------------------------------------------------------------


def kept(tenant: str, request: ChatRequest, completion: ChatCompletion, signer: str) -> list[tuple[str, Kept]]:
    """What to keep of an answer, each under its key; nothing where nothing was thought.

    Args:
        tenant: Whose; nobody else finds it.
        request: What was asked.
        signer: The `family` of the target that answered.
    """
    out: list[tuple[str, Kept]] = []
    for choice in completion["choices"]:
        message: Mapping[str, Any] = choice["message"]
        turn = {name: message[name] for name in _TURN if message.get(name)}
        if "reasoning_details" in turn:
            turn.pop("reasoning_content", None)
        calls = message.get("tool_calls") or ()
        for place, call in enumerate(calls):
            extra = call.get("extra_content")
            whole = turn if place == 0 and turn else None
            if extra or whole:
                out.append((_call_key(tenant, call), Kept(signer, extra, whole)))
        if not calls and turn and (text := _text(message.get("content"))):
            asked = _Asked(tenant)
            for earlier in request["messages"]:
                asked.add(earlier)
            out.append((asked.key(text), Kept(signer, None, turn)))
    return out[:MOST]


def wanted(tenant: str, request: ChatRequest) -> list[Want]:
    """What the assistant's messages of a request may lack; the newest `MOST`."""
    messages: list[Any] = list(request["messages"])
    lacking: list[tuple[int, int | None]] = []
    for index, message in enumerate(messages):
        if message["role"] == "assistant" and not _carries(message):
            calls = message.get("tool_calls")
            lacking += [(index, place) for place, call in enumerate(calls or ()) if not _carried(call)]
            if not calls:
                lacking.append((index, None))
    asked, read = _Asked(tenant), 0
    out: list[Want] = []
    for index, place in lacking[-MOST:]:
        message = messages[index]
        if place is not None:
            out.append(Want(index, place, _call_key(tenant, message["tool_calls"][place])))
        elif text := _text(message.get("content")):
            for earlier in messages[read:index]:
                asked.add(earlier)
            read = index
            out.append(Want(index, None, asked.key(text)))
    return out


def restored(request: ChatRequest, found: Mapping[Want, Kept], signer: str) -> ChatRequest:
    """`request` with what was kept put back, as far as `signer` made it; itself when that is nothing."""
    messages: list[Any] = list(request["messages"])
    changed = False
    for want, entry in found.items():
        if entry.family != signer:
            continue
        changed = True
        message = messages[want.message]
        if entry.turn:
            message = {**{name: value for name, value in entry.turn.items() if name not in message}, **message}
        if entry.call and want.call is not None:
            calls = list(message["tool_calls"])
            calls[want.call] = {**calls[want.call], "extra_content": entry.call}
            message = {**message, "tool_calls": calls}
        messages[want.message] = message
    out: Any = {**request, "messages": messages}
    return out if changed else request


def _carries(message: Mapping[str, Any]) -> bool:
    """A message brought its own back."""
    if not _SIGNED.isdisjoint(message) and any(message.get(name) for name in _SIGNED):
        return True
    content = message.get("content")
    return content.__class__ is list and any(part["type"] == "thinking" for part in content)


def _carried(call: Mapping[str, Any]) -> bool:
    """A call brought its own back, in one place or another."""
    if not _WITH_CALL.isdisjoint(call) or _SUFFIX in call["id"]:
        return bool(call.get("extra_content")) or _SUFFIX in call["id"] or any(name in call for name in _HIDDEN)
    return "thought_signature" in (call.get("function") or ())


def _call_key(tenant: str, call: Mapping[str, Any]) -> str:
    inner = call.get("function") or call.get("custom") or {}
    said = inner.get("arguments", inner.get("input"))
    id = str(call.get("id", "")).partition(_SUFFIX)[0]
    parts = (_part(part) for part in ("call", tenant, id, str(inner.get("name")), _canonical(said)))
    return _NAME + blake2b(b"".join(parts), digest_size=_DIGEST).hexdigest()


class _Asked:
    """All that the user has said so far, which makes the same answer another one elsewhere."""

    __slots__ = ("_digest",)

    def __init__(self, tenant: str) -> None:
        self._digest = blake2b(_part("text") + _part(tenant), digest_size=_DIGEST)

    def add(self, message: Mapping[str, Any]) -> None:
        """The next message of the conversation."""
        if message["role"] == "user":
            self._digest.update(_part(_text(message.get("content"))))

    def key(self, text: str) -> str:
        """The key of an answer of this text."""
        whole = self._digest.copy()
        whole.update(_part(text))
        return _NAME + whole.hexdigest()


def _part(text: str) -> bytes:
    # With its length, so that no two rows of parts are the same bytes.
    data = text.encode("utf-8", "replace")
    return b"%d:%b" % (len(data), data)


def _canonical(arguments: Any) -> str:
    """Arguments as a client that read them would write them again, whatever its spaces and order."""
    text = arguments if isinstance(arguments, str) else ""
    try:
        return orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS).decode()
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return text


def _text(content: Any) -> str:
    if isinstance(content, list):
        content = "".join(str(part.get("text") or "") for part in content if part.get("type") == "text")
    return content.strip() if isinstance(content, str) else ""


# --- what goes where -------------------------------------------------------------------------


def for_target(request: ChatRequest, dialect: Dialect, target: Target, *, away: bool) -> ChatRequest:
    """`request` without what another vendor signed; itself when there is nothing of that.

    Args:
        dialect, target: Where it goes.
        away: The target is another than the one that the caller's model names first: a fallback. What a caller
            brings back to an upstream of OpenAI's protocol is believed to be that upstream's own, but not there.
    """
    own = dialect.signs
    trusting = not own and not away and target.quirks.reasoning_back in ("always", "details")
    return _without(request, lambda form: form == own or trusting)


def stripped(request: ChatRequest) -> ChatRequest:
    """`request` without anything signed; itself when there is nothing."""
    return _without(request, lambda form: False)


def refused(failure: UpstreamFailure) -> bool:
    """True for a refusal of what was signed: the request may pass once without it (`stripped`)."""
    return failure.upstream_status in _BAD_REQUEST and _REFUSED.search(failure.message) is not None


def _without(request: ChatRequest, mine: Callable[[str], bool]) -> ChatRequest:
    messages: list[Any] = []
    changed = False
    google, blocks = mine(_GOOGLE), mine(_BLOCKS)
    for message in request["messages"]:
        made: Any = message
        if message["role"] == "assistant":
            made = _cleaned(message, google, blocks, mine)
        elif message["role"] == "tool" and not google and _SUFFIX in message["tool_call_id"]:
            made = {**message, "tool_call_id": message["tool_call_id"].partition(_SUFFIX)[0]}
        changed = changed or made is not message
        messages.append(made)
    if not changed:
        return request
    out: Any = {**request, "messages": messages}
    return out  # type: ignore[no-any-return]


def _cleaned(message: Any, google: bool, blocks: bool, mine: Callable[[str], bool]) -> Any:
    # Nearly all messages of nearly all calls.
    if not _carries(message) and not any(map(_carried, message.get("tool_calls") or ())):
        return message
    out: dict[str, Any] = {**message}
    details = out.get("reasoning_details")
    if isinstance(details, list) and details:
        out["reasoning_details"] = left = list(_details(details, mine))
        if not left:
            del out["reasoning_details"]
    if not blocks:
        out.pop("thinking_blocks", None)
        content = out.get("content")
        if isinstance(content, list) and any(_signed(part) for part in content):
            out["content"] = [part for part in content if not _signed(part)]
    if not google:
        out = _unsigned(out)
        if calls := out.get("tool_calls"):
            out["tool_calls"] = [_unsigned_call(call) for call in calls]
    return out if out != message else message


def _details(details: list[Any], mine: Callable[[str], bool]) -> Iterator[Any]:
    verdicts: dict[Any, bool] = {}
    for entry in details:
        if not isinstance(entry, dict):
            continue
        form, index = entry.get("format"), entry.get("index")
        if isinstance(form, str):
            verdicts[index] = mine(form)
        elif index is None or index not in verdicts:
            # Nobody's, so far as it says; a piece of a stream that a client kept apart belongs to the one before it.
            verdicts[index] = not entry.get("signature") and "data" not in entry
        if verdicts[index]:
            yield entry


def _signed(part: Any) -> bool:
    return part["type"] == "thinking" and bool(part.get("signature"))


def _unsigned(holder: dict[str, Any]) -> dict[str, Any]:
    """A message or call without Google's part of its `extra_content`."""
    extra = holder.get("extra_content")
    if not isinstance(extra, dict) or "google" not in extra:
        return holder
    rest = {name: value for name, value in extra.items() if name != "google"}
    out = {name: value for name, value in holder.items() if name != "extra_content"}
    return {**out, "extra_content": rest} if rest else out


def _unsigned_call(call: dict[str, Any]) -> dict[str, Any]:
    out = {name: value for name, value in _unsigned(call).items() if name not in _HIDDEN}
    out["id"] = call["id"].partition(_SUFFIX)[0]
    inner = out.get("function")
    if isinstance(inner, dict) and "thought_signature" in inner:
        out["function"] = {name: value for name, value in inner.items() if name != "thought_signature"}
    return out
