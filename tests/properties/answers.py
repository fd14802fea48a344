"""An answer before any vendor writes it: what hypothesis makes up, and what every vendor must get across."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from hypothesis import strategies as st

NAMES = ("get_weather", "put", "now")


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call; `fragments` joined are the JSON of its arguments."""

    id: str
    name: str
    fragments: tuple[str, ...]

    @property
    def arguments(self) -> str:
        """The whole JSON."""
        return "".join(self.fragments)


@dataclass(frozen=True, slots=True)
class Abstract:
    """An answer: pieces as they would be streamed, and how it ended."""

    reasoning: tuple[str, ...]
    text: tuple[str, ...]
    calls: tuple[Call, ...]
    cut_short: bool
    prompt: int
    cached: int
    completion: int

    @property
    def finish(self) -> str:
        """OpenAI's finish reason for it."""
        return "length" if self.cut_short else "tool_calls" if self.calls else "stop"

    def essence(self) -> dict[str, Any]:
        """What must be found in every form of it, but for ids that a vendor does not give."""
        return {
            "text": "".join(self.text),
            "reasoning": "".join(self.reasoning),
            "calls": [(call.name, orjson.loads(call.arguments or "{}")) for call in self.calls],
            "finish": self.finish,
            "usage": (self.prompt, self.completion, self.prompt + self.completion),
        }


_letters = st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"))
pieces = st.lists(st.text(_letters, min_size=1, max_size=8), max_size=4).map(tuple)
_values = st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(_letters, max_size=6)
_arguments = st.dictionaries(
    st.text(_letters, min_size=1, max_size=4), _values | st.lists(_values, max_size=2), max_size=3
)


@st.composite
def calls(draw: st.DrawFn) -> tuple[Call, ...]:
    """Some tool calls, their arguments cut into fragments."""
    found = []
    for number in range(draw(st.integers(0, 3))):
        text = orjson.dumps(draw(_arguments)).decode()
        places = sorted(draw(st.sets(st.integers(1, max(1, len(text) - 1)), max_size=3)))
        fragments = tuple(text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True))
        found.append(Call(f"call_{number}x{draw(st.integers(0, 999)):04}", draw(st.sampled_from(NAMES)), fragments))
    return tuple(found)


@st.composite
def abstracts(draw: st.DrawFn) -> Abstract:
    """Any answer."""
    prompt = draw(st.integers(1, 10_000))
    return Abstract(
        reasoning=draw(pieces),
        text=draw(pieces),
        calls=draw(calls()),
        cut_short=draw(st.booleans()),
        prompt=prompt,
        cached=draw(st.integers(0, prompt)),
        completion=draw(st.integers(1, 10_000)),
    )
