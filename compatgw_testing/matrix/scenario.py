"""What a scenario is: what is asked, what the upstream plays, what the client has to see.

What does not live here: the scenarios (`scenarios/`), playing them (`case.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compatgw_testing.script import Raw

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
        clients: The only client surfaces that it makes sense for; empty for all.
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
    clients: tuple[str, ...] = ()
    modes: tuple[Mode, ...] = BOTH

    def fits(self, upstream: Upstream, client: str, cannot: frozenset[str] = frozenset()) -> bool:
        """Whether `upstream` can play it for a client surface.

        Args:
            upstream: The upstream.
            client: Name of the client surface.
            cannot: What the surface has no words for, as in `Asked.features`.
        """
        gives = upstream.gives | ({"thinker"} if upstream.thinks(client) is not None else set())
        played = self.needs <= gives and (not self.dialects or upstream.dialect in self.dialects)
        # Bytes are of one protocol; which one is called is the gateway's choice where an upstream speaks two.
        told = not (isinstance(self.step, Raw) and client in upstream.also)
        asked = (not self.clients or client in self.clients) and not self.asked.features & cannot
        return played and told and asked

    def step_for(self, upstream: Upstream) -> Step | None:
        """What `upstream` answers."""
        return self.step(upstream) if callable(self.step) else self.step
