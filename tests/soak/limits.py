"""`limits`: three gateways on one Redis admit exactly what the buckets hold, whoever asks where.

Each bucket is full at first, and from its first call on asked for more than flows in. Levels are kept in
units times milliseconds of the server's own clock, so that the state a bucket is left in says exactly
when it began to flow, if every admitted call took what it had to take and no refused one took anything:
that moment must lie between two looks at the server's clock right before and after the first call.

What does not live here: who pays (`wallet.py`).
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, cast

from tests.soak.asking import Question, Told
from tests.soak.audit import outcomes
from tests.soak.rig import claim_quiet, crowd, rig
from tests.soak.verdict import some
from tests.soak.wishes import Wish

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from redis import Redis

    from tests.soak.cluster import Key
    from tests.soak.rig import Options, Rig
    from tests.soak.verdict import Verdict

NODES = 3
PERIOD = 60_000
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:([\d.]+)s)?(?:(\d+)ms)?")


@dataclass(slots=True)
class Watched:
    """A bucket, and what was seen of it.

    Attributes:
        name: For people. place: Its name on the server.
        limit: Units. keys: Texts of the keys whose calls it counts.
        first: The server's clock before and after its first call, in milliseconds.
        saturated: It is asked for more than flows in until the end.
        tokens: It counts tokens.
    """

    name: str
    place: str
    limit: int
    keys: frozenset[str]
    tokens: bool = False
    saturated: bool = True
    first: tuple[int, int] = (0, 0)

    def units(self, told: Told) -> int:
        """What an admitted call took in the end."""
        wish = told.question.wish
        return wish.input + wish.output if self.tokens else 1

    def reserved(self, told: Told) -> int:
        """What it took at first."""
        wish = told.question.wish
        return wish.estimated + wish.output if self.tokens else 1


@dataclass(slots=True)
class Team:
    """A team, its keys and how they are asked; `wishes` are drawn from at random."""

    name: str
    keys: list[Key]
    wishes: tuple[Wish, ...]
    clients: int
    buckets: list[Watched] = field(default_factory=list)


def _exact(total: int) -> Wish:
    """A wish whose call is `total` tokens, which is also what is estimated for it."""
    return next(wish for output in range(1, total) if (wish := Wish(output=output)).estimated + output == total)


def _now(server: Redis) -> int:
    """The server's clock in milliseconds, as its scripts read it."""
    seconds, micro = server.time()
    return seconds * 1000 + micro // 1000


async def _teams(run: Rig) -> list[Team]:
    """Five teams: calls alone, calls with keys that have their own bound, tokens exact and corrected, calls at one time."""
    office = run.management()
    await office.team("calls", requests=300)
    await office.team("nested", requests=300)
    await office.team("tokens", tokens=60_000)
    await office.team("corrected", tokens=60_000)
    await office.team("crowd", concurrency=5)
    wish = Wish()
    calls = Team("calls", [await office.key("calls") for _ in range(3)], (wish,), 12)
    nested = Team("nested", [await office.key("nested", requests=120) for _ in range(2)], (wish,), 12)
    tokens = Team("tokens", [await office.key("tokens") for _ in range(3)], (_exact(200),), 12)
    most = (Wish(output=400, extra=-5), Wish(output=300), Wish(output=350, extra=30))
    corrected = Team("corrected", [await office.key("corrected") for _ in range(3)], most, 12)
    crowded = Team("crowd", [await office.key("crowd") for _ in range(2)], (Wish(wait=40, crowd="crowd"),), 12)
    for team, limit, is_tokens in (
        (calls, 300, False),
        (nested, 300, False),
        (tokens, 60_000, True),
        (corrected, 60_000, True),
    ):
        kind = "t" if is_tokens else "r"
        texts = frozenset(key.text for key in team.keys)
        saturated = team is not nested
        place = f"t:{team.name}:{kind}"
        team.buckets.append(Watched(f"team {team.name}", place, limit, texts, tokens=is_tokens, saturated=saturated))
    for number, key in enumerate(nested.keys):
        texts = frozenset([key.text])
        nested.buckets.append(Watched(f"key {number + 1} of nested", f"k:{key.id}:r", 120, texts))
    return [calls, nested, tokens, corrected, crowded]


async def run_limits(verdict: Verdict, options: Options) -> None:
    """The whole run."""
    verdict.heading(f"limits: {NODES} gateways, 64 clients, {options.seconds:g} s, seed {options.seed}")
    random = Random(options.seed)
    async with rig(NODES, tag=f"l{options.seed}", logs=options.logs) as run:
        if run.redis is None:
            return
        verdict.progress("teams and keys")
        teams = await _teams(run)
        patients = await _patients(run)
        await run.warm([key for team in teams for key in team.keys] + [one.key for one in patients])
        server = run.redis.client()
        workers: list[Callable[[], Awaitable[None]]] = []
        started: list[asyncio.Task[None]] = []
        for team in teams:
            await _first_calls(run, server, team)
            workers = [_worker(run, team, Random(random.random())) for _ in range(team.clients)]
            started.append(asyncio.create_task(crowd(verdict, team.name, options.seconds, workers, run.clients)))
        started += [asyncio.create_task(one.go(run, options.seconds)) for one in patients]
        await asyncio.gather(*started)
        await asyncio.sleep(1)
        verdict.figure(outcomes(run.clients.log))
        for team in teams:
            for bucket in team.buckets:
                _claim_bucket(verdict, server, team, bucket, run.clients.log)
        await _claim_crowd(verdict, run, server, teams[-1])
        _claim_headers(verdict, teams, run.clients.log)
        _claim_patients(verdict, patients)
        server.close()
        run.cluster.stop()
        claim_quiet(verdict, run.cluster)


def _worker(run: Rig, team: Team, random: Random) -> Callable[[], Awaitable[None]]:
    async def once() -> None:
        question = Question(team=team.name, key=random.choice(team.keys).text, wish=random.choice(team.wishes))
        told = await run.clients.ask(question, random.randrange(NODES))
        if told.status != 200:
            await asyncio.sleep(random.uniform(0.04, 0.09))

    return once


async def _first_calls(run: Rig, server: Redis, team: Team) -> None:
    """The first call of every bucket, between two looks at the server's clock."""
    waiting = list(team.buckets)
    for key in team.keys:
        # A call whose estimate is exact: a correction could fill the bucket again.
        wish = next((wish for wish in team.wishes if wish.extra == 0), team.wishes[0])
        before = _now(server)
        told = await run.clients.ask(Question(team=team.name, key=key.text, wish=wish), 0)
        after = _now(server)
        if told.status != 200:
            raise RuntimeError(f"The first call of {team.name} was answered with {told.status} {told.code}")
        for bucket in [bucket for bucket in waiting if key.text in bucket.keys]:
            bucket.first = (before, after)
            waiting.remove(bucket)
        if not waiting:
            return


def _claim_bucket(verdict: Verdict, server: Redis, team: Team, bucket: Watched, log: list[Told]) -> None:
    kept = cast("dict[bytes, bytes]", server.hgetall(f"compatgw:{{{team.name}}}:{bucket.place}"))
    level, at = int(kept[b"l"]), int(kept[b"a"])
    admitted = [told for told in log if told.whole and told.question.key in bucket.keys]
    lost = [told.id for told in log if told.question.key in bucket.keys and not told.whole and told.status != 429]
    used = sum(bucket.units(told) for told in admitted)
    full = bucket.limit * PERIOD
    # What flowed in since it began, if all that was taken is what these calls took.
    began, odd = divmod(at * bucket.limit - (level - full + used * PERIOD), bucket.limit)
    early, late = bucket.first
    elapsed = at - began
    due = bucket.limit + elapsed * bucket.limit // PERIOD
    verdict.claim(
        odd == 0 and early <= began <= late and not lost,
        f"{bucket.name}: {len(admitted)} calls took {used} units, and the bucket lacks exactly these: it began to flow "
        f"{began - early} ms after the look before its first call, {late - began} ms before the look after{some(lost)}",
    )
    # The clock before and after the first call bounds the elapsed time by itself.
    most = bucket.limit + (at - early) * bucket.limit // PERIOD
    least = bucket.limit + (at - late) * bucket.limit // PERIOD
    call = max(bucket.reserved(told) for told in admitted)
    corrected = any(told.question.wish.extra for told in admitted) and bucket.tokens
    if corrected:
        # Its last move may have given back; then the next call had no time to take it.
        slack = call + 12 * max(0, *[bucket.reserved(told) - bucket.units(told) for told in admitted])
        holds = least - slack <= used <= most + 12 * 30
    else:
        holds = (least - call if bucket.saturated else 0) <= used <= most
    verdict.claim(
        holds,
        f"{bucket.name}: admitted {used} of {bucket.limit} + floor({bucket.limit}/min x {elapsed} ms) = {due} "
        f"(a call takes {call}; due {least} to {most} by the looks{'' if bucket.saturated else ', its keys hold it back'})",
    )


async def _claim_crowd(verdict: Verdict, run: Rig, server: Redis, team: Team) -> None:
    _, crowds = await run.clients.page(f"{run.cluster.upstream}/crowds")
    most = crowds.get("crowd", 0)
    left = server.zcard(f"compatgw:{{{team.name}}}:lease:t:{team.name}:c")
    asked = list(run.clients.of(team.name))
    answered = sum(told.whole for told in asked)
    verdict.claim(
        most == 5 and left == 0,
        f"team crowd: at most {most} of 5 calls ran at one time, of 12 clients on {NODES} gateways ({answered} answered, "
        f"{len(asked) - answered} refused), and {left} places are taken afterwards",
    )


# --- headers -----------------------------------------------------------------------------------


def milliseconds(text: str) -> int | None:
    """What a reset header says, None when it is no time."""
    found = _DURATION.fullmatch(text)
    if not text or found is None:
        return None
    hours, minutes, seconds, rest = found.groups()
    return int(hours or 0) * 3_600_000 + int(minutes or 0) * 60_000 + round(float(seconds or 0) * 1000) + int(rest or 0)


def _claim_headers(verdict: Verdict, teams: list[Team], log: list[Told]) -> None:
    odd: list[str] = []
    seen = refused = 0
    for team in teams:
        for bucket in team.buckets:
            kind = "tokens" if bucket.tokens else "requests"
            limits = {other.limit for other in team.buckets}
            for told in log:
                if told.question.key not in bucket.keys or told.status not in (200, 429):
                    continue
                seen += 1
                refused += told.status == 429
                if (why := _odd(told, kind, limits)) is not None:
                    odd.append(f"{told.id} {why}")
    verdict.claim(
        not odd,
        f"{seen} answers, {refused} of them 429, all have the x-ratelimit family with remaining from 0 to the limit, "
        f"and every 429 a Retry-After{some(odd)}",
    )


def _odd(told: Told, kind: str, limits: set[int]) -> str | None:
    get = told.headers.get
    limit, remaining = get(f"x-ratelimit-limit-{kind}", ""), get(f"x-ratelimit-remaining-{kind}", "")
    if not limit.isdigit() or int(limit) not in limits:
        return f"limit {limit!r}"
    if not remaining.isdigit() or int(remaining) > int(limit):
        return f"remaining {remaining!r}"
    reset = milliseconds(get(f"x-ratelimit-reset-{kind}", ""))
    if reset is None or reset > 2 * PERIOD:
        return f"reset {get(f'x-ratelimit-reset-{kind}')!r}"
    if told.status == 429:
        after = get("retry-after", "")
        if not after.isdigit() or int(after) < 1 or told.code != "rate_limit_exceeded":
            return f"429 with Retry-After {after!r}, code {told.code}"
    return None


# --- those who wait ------------------------------------------------------------------------------


@dataclass(slots=True)
class Patient:
    """A client that has a bucket to itself, and waits as long as it is told.

    Attributes:
        waits: How often it waited. refused: Calls that were refused all the same after waiting.
        rises: Answers with more remaining than what flowed in since the one before explains.
    """

    key: Key
    wish: Wish
    limit: int
    kind: str
    waits: int = 0
    calls: int = 0
    refused: list[str] = field(default_factory=list)
    rises: list[str] = field(default_factory=list)

    async def go(self, run: Rig, seconds: float) -> None:
        """Asks one gateway after the other."""
        until = time.monotonic() + seconds
        waited = False
        before: tuple[int, float] | None = None
        cost = self.wish.input + self.wish.output if self.kind == "tokens" else 1
        while time.monotonic() < until:
            asked = time.monotonic()
            told = await run.clients.ask(
                Question(team=self.key.team, key=self.key.text, wish=self.wish), self.calls % NODES
            )
            self.calls += 1
            remaining = int(told.headers.get(f"x-ratelimit-remaining-{self.kind}", -1))
            if before is not None:
                # Whatever flowed in between the two, at most; and this call has taken its own.
                grown = (told.ended - before[1]) * self.limit / 60 + 1
                if remaining > before[0] + grown - (cost if told.status == 200 else 0):
                    self.rises.append(f"{told.id} ({before[0]} to {remaining})")
            before = (remaining, asked)
            if told.status != 429:
                waited = False
                continue
            if waited:
                self.refused.append(told.id)
            after = int(told.headers.get("retry-after", 0))
            if time.monotonic() + after > until:
                return
            await asyncio.sleep(after)
            self.waits += 1
            waited = True


async def _patients(run: Rig) -> list[Patient]:
    office = run.management()
    found = []
    await office.team("patient")
    for number in range(4):
        limits: dict[str, Any] = {"requests": 20} if number % 2 == 0 else {"tokens": 6_000}
        kind, limit = next(iter(limits.items()))
        key = await office.key("patient", **limits)
        found.append(Patient(key, _exact(300), limit, kind))
    return found


def _claim_patients(verdict: Verdict, patients: list[Patient]) -> None:
    waits, calls = sum(one.waits for one in patients), sum(one.calls for one in patients)
    refused = [id for one in patients for id in one.refused]
    rises = [id for one in patients for id in one.rises]
    verdict.claim(waits > 0 and not refused, f"who waits for Retry-After is admitted: {waits} waits{some(refused)}")
    verdict.claim(not rises, f"remaining falls with every call of one client, {calls} of them{some(rises)}")
