"""What a scenario is: what is asked, what the upstream plays, what the client has to see.

What does not live here: the scenarios (`scenarios/`), playing them (`case.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compatgw_testing.matrix.asked import Asked, Mode
    from compatgw_testing.matrix.expect import Expectation
    from compatgw_testing.matrix.upstreams import Upstream
    from compatgw_testing.script import Step

BOTH: tuple[Mode, ...] = ("plain", "stream")


@dataclass(frozen=True, slots=True, kw_only=True)
class Then:
    """A second turn: the client sends its conversation back, with what it was answered and results for the calls.

    Attributes:
        results: A result for each call.
        user: What the user says next; empty for nothing.
        step: What the upstream answers then.
        expect: What the client has to see then.
    """

    results: tuple[str, ...]
    step: Step
    expect: Expectation
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One thing that a gateway has to get right.

    Attributes:
        name: Its name.
        says: What holds, in one sentence.
        asked: What the client asks.
        step: What the upstream answers, or what gives that for an upstream; None lets the fake make something up.
        expect: What the client has to see.
        then: A second turn, after the first went well.
        needs: What the upstream has to be able to do; `thinker` for a model that shows its thought.
        dialects: The only dialects that it makes sense for; empty for all.
        modes: Plain, streamed, or both.
    """

    name: str
    says: str
    asked: Asked
    step: Step | Callable[[Upstream], Step] | None
    expect: Expectation
    then: Then | None = None
    needs: frozenset[str] = frozenset()
    dialects: tuple[str, ...] = ()
    modes: tuple[Mode, ...] = BOTH

    def fits(self, upstream: Upstream) -> bool:
        """Whether `upstream` can play it."""
        gives = upstream.gives | ({"thinker"} if upstream.thinker is not None else set())
        return self.needs <= gives and (not self.dialects or upstream.dialect in self.dialects)

    def step_for(self, upstream: Upstream) -> Step | None:
        """What `upstream` answers."""
        return self.step(upstream) if callable(self.step) else self.step
