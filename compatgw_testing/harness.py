"""A real gateway over fakes, in one process. The only file of the package that imports compatgw.

What does not live here: the fakes, the fixtures (`plugin.py`).
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from compatgw import Gateway
from compatgw_testing.fakes.base import EPOCH

if TYPE_CHECKING:
    from compatgw_testing.fakes import Fake

KEY = "test-key"


def gateway_over(
    *,
    seed: int | str = 0,
    keys: tuple[str, ...] = (KEY,),
    options: dict[str, Any] | None = None,
    **fakes: Fake,
) -> Gateway:
    """A gateway whose upstreams are `fakes`, by provider name, without any socket.

    It reads no environment, its clock stands still and its ids follow from the seed, so two
    runs give the same bytes.

    Args:
        seed: From which its ids follow.
        keys: The keys that callers may use.
        options: Further arguments of `Gateway`; they win over those set here.
        fakes: Provider name to fake, such as `anthropic=FakeAnthropic()`.
    """
    return Gateway(
        **{
            "providers": {name: {"app": fake, "api_key": fake.api_key} for name, fake in fakes.items()},
            "keys": list(keys),
            "environ": {},
            "clock": lambda: float(EPOCH),
            "random": random.Random(seed),
            **(options or {}),
        }
    )
