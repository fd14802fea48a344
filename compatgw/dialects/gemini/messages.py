"""Hub messages become Gemini's contents: two roles, results behind their calls, signatures on their parts.

All results of one model turn stand in one content directly behind it, as many as there were
calls and in their order; a result that is missing is made up as an error. Results are found
by call id wherever they stand in the history, because Gemini wants the function's name.

What does not live here: single parts (`parts.py`), where signatures hide (`signatures.py`),
the request around the contents (`request.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from compatgw.dialects import ids, media
from compatgw.dialects.gemini import parts, signatures
from compatgw.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from compatgw.dialects.base import Leftovers
    from compatgw.dialects.gemini.models import Traits

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]*")
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_.:-]")
# Numbers are doubles there: whole numbers beyond this lose digits.
_EXACT = 2**53
# Each level of JSON costs several of the protocol's own, which allows about a hundred.
_DEPTH = 48
_BLANK: dict[str, Any] = {"text": " "}


class Contents(NamedTuple):
    """What the messages become.

    Attributes:
        system: Parts of the system instruction, perhaps none.
        contents: At least one.
        resolution: Media resolution for the whole request, when all images ask for the same.
    """

    system: list[dict[str, Any]]
    contents: list[dict[str, Any]]
    resolution: str | None


class _Call:
    """A call of an earlier turn, and its result once that is found."""

    __slots__ = ("extra", "id", "key", "name", "result")

    def __init__(self, key: str, id: str | None, name: str) -> None:
        self.key = key  # what its result refers to
        self.id = id
        self.name = name
        self.result: dict[str, Any] | None = None
        self.extra: list[dict[str, Any]] = []  # media that has to go beside the result


class _Turn:
    """What one side said until the other one spoke, or until results came."""

    __slots__ = ("calls", "closed", "parts", "role")

    def __init__(self, role: str, parts: list[dict[str, Any]] | None = None) -> None:
        self.role = role
        self.parts: list[dict[str, Any]] = parts or []
        self.calls: list[_Call] = []
        self.closed = False

    def continues(self, role: str) -> bool:
        """True when the next message of `role` belongs to this turn."""
        return self.role == role and not self.closed


def sent_name(name: str, limit: int) -> str:
    """A function's name as Gemini takes it: `name` itself wherever that is possible, else a stable stand-in."""
    if len(name) <= limit and _NAME.fullmatch(name):
        return name
    plain = _NOT_IN_NAME.sub("_", name)
    if not _NAME.fullmatch(plain):
        plain = f"_{plain}"
    return f"{plain[: limit - 11]}_{ids.digest(name)[:10]}"


def translate(messages: Sequence[Mapping[str, Any]], left: Leftovers, traits: Traits) -> Contents:
    """The messages as contents.

    Raises:
        InvalidRequest: A result without its call, media that is not what it says.
        UnsupportedParameter: A link that would have to be fetched.
    """
    system: list[str] = []
    turns: list[_Turn] = []
    for index, message in enumerate(messages):
        role, where = message["role"], f"messages[{index}]"
        if role in ("system", "developer"):
            system += _texts(message["content"])
        elif role in ("tool", "function"):
            _answer(message, where, turns, left, traits)
            turns[-1].closed = turns[-1].role == "model"
        else:
            turn = _turn(turns, "model" if role == "assistant" else "user")
            if role == "assistant":
                _assistant(message, where, turn, left, traits)
            else:
                turn.parts += _parts(message["content"], where, left, traits)
        if role not in ("tool", "function") and message.get("name"):
            left.hint("messages.name", message["name"])
    return _assembled("\n\n".join(filter(None, system)), turns, _resolution(messages, traits), traits)


def _turn(turns: list[_Turn], role: str) -> _Turn:
    if not turns or not turns[-1].continues(role):
        turns.append(_Turn(role))
    return turns[-1]


def _texts(content: str | Sequence[Mapping[str, Any]]) -> list[str]:
    return [content] if isinstance(content, str) else [part["text"] for part in content]


def _parts(
    content: str | Sequence[Mapping[str, Any]], where: str, left: Leftovers, traits: Traits
) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"text": content}] if content else []
    found = (parts.translate(part, f"{where}.content[{n}]", left, traits) for n, part in enumerate(content))
    return [part for part in found if part is not None]


# --- the model's turns -----------------------------------------------------------------------


def _assistant(message: Mapping[str, Any], where: str, turn: _Turn, left: Leftovers, traits: Traits) -> None:
    details = signatures.details(message)
    said = _parts(message.get("content") or message.get("refusal") or "", where, left, traits)
    said += _images(message, where)
    signature = signatures.of_text(message, details)
    if signature is not None:
        # It belongs to a part of its own when the text that it came with was empty.
        if not said or "text" not in said[-1]:
            said.append({"text": ""})
        said[-1]["thoughtSignature"] = signature
    turn.parts += said
    for call in message.get("tool_calls") or ():
        key = signatures.plain_id(call["id"])
        _call(turn, key, key, call, signatures.of_call(call, details), traits)
    legacy = message.get("function_call")
    if legacy and not message.get("tool_calls"):
        _call(turn, legacy["name"], "", {"type": "function", "function": legacy}, None, traits)


def _images(message: Mapping[str, Any], where: str) -> Iterator[dict[str, Any]]:
    """Images that a model drew earlier, which `response.py` put beside the text."""
    images = message.get("images")
    for index, image in enumerate(images if isinstance(images, list) else ()):
        inner = image.get("image_url") if isinstance(image, dict) else None
        url = inner.get("url") if isinstance(inner, dict) else None
        if not isinstance(url, str) or not media.is_data_url(url):
            continue
        found = media.from_data_url(url, f"{where}.images[{index}].image_url.url")
        part: dict[str, Any] = {"inlineData": {"mimeType": found.media_type, "data": found.data}}
        if signature := signatures.held(image):
            part["thoughtSignature"] = signature
        yield part


def _call(turn: _Turn, key: str, id: str, call: Mapping[str, Any], signature: str | None, traits: Traits) -> None:
    if call["type"] == "custom":
        name, arguments = call["custom"]["name"], {"input": call["custom"]["input"]}
    else:
        name, arguments = call["function"]["name"], _arguments(call["function"]["arguments"])
    sent = _Call(key, id if id and traits.call_ids else None, sent_name(name, traits.name_length))
    inner = {"name": sent.name, "args": arguments}
    part: dict[str, Any] = {"functionCall": {"id": sent.id, **inner} if sent.id else inner}
    if signature is not None:
        part["thoughtSignature"] = signature
    turn.calls.append(sent)
    turn.parts.append(part)


def _arguments(text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    value = _loaded(text)
    return value if isinstance(value, dict) else {"_raw": text}


def _loaded(text: str) -> Any:
    """JSON that the protocol can carry, None for any other text."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return None if _deep(value) else value


def _deep(value: Any) -> bool:
    level = [value]
    for _ in range(_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True


# --- results ---------------------------------------------------------------------------------


def _answer(message: Mapping[str, Any], where: str, turns: list[_Turn], left: Leftovers, traits: Traits) -> None:
    legacy = message["role"] == "function"
    param = f"{where}.name" if legacy else f"{where}.tool_call_id"
    key = message["name"] if legacy else signatures.plain_id(message["tool_call_id"])
    matching = [call for turn in reversed(turns) for call in turn.calls if call.key == key]
    call = next((call for call in matching if call.result is None), None)
    if call is None:
        what = "a tool call that was answered before" if matching else "no tool call of an earlier assistant message"
        raise InvalidRequest(f"'{param}' answers {what}.", param=param)
    content = message.get("content") or ""
    found = _parts(content, where, left, traits)
    text = content if isinstance(content, str) else "\n".join(part["text"] for part in found if "text" in part)
    attached = [part for part in found if "text" not in part]
    result: dict[str, Any] = {"name": call.name, "response": _response(text, failed=message.get("is_error") is True)}
    if call.id is not None:
        result = {"id": call.id, **result}
    if attached and traits.result_media:
        result["parts"] = [{k: v for k, v in part.items() if k != "mediaResolution"} for part in attached]
    elif attached:
        call.extra = [{"text": f"What the function {call.name} returned:"}, *attached]
    call.result = {"functionResponse": result}


def _response(text: str, *, failed: bool) -> dict[str, Any]:
    """A tool's text as the object that a result has to be."""
    if failed:
        return {"error": text}
    value = _loaded(text)
    if isinstance(value, dict | list) and _exact(value):
        return value if isinstance(value, dict) else {"output": value}
    return {"output": text}


def _exact(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_exact, value.values()))
    if isinstance(value, list):
        return all(map(_exact, value))
    # Beyond its own range the parser makes floats of whole numbers, which have lost digits already.
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return not whole or -_EXACT <= value <= _EXACT


# --- contents --------------------------------------------------------------------------------


def _assembled(system: str, turns: list[_Turn], resolution: str | None, traits: Traits) -> Contents:
    turns = _joined(turns)
    instruction = [{"text": system}] if system else []
    if instruction and (not turns or not traits.system):
        if not turns or turns[0].role != "user":
            turns.insert(0, _Turn("user"))
        turns[0].parts = [*instruction, *turns[0].parts]
        instruction = []
    if not turns or turns[0].calls:  # a call cannot be the first thing said
        turns.insert(0, _Turn("user", [_BLANK]))
    if traits.signatures:
        _skip_validation(turns, traits)
    contents: list[dict[str, Any]] = []
    answered = False
    for turn in turns:
        if turn.role == "user" and answered and not traits.split_results:
            contents[-1]["parts"] += turn.parts
        else:
            contents.append({"role": turn.role, "parts": turn.parts})
        answered = bool(turn.calls)
        if turn.calls:
            contents += _results(turn.calls)
    return Contents(instruction, contents, resolution)


def _joined(turns: list[_Turn]) -> list[_Turn]:
    """The turns that say something; what stood around an empty one is one turn again."""
    out: list[_Turn] = []
    for turn in turns:
        if turn.parts and out and out[-1].continues(turn.role):
            out[-1].parts += turn.parts
            out[-1].calls += turn.calls
            out[-1].closed = turn.closed
        elif turn.parts:
            out.append(turn)
    return out


def _results(calls: list[_Call]) -> Iterator[dict[str, Any]]:
    yield {"role": "user", "parts": [call.result or _missing(call) for call in calls]}
    extra = [part for call in calls for part in call.extra]
    if extra:
        yield {"role": "user", "parts": extra}


def _missing(call: _Call) -> dict[str, Any]:
    result = {"name": call.name, "response": {"error": "no result"}}
    return {"functionResponse": {"id": call.id, **result} if call.id is not None else result}


def _skip_validation(turns: list[_Turn], traits: Traits) -> None:
    """Puts the vendor's dummy on first calls of the current turn that brought no signature along."""
    for index in range(len(turns) - 1, -1, -1):
        turn = turns[index]
        # What the user says beside results of tools does not surely begin a new turn for the validator.
        joined = index > 0 and bool(turns[index - 1].calls) and not traits.split_results
        if turn.role == "user" and not joined:
            return
        first = next((part for part in turn.parts if "functionCall" in part), None)
        if first is not None:
            first.setdefault("thoughtSignature", signatures.SKIP)


def _resolution(messages: Sequence[Mapping[str, Any]], traits: Traits) -> str | None:
    if traits.part_resolution:
        return None
    wanted = {
        part["image_url"].get("detail", "auto")
        for message in messages
        if message["role"] == "user" and not isinstance(message["content"], str)
        for part in message["content"]
        if part["type"] == "image_url"
    }
    return parts.RESOLUTIONS.get(wanted.pop()) if len(wanted) == 1 else None
