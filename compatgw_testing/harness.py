"""A real gateway over fakes, in one process. The only file of the package that imports compatgw.

What does not live here: the fakes, the fixtures (`plugin.py`).
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from compatgw import Gateway
from compatgw_testing.clock import EPOCH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from compatgw_testing.fakes import Fake

KEY = "test-key"
# What a script says once happens once: no attempt is repeated, and no upstream is left alone.
_ONCE: dict[str, Any] = {"retries": {"most": 0}, "breaker": {"streak": 0, "least_calls": 1_000_000}}


def gateway_on_httpx(providers: Iterable[str], *, seed: int | str = 0, keys: tuple[str, ...] = (KEY,)) -> Gateway:
    """A gateway that calls the real addresses of `providers` through httpx, for tests in which pytest-httpx answers.

    Args:
        providers: Names of the providers; each has the key `test-key`.
        seed: From which its ids follow.
        keys: The keys that callers may use.
    """
    return Gateway(
        providers={name: {"api_key": KEY} for name in providers},
        keys=list(keys),
        environ={},
        transport="httpx",
        **_ONCE,
        clock=lambda: float(EPOCH),
        random=random.Random(seed),
    )


def gateway_over(
    upstreams: Mapping[str, Fake] | None = None,
    *,
    seed: int | str = 0,
    keys: tuple[str, ...] = (KEY,),
    options: dict[str, Any] | None = None,
    **fakes: Fake,
) -> Gateway:
    """A gateway whose upstreams are `fakes`, by provider name, without any socket.

    It reads no environment, its clock stands still and its ids follow from the seed, so two
    runs give the same bytes. Failures are not repeated and open no breaker, unless `options` say so.

    Args:
        upstreams: Provider name to fake.
        seed: From which its ids follow.
        keys: The keys that callers may use.
        options: Further arguments of `Gateway`; they win over those set here.
        fakes: More of them, such as `anthropic=FakeAnthropic()`.
    """
    named = {**(upstreams or {}), **fakes}
    return Gateway(
        **{
            "providers": {name: {"app": fake, "api_key": fake.api_key} for name, fake in named.items()},
            "keys": list(keys),
            "environ": {},
            "clock": lambda: float(EPOCH),
            "random": random.Random(seed),
            **_ONCE,
            **(options or {}),
        }
    )
