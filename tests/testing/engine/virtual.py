"""Drives a fake by hand on virtual time: no event loop of a server, no socket, and nothing sleeps."""

from typing import Any

from compatgw_testing import Fake
from tests.testing import driver
from tests.testing.driver import Reply


async def ask(fake: Fake, body: object = None, *, read_timeout: float | None = None, **how: Any) -> Reply:
    """Sends a chat request on virtual time; the rest as in `driver.ask`."""
    virtual = {"compatgw_testing": {"virtual": True, "read_timeout": read_timeout}}
    return await driver.ask(fake, body, extensions=virtual, **how)


def times(fake: Fake) -> list[float]:
    """When each piece of the latest answer went out."""
    return [at for at, _ in fake.last.pieces]
