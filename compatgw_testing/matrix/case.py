"""One case of the matrix: client surface, upstream, scenario, plain or streamed; and how to choose and play them.

What does not live here: scenarios (`scenarios/`), expectations (`expect.py`), gateways (`target.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from compatgw_testing.matrix.asked import Seen
from compatgw_testing.matrix.expect import Failed
from compatgw_testing.matrix.scenarios import answers, failures, loops, regressions, requests
from compatgw_testing.matrix.surfaces import SURFACES, read
from compatgw_testing.matrix.upstreams import UPSTREAMS

if TYPE_CHECKING:
    from compatgw_testing.fakes.base import Fake
    from compatgw_testing.journal import Call
    from compatgw_testing.matrix.asked import Mode
    from compatgw_testing.matrix.expect import Expectation
    from compatgw_testing.matrix.scenario import Scenario
    from compatgw_testing.matrix.target import Place, Target
    from compatgw_testing.matrix.upstreams import Upstream

SCENARIOS: tuple[Scenario, ...] = (
    *answers.SCENARIOS,
    *requests.SCENARIOS,
    *loops.SCENARIOS,
    *failures.SCENARIOS,
    *regressions.SCENARIOS,
)


class MatrixFailure(AssertionError):
    """What a client saw is not what the scenario expects; the message has all that is needed to see why."""


@dataclass(frozen=True, slots=True)
class Case:
    """One case.

    Attributes:
        client: Name of the client surface.
        upstream: The upstream that is played.
        scenario: What happens.
        mode: Plain or streamed.
    """

    client: str
    upstream: Upstream
    scenario: Scenario
    mode: Mode

    @property
    def id(self) -> str:
        """`chat-anthropic-tool_call-stream`."""
        return f"{self.client}-{self.upstream.name}-{self.scenario.name}-{self.mode}"

    def __repr__(self) -> str:
        return f"Case({self.id})"

    def run_sync(self, target: Target) -> Seen:
        """As `run`, where no event loop is running."""
        return asyncio.run(self.run(target))

    async def run(self, target: Target) -> Seen:
        """Plays the scenario on the fake, asks through the gateway, and judges what came.

        Raises:
            MatrixFailure: It is not what the scenario expects.
        """
        try:
            async with asyncio.timeout(target.timeout):
                return await self._played(target)
        except TimeoutError:
            late = f"{self.id}: {self.scenario.says}\n  - no end came within {target.timeout:g} s"
            raise MatrixFailure(late) from None

    async def _played(self, target: Target) -> Seen:
        async with target.place(self.upstream, self.id) as place:
            self._script(place.fake)
            seen = await self._ask(place, target)
            problems = self._judged(seen, self.scenario.expect, place.fake.calls[:])
            if (then := self.scenario.then) is not None and not problems:
                before = len(place.fake.calls)
                asked = self.scenario.asked
                more = SURFACES[self.client].answered(asked, seen, then.results, then.user)
                seen = await self._ask(place, target, more, seen.id if asked.kept else "")
                found = self._judged(seen, then.expect, place.fake.calls[before:])
                problems = [f"second turn: {problem}" for problem in found]
        if problems:
            raise MatrixFailure(self._message(problems, seen, place.fake))
        return seen

    def _script(self, fake: Fake) -> None:
        step = self.scenario.step_for(self.upstream)
        if step is None:
            return
        # Whoever tries again meets the same failure.
        if isinstance(self.scenario.expect, Failed):
            fake.always(step)
        else:
            fake.enqueue(step)
        if self.scenario.then is not None:
            fake.enqueue(self.scenario.then.step)

    async def _ask(self, place: Place, target: Target, more: Sequence[dict[str, Any]] = (), after: str = "") -> Seen:
        surface = SURFACES[self.client]
        asked = self.scenario.asked
        model = (self.upstream.thinks(self.client) if asked.thinker else None) or self.upstream.model
        body = surface.write(asked, target.naming(self.upstream, model), self.mode, more, after)
        seen = Seen()
        pieces: list[bytes] = []
        broken = False
        headers, url = surface.headers(target.key), place.base_url + surface.path
        try:
            async with place.http.stream("POST", url, json=body, headers=headers) as response:
                seen.status = response.status_code
                seen.headers = {name.lower(): value for name, value in response.headers.items()}
                async for piece in response.aiter_bytes():
                    pieces.append(piece)  # noqa: PERF401 - what came before a break is kept
        except httpx.TransportError:
            broken = True
        seen.raw = b"".join(pieces)
        seen = read(self.client, seen, self.mode)
        if broken and seen.ended != "error":
            seen.ended = "broken"
        return seen

    @staticmethod
    def _judged(seen: Seen, expect: Expectation, arrived: Sequence[Call]) -> list[str]:
        problems = [*expect.differences(seen), *seen.problems]
        calls = [call for call in arrived if call.method == "POST"]
        if not calls:
            return [*problems, "the upstream was never called"]
        if len(calls) > expect.attempts:
            problems.append(f"the upstream was called {len(calls)} times, {expect.attempts} at most were expected")
        refused = [call for call in calls if call.outcome == "refused"]
        if refused:
            problems.append(f"the upstream refused the gateway's request with {refused[0].status}")
        problems += [f"the upstream was not told {one.words}" for one in expect.heard if not one.holds(calls[-1])]
        return problems

    def _message(self, problems: Sequence[str], seen: Seen, fake: Fake) -> str:
        lines = [f"{self.id}: {self.scenario.says}"]
        lines += [f"  - {problem}" for problem in problems]
        lines.append(f"  client saw: {seen}"[:1000])
        lines.append(f"  as bytes:   {seen.raw[:1500]!r}")
        lines.append(f"  upstream:   {self.upstream.name} was to play {self.scenario.step_for(self.upstream)!r}"[:1000])
        lines += [f"  journal:    {call}" for call in fake.calls] or ["  journal:    no call"]
        return "\n".join(lines)


def cases(
    clients: Sequence[str] | None = None,
    upstreams: Sequence[str] | None = None,
    scenarios: Sequence[str] | None = None,
) -> tuple[Case, ...]:
    """The cases of these client surfaces, upstreams and scenarios; of all where None is given.

    A scenario that an upstream cannot play, that a client cannot ask, or that makes sense for others only, gives no
    case.

    Raises:
        ValueError: A name is not known; the message lists those that are.
    """
    by_name = {one.name: one for one in SCENARIOS}
    return tuple(
        Case(client, UPSTREAMS[upstream], by_name[scenario], mode)
        for client in _known("client", clients, tuple(SURFACES))
        for upstream in _known("upstream", upstreams, tuple(UPSTREAMS))
        for scenario in _known("scenario", scenarios, tuple(by_name))
        for mode in by_name[scenario].modes
        if by_name[scenario].fits(UPSTREAMS[upstream], client, SURFACES[client].cannot)
    )


def _known(kind: str, given: Sequence[str] | None, known: tuple[str, ...]) -> Iterator[str]:
    for name in known if given is None else given:
        if name not in known:
            raise ValueError(f"the matrix has no {kind} {name!r}; it has {', '.join(known)}")
        yield name
