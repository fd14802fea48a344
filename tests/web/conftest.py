"""What the tests of tokens share: an issuer, clocks, and verifiers of its tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from compatgw.sections import OidcSettings
from compatgw.web.oidc import TokenVerifier
from tests.issuer import Clock, Issuer


@pytest.fixture
def clock() -> Clock:
    """The time of day."""
    return Clock()


@pytest.fixture
def steady() -> Clock:
    """A clock that never goes back."""
    return Clock(50.0)


@pytest.fixture
def issuer() -> Issuer:
    """An issuer with one RSA key, `k1`."""
    made = Issuer()
    made.add()
    return made


@pytest.fixture
def make(issuer: Issuer, clock: Clock, steady: Clock) -> Callable[..., TokenVerifier]:
    """Makes a verifier for the issuer, with settings that differ."""

    def made(*rows: OidcSettings, **changes: Any) -> TokenVerifier:
        return TokenVerifier(rows or [issuer.settings(**changes)], issuer.upstream(), clock=clock, monotonic=steady)

    return made
