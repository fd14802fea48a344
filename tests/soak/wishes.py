"""What a request wishes of the upstream. It stands in the message's text, so that it travels through the gateway.

Both sides know from it what the call is to cost, and neither asks the gateway.

What does not live here: asking (`asking.py`), answering (`upstream.py`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

import orjson

# Billionths: 2.5 and 10 a million tokens, and 0.0001 a call.
NANO_INPUT, NANO_OUTPUT, NANO_CALL = 2_500, 10_000, 100_000
PRICE = {"input": "2.5", "output": "10", "per_request": "0.0001"}
MODEL = "soak"
SHAKY = "soak-shaky"
"""A deployment of its own for what is to fail: the breaker of the other stays out of what is looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How one call is to go.

    Attributes:
        output: Output tokens that the upstream says it made.
        extra: Input tokens beyond (or below) the ones that are estimated.
        wait: Milliseconds until the answer begins.
        events: Events with text, of a stream. gap: Milliseconds between them.
        end: `well`, `fail` (status 500 instead of an answer), `break` (the stream's connection is cut half-way).
        crowd: Calls of one name are counted while they run.
    """

    output: int = 16
    extra: int = 0
    wait: int = 0
    events: int = 6
    gap: int = 0
    end: Literal["well", "fail", "break"] = "well"
    crowd: str = ""

    @property
    def text(self) -> str:
        """The message."""
        return orjson.dumps(asdict(self)).decode()

    @property
    def estimated(self) -> int:
        """Input tokens that the gateway reckons with before it knows: four of the frame, and one for four bytes."""
        return 4 + -(-len(self.text) // 4)

    @property
    def input(self) -> int:
        """Input tokens that the upstream says it read."""
        return self.estimated + self.extra

    @property
    def cost(self) -> int:
        """Billionths that a whole answer costs."""
        return self.input * NANO_INPUT + self.output * NANO_OUTPUT + NANO_CALL

    @property
    def most(self) -> int:
        """Billionths that are reserved for it."""
        return self.estimated * NANO_INPUT + self.output * NANO_OUTPUT + NANO_CALL


def read(text: str) -> Wish:
    """The wish of a message."""
    return Wish(**orjson.loads(text))
