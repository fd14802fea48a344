"""`outage`: PostgreSQL and Redis are gone for a while and come back, under load.

Once with a shutdown of PostgreSQL and local limits while Redis is away, once with a crash and refusals.

What does not live here: gateways that die (`kill.py`).
"""

from __future__ import annotations

import asyncio
import time
from random import Random
from typing import TYPE_CHECKING, Literal

from tests.soak.audit import Audit, claim_money, claim_usage, outcomes
from tests.soak.backing import stopped_for
from tests.soak.books import Watcher
from tests.soak.cluster import ADMIN
from tests.soak.kill import until
from tests.soak.rig import DEAD_AFTER, SWEEP_EVERY, claim_quiet, rig
from tests.soak.verdict import some
from tests.soak.wallet import asker, paying_teams

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from tests.soak.asking import Told
    from tests.soak.audit import Findings
    from tests.soak.rig import Options, Rig
    from tests.soak.verdict import Verdict

NODES = 3
CLIENTS = 24
WALLETS = {"one": "1000", "two": "1000"}
LIMITED = "limited"
# Seconds of calm before, between and after; and after which all must be well again.
_CALM = 5.0
_MENDED = 5.0
# What gateways are to say in their logs of a server that is away.
_SAID = ("its charge waits for the ledger", "is not answered, because it cannot be charged", "The counters at")


async def run_outage(verdict: Verdict, options: Options) -> None:
    """The run, in both ways."""
    await _outage(verdict, options, "local", "fast")
    await _outage(verdict, options, "refuse", "immediate")


async def _outage(
    verdict: Verdict, options: Options, on_loss: Literal["local", "refuse"], mode: Literal["fast", "immediate"]
) -> None:
    how = "shut down" if mode == "fast" else "crashed"
    verdict.heading(
        f"outage: PostgreSQL {how} and Redis killed for {options.away:g} s each, on_counters_loss = {on_loss!r}, "
        f"seed {options.seed}"
    )
    random = Random(options.seed)
    async with rig(NODES, tag=f"o{on_loss[0]}{options.seed}", logs=options.logs, on_counters_loss=on_loss) as run:
        if run.postgres is None or run.redis is None:
            return
        keys, starts = await paying_teams(run.management(), WALLETS)
        await run.management().team(LIMITED, requests=1_000_000)
        keys += [await run.management().key(LIMITED)]
        await run.warm(keys)
        watcher = Watcher(run.watching, pause=0.2)
        async with watcher.at_work():
            stop = asyncio.Event()
            workers = [asker(run.clients, keys, Random(random.random()), NODES, shaky=0) for _ in range(CLIENTS)]
            load = asyncio.gather(*[until(stop, worker) for worker in workers])
            await asyncio.sleep(_CALM)
            postgres, redis = run.postgres, run.redis
            verdict.progress(f"PostgreSQL goes, after {len(run.clients.log)} calls")
            no_ledger = await _away(lambda: stopped_for(options.away, lambda: postgres.stop(mode), postgres.start))
            verdict.progress("PostgreSQL is back")
            await asyncio.sleep(_MENDED + _CALM)
            verdict.progress(f"Redis goes, after {len(run.clients.log)} calls")
            states: list[str] = []
            no_counters = await _away(lambda: _without_redis(run, options.away, states, redis.kill, redis.start))
            verdict.progress("Redis is back")
            await asyncio.sleep(_MENDED + _CALM)
            end = time.monotonic()
            stop.set()
            await load
            state = await _state(run)
            await run.settled(DEAD_AFTER + 2 * SWEEP_EVERY)
        run.cluster.stop()
        books = await run.reader.books()
        _claims(
            verdict, run, Audit(books, run.clients.log, starts), watcher, on_loss, mode, no_ledger, no_counters, end
        )
        wanted = "of this process alone" if on_loss == "local" else "refused"
        verdict.claim(
            bool(states) and all(wanted in said for said in states) and state == {"shared"},
            f"/api/status says '{', '.join(sorted(set(states)))}' while Redis is away, '{', '.join(state)}' at the end",
        )


Window = tuple[float, float]


async def _away(work: Callable[[], Awaitable[None]]) -> Window:
    """When something was away, as `time.monotonic`."""
    began = time.monotonic()
    await work()
    return began, time.monotonic()


async def _without_redis(
    run: Rig, seconds: float, states: list[str], stop: Callable[[], None], start: Callable[[], None]
) -> None:
    """The same for Redis, with what the gateways say of it meanwhile."""
    await asyncio.to_thread(stop)
    await asyncio.sleep(seconds * 0.8)
    states += await _state(run)
    await asyncio.sleep(seconds * 0.2)
    # A process is started by the thread that lives as long as this one: it ends with it.
    start()


async def _state(run: Rig) -> set[str]:
    """What the gateways say of their counters."""
    found = set()
    for node in range(NODES):
        _, answer = await run.clients.get(node, "/api/status", ADMIN)
        data = answer.get("data")
        found.add(str(data.get("counters")) if isinstance(data, dict) else "nothing")
    return found


def _claims(
    verdict: Verdict,
    run: Rig,
    audit: Audit,
    watcher: Watcher,
    on_loss: str,
    mode: str,
    no_ledger: Window,
    no_counters: Window,
    end: float,
) -> None:
    log = audit.log
    verdict.figure(outcomes(log))
    out = claim_money(verdict, audit, watcher)
    _claim_rows(verdict, out, log, audit, mode)
    unpaid = sum(bool(told.status == 503 and told.code == "overloaded") for told in log)
    verdict.claim(
        not out.refused,
        f"none of the {unpaid} calls that were answered with 503 is charged, then or later{some(out.refused)}",
    )
    for name, (began, over) in (("PostgreSQL", no_ledger), ("Redis", no_counters)):
        during = [told for told in log if told.ended >= began and told.began <= over + _MENDED]
        verdict.figure(f"while {name} was away, {over - began:.1f} s, and shortly after: {outcomes(during)}")
    wrong = [f"{told.id} {told.status} {told.code or told.cut}" for told in log if _wrong(told)]
    refused = sum(told.status == 503 and told.code == "overloaded" for told in log)
    verdict.claim(
        not wrong and refused > 0,
        f"what could not be done was answered with 503 'overloaded' and Retry-After, {refused} times, or said in the "
        f"stream{some(wrong)}",
    )
    began, over = no_counters
    meanwhile = [told for told in _asked_well(log, began + 1, over - 1) if told.question.team == LIMITED]
    served = sum(told.whole for told in meanwhile)
    all_or_none = len(meanwhile) if on_loss == "local" else 0
    verdict.claim(
        bool(meanwhile) and served == all_or_none,
        f"of {len(meanwhile)} calls with limits while Redis was away {served} were served (on_counters_loss = {on_loss!r})",
    )
    after = list(_asked_well(log, no_ledger[1] + _MENDED, no_counters[0]))
    after += _asked_well(log, no_counters[1] + _MENDED, end)
    ill = [f"{told.id} {told.status} {told.code or told.cut}" for told in after if not told.whole]
    verdict.claim(
        bool(after) and not ill, f"{_MENDED:g} s later all is well: {len(after)} calls were answered in full{some(ill)}"
    )
    claim_quiet(verdict, run.cluster, _SAID)
    lost = run.cluster.said("could not be charged")
    verdict.claim(not lost, f"no gateway gave a charge up{some(lost, 2)}")


def _claim_rows(verdict: Verdict, out: Findings, log: list[Told], audit: Audit, mode: str) -> None:
    if mode == "fast":
        claim_usage(verdict, out, log)
        return
    # A crash takes the last moment of what nobody waited for: usage that is not paid for.
    behind = [told.id for told in log if told.whole and not audit.rows.get(told.id)]
    free = {told.id for told in log if told.question.team not in audit.starts}
    verdict.figure(f"{len(behind)} usage rows of teams without a wallet went with the crash")
    verdict.claim(free.issuperset(behind), "no usage row of a call that was paid for is missing")


def _asked_well(log: Iterable[Told], since: float, until: float) -> Iterable[Told]:
    """Calls of that time that nothing but the outage could disturb."""
    return (told for told in log if since <= told.began <= until and told.question.wish.end == "well" and not told.left)


def _wrong(told: Told) -> bool:
    """True for an answer that is neither whole nor what it should be then."""
    if told.whole or told.left or told.question.wish.end != "well":
        return False
    if told.status == 200:
        return told.code != "overloaded"
    after = told.headers.get("retry-after", "")
    return not (told.status == 503 and told.code == "overloaded" and after.isdigit() and int(after) >= 1)
