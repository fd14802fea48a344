"""`kill`: `kill -9` of a gateway under load, again and again, while the others go on.

What a process held when it died comes back when it has been silent for a minute and somebody sweeps:
no setting changes these times, so the run waits for them.

What does not live here: servers that go away (`outage.py`).
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Literal

from tests.soak.audit import Audit, claim_money, outcomes
from tests.soak.books import Watcher
from tests.soak.rig import DEAD_AFTER, SWEEP_EVERY, claim_quiet, rig
from tests.soak.verdict import some
from tests.soak.wallet import FREE, asker, paying_teams

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.soak.books import Books
    from tests.soak.cluster import Death
    from tests.soak.rig import Options, Rig
    from tests.soak.verdict import Verdict

CLIENTS = 32
WALLETS = {"one": "1000", "two": "1000"}
# Seconds that a sweep may take to get its turn, beyond when it is due.
_SLACK = 5.0


async def run_kill(verdict: Verdict, options: Options) -> None:
    """The run, on SQLite with two processes and on PostgreSQL with three."""
    await _killing(verdict, options, "sqlite", 2)
    await _killing(verdict, options, "postgres", 3)


async def _killing(verdict: Verdict, options: Options, ledger: Literal["sqlite", "postgres"], nodes: int) -> None:
    verdict.heading(f"kill: {options.times} times one of {nodes} gateways on {ledger}, seed {options.seed}")
    random = Random(options.seed)
    async with rig(
        nodes, tag=f"k{ledger[0]}{options.seed}", logs=options.logs, ledger=ledger, redis=ledger == "postgres"
    ) as run:
        keys, starts = await paying_teams(run.management(), WALLETS)
        await run.warm(keys)
        watcher = Watcher(run.watching, pause=0.2)
        async with watcher.at_work():
            stop = asyncio.Event()
            workers = [asker(run.clients, keys, Random(random.random()), nodes, slow=5) for _ in range(CLIENTS)]
            load = asyncio.gather(*[until(stop, worker) for worker in workers])
            await _deaths(verdict, options, run, random, nodes)
            stop.set()
            await load
            verdict.progress("waiting for what the dead held")
            await run.settled(DEAD_AFTER + SWEEP_EVERY + _SLACK)
        run.cluster.stop()
        books = await run.reader.books()
        _report(verdict, run, books, starts, watcher)


async def until(stop: asyncio.Event, work: Callable[[], Awaitable[None]]) -> None:
    """Works until it is told to stop."""
    while not stop.is_set():
        await work()


async def _deaths(verdict: Verdict, options: Options, run: Rig, random: Random, nodes: int) -> None:
    """Kills and starts again."""
    for number in range(options.times):
        await asyncio.sleep(random.uniform(1.0, 2.5))
        node = random.randrange(nodes)
        run.cluster.kill(node)
        verdict.progress(f"killed gateway {node}, {number + 1} of {options.times}, {len(run.clients.log)} calls so far")
        await asyncio.sleep(random.uniform(0.0, 0.5))
        await run.cluster.start_one(node)
    await asyncio.sleep(2)


def _report(verdict: Verdict, run: Rig, books: Books, starts: dict[str, int], watcher: Watcher) -> None:
    log = run.clients.log
    verdict.figure(outcomes(log))
    audit = Audit(books, log, starts)
    out = claim_money(verdict, audit, watcher)
    broken = [told for told in log if told.cut]
    charged = sum(bool(audit.charges.get(told.id)) for told in broken)
    verdict.figure(
        f"{len(run.cluster.deaths)} deaths cut {len(broken)} calls; {charged} of them had been charged: their last byte "
        "was due"
    )
    paying = [told for told in log if told.whole and told.question.team != FREE]
    free = [told for told in log if told.whole and told.question.team == FREE]
    gone = [told.id for told in free if not audit.rows.get(told.id)]
    rows = [told.id for told in paying if len(audit.rows.get(told.id, [])) != 1]
    verdict.claim(not rows, f"{len(paying)} of their whole answers: each has one usage row{some(rows)}")
    verdict.figure(
        f"{len(gone)} of {len(free)} whole answers of the team without a wallet lack their usage row: it was written "
        "behind, and died with the process"
    )
    verdict.claim(not out.refused, f"no call that was answered with an error is charged{some(out.refused)}")
    _claim_return(verdict, books, run.cluster.deaths)
    claim_quiet(verdict, run.cluster)


def _claim_return(verdict: Verdict, books: Books, deaths: list[Death]) -> None:
    """What the dead held is back within the time that is said."""
    late, early, times, open_still = [], [], [], []
    by_owner = {death.owner: death for death in deaths}
    for id, reservation in books.reservations.items():
        if reservation["state"] == "open":
            open_still.append(id)
        if reservation["state"] != "swept":
            continue
        death = by_owner.get(reservation["owner"])
        if death is None:
            early.append(id)
            continue
        took = reservation["closed"] / 1_000_000 - death.at
        times.append(took)
        if took > DEAD_AFTER + SWEEP_EVERY + _SLACK:
            late.append(f"{id} after {took:.1f} s")
    span = f"{min(times):.1f} to {max(times):.1f} s" if times else "none"
    verdict.claim(
        not late and not open_still and bool(times),
        f"{len(times)} reservations of dead processes came back after {span} (due: {DEAD_AFTER:g} and a sweep every "
        f"{SWEEP_EVERY:g}), {len(open_still)} are open{some(late)}",
    )
    verdict.claim(not early, f"nothing of a living process was swept{some(early)}")
