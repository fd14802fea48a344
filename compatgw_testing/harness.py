"""A real gateway over fakes, in one process. The only file of the package that imports compatgw.

What does not live here: the fakes, the fixtures (`plugin.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compatgw import Gateway

if TYPE_CHECKING:
    from compatgw_testing.fakes import Fake

KEY = "test-key"


def gateway_over(*, keys: tuple[str, ...] = (KEY,), options: dict[str, Any] | None = None, **fakes: Fake) -> Gateway:
    """A gateway whose upstreams are `fakes`, by provider name, without any socket.

    Args:
        keys: The keys that callers may use.
        options: Further arguments of `Gateway`.
        fakes: Provider name to fake, such as `anthropic=FakeAnthropic()`.
    """
    providers = {name: {"app": fake, "api_key": fake.api_key} for name, fake in fakes.items()}
    return Gateway(providers=providers, keys=list(keys), environ={}, **(options or {}))
