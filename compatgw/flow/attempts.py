"""From a plan to an answer: the targets in order, each as often as is worth while, until one answers.

One planner for plain and streamed calls: an attempt is over once it has the whole answer, or a
stream's first content; until then nothing was sent to the client, so that the next attempt is unseen.
One deadline holds for all attempts and the pauses between them. A stream's attempt that has others
behind it gets its share of the time that is left, so that one which hangs leaves time for them; a plain call's
gets `timeouts.attempt`, where that is set.

A team's own provider key is tried first where there is one, and the platform's after it only if the
team allows that; of several platform keys the next takes over from one that is limited.

What does not live here: one attempt (`attempt.py`), the decisions (`policy/retry.py`), the plan.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compatgw.errors import Blame, Forbidden, UnsupportedParameter, UpstreamFailure, UpstreamTimeout
from compatgw.flow.admit import hold, may_cost, not_priced, pays
from compatgw.flow.attempt import Live, attempt
from compatgw.flow.credentials import refused
from compatgw.flow.watching import streamed, tried
from compatgw.policy import reasoning, retry
from compatgw.policy.retry import Move

if TYPE_CHECKING:
    from compatgw.dialects.base import Answer, Result
    from compatgw.errors import GatewayError
    from compatgw.flow.attempt import Ending, Stream
    from compatgw.flow.call import Call, House, Marks
    from compatgw.policy.plan import Route
    from compatgw.upstream.client import Endpoint

_log = logging.getLogger("compatgw")
# Failures of one key that say nothing of the provider.
_OF_THE_KEY = frozenset({Blame.CREDENTIAL, Blame.ACCOUNT, Blame.LIMIT})


@dataclass(frozen=True, slots=True)
class _Way:
    """A target with whose key it is called; `own` is the team's."""

    route: Route
    own: Endpoint | None


async def answered(call: Call, house: House) -> Answer | Result | Stream:
    """The answer of the first target that gives one.

    Raises:
        GatewayError: None did; the most telling failure of all.
    """
    return await _Attempts(call, house).run()


class _Attempts:
    """The attempts of one call."""

    def __init__(self, call: Call, house: House) -> None:
        self._call = call
        self._house = house
        self._failures: list[GatewayError] = []
        # What stands in the way of a target, or of the platform's key for it.
        self._barred: dict[str, Forbidden] = {}
        self._ways = self._all_ways()
        self._deadline = call.started + call.seconds(house)

    def _all_ways(self) -> list[_Way]:
        """Each target with the team's own key where it has one, and with the platform's where that may pay."""
        call, house = self._call, self._house
        account = call.caller.account
        priced = not pays(call, house) or house.settings.money.unpriced == "free"
        ways: list[_Way] = []
        for route in call.targets:
            try:
                own = house.own_keys.endpoint(account, house.keys.first(route.deployment.name))
            except Forbidden as refusal:
                self._barred[route.key] = refusal
                continue
            if own is not None:
                ways.append(_Way(route, own))
            if own is not None and not (account is not None and account.team.byok_fallback):
                continue
            if priced or may_cost(call, house, route) is not None:
                ways.append(_Way(route, None))
            else:
                self._barred[route.key] = not_priced(call)
        return ways

    async def run(self) -> Answer | Result | Stream:
        for number, way in enumerate(self._ways):
            try:
                found = await self._at(way, len(self._ways) - number - 1)
            except UnsupportedParameter:
                if not self._failures:
                    raise
                # A fallback that does not take the request is none; why the model that was asked failed is told.
                continue
            if not isinstance(found, Move):
                return found
            if found is Move.GIVE_UP:
                break
        raise self._report()

    async def _at(self, way: _Way, others: int) -> Answer | Result | Stream | Move:
        """What comes of one target: an answer, or what to do now."""
        call, house, route = self._call, self._house, way.route
        name = route.deployment.name
        retries = call.options.retries if call.options.retries is not None else house.settings.retries.most
        if way.own is None:
            await hold(call, house, [each.route for each in self._ways if each.own is None])
        # Another key of the same provider is no second try, but each has only one turn.
        spare = house.keys.count(name) - 1 if way.own is None else 0
        tries = 0
        while (left := self._deadline - house.monotonic()) > 0:
            tries += 1
            server = way.own or house.keys.pick(name, house.clock())
            call.use(route, server, byok=way.own is not None)
            call.ticket.price = house.prices.of(name, route.target.model, route.names[0])
            found = await self._try(way, self._seconds(left, others))
            if not isinstance(found, UpstreamFailure):
                return found
            self._failures.append(self._told(way, found))
            if not call.stripped and reasoning.refused(found):
                # The signatures in the request are at fault, and it can do without them. Once.
                call.stripped = True
                tries -= 1
                house.health.left(route.key)
                continue
            limited = way.own is None and house.keys.limited(server, found, house.clock())
            self._note(way, found, spare_key=limited and spare > 0)
            if limited and spare > 0:
                spare -= 1
                tries -= 1
                continue
            decision = retry.decide(
                found,
                tries=tries,
                retries=retries,
                left=self._deadline - house.monotonic(),
                others=others,
                random=house.random,
                rules=house.retries,
            )
            if decision.move is not Move.AGAIN:
                return decision.move
            call.retries += 1
            await asyncio.sleep(decision.pause)
        self._failures.append(
            UpstreamTimeout("The time for this call is over. Allow more with 'timeout', or try again.")
        )
        return Move.GIVE_UP

    def _seconds(self, left: float, others: int) -> float:
        """How long one attempt may take, so that one which hangs leaves time for the `others`."""
        if others and self._call.stream:
            return left / (others + 1)
        most = self._house.settings.timeouts.attempt
        return min(left, most) if others and most is not None else left

    async def _try(self, way: _Way, seconds: float) -> Answer | Result | Stream | UpstreamFailure:
        call, house, key = self._call, self._house, way.route.key
        began, at = house.monotonic(), house.clock()
        house.health.began(key)
        try:
            found = await attempt(call, house, seconds)
        except UpstreamFailure as failure:
            tried(call, house, at, house.monotonic() - began, failure)
            return failure
        except BaseException:
            house.health.left(key)
            tried(call, house, at, house.monotonic() - began, None)
            raise
        latency = house.monotonic() - began
        tried(call, house, at, latency, found)
        if isinstance(found, Live):
            # How a stream went is known at its end.
            live, marks, call.marks = found, call.marks, ()
            live.when_ended(lambda ending: self._ended(live, key, latency, ending, marks))
        else:
            house.health.answered(key, latency)
        return found

    def _ended(self, live: Live, key: str, latency: float, ending: Ending, marks: Marks) -> None:
        health = self._house.health
        if marks:
            streamed(self._call, self._house, marks, ending)
        if live.skipped:
            _log.warning("%s %d events of %s could not be read and were left out", self._call.id, live.skipped, key)
            health.skipped(key, live.skipped)
        if ending == "whole":
            health.answered(key, latency)
        elif ending == "left":
            health.left(key)
        else:
            health.failed(key, ending)

    def _note(self, way: _Way, failure: UpstreamFailure, *, spare_key: bool) -> None:
        health, key = self._house.health, way.route.key
        if spare_key or (way.own is not None and failure.blame in _OF_THE_KEY):
            health.left(key)
            return
        health.failed(key, failure)
        self._compare()

    def _compare(self) -> None:
        keys = {route.key for route in self._call.targets if not route.fallback}
        if len(keys) > 1:
            self._house.health.compare(keys)

    def _told(self, way: _Way, failure: UpstreamFailure) -> GatewayError:
        """What is said of a failed attempt: a team's own key that is refused is the team's business."""
        if way.own is None or failure.blame not in (Blame.CREDENTIAL, Blame.ACCOUNT):
            return failure
        if any(each.route is way.route and each.own is None for each in self._ways):
            return failure
        return self._barred.get(way.route.key) or refused(way.route.deployment.name, failure.blame)

    def _report(self) -> GatewayError:
        told = retry.report(self._failures or list(self._barred.values()))
        told.failure.retry_after = told.retry_after
        return told.failure
