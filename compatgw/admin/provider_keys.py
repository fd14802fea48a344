"""Teams' own keys at providers, written and never read: sealed before they are stored, shown by their end.

What does not live here: sealing itself (`state/secrets.py`), using them (`flow/credentials.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from compatgw.admin import documents, rules
from compatgw.admin.contention import TRIES, busy, other_version
from compatgw.errors import Conflict, InvalidRequest, NotFound
from compatgw.state.base import Changed, Duplicate, Missing, ProviderSecret, SealBroken, Team, purpose

if TYPE_CHECKING:
    from compatgw.admin.audit import Auditor
    from compatgw.state.base import Ledger, Sealed
    from compatgw.state.secrets import KeyRing

_PAGE = 100
_FROM_LAST = 4
_SHOWN = 80


class ProviderKeys:
    """Changes teams' own provider keys; `Office` says what the arguments are."""

    def __init__(
        self,
        ledger: Ledger,
        ring: KeyRing | None,
        audit: Auditor,
        clock: Callable[[], float],
        ids: Callable[[], str],
        changed: Callable[..., None],
        providers: Collection[str] | None,
    ) -> None:
        self._ledger = ledger
        self._ring = ring
        self._audit = audit
        self._clock = clock
        self._ids = ids
        self._changed = changed
        self._providers = providers

    async def put(
        self, team: str, provider: str, secret: str, *, version: int | None = None, by: str
    ) -> ProviderSecret:
        """Seals and stores a key, in place of the one that is there.

        Args:
            version: That the stored key must have, 0 for none. None: whichever.

        Raises:
            InvalidRequest: A secret that no header can carry, a provider that is not known, or no key ring.
            NotFound: No such team. PreconditionFailed: Another version.
        """
        ring = self._require_ring()
        provider = self._require_provider(provider)
        text = rules.secret(secret, "secret")
        if await self._ledger.find(Team, team) is None:
            raise NotFound(f"There is no team '{team[:_SHOWN]}'.", code="not_found")
        sealed = ring.seal(text, of=purpose(team, provider))
        last = text[-_FROM_LAST:] if len(text) >= 4 * _FROM_LAST else ""
        for _ in range(TRIES):
            found = await self._find(team, provider)
            there = found.version if found is not None else 0
            if version not in (None, there):
                raise other_version("provider key", purpose(team, provider), there, version)
            try:
                if found is None:
                    stored = await self._add(team, provider, sealed, last, by)
                else:
                    stored = await self._change(found, sealed, last, "provider_key.replace", by)
            except (Duplicate, Changed, Missing):
                # Somebody else put or removed it meanwhile.
                continue
            self._changed(team)
            return stored
        raise busy("provider key", purpose(team, provider))

    async def remove(self, team: str, provider: str, *, by: str) -> bool:
        """Deletes a key; False when there is none."""
        found = await self._find(team, provider)
        if found is None:
            return False
        before = documents.of_provider_key(found)
        audit = self._audit.entry(by, "provider_key.remove", found.purpose, before=before)
        removed = await self._ledger.remove(ProviderSecret, found.id, audit)
        self._changed(team)
        return removed

    async def reseal(self, *, by: str) -> int:
        """Seals all keys with the ring's newest key, and says how many had another.

        Raises:
            InvalidRequest: No key ring. Conflict: Some do not open; all others were sealed anew.
        """
        ring = self._require_ring()
        done, broken = 0, []
        cursor: str | None = None
        while True:
            page = await self._ledger.page(ProviderSecret, cursor=cursor, limit=_PAGE)
            for found in page.items:
                try:
                    done += await self._reseal(ring, found, by)
                except SealBroken as error:
                    broken.append(f"{found.purpose}: {error}")
            if (cursor := page.cursor) is None:
                break
        if broken:
            raise Conflict(
                f"{done} provider keys were sealed anew, {len(broken)} do not open. The first: {broken[0]}",
                code="seal_broken",
                should_retry=False,
            )
        return done

    async def _reseal(self, ring: KeyRing, secret: ProviderSecret, by: str) -> int:
        found: ProviderSecret | None = secret
        for _ in range(TRIES):
            if found is None or (anew := ring.reseal(found.seal, of=found.purpose)) is None:
                return 0
            try:
                await self._change(found, anew, found.last4, "provider_key.reseal", by)
            except (Changed, Missing):
                found = await self._ledger.find(ProviderSecret, found.id)
                continue
            self._changed(found.team)
            return 1
        raise busy("provider key", secret.purpose)

    async def _add(self, team: str, provider: str, sealed: Sealed, last: str, by: str) -> ProviderSecret:
        secret = ProviderSecret(
            id=f"pk-{self._ids()}",
            team=team,
            provider=provider,
            ring=sealed.ring,
            sealed=sealed.data,
            last4=last,
            created=self._clock(),
        )
        after = documents.of_provider_key(secret)
        return await self._ledger.add(secret, self._audit.entry(by, "provider_key.create", secret.purpose, after=after))

    async def _change(self, found: ProviderSecret, sealed: Sealed, last: str, action: str, by: str) -> ProviderSecret:
        after = replace(found, ring=sealed.ring, sealed=sealed.data, last4=last)
        audit = self._audit.entry(
            by,
            action,
            found.purpose,
            before=documents.of_provider_key(found),
            after=documents.of_provider_key(replace(after, version=found.version + 1)),
        )
        return await self._ledger.change(after, audit)

    async def _find(self, team: str, provider: str) -> ProviderSecret | None:
        page = await self._ledger.page(ProviderSecret, where={"team": team, "provider": provider}, limit=1)
        return page.items[0] if page.items else None

    def _require_ring(self) -> KeyRing:
        if self._ring is None:
            raise InvalidRequest(
                "Teams' own provider keys are stored sealed, and this gateway has no key to seal them with. Its "
                "operator sets 'state.key_ring' (COMPATGW_STATE__KEY_RING) to 'k1:' and 32 random bytes in base64.",
                code="no_key_ring",
            )
        return self._ring

    def _require_provider(self, provider: str) -> str:
        own = rules.id(provider, "provider")
        if self._providers is not None and own not in self._providers:
            raise InvalidRequest(
                f"This gateway has no provider '{own}'. It has {', '.join(sorted(self._providers)) or 'none'}.",
                param="provider",
            )
        return own
