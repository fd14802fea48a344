"""What planning a call costs over a catalogue of 2,000 models: `python -m tests.bench.planning`.

Measured are the median and the slowest of a hundred of: reading a request's needs, and planning, for one
candidate without options and for a codename of nine providers with options, a few of them failing.

What does not live here: whole calls (`rounds.py`).
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

from compatgw.dialects.base import Quirks
from compatgw.dialects.table import DIALECTS
from compatgw.policy.access import Principal, caller_of_principal
from compatgw.policy.balance import Average
from compatgw.policy.directory import Deployment, Directory
from compatgw.policy.limits import input_tokens
from compatgw.policy.needs import needs
from compatgw.policy.plan import Live, Question, Vitals, plan
from compatgw.providers.catalogue import Catalogue, Model
from compatgw.providers.prices import Prices
from compatgw.state.base import Price
from compatgw.surfaces.extensions import claim

_PROVIDERS = 40
_EACH = 50
_SERVED_BY = 9
_CALLS = 20_000

_PLAIN: Any = {"model": "p7/m7-13", "messages": [{"role": "user", "content": "Write one sentence about foxes. " * 20}]}
_RICH: Any = {
    "model": "shared",
    "messages": [
        {"role": "system", "content": "You are terse. " * 40},
        {"role": "user", "content": [{"type": "text", "text": "What is this? " * 20}, {
            "type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]},
    ],
    "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
    "stream": True,
}  # fmt: skip


def directory() -> Directory:
    """Forty providers with fifty models each, nine of them with one codename."""
    models = tuple(
        Model(
            id=f"m{provider}-{number}",
            provider=f"p{provider}",
            context=128_000,
            max_output=8_192,
            input=("text", "image"),
            tools=True,
            json_schema=True,
            reasoning=False,
            created=1,
            quality=float(provider % 5),
            speed="fast" if provider % 2 else "moderate",
            tokens_per_second=float(100 + provider),
        )
        for provider in range(_PROVIDERS)
        for number in range(_EACH)
    )
    catalogue = Catalogue(
        models,
        {"shared": tuple(f"p{provider}/m{provider}-0" for provider in range(_SERVED_BY))},
        {},
        {f"p{provider}": provider % 3 + 1 for provider in range(_PROVIDERS)},
    )
    dialect = DIALECTS["openai"]
    deployments = {f"p{provider}": Deployment(f"p{provider}", dialect, Quirks()) for provider in range(_PROVIDERS)}
    prices = Prices(
        {f"{row.provider}/{row.id}": Price(input=Decimal(len(row.id)), output=Decimal(9)) for row in models}
    )
    return Directory("bench", deployments, {}, catalogue, frozenset(deployments), prices)


def microseconds(work: Callable[[], object]) -> tuple[float, float]:
    """The median of `work`, and what only one in a hundred is slower than."""
    for _ in range(500):
        work()
    clock, seconds = time.perf_counter, []
    for _ in range(_CALLS):
        start = clock()
        work()
        seconds.append(clock() - start)
    return statistics.median(seconds) * 1e6, sorted(seconds)[_CALLS * 99 // 100] * 1e6


def main() -> None:
    """Prints the figures."""
    place = directory()
    caller = caller_of_principal(Principal(name="bench"), None, {})
    narrow = caller_of_principal(Principal(name="bench", models=("p*/*", "shared")), None, {})
    quiet = Live(now=1e9, vitals={}, turn=0, random=random.Random(1).random)
    vitals = {
        f"p{provider}/m{provider}-0": Vitals(
            1e9 + 5 if provider == 3 else None, provider == 4, Average(0.1 * provider, 1e9 - 5), provider % 3
        )
        for provider in range(_SERVED_BY)
    }
    busy = Live(now=1e9, vitals=vitals, turn=0, random=random.Random(1).random)

    def ask(who: Any, body: Any, **wishes: Any) -> Question:
        options = claim({"gateway": wishes})[1]
        return Question(
            model=body["model"], scope=None, caller=who, options=options, needs=needs(body, input_tokens(body))
        )

    filters = {"trust_level": 1, "require_tools": True, "require_vision": True, "model_hints": ["p5/m5-0"]}
    cases: dict[str, tuple[Question, Live]] = {
        "one candidate, no options (goal 50)": (ask(caller, _PLAIN), quiet),
        "nine candidates, no options": (ask(caller, _RICH), quiet),
        "nine, filters, hints, some failing (goal 200)": (ask(narrow, _RICH, **filters), busy),
        "nine, the same, optimise speed (goal 200)": (ask(narrow, _RICH, **filters, optimise="speed"), busy),
        "nine, the same, optimise cost (goal 200)": (ask(narrow, _RICH, **filters, optimise="cost"), busy),
        "nine, least-latency and a fallback (goal 200)": (
            ask(narrow, _RICH, **filters, load_balance={"strategy": "least-latency"}, fallback=["p20/m20-1"]),
            busy,
        ),
    }
    print(f"{_PROVIDERS * _EACH} models; microseconds: median, and what one in a hundred is slower than")
    for name, body in (("needs of a plain request", _PLAIN), ("needs of one with tools and an image", _RICH)):
        print("  {:<50} {:7.1f} {:7.1f}".format(name, *microseconds(partial(needs, body, input_tokens(body)))))
    for name, (question, live) in cases.items():
        found = microseconds(partial(plan, question, place, live))
        print("  {:<50} {:7.1f} {:7.1f}".format(name, *found))


if __name__ == "__main__":
    main()
