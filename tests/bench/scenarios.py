"""What is asked: scenarios and their request bodies.

What does not live here: whom it is asked of (`rounds.py`) and what came of it (`report.py`).
"""

from __future__ import annotations

import base64
import random
import struct
import zlib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = "bench-key"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way of asking.

    Attributes:
        name: A letter for the kind, the number of connections, `t` where answers are translated.
        title: What it is, for the report.
        size: Which body.
        connections: Requests in flight.
        stream: True for server-sent events.
        suffix: Of the model's name; how the upstream behaves.
        translated: The upstream speaks Anthropic's protocol, and the client OpenAI's.
    """

    name: str
    title: str
    size: Literal["small", "medium", "large"] = "small"
    connections: int = 1
    stream: bool = False
    suffix: str = ""
    translated: bool = False

    def body(self, model: str) -> bytes:
        """The request for `model`."""
        body: dict[str, Any] = {"model": model + self.suffix, **_BODIES[self.size]()}
        if self.stream:
            body["stream"] = True
        return orjson.dumps(body)


def _tool(number: int) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": f"look_up_{number}",
            "description": "Searches the archive and gives the best entries, with a score for each of them.",
            "parameters": {
                "type": "object",
                "properties": {
                    "question": {"type": "string", "description": "What to search for."},
                    "most": {"type": "integer", "minimum": 1, "maximum": 50},
                    "within": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["question"],
            },
        },
    }


_SYSTEM = {"role": "system", "content": "You answer briefly, and only from the archive. " * 5}


def small() -> dict[str, Any]:
    """About 1 KB: two messages and a tool."""
    question = {"role": "user", "content": "Which entries speak of the harbour? " * 10}
    return {"messages": [_SYSTEM, question], "temperature": 0.7, "max_tokens": 128, "tools": [_tool(0)]}


def medium() -> dict[str, Any]:
    """About 20 KB: a long conversation with tool calls, and ten tools."""
    messages: list[dict[str, Any]] = [_SYSTEM]
    for turn in range(10):
        call = {"id": f"call_{turn}", "type": "function", "function": {"name": "look_up_1", "arguments": '{"most": 5}'}}
        messages += [
            {
                "role": "user",
                "content": f"Question {turn}: " + "what else does the archive say about the harbour? " * 9,
            },
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"call_{turn}", "content": '{"entry": 21, "text": "fog"} ' * 15},
            {"role": "assistant", "content": "It speaks of fog, of late ships, and of a lamp that was lit. " * 7},
        ]
    messages.append({"role": "user", "content": "And the lamp?"})
    return {"messages": messages, "max_tokens": 1024, "tools": [_tool(i) for i in range(10)], "tool_choice": "auto"}


def large() -> dict[str, Any]:
    """About 5 MB: a question about an image in a data URL."""
    url = "data:image/png;base64," + base64.b64encode(noise_image(1120)).decode()
    parts = [
        {"type": "text", "text": "What is in this picture?"},
        {"type": "image_url", "image_url": {"url": url, "detail": "high"}},
    ]
    return {"messages": [{"role": "user", "content": parts}], "max_tokens": 128}


@cache
def noise_image(side: int) -> bytes:
    """A PNG of random pixels, which no compression makes smaller: 3 bytes a pixel."""
    pixels = random.Random(1).randbytes(side * (3 * side + 1))
    rows = bytearray(pixels)
    rows[:: 3 * side + 1] = bytes(side)  # each row begins with the number of its filter
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b"")]
    image = b"\x89PNG\r\n\x1a\n"
    for kind, data in chunks:
        image += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return image


_BODIES = {"small": small, "medium": medium, "large": large}

SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario("c1", "1 KB, one at a time"),
        Scenario("c16", "1 KB, 16 at once", connections=16),
        Scenario("c64", "1 KB, 64 at once", connections=64),
        Scenario("m16", "20 KB, 16 at once", size="medium", connections=16),
        Scenario("l1", "5 MB image, passed through", size="large"),
        Scenario("l1t", "5 MB image, translated", size="large", translated=True),
        Scenario("s1", "stream without pauses, one at a time", stream=True),
        Scenario("g64", "64 streams, 5 ms between events, passed through", connections=64, stream=True, suffix="-g5"),
        Scenario(
            "g64t",
            "64 streams, 5 ms between events, translated",
            connections=64,
            stream=True,
            suffix="-g5",
            translated=True,
        ),
    )
}
