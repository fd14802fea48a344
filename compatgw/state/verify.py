"""`KeyVerifier`: from the text that a caller sends to the identity it stands for.

The slow proof (Argon2id) is made once in a process and key, in a thread, never twice at the same
time for one key; after that a keyed digest finds the identity in microseconds. What is remembered
is checked against the ledger's changes every few seconds, so that a revoked key is refused on every
node. What is refused is remembered briefly, and all memories are bounded.

What does not live here: what an identity may do (`policy/`), answers to callers (`web/`).
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compatgw.state.base import LedgerUnavailable, StateError
from compatgw.state.secrets import Hasher, id_of

if TYPE_CHECKING:
    from compatgw.state.base import Identity, Ledger

_REMEMBERED = 20_000
_REFUSED = 10_000


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
        ledger: Where keys are.
        prefixes: With which keys begin.
        hasher: Proves them.
        clock: Seconds since 1970, for expiry. monotonic: Seconds of a clock that never goes back.
        fresh: Seconds between looks at what changed: the bound within which a revoked key is refused.
        stale: Seconds for which known keys go on while the ledger is away.
        refused_for: Seconds for which a wrong key is remembered.
        parallel: Proofs at one time. waiting: Proofs that may wait for their turn.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        prefixes: tuple[str, ...] = ("cgw-",),
        hasher: Hasher | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        fresh: float = 2.0,
        stale: float = 15.0,
        refused_for: float = 30.0,
        parallel: int = 2,
        waiting: int = 64,
    ) -> None:
        self._ledger = ledger
        self._prefixes = prefixes
        self._hasher = hasher or Hasher()
        self._clock = clock
        self._monotonic = monotonic
        self._fresh = fresh
        self._stale = stale
        self._refused_for = refused_for
        self._parallel = parallel
        self._waiting = waiting
        self._pepper = secrets.token_bytes(32)
        self._proved: OrderedDict[bytes, _Proved] = OrderedDict()
        self._refused: OrderedDict[bytes, float] = OrderedDict()
        self._cursor: int | None = None
        self._looked = self._failed = float("-inf")
        # Of each loop: what is under way there, and the turns of its proofs.
        self._under_way: dict[tuple[asyncio.AbstractEventLoop, bytes], asyncio.Task[Identity | None]] = {}
        self._looking: dict[asyncio.AbstractEventLoop, asyncio.Task[None]] = {}
        self._turns: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}
        self.proofs = 0

    def recall(self, text: str) -> Identity | None:
        """The identity of a key that was proved and looked at lately: the hot path, a few microseconds.

        None says only that `verify` has to be asked.
        """
        age = self._monotonic() - self._looked
        if age > self._fresh / 2:
            if age > self._fresh:
                return None
            # In good time, so that nobody has to wait for it.
            self._start_looking()
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
        await self.refresh()
        if self._refused.get(digest, 0.0) > self._monotonic():
            return None
        place = (asyncio.get_running_loop(), digest)
        under_way = self._under_way.get(place)
        if under_way is None:
            under_way = self._under_way[place] = place[0].create_task(self._identify(text, id, digest))
            under_way.add_done_callback(lambda task: _over(self._under_way, place, task))
        # One caller that leaves does not take the answer from the others.
        return await asyncio.shield(under_way)

    async def refresh(self) -> None:
        """Forgets what has changed in the ledger, at most once in `fresh` seconds.

        Raises:
            LedgerUnavailable: It has been away for longer than `stale` seconds.
        """
        now = self._monotonic()
        if now - self._looked <= self._fresh:
            return
        if now - self._failed <= self._fresh and now - self._looked <= self._stale:
            return
        try:
            await asyncio.shield(self._start_looking())
        except LedgerUnavailable:
            self._failed = self._monotonic()
            if self._failed - self._looked > self._stale:
                raise

    def _start_looking(self) -> asyncio.Task[None]:
        loop = asyncio.get_running_loop()
        looking = self._looking.get(loop)
        if looking is None:
            looking = self._looking[loop] = loop.create_task(self._look())
            looking.add_done_callback(lambda task: _over(self._looking, loop, task))
        return looking

    def forget(self, *ids: str) -> None:
        """Reads these keys, teams or plans anew when they come next, such as those that were just revoked here."""
        gone = set(ids)
        for proved in self._proved.values():
            if (identity := proved.identity) is not None:
                names = {identity.key.id, identity.team.id, identity.team.plan, identity.key.plan}
                if names & gone:
                    proved.identity = None
        # A key that was wrong may have been made since.
        self._refused.clear()

    async def _look(self) -> None:
        began = self._monotonic()
        first = self._cursor is None
        self._cursor, changes = await self._ledger.changes(self._cursor)
        if first:
            # What changed between the reading of an identity and this first look is not known.
            for proved in self._proved.values():
                proved.identity = None
        elif changes:
            self.forget(*[change.id for change in changes])
        self._looked = began

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


def _over(tasks: dict[Any, asyncio.Task[Any]], place: object, task: asyncio.Task[Any]) -> None:
    tasks.pop(place, None)
    if not task.cancelled():
        # Whoever waited was told; that nobody did is no news.
        task.exception()
