"""Counters on Redis or Valkey: one script a decision, so that any number of processes share one truth.

Time is the server's. Waits are bounded, and a server that does not answer is `CountersLost`:
what happens then is decided by whoever asked.

What does not live here: the algebra (`policy/limits.py`; in Lua: `lua/`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from compatgw.policy.limits import judge, price_of, shown
from compatgw.state.base import CountersLost
from compatgw.state.loops import PerLoop

if TYPE_CHECKING:
    from compatgw.state.base import Bucket, Lease, Level, Verdict

_SCRIPTS = ("take", "settle", "renew")
_KEPT = 600
_WORDS = 10_000


class RedisCounters:
    """`Counters` on a server.

    Args:
        url: `redis://host:6379/0`, `rediss://...`, or `unix:///path`.
        prefix: Stands before every name.
        timeout: Seconds for a connection and for each answer.
        connections: Most connections of one loop.

    Raises:
        CountersLost: The URL is none.
    """

    def __init__(self, url: str, *, prefix: str = "compatgw", timeout: float = 1.0, connections: int = 64) -> None:
        self._prefix = prefix
        try:
            parts = urlsplit(url)
            # Only what is no secret.
            self._shown = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
            self._clients = PerLoop(lambda: _client(url, timeout, connections))
            BlockingConnectionPool.from_url(url)
        except ValueError:
            raise CountersLost("The counters' URL is none. Give 'redis://host:6379/0' or 'unix:///path'.") from None
        shared, *texts = [
            files("compatgw.state").joinpath(f"lua/{name}.lua").read_text() for name in ("bucket", *_SCRIPTS)
        ]
        self._texts = {name: f"{shared}\n{text}" for name, text in zip(_SCRIPTS, texts, strict=True)}

    @property
    def shared(self) -> bool:
        """True: every process asks the same server."""
        return True

    @property
    def state(self) -> str:
        """`shared`."""
        return "shared"

    async def take(
        self,
        group: str,
        costs: Sequence[tuple[Bucket, int]],
        leases: Sequence[Lease] = (),
        holder: str = "",
        ttl: int = 600,
    ) -> Verdict:
        """Takes all costs and all leases, or nothing; see `Counters`."""
        if not costs and not leases:
            return judge((), ())
        arguments: list[Any] = [len(costs), _encoded(holder), ttl * 1000]
        for bucket, cost in costs:
            arguments += (bucket.limit, bucket.period, price_of(bucket, cost))
        arguments += [lease.limit for lease in leases]
        names = [bucket.name for bucket, _ in costs] + [_place(lease) for lease in leases]
        crowded, *levels = await self._run("take", self._names(group, names), arguments)
        return judge(costs, levels, leases[crowded - 1] if crowded else None)

    async def settle(
        self, group: str, corrections: Sequence[tuple[Bucket, int]], leases: Sequence[Lease] = (), holder: str = ""
    ) -> tuple[Level, ...]:
        """Takes more or gives back, and ends leases; see `Counters`."""
        if not corrections and not leases:
            return ()
        return await self._settle(group, corrections, leases, holder, "1")

    async def look(self, group: str, buckets: Sequence[Bucket]) -> tuple[Level, ...]:
        """The buckets as they are; see `Counters`."""
        return await self._settle(group, [(bucket, 0) for bucket in buckets], (), "", "0") if buckets else ()

    async def _settle(
        self, group: str, corrections: Sequence[tuple[Bucket, int]], leases: Sequence[Lease], holder: str, write: str
    ) -> tuple[Level, ...]:
        arguments: list[Any] = [len(corrections), _encoded(holder), write]
        for bucket, cost in corrections:
            arguments += (bucket.limit, bucket.period, cost)
        names = [bucket.name for bucket, _ in corrections] + [_place(lease) for lease in leases]
        levels = await self._run("settle", self._names(group, names), arguments)
        return tuple([shown(bucket, level) for (bucket, _), level in zip(corrections, levels, strict=True)])

    async def renew(self, group: str, leases: Sequence[Lease], holder: str, ttl: int = 600) -> None:
        """Lets leases last on; see `Counters`."""
        if leases:
            names = self._names(group, [_place(lease) for lease in leases])
            await self._run("renew", names, [_encoded(holder), ttl * 1000])

    async def get(self, name: str) -> bytes | None:
        """The value under `name`; see `Counters`."""
        redis = (await self._client()).redis
        found: bytes | None = await self._answer(redis.get(self._name(name)))
        return found

    async def put(self, name: str, value: bytes, ttl: float, *, only_new: bool = False) -> bool:
        """Keeps a value; see `Counters`."""
        redis = (await self._client()).redis
        return bool(await self._answer(redis.set(self._name(name), value, px=_milliseconds(ttl), nx=only_new)))

    async def drop(self, *names: str) -> None:
        """Forgets values; see `Counters`."""
        if names:
            redis = (await self._client()).redis
            await self._answer(redis.unlink(*[self._name(name) for name in names]))

    async def add(self, name: str, amount: int, ttl: float) -> int:
        """Adds to a number; see `Counters`."""
        pipeline = (await self._client()).redis.pipeline(transaction=True)
        # What is there keeps its end.
        pipeline.set(self._name(name), 0, px=_milliseconds(ttl), nx=True).incrby(self._name(name), amount)
        return int((await self._answer(pipeline.execute()))[1])

    async def announce(self, word: str) -> None:
        """Tells `word` to all processes; see `Counters`."""
        pipeline = (await self._client()).redis.pipeline(transaction=True)
        name = self._name("announced")
        pipeline.xadd(name, {"w": _encoded(word)}, maxlen=_WORDS, approximate=True).expire(name, _KEPT)
        await self._answer(pipeline.execute())

    async def announced(self, cursor: str) -> tuple[str, tuple[str, ...]]:
        """What was announced after `cursor`; see `Counters`."""
        redis = (await self._client()).redis
        name = self._name("announced")
        if not cursor:
            newest = await self._answer(redis.xrevrange(name, count=1))
            return (str(newest[0][0], "ascii") if newest else "0-0"), ()
        found = await self._answer(redis.xrange(name, min=f"({cursor}"))
        # Others may have written here, too: what is no word of ours is nobody's news.
        words = tuple(word for _, fields in found if (word := _word(fields.get(b"w"))) is not None)
        return (str(found[-1][0], "ascii") if found else cursor), words

    async def ping(self) -> None:
        """Passes when the server answers; see `Counters`."""
        await self._answer((await self._client()).redis.ping())

    async def aclose(self) -> None:
        """Closes the running loop's connections; see `Counters`."""
        await self._clients.aclose()

    async def _run(self, script: str, names: Sequence[bytes], arguments: Sequence[Any]) -> list[int]:
        client = await self._client()
        if script not in client.scripts:
            client.scripts[script] = client.redis.register_script(self._texts[script])
        # Sends the script itself only to a server that does not know it (any more).
        found: list[int] = await self._answer(client.scripts[script](keys=names, args=arguments))
        return found

    async def _client(self) -> _Client:
        return self._clients.here() or await self._clients.get()

    async def _answer(self, question: Awaitable[Any]) -> Any:
        try:
            return await question
        except (exceptions.RedisError, OSError) as error:
            why = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            raise CountersLost(f"The counters at {self._shown} do not answer: {why.rstrip('.')}.") from None

    def _names(self, group: str, names: Sequence[str]) -> list[bytes]:
        # The braces keep what one script touches on one server of a cluster.
        tag = group.replace("{", "_").replace("}", "_")
        return [_encoded(f"{self._prefix}:{{{tag}}}:{name}") for name in names]

    def _name(self, name: str) -> bytes:
        return _encoded(f"{self._prefix}:v:{name}")


class _Client:
    """What the counters have in one loop."""

    def __init__(self, redis: Any) -> None:
        # Its annotations say of every answer that it may be text, which it is not without `decode_responses`.
        self.redis = redis
        self.scripts: dict[str, Callable[..., Awaitable[Any]]] = {}

    async def aclose(self) -> None:
        await self.redis.aclose()


def _client(url: str, timeout: float, connections: int) -> _Client:
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=timeout,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        health_check_interval=30,
        # Once more, because a server that came back has closed what the pool still held.
        retry=Retry(NoBackoff(), 1, supported_errors=(exceptions.ConnectionError,)),
    )
    return _Client(Redis.from_pool(pool))


def _word(data: bytes | None) -> str | None:
    try:
        return None if data is None else data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return None


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _milliseconds(ttl: float) -> int:
    return max(1, round(ttl * 1000))


def _place(lease: Lease) -> str:
    # A bucket may have the same name.
    return f"lease:{lease.name}"
