"""The keys that calls go out with: the platform's, and teams' own, which are used instead.

What does not live here: how they are sealed (`state/secrets.py`), who pays (`admit.py`).
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from compatgw.errors import Blame, Forbidden
from compatgw.state.base import SealBroken

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compatgw.errors import UpstreamFailure
    from compatgw.state.base import Account, ProviderSecret, Sealed
    from compatgw.upstream.client import Endpoint

_log = logging.getLogger("compatgw")
_REMEMBERED = 1000
_OF_ONE_KEY = frozenset({Blame.LIMIT, Blame.ACCOUNT, Blame.CREDENTIAL})
_LEAST_REST = 1.0
# Seconds that a key is left alone where its provider does not say.
_RESTS_FOR: Mapping[Blame, float] = MappingProxyType({Blame.LIMIT: 10.0, Blame.ACCOUNT: 300.0, Blame.CREDENTIAL: 300.0})


class Ring(Protocol):
    """Opens what it sealed; `state.secrets.KeyRing` is one."""

    def open(self, sealed: Sealed, *, of: str) -> str:
        """What was sealed. Raises `SealBroken`."""
        ...


class PlatformKeys:
    """The platform's endpoints: of a provider with several keys, the next takes over from one that is limited.

    Args:
        endpoints: Provider's name to its endpoints, one for each key; the first is preferred.
    """

    def __init__(self, endpoints: Mapping[str, tuple[Endpoint, ...]]) -> None:
        self._endpoints = endpoints
        self._rests: dict[tuple[str, int], float] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._endpoints)

    def first(self, name: str) -> Endpoint:
        """The preferred endpoint of provider `name`."""
        return self._endpoints[name][0]

    def count(self, name: str) -> int:
        """How many keys there are for provider `name`."""
        return len(self._endpoints[name])

    def pick(self, name: str, now: float) -> Endpoint:
        """The first endpoint of `name` whose key is not limited, else the one that is free again soonest."""
        found = self._endpoints[name]
        if len(found) == 1 or not self._rests:
            return found[0]
        number = min(range(len(found)), key=lambda each: (max(now, self._rests.get((name, each), 0.0)), each))
        return found[number]

    def limited(self, endpoint: Endpoint, failure: UpstreamFailure, now: float) -> bool:
        """Notes that a key failed; True when it is limited and another one of its provider is free."""
        found = self._endpoints.get(endpoint.name, ())
        if len(found) < 2 or failure.blame not in _OF_ONE_KEY:
            return False
        number = next((each for each, one in enumerate(found) if one is endpoint), 0)
        rest = failure.retry_after if failure.retry_after is not None else _RESTS_FOR[failure.blame]
        # One that may be asked again at once still comes after those that were not limited.
        rest = max(rest, _LEAST_REST)
        self._rests[endpoint.name, number] = now + rest
        return any(self._rests.get((endpoint.name, each), 0.0) <= now for each in range(len(found)))


class OwnKeys:
    """Endpoints with teams' own credentials.

    Args:
        ring: Opens their keys; None where none is configured.
    """

    def __init__(self, ring: Ring | None) -> None:
        self._ring = ring
        self._opened: OrderedDict[tuple[str, int], Endpoint] = OrderedDict()

    def endpoint(self, account: Account | None, endpoint: Endpoint) -> Endpoint | None:
        """`endpoint` with the team's own key for it, None when the platform's is to be used.

        Raises:
            Forbidden: It has one that cannot be used: the platform's must not take its place unasked.
        """
        if account is None or not account.secrets:
            return None
        for secret in account.secrets:
            if secret.provider == endpoint.name:
                try:
                    return self._open(secret, endpoint)
                except Forbidden as refusal:
                    if not account.team.byok_fallback:
                        raise
                    _log.warning(
                        "Team %r goes on with the platform's key, as it allows. %s", account.team.id, refusal.message
                    )
        return None

    def _open(self, secret: ProviderSecret, endpoint: Endpoint) -> Endpoint:
        place = (secret.id, secret.version)
        if (known := self._opened.get(place)) is not None:
            return known
        if self._ring is None:
            raise rejected("This gateway has no key ring to open it with: its operator sets 'state.key_ring'.")
        try:
            opened = endpoint.with_secret(self._ring.open(secret.seal, of=secret.purpose))
        except SealBroken:
            raise rejected(
                f"The key for {endpoint.name} does not open with this gateway's ring. Store it anew."
            ) from None
        except ValueError as error:
            raise rejected(f"The one for {endpoint.name}: {error}. Store it anew.") from None
        self._opened[place] = opened
        while len(self._opened) > _REMEMBERED:
            self._opened.popitem(last=False)
        return opened


def refused(provider: str, blame: Blame) -> Forbidden:
    """What a caller is told when `provider` does not take its team's own key, or not its account."""
    if blame is Blame.ACCOUNT:
        return rejected(f"{provider} is not serving its account: the quota or balance is used up. Top it up there.")
    return rejected(f"{provider} refused it. Check it there, and store it anew.")


def rejected(why: str) -> Forbidden:
    """What a caller is told of its team's own key that does not work."""
    return Forbidden(f"Your team's own provider key cannot be used. {why}", code="provider_key_rejected")
