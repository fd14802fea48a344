"""How each deployment does: its breaker, its latency, its calls in flight. A deployment is `provider/model`.

What is known stands ready for the planner as plain values. Processes tell each other of what opens or
closes a breaker; each keeps what it has heard, so that losing the news costs nothing.

What does not live here: when a breaker opens (`policy/breaker.py`), what the planner makes of it, how processes tell
each other (`news.py`).
"""

from __future__ import annotations

import base64
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from compatgw.errors import Blame
from compatgw.policy import balance, breaker
from compatgw.policy.breaker import Breaker, Phase
from compatgw.policy.plan import Live, Vitals

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from compatgw.errors import UpstreamFailure
    from compatgw.flow.news import News

# Callers name models, and where a provider takes any name there is no end to them.
_REMEMBERED = 5000
_WORD = "breaker"
# Seconds.
_REMINDER = 10.0
# An upstream that refuses what a caller sent is well.
_NOT_THEIRS = frozenset({Blame.CALLER, Blame.CONTEXT})


@dataclass(slots=True)
class Sighting:
    """One deployment as last seen.

    Attributes:
        key: `provider/model`. name: The provider.
        calls: Calls that it answered or failed. errors: Calls that it failed.
        skipped: Events of its streams that could not be read, and were left out.
        last_error_at: Seconds since 1970. last_error: Code of the last failure.
        breaker: As this process and those that it heard of saw it, without `calm`.
        vitals: The same for the planner, with latency and calls in flight.
        calm: Successes that are not in `breaker` yet, because they only count. calm_at: When the last was.
        calm_in: The part of the breaker's window that all of them are in.
        untold: Something that other processes have not been told. told_at: When they were told the last time.
    """

    key: str
    name: str
    calls: int = 0
    errors: int = 0
    skipped: int = 0
    last_error_at: float | None = None
    last_error: str | None = None
    breaker: Breaker = breaker.NEW
    vitals: Vitals = field(default_factory=Vitals)
    calm: int = 0
    calm_at: float = 0.0
    calm_in: int = -1
    untold: bool = False
    told_at: float = 0.0

    def state(self, now: float) -> str:
        """`unknown` before the first call, `up`, `failing`, `resting`, `open` or `half_open`."""
        phase = breaker.phase(self.breaker, now)
        if phase is not Phase.CLOSED:
            return str(phase.value)
        if self.breaker.rests > now:
            return "resting"
        if self.calls == 0:
            return "unknown"
        return "failing" if self.breaker.streak else "up"


class Health:
    """The deployments of one gateway.

    Args:
        news: Through which processes tell each other.
        clock: Seconds since 1970. random: Numbers from 0 to below 1.
        rules: When breakers open.
    """

    def __init__(
        self,
        news: News,
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
        rules: breaker.Rules = breaker.DEFAULT,
    ) -> None:
        self._news = news
        self._clock = clock
        self._random = random
        self._rules = rules
        self._seen: OrderedDict[str, Sighting] = OrderedDict()
        self._vitals: dict[str, Vitals] = {}
        self._turns: OrderedDict[str, int] = OrderedDict()
        news.listen(_WORD, self._heard)

    def __iter__(self) -> Iterator[Sighting]:
        for seen in self._seen.values():
            self._fold(seen)
        return iter(tuple(self._seen.values()))

    def live(self, turns_of: str | None = None) -> Live:
        """What a planner is told.

        Args:
            turns_of: What takes turns: calls of other words do not count.
        """
        turn = 0
        if turns_of is not None:
            turn = self._turns.pop(turns_of, -1) + 1
            self._turns[turns_of] = turn
            if len(self._turns) > _REMEMBERED:
                self._turns.popitem(last=False)
        return Live(now=self._clock(), vitals=self._vitals, turn=turn, random=self._random)

    @property
    def shared(self) -> bool:
        """True when other processes are told."""
        return self._news.shared

    def is_well(self, key: str) -> bool:
        """True when nothing speaks against calling `key` now."""
        vitals = self._vitals.get(key)
        return vitals is None or (not vitals.ejected and (vitals.back is None or vitals.back <= self._clock()))

    # --- attempts ---

    def began(self, key: str) -> None:
        """An attempt at `key` begins."""
        seen = self._of(key)
        seen.vitals.in_flight += 1
        if not breaker.is_calm(seen.breaker):
            self._update(seen, breaker.probe(seen.breaker, self._clock(), self._rules))

    def left(self, key: str) -> None:
        """The attempt ended with nothing learnt: its client left."""
        seen = self._ended(key)
        self._update(seen, breaker.released(seen.breaker, self._clock(), self._rules))

    def answered(self, key: str, latency: float) -> None:
        """The attempt was answered: by a whole answer `latency` seconds after it began, or by a stream to its
        end, whose first content came then.
        """
        seen, now = self._ended(key), self._clock()
        seen.calls += 1
        seen.vitals.average = balance.seen(seen.vitals.average, latency, now)
        # Nearly all calls there are: a number goes up.
        part = breaker.bucket_of(now, self._rules)
        if seen.calm_in == part and breaker.is_calm(seen.breaker):
            seen.calm += 1
            seen.calm_at = now
            return
        self._fold(seen)
        self._update(seen, breaker.succeeded(seen.breaker, now, self._rules))
        seen.calm_in = part

    def failed(self, key: str, failure: UpstreamFailure) -> None:
        """The attempt failed, be it a stream after its first content."""
        seen, now = self._ended(key), self._clock()
        self._fold(seen)
        seen.calls += 1
        if failure.blame not in _NOT_THEIRS:
            seen.errors += 1
            seen.last_error_at, seen.last_error = now, failure.code
        after = breaker.failed(seen.breaker, now, failure.blame, failure.retry_after, self._rules)
        self._update(seen, after)

    def skipped(self, key: str, count: int) -> None:
        """So many events of a stream could not be read, and were left out of its answer."""
        self._of(key).skipped += count

    def compare(self, keys: Collection[str]) -> None:
        """Leaves out of these, all deployments of one model, those that fail much more than the others."""
        states = {}
        for key in keys:
            seen = self._of(key)
            self._fold(seen)
            states[key] = seen.breaker
        out = breaker.outliers(states, self._clock(), self._rules)
        for key in keys:
            seen = self._of(key)
            seen.vitals.ejected = key in out

    def _of(self, key: str) -> Sighting:
        seen = self._seen.get(key)
        if seen is None:
            seen = self._seen[key] = Sighting(key, key.partition("/")[0])
            self._vitals[key] = seen.vitals
            if len(self._seen) > _REMEMBERED:
                gone, _ = self._seen.popitem(last=False)
                self._vitals.pop(gone, None)
        else:
            # What is in use is not forgotten for names that come once.
            self._seen.move_to_end(key)
        return seen

    def _ended(self, key: str) -> Sighting:
        seen = self._of(key)
        seen.vitals.in_flight = max(0, seen.vitals.in_flight - 1)
        return seen

    def _fold(self, seen: Sighting) -> None:
        """Counts the successes that wait for it."""
        if seen.calm:
            times, seen.calm = seen.calm, 0
            seen.breaker = breaker.succeeded(seen.breaker, seen.calm_at, self._rules, times)
        seen.calm_in = -1

    def _update(self, seen: Sighting, after: Breaker) -> None:
        if after is not seen.breaker:
            seen.untold = seen.untold or (self._news.shared and breaker.is_news(seen.breaker, after))
            seen.breaker = after
            seen.vitals.back = breaker.back(after, self._clock(), self._rules) or None

    # --- other processes ---

    async def exchange(self) -> None:
        """Tells other processes what they have not heard, and hears what they tell.

        Raises:
            CountersLost: Nobody hears anything for now; what is untold stays so.
        """
        if not self._news.shared:
            return
        now = self._clock()
        for seen in self:
            # What is left alone is told again and again, for processes that begin later.
            back = seen.vitals.back
            if seen.untold or (back is not None and back > now and now - seen.told_at >= _REMINDER):
                state = base64.b64encode(breaker.dumps(seen.breaker)).decode()
                # Before the wait: what happens meanwhile is told the next time.
                seen.untold = False
                seen.told_at = now
                try:
                    await self._news.tell(_WORD, f"{state} {seen.key}")
                except BaseException:
                    seen.untold = True
                    raise
        await self._news.hear()

    def _heard(self, word: str) -> None:
        encoded, _, key = word.partition(" ")
        if not key:
            return
        try:
            theirs = breaker.loads(base64.b64decode(encoded, validate=True))
        except ValueError:
            # Of a version that writes something else; `binascii.Error` is one of them, and so is what is not ASCII.
            return
        seen = self._of(key)
        self._fold(seen)
        untold = seen.untold
        self._update(seen, breaker.merge(seen.breaker, theirs))
        seen.untold = untold
