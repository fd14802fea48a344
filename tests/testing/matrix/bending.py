"""Bends the answers of the surfaces whose events have names: Anthropic's Messages, OpenAI's Responses.

What does not live here: the proxy that bends (`tests/testing/check/broken.py`).
"""

import json
from collections.abc import Callable
from typing import Any

from tests.testing.check.broken import Bend, Json, Said


def streamed(said: Said) -> bool:
    """The answer is a good stream."""
    return said.status == 200 and "event-stream" in said.headers.get("content-type", "")


def read(said: Said) -> list[Json]:
    """The events of a stream."""
    frames = [one for one in said.body.decode().split("\n\n") if one.strip()]
    return [json.loads(one.partition("data: ")[2]) for one in frames if "data: " in one]


def written(events: list[Json]) -> bytes:
    """Events as bytes; the member `event`, where one is given, stands in the `event:` line."""
    frames = []
    for one in events:
        name = one.get("event", one["type"])
        data = json.dumps({key: value for key, value in one.items() if key != "event"})
        frames.append(f"event: {name}\ndata: {data}\n\n" if name else f"data: {data}\n\n")
    return "".join(frames).encode()


def plain(change: Callable[[Json], Any]) -> Bend:
    """Changes good plain answers."""

    def bend(said: Said) -> None:
        if said.status == 200 and not streamed(said):
            value = said.value
            change(value)
            said.value = value

    return bend


def stream(change: Callable[[list[Json]], list[Json] | None]) -> Bend:
    """Changes the events of good streams: in place, or by giving others."""

    def bend(said: Said) -> None:
        if streamed(said):
            events = read(said)
            changed = change(events)
            said.body = written(events if changed is None else changed)

    return bend


def each(change: Callable[[Json], Any], *types: str) -> Bend:
    """Changes each event of these types; of all where none is named."""
    return stream(lambda events: [change(one) for one in events if not types or one["type"] in types] and None)


def dropped(*types: str) -> Bend:
    """Leaves out the events of these types."""
    return stream(lambda events: [one for one in events if one["type"] not in types])


def doubled(type: str) -> Bend:
    """Tells the events of one type twice."""
    return stream(lambda events: [each for one in events for each in [one] * (1 + (one["type"] == type))])


def after(type: str, *more: Json) -> Bend:
    """Puts events behind the first of a type."""

    def change(events: list[Json]) -> list[Json]:
        at = next((number for number, one in enumerate(events) if one["type"] == type), len(events))
        return [*events[: at + 1], *more, *events[at + 1 :]]

    return stream(change)


def tail(text: bytes) -> Bend:
    """Puts bytes behind a stream."""

    def bend(said: Said) -> None:
        if streamed(said):
            said.body += text

    return bend
