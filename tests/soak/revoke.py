"""`revoke`: a key that is revoked at one gateway is refused by the others within seconds, and what runs goes on.

What does not live here: who else is load (`wallet.py`).
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from tests.soak.asking import Question
from tests.soak.audit import Audit, claim_money, outcomes
from tests.soak.kill import until
from tests.soak.rig import DEAD_AFTER, SWEEP_EVERY, claim_quiet, rig
from tests.soak.verdict import some
from tests.soak.wallet import asker, paying_teams
from tests.soak.wishes import Wish

if TYPE_CHECKING:
    from tests.soak.asking import Told
    from tests.soak.rig import Options, Rig
    from tests.soak.verdict import Verdict

NODES = 3
# Seconds: what the contract promises.
WITHIN = 5.0
_POLL = 0.03
_LOAD = 6
# A stream that runs for longer than a key may live on.
_LONG = Wish(output=60, events=70, gap=100)


@dataclass(slots=True)
class Seen:
    """What was seen of all revocations.

    Attributes:
        seconds: Until a gateway refused, from when the revocation began, by number of the gateway.
        back: Calls that were let in after the same gateway had refused the key.
        codes: With what it was refused.
        late: Calls that gateway 0 let in although they began after it had said that the key is revoked.
        idle: Calls at a gateway that nobody had asked meanwhile, made when the time was over, and let in.
        streams: What became of the streams that ran.
    """

    seconds: dict[int, list[float]] = field(default_factory=dict)
    back: list[str] = field(default_factory=list)
    codes: set[str] = field(default_factory=set)
    late: list[str] = field(default_factory=list)
    idle: list[str] = field(default_factory=list)
    streams: list[Told] = field(default_factory=list)


async def run_revoke(verdict: Verdict, options: Options) -> None:
    """The whole run."""
    verdict.heading(f"revoke: {options.times} keys at gateway 0 of {NODES}, seed {options.seed}")
    random = Random(options.seed)
    seen = Seen()
    async with rig(NODES, tag=f"r{options.seed}", logs=options.logs) as run:
        keys, starts = await paying_teams(run.management(), {"one": "1000"})
        await run.warm(keys)
        stop = asyncio.Event()
        workers = [asker(run.clients, keys, Random(random.random()), NODES) for _ in range(_LOAD)]
        load = asyncio.gather(*[until(stop, worker) for worker in workers])
        for number in range(options.times):
            await _revoke(run, seen, verdict, number)
        await _revoke_idle(run, seen)
        stop.set()
        await load
        await run.settled(DEAD_AFTER + SWEEP_EVERY)
        run.cluster.stop()
        books = await run.reader.books()
        verdict.figure(outcomes(run.clients.log))
        _claim_seconds(verdict, seen)
        whole = sum(told.whole for told in seen.streams)
        verdict.claim(
            whole == len(seen.streams),
            f"{whole} of {len(seen.streams)} streams that ran when their key was revoked came to their end",
        )
        claim_money(verdict, Audit(books, run.clients.log, starts), None)
        claim_quiet(verdict, run.cluster)


async def _revoke(run: Rig, seen: Seen, verdict: Verdict, number: int) -> None:
    """Mints a key, uses it everywhere, revokes it, and asks every gateway until all refuse."""
    office = run.management()
    key = await office.key("one", f"revoked {number}")
    await run.warm([key])
    stream = Question(team="one", key=key.text, wish=_LONG, stream=True)
    running = [asyncio.create_task(run.clients.ask(stream, node)) for node in range(NODES)]
    asking = [asyncio.create_task(_until_refused(run, seen, key.text, node)) for node in range(NODES)]
    # They are let in for a while first.
    await asyncio.sleep(0.5)
    began = time.monotonic()
    await office.revoke(key)
    done = time.monotonic()
    for node, refused in enumerate(await asyncio.gather(*asking)):
        seen.seconds.setdefault(node, []).append(refused - began)
    verdict.progress(
        f"key {number + 1}: revoking took {done - began:.2f} s, refused after "
        + ", ".join(f"{seen.seconds[node][-1]:.2f}" for node in range(NODES))
    )
    late = [told for told in run.clients.log if told.question.key == key.text and told.node == 0 and told.began > done]
    seen.late += [told.id for told in late if told.status != 401]
    seen.streams += await asyncio.gather(*running)


async def _until_refused(run: Rig, seen: Seen, key: str, node: int) -> float:
    """Asks until a call is refused; when that one was sent. What is let in afterwards is noted."""
    question = Question(team="one", key=key, wish=Wish())
    refused = 0.0
    after = 0
    give_up = time.monotonic() + 4 * WITHIN
    while after < 10 and time.monotonic() < give_up:
        told = await run.clients.ask(question, node)
        if told.status == 401:
            refused = refused or told.ended
            seen.codes.add(told.code)
        elif refused:
            seen.back.append(told.id)
        after += bool(refused)
        await asyncio.sleep(_POLL)
    return refused or time.monotonic()


async def _revoke_idle(run: Rig, seen: Seen) -> None:
    """A gateway that nobody asks in between must not answer from memory either, when the time is over."""
    office = run.management()
    key = await office.key("one", "idle")
    await run.warm([key])
    await office.revoke(key)
    await asyncio.sleep(WITHIN)
    for node in range(NODES):
        told = await run.clients.ask(Question(team="one", key=key.text, wish=Wish()), node)
        if told.status != 401:
            seen.idle.append(f"gateway {node}: {told.status}")


def _claim_seconds(verdict: Verdict, seen: Seen) -> None:
    for node, seconds in sorted(seen.seconds.items()):
        ordered = sorted(seconds)
        middle = ordered[len(ordered) // 2]
        verdict.claim(
            ordered[-1] < WITHIN,
            f"gateway {node} refuses after {ordered[0]:.2f} to {ordered[-1]:.2f} s, median {middle:.2f}, of "
            f"{len(ordered)} keys (under {WITHIN:g} s)",
        )
    verdict.claim(not seen.late, f"gateway 0 lets nobody in any more once it has said so{some(seen.late)}")
    verdict.claim(not seen.back, f"a gateway that has refused a key does not let it in again{some(seen.back)}")
    verdict.claim(seen.codes == {"invalid_api_key"}, f"it is refused as 401 {', '.join(sorted(seen.codes))}")
    verdict.claim(not seen.idle, f"asked once, {WITHIN:g} s later, all refuse{some(seen.idle)}")
