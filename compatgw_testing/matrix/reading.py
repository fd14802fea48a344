"""What all client surfaces read alike: JSON, events of a stream, OpenAI's error envelope, what holds of every call.

What does not live here: any surface's own words (`chat.py`, `messages.py`, `responses.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compatgw_testing.matrix.asked import SeenError

if TYPE_CHECKING:
    from compatgw_testing.matrix.asked import Mode, Seen, SeenCall

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream.

    Attributes:
        name: What its `event:` line says; empty for none.
        data: Its data.
    """

    name: str
    data: str


def parsed(text: str | bytes) -> Any:
    """The JSON value; None for what is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def media_type(seen: Seen) -> str:
    """The content type without its parameters."""
    return seen.headers.get("content-type", "").partition(";")[0].strip().lower()


def expect_type(seen: Seen, wanted: str) -> None:
    """Notes another content type."""
    if media_type(seen) != wanted:
        seen.problems.append(f"the content type is {media_type(seen)!r}")


def events(seen: Seen) -> Iterator[Event]:
    """The events of a stream; what is no part of one is noted. An event that was cut off is none."""
    name, lines = "", list[str]()
    for line in seen.raw.decode("utf-8", "replace").replace("\r\n", "\n").split("\n"):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "":
            if lines:
                yield Event(name, "\n".join(lines))
            elif name:
                seen.problems.append(f"the event {name!r} has no data")
            name, lines = "", []
        elif field == "data":
            lines.append(value)
        elif field == "event":
            name = value
        elif field not in ("", "id", "retry"):
            seen.problems.append(f"the line {line[:100]!r} is no part of an event")


def whole_object(seen: Seen) -> Json | None:
    """The body of a plain answer; None, and noted, if it is no JSON object."""
    expect_type(seen, "application/json")
    value = parsed(seen.raw)
    if isinstance(value, dict):
        return value
    seen.problems.append(f"the answer is no JSON object: {seen.raw[:200]!r}")
    return None


def failed(seen: Seen) -> Json | None:
    """The error of an answer that is no 200, in the envelope that OpenAI and Anthropic share; None if it has none."""
    if seen.status == 0:
        seen.ended = "broken"
        return None
    seen.ended = "error"
    value = parsed(seen.raw)
    if not isinstance(value, dict) or not isinstance(value.get("error"), dict):
        seen.problems.append(f"the error answer has no envelope: {seen.raw[:200]!r}")
        return None
    return value


def error(given: object, seen: Seen) -> SeenError:
    """An error's members."""
    if not isinstance(given, dict):
        seen.problems.append(f"error is {given!r}")
        return SeenError(message=str(given))
    if not isinstance(given.get("message"), str) or not given["message"]:
        seen.problems.append(f"the error has no message: {given!r}")
    texts = {name: given[name] for name in ("message", "type", "code", "param") if isinstance(given.get(name), str)}
    return SeenError(**texts)


def answered(seen: Seen, mode: Mode, whole: Callable[[Json, Seen], None], streamed: Callable[[], None]) -> Seen:
    """Reads an answer of one of OpenAI's own surfaces, and gives `seen`.

    Args:
        whole: Reads a plain answer's object. streamed: Reads a stream.
    """
    if seen.status != 200:
        if (value := failed(seen)) is not None:
            seen.error = error(value["error"], seen)
    elif mode == "stream":
        streamed()
    elif (value := whole_object(seen)) is not None:
        if value.get("error"):
            seen.problems.append("an error came under status 200")
            seen.ended, seen.error = "error", error(value["error"], seen)
        else:
            whole(value, seen)
    return seen


def check_call(call: SeenCall, seen: Seen) -> None:
    """A call has an id of its own, and a name."""
    if not call.id or not call.name:
        seen.problems.append(f"a tool call has the id {call.id!r} and the name {call.name!r}")
    if sum(one.id == call.id for one in seen.calls) > 1:
        seen.problems.append(f"two tool calls have the id {call.id!r}")


def check_texts(value: Json, names: tuple[str, ...], seen: Seen, what: str = "") -> None:
    """These members are texts, and not empty."""
    for name in names:
        if not isinstance(value.get(name), str) or not value[name]:
            seen.problems.append(f"{what}{name} is {value.get(name)!r}")


def count(value: object) -> int | None:
    """A number of tokens; None for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
