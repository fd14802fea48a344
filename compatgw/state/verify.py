"""`KeyVerifier`: from the text that a caller sends to the identity it stands for.

The slow proof (Argon2id) is made once in a process and key, in a thread, never twice at the same
time for one key; after that a keyed digest finds the identity in microseconds. What is remembered
goes when `watch.py` tells that it changed, so that a revoked key is refused on every node. What is
refused is remembered briefly, and all memories are bounded. `Accounts` remembers teams the same way.

What does not live here: what an identity may do (`policy/`), answers to callers (`web/`).
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compatgw.state.base import Plan, StateError
from compatgw.state.secrets import Hasher, id_of

if TYPE_CHECKING:
    from compatgw.state.base import Account, Identity, Ledger
    from compatgw.state.watch import Watch

_REMEMBERED = 20_000
_REFUSED = 10_000
_PLANS = 1_000


class VerifierBusy(StateError):
    """Too many unknown keys are being proved at once; known ones go on."""


@dataclass(slots=True)
class _Proved:
    """A text that was proved to be a key.

    Attributes:
        id: The key's id. hash: What it was proved against: another hash needs another proof.
        identity: As last read, None when it has to be read again.
    """

    id: str
    hash: str
    identity: Identity | None


class KeyVerifier:
    """Recognises keys of a ledger.

    Args:
        ledger: Where keys are. watch: Tells what changes there.
        prefixes: With which keys begin.
        hasher: Proves them.
        clock: Seconds since 1970, for expiry. monotonic: Seconds of a clock that never goes back.
        refused_for: Seconds for which a wrong key is remembered.
        parallel: Proofs at one time. waiting: Proofs that may wait for their turn.
    """

    def __init__(
        self,
        ledger: Ledger,
        watch: Watch,
        *,
        prefixes: tuple[str, ...] = ("cgw-",),
        hasher: Hasher | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        refused_for: float = 30.0,
        parallel: int = 2,
        waiting: int = 64,
    ) -> None:
        self._ledger = ledger
        self._watch = watch
        self._prefixes = prefixes
        self._hasher = hasher or Hasher()
        self._clock = clock
        self._monotonic = monotonic
        self._refused_for = refused_for
        self._parallel = parallel
        self._waiting = waiting
        self._pepper = secrets.token_bytes(32)
        self._proved: OrderedDict[bytes, _Proved] = OrderedDict()
        self._refused: OrderedDict[bytes, float] = OrderedDict()
        # Of each loop: what is under way there, and the turns of its proofs.
        self._under_way: dict[tuple[asyncio.AbstractEventLoop, bytes], asyncio.Task[Identity | None]] = {}
        self._turns: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}
        self.proofs = 0
        watch.tell(self._forget)

    def recall(self, text: str) -> Identity | None:
        """The identity of a key that was proved and looked at lately: the hot path, a few microseconds.

        None says only that `verify` has to be asked.
        """
        if not self._watch.is_fresh():
            return None
        proved = self._proved.get(self._digest(text))
        if proved is None or proved.identity is None or not self._holds(proved, proved.identity):
            return None
        return proved.identity

    async def verify(self, text: str) -> Identity | None:
        """The identity behind `text`, None for what is no key. Whether that key is active is for the caller to ask.

        Raises:
            VerifierBusy: Too many unknown keys at once.
            LedgerUnavailable: The ledger is away, and the key is not known or not known lately.
        """
        id = id_of(text, self._prefixes)
        if id is None:
            return None
        digest = self._digest(text)
        await self._watch.refresh()
        if self._refused.get(digest, 0.0) > self._monotonic():
            return None
        place = (asyncio.get_running_loop(), digest)
        under_way = self._under_way.get(place)
        if under_way is None:
            under_way = self._under_way[place] = place[0].create_task(self._identify(text, id, digest))
            under_way.add_done_callback(lambda task: _over(self._under_way, place, task))
        # One caller that leaves does not take the answer from the others.
        return await asyncio.shield(under_way)

    def _forget(self, ids: Collection[str] | None) -> None:
        for proved in self._proved.values():
            identity = proved.identity
            if identity is None:
                continue
            made_of = _names(identity.account) | {identity.key.id, identity.key.plan}
            if ids is None or not made_of.isdisjoint(ids):
                proved.identity = None
        # A key that was wrong may have been made since.
        self._refused.clear()

    async def _identify(self, text: str, id: str, digest: bytes) -> Identity | None:
        proved = self._proved.get(digest)
        if proved is not None and proved.identity is not None and self._holds(proved, proved.identity):
            self._proved.move_to_end(digest)
            return proved.identity
        identity = await self._ledger.identity(id)
        if identity is None:
            self._refuse(digest)
            return None
        if proved is not None and self._holds(proved, identity):
            proved.identity = identity
            return identity
        found = await self._prove(text, identity)
        if found is None:
            self._refuse(digest)
            return None
        self._proved[digest] = _Proved(id, found, identity)
        self._proved.move_to_end(digest)
        while len(self._proved) > _REMEMBERED:
            self._proved.popitem(last=False)
        return identity

    def _holds(self, proved: _Proved, identity: Identity) -> bool:
        """True while the key still has the hash that it was proved against."""
        return proved.hash in self._hashes(identity)

    def _hashes(self, identity: Identity) -> tuple[str, ...]:
        key = identity.key
        old = key.old_hash is not None and key.old_until is not None and self._clock() < key.old_until
        return (key.hash, key.old_hash or "") if old else (key.hash,)

    async def _prove(self, text: str, identity: Identity) -> str | None:
        """The hash of the key that `text` matches."""
        loop = asyncio.get_running_loop()
        turns = self._turns.get(loop)
        if turns is None:
            for closed in [other for other in self._turns if other.is_closed()]:
                del self._turns[closed]
            turns = self._turns[loop] = asyncio.Semaphore(self._parallel)
        if len(self._under_way) > self._parallel + self._waiting:
            raise VerifierBusy("Too many unknown keys are being checked. Try again in a moment.")
        async with turns:
            for hashed in self._hashes(identity):
                self.proofs += 1
                if await asyncio.to_thread(self._hasher.matches, hashed, text):
                    return hashed
        return None

    def _refuse(self, digest: bytes) -> None:
        self._refused[digest] = self._monotonic() + self._refused_for
        while len(self._refused) > _REFUSED:
            self._refused.popitem(last=False)

    def _digest(self, text: str) -> bytes:
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=self._pepper, digest_size=16).digest()


class Accounts:
    """Teams of callers that have no key of the ledger: of tokens, of the configuration, of the host.

    Args:
        ledger: Where teams are. watch: Tells what changes there.
    """

    def __init__(self, ledger: Ledger, watch: Watch) -> None:
        self._ledger = ledger
        self._watch = watch
        self._known: OrderedDict[str, Account] = OrderedDict()
        self._plans: dict[str, Plan | None] = {}
        watch.tell(self._forget)

    async def plan(self, id: str) -> Plan | None:
        """The stored plan of that id, for callers that have one of their own.

        Raises:
            LedgerUnavailable: The ledger is away, and the plan is not known lately.
        """
        if not self._watch.is_fresh():
            await self._watch.refresh()
        if id not in self._plans:
            if len(self._plans) >= _PLANS:
                self._plans.clear()
            self._plans[id] = await self._ledger.find(Plan, id)
        return self._plans[id]

    def recall(self, team: str) -> Account | None:
        """A team that was read lately; None says only that `read` has to be asked."""
        return self._known.get(team) if self._watch.is_fresh() else None

    async def read(self, team: str) -> Account | None:
        """The team, None when there is none.

        Raises:
            LedgerUnavailable: The ledger is away, and the team is not known lately.
        """
        await self._watch.refresh()
        if (known := self._known.get(team)) is not None:
            return known
        found = await self._ledger.account(team)
        if found is not None:
            self._known[team] = found
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return found

    def _forget(self, ids: Collection[str] | None) -> None:
        if ids is None:
            self._known.clear()
            self._plans.clear()
            return
        for id in ids:
            self._plans.pop(id, None)
        for team in [team for team, account in self._known.items() if not _names(account).isdisjoint(ids)]:
            del self._known[team]


def _names(account: Account) -> set[str | None]:
    """The ids of what an account is made of."""
    return {account.team.id, account.team.plan}


def _over(tasks: dict[Any, asyncio.Task[Any]], place: object, task: asyncio.Task[Any]) -> None:
    tasks.pop(place, None)
    if not task.cancelled():
        # Whoever waited was told; that nobody did is no news.
        task.exception()
