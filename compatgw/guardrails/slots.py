"""Where texts stand in the hub's requests, answers and chunks; and the same with other texts in their places.

    texts(request)                  every text that goes to a model, with its path
    inputs(request)                 the same of endpoints other than chat
    answered(completion)            every text that comes from one
    deltas(choice)                  the pieces of text in a chunk's part for one choice, each with the key of its stream
    replaced(value, {path: text})   a new value; what is not on the way to a change is shared with the old one

Nothing here changes what it is given. What is not text (images, sounds, files, signatures) is not looked at.

What does not live here: what becomes of texts (`pipeline.py`, `relay.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from compatgw.guardrails.base import Kind, Path, Spot

if TYPE_CHECKING:
    from compatgw.wire.chat import ChatCompletion, ChatRequest

V = TypeVar("V")

_SPOKEN: Mapping[str, Kind] = {"content": "content", "refusal": "refusal"}
_THOUGHT = ("reasoning_content", "reasoning")
_DETAILS = ("text", "summary")
# Formats whose answers are JSON by themselves.
_JSON_FORMATS = frozenset({"json_object", "json_schema"})


class Slot(NamedTuple):
    """A text, and where it stands."""

    text: str
    spot: Spot


class Piece(NamedTuple):
    """A piece of a text that comes in chunks.

    Attributes:
        text: The piece.
        key: The same for all pieces of one text, within one choice.
        path: Where it stands in the delta.
        spot: Which text it is a piece of.
    """

    text: str
    key: tuple[str | int, ...]
    path: Path
    spot: Spot


def texts(request: ChatRequest, *, reasoning: bool = True) -> list[Slot]:
    """Every text of a request, in its order.

    Args:
        reasoning: Reasoning of earlier answers, too.
    """
    found: list[Slot] = []
    members = cast("Mapping[str, Any]", request)
    for number, message in enumerate(members["messages"]):
        found += _message(message, ("messages", number), reasoning=reasoning)
    prediction = members.get("prediction")
    if isinstance(prediction, dict):
        spot = Spot("input", "content", "assistant")
        found += _content(prediction.get("content"), ("prediction", "content"), spot)
    return found


def inputs(request: Mapping[str, Any]) -> list[Slot]:
    """Every text of a request to an endpoint other than chat: input, prompt, query, documents, instructions."""
    found: list[Slot] = []
    for member in ("input", "prompt", "instructions", "query", "documents"):
        value = request.get(member)
        for number, each in enumerate(value if isinstance(value, list) else ()):
            path: Path = (member, number)
            if isinstance(each, str):
                found.append(Slot(each, Spot(path=path)))
            elif isinstance(each, dict):
                found += _text(each, "text", path, Spot())
        found += _text(request, member, (), Spot())
    return found


def answered(completion: ChatCompletion, *, json: bool = False, reasoning: bool = True) -> list[Slot]:
    """Every text of an answer, in its order.

    Args:
        json: Its content is JSON, since the request asked for that; see `asks_json`.
        reasoning: The model's reasoning, too.
    """
    found: list[Slot] = []
    for number, choice in enumerate(cast("Mapping[str, Any]", completion)["choices"]):
        path: Path = ("choices", number, "message")
        for slot in _message({"role": "assistant", **choice["message"]}, path, reasoning=reasoning, direction="output"):
            spot = slot.spot
            found.append(Slot(slot.text, _as_json(spot) if json and spot.kind == "content" else spot))
    return found


def asks_json(request: ChatRequest) -> bool:
    """Whether the content of the answer is to be JSON."""
    wanted = cast("Mapping[str, Any]", request).get("response_format")
    return isinstance(wanted, dict) and wanted.get("type") in _JSON_FORMATS


def deltas(choice: Mapping[str, Any], *, json: bool = False, reasoning: bool = True) -> Iterator[Piece]:
    """The pieces of text that a chunk has for one choice, in the order in which a model says them."""
    delta = choice["delta"]
    index = choice["index"]
    if reasoning:
        yield from _thought(delta, index)
    for member, kind in _SPOKEN.items():
        if isinstance(text := delta.get(member), str):
            spot = Spot("output", kind, "assistant", ("choices", index, "message", member))
            yield Piece(text, (member,), (member,), _as_json(spot) if json and kind == "content" else spot)
    calls = delta.get("tool_calls")
    for place, call in enumerate(calls if isinstance(calls, list) else ()):
        number = call.get("index", place)
        for holder, member in (("function", "arguments"), ("custom", "input")):
            inner = call.get(holder)
            if isinstance(inner, dict):
                # One that opens a call has a name, and not always arguments.
                text = inner.get(member) or ""
                path: Path = ("choices", index, "message", "tool_calls", number, holder, member)
                spot = Spot("output", "arguments", "assistant", path, holder == "function", inner.get("name") or "")
                yield Piece(text, ("tool_calls", number, holder), ("tool_calls", place, holder, member), spot)
    old = delta.get("function_call")
    if isinstance(old, dict):
        path = ("choices", index, "message", "function_call", "arguments")
        spot = Spot("output", "arguments", "assistant", path, json=True, tool=old.get("name") or "")
        yield Piece(old.get("arguments") or "", ("function_call",), ("function_call", "arguments"), spot)


def replaced(value: V, changes: Mapping[Path, str]) -> V:
    """`value` with these texts at their paths; `value` itself where there are none."""
    return cast("V", _replaced(value, [(path, 0, text) for path, text in changes.items()])) if changes else value


# --- one message -----------------------------------------------------------------------------


def _message(message: Mapping[str, Any], path: Path, *, reasoning: bool, direction: Any = "input") -> Iterator[Slot]:
    role = message.get("role", "user")
    if reasoning:
        yield from _reasoned(message, path, Spot(direction, "reasoning", role))
    kind: Kind = "result" if role in ("tool", "function") else "content"
    yield from _content(message.get("content"), (*path, "content"), Spot(direction, kind, role))
    yield from _text(message, "refusal", path, Spot(direction, "refusal", role))
    calls = message.get("tool_calls")
    for number, call in enumerate(calls if isinstance(calls, list) else ()):
        for holder, member in (("function", "arguments"), ("custom", "input")):
            inner = call.get(holder)
            if isinstance(inner, dict):
                spot = Spot(direction, "arguments", role, json=holder == "function", tool=inner.get("name", ""))
                yield from _text(inner, member, (*path, "tool_calls", number, holder), spot)
    old = message.get("function_call")
    if isinstance(old, dict):
        spot = Spot(direction, "arguments", role, json=True, tool=old.get("name", ""))
        yield from _text(old, "arguments", (*path, "function_call"), spot)


def _content(content: Any, path: Path, spot: Spot) -> Iterator[Slot]:
    """A content: a text, or parts of which some have one."""
    if isinstance(content, str):
        yield Slot(content, _at(spot, path))
        return
    for number, part in enumerate(content if isinstance(content, list) else ()):
        if not isinstance(part, dict):
            continue
        here = (*path, number)
        yield from _text(part, "text", here, spot)
        yield from _text(part, "refusal", here, _kind(spot, "refusal"))
        thought = part.get("thinking")
        if isinstance(thought, str | list):
            yield from _content(thought, (*here, "thinking"), _kind(spot, "reasoning"))


def _reasoned(message: Mapping[str, Any], path: Path, spot: Spot) -> Iterator[Slot]:
    for member in _THOUGHT:
        yield from _text(message, member, path, spot)
    details = message.get("reasoning_details")
    for number, detail in enumerate(details if isinstance(details, list) else ()):
        if isinstance(detail, dict):
            for member in _DETAILS:
                yield from _text(detail, member, (*path, "reasoning_details", number), spot)


def _thought(delta: Mapping[str, Any], index: int) -> Iterator[Piece]:
    for member in _THOUGHT:
        if isinstance(text := delta.get(member), str):
            spot = Spot("output", "reasoning", "assistant", ("choices", index, "message", member))
            yield Piece(text, (member,), (member,), spot)
    details = delta.get("reasoning_details")
    for place, detail in enumerate(details if isinstance(details, list) else ()):
        if not isinstance(detail, dict):
            continue
        for member in _DETAILS:
            if isinstance(text := detail.get(member), str):
                number = detail.get("index")
                # Without a number it is no piece of anything, and is looked at alone.
                key = ("reasoning_details", member, number if isinstance(number, int) else f"alone {place}")
                path: Path = ("choices", index, "message", "reasoning_details", place, member)
                yield Piece(
                    text, key, ("reasoning_details", place, member), Spot("output", "reasoning", "assistant", path)
                )


def _text(holder: Mapping[str, Any], member: str, path: Path, spot: Spot) -> Iterator[Slot]:
    if isinstance(text := holder.get(member), str):
        yield Slot(text, _at(spot, (*path, member)))


def _at(spot: Spot, path: Path) -> Spot:
    return Spot(spot.direction, spot.kind, spot.role, path, spot.json, spot.tool)


def _kind(spot: Spot, kind: Kind) -> Spot:
    return Spot(spot.direction, kind, spot.role)


def _as_json(spot: Spot) -> Spot:
    return Spot(spot.direction, spot.kind, spot.role, spot.path, json=True)


def _replaced(value: Any, changes: list[tuple[Path, int, str]]) -> Any:
    """`value` with what is changed below it; each change knows how far down its path `value` is."""
    path, depth, text = changes[0]
    if depth == len(path):
        return text
    below: dict[str | int, list[tuple[Path, int, str]]] = {}
    for path, depth, text in changes:
        below.setdefault(path[depth], []).append((path, depth + 1, text))
    if isinstance(value, list):
        return [_replaced(each, below[place]) if place in below else each for place, each in enumerate(value)]
    return {name: _replaced(each, below[name]) if name in below else each for name, each in value.items()}
