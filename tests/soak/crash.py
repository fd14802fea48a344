"""`crash`: PostgreSQL crashes right after calls have reserved, and forgets what was not yet on its disk.

The calls themselves go on: their answers come when the server is back, and are paid for all the same.

What does not live here: PostgreSQL and Redis gone for a while (`outage.py`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.soak.asking import Question
from tests.soak.audit import Audit, claim_money, claim_usage, outcomes
from tests.soak.rig import claim_quiet, rig
from tests.soak.wishes import Wish

if TYPE_CHECKING:
    from tests.soak.rig import Options
    from tests.soak.verdict import Verdict

NODES = 2
CALLS = 40
# Milliseconds: longer than the server takes to come back.
_LONG = Wish(wait=8_000)
# Seconds between two calls: what is on the disk comes a fifth of a second later at the latest.
_BETWEEN = 0.02


async def run_crash(verdict: Verdict, options: Options) -> None:
    """The whole run."""
    crashes = max(1, options.times // 4)
    verdict.heading(f"crash: {crashes} crashes of PostgreSQL under {CALLS} calls each, {NODES} gateways")
    forgotten = 0
    async with rig(NODES, tag=f"c{options.seed}", logs=options.logs, redis=False) as run:
        if run.postgres is None:
            return
        await run.management().team("one", wallet="1000")
        key = await run.management().key("one")
        await run.warm([key])
        question = Question(team="one", key=key.text, wish=_LONG)
        for number in range(crashes):
            calls = []
            for call in range(CALLS):
                calls.append(asyncio.create_task(run.clients.ask(question, call % NODES)))
                await asyncio.sleep(_BETWEEN)
            await asyncio.to_thread(run.postgres.stop, "immediate")
            await asyncio.to_thread(run.postgres.start)
            books = await run.reader.books()
            kept = sum(row["state"] == "open" for row in books.reservations.values())
            forgotten += CALLS - kept
            verdict.progress(f"crash {number + 1}: {kept} of {CALLS} reservations are left")
            await asyncio.gather(*calls)
        await run.settled(30)
        run.cluster.stop()
        books = await run.reader.books()
        verdict.figure(outcomes(run.clients.log))
        verdict.figure(f"PostgreSQL had forgotten {forgotten} reservations of calls that went on")
        out = claim_money(verdict, Audit(books, run.clients.log, {"one": 1_000 * 10**9}), None)
        claim_usage(verdict, out, run.clients.log)
        claim_quiet(verdict, run.cluster)
