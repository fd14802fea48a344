"""`wallet`: teams that pay, some until nothing is left, with calls that end in every way a call can end.

What does not live here: processes that die (`kill.py`), servers that go away (`outage.py`).
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING

from tests.soak.asking import Question
from tests.soak.audit import Audit, claim_money, claim_usage, outcomes
from tests.soak.books import Watcher
from tests.soak.rig import DEAD_AFTER, SWEEP_EVERY, claim_quiet, crowd, rig
from tests.soak.verdict import some
from tests.soak.wishes import MODEL, SHAKY, Wish

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.soak.asking import Clients, Told
    from tests.soak.cluster import Key, Management
    from tests.soak.rig import Options
    from tests.soak.verdict import Verdict

NODES = 3
CLIENTS = 64
# What a call costs is about 0.0005: a dozen calls, some hundreds, and more than anybody asks for.
WALLETS = {"dry": "0.006", "thin": "0.05", "fair": "0.4", "rich": "1000"}
# The share of clients that do not wait for the end.
_LEAVING = 0.15
FREE = "free"
"""A team without a wallet: its calls are only written down."""


async def paying_teams(office: Management, wallets: dict[str, str]) -> tuple[list[Key], dict[str, int]]:
    """Teams with that much in their wallets and one without, two keys each; and what was put in, in billionths."""
    keys = []
    for team, amount in wallets.items():
        await office.team(team, wallet=amount)
        keys += [await office.key(team) for _ in range(2)]
    await office.team(FREE)
    keys.append(await office.key(FREE))
    return keys, {team: _nano(amount) for team, amount in wallets.items()}


def _nano(amount: str) -> int:
    whole, _, fraction = amount.partition(".")
    return int(whole) * 10**9 + int(fraction.ljust(9, "0"))


def question_of(random: Random, key: Key, *, slow: int = 1, shaky: float = 0.4) -> Question:
    """A call of some kind.

    Args:
        slow: How many times longer than otherwise it takes.
        shaky: The share of calls to a model of which one in five fails: less than opens its breaker for long.
    """
    stream = random.random() < 0.5
    model = SHAKY if random.random() < shaky else MODEL
    end = random.choices(("well", "fail", "break" if stream else "well"), (8, 1, 1))[0] if model == SHAKY else "well"
    # Mostly less than was estimated; now and then more, which a dry wallet cannot pay.
    extra = random.choice((0, 0, -3, -9, 0, 40))
    gap = slow * random.choice((0, 0, 5, 20)) if stream else 0
    wish = Wish(
        output=random.randrange(8, 60),
        extra=extra,
        wait=slow * random.choice((0, 0, 2, 10, 40)),
        events=random.randrange(1, 9),
        gap=gap,
        end=end,  # type: ignore[arg-type]
    )
    leave = None
    if random.random() < _LEAVING:
        leave = random.randrange(wish.events + 2) if stream else random.randrange(1, 60 * slow)
    return Question(team=key.team, key=key.text, wish=wish, stream=stream, model=model, leave=leave)


def asker(
    clients: Clients, keys: list[Key], random: Random, nodes: int, *, slow: int = 1, shaky: float = 0.4
) -> Callable[[], Awaitable[None]]:
    """A worker that asks one thing after the other, with whichever key, of whichever gateway."""

    async def once() -> None:
        told = await clients.ask(
            question_of(random, random.choice(keys), slow=slow, shaky=shaky), random.randrange(nodes)
        )
        if told.status >= 400 or told.unreached:
            # Whoever gets nothing does not take the machine from the others.
            await asyncio.sleep(0.02)

    return once


async def run_wallet(verdict: Verdict, options: Options) -> None:
    """The run, once for each seed."""
    for seed in range(options.seed, options.seed + options.seeds):
        await _one_seed(verdict, options, seed)


async def _one_seed(verdict: Verdict, options: Options, seed: int) -> None:
    verdict.heading(f"wallet: {NODES} gateways, {CLIENTS} clients, {options.seconds:g} s, seed {seed}")
    random = Random(seed)
    async with rig(NODES, tag=f"w{seed}", logs=options.logs) as run:
        keys, starts = await paying_teams(run.management(), WALLETS)
        await run.warm(keys)
        watcher = Watcher(run.watching)
        async with watcher.at_work():
            workers = [asker(run.clients, keys, Random(random.random()), NODES) for _ in range(CLIENTS)]
            await crowd(verdict, f"seed {seed}", options.seconds, workers, run.clients)
            took = await run.settled(DEAD_AFTER + 2 * SWEEP_EVERY)
        run.cluster.stop()
        books = await run.reader.books()
        verdict.figure(outcomes(run.clients.log))
        short = [int(one["shortfall"]) for one in books.reservations.values() if one["shortfall"]]
        verdict.figure(f"{len(short)} calls cost {sum(short)} billionths more than was reserved and free")
        verdict.figure(f"nothing was reserved any more {took:.1f} s after the last answer")
        audit = Audit(books, run.clients.log, starts)
        out = claim_money(verdict, audit, watcher)
        claim_usage(verdict, out, run.clients.log)
        verdict.claim(not out.refused, f"no call that was answered with an error is charged{some(out.refused)}")
        claim_left(verdict, audit)
        claim_dry(verdict, run.clients.log, audit)
        claim_quiet(verdict, run.cluster)


def claim_left(verdict: Verdict, audit: Audit) -> None:
    """Whoever left pays at most for the whole, and is in the usage once."""
    left = [told for told in audit.log if told.left]
    charged = sum(bool(audit.charges.get(told.id)) for told in left)
    many = [told.id for told in left if len(audit.rows.get(told.id, [])) > 1]
    verdict.claim(
        not many,
        f"{len(left)} clients left in the middle, {charged} of their calls are charged, none twice{some(many)}",
    )


def claim_dry(verdict: Verdict, log: list[Told], audit: Audit) -> None:
    """Wallets run dry under the load, and what is left in them is less than the cheapest call may cost."""
    for team in ("dry", "thin"):
        mine = [told for told in log if told.question.team == team]
        refused = sum(told.status == 402 for told in mine)
        balance = int(audit.books.wallets[team]["balance"])
        verdict.claim(
            refused > 0,
            f"{team} was let in until its money was spent: {sum(told.whole for told in mine)} whole answers, "
            f"{refused} times 402, {balance} billionths are left",
        )
        wrong = [told.id for told in mine if told.status == 402 and told.headers.get("x-should-retry") != "false"]
        verdict.claim(not wrong, f"its refusals are not to be tried again{some(wrong)}")
