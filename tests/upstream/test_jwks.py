"""An issuer's keys: found, kept, renewed, and what happens while the issuer is away, slow or wrong."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

import httpx
import orjson
import pytest

# Loaded beforehand, so that its import does not eat up what a fetch may take.
import compatgw.upstream.aio  # noqa: F401
from compatgw.config import ConfigError
from compatgw.errors import Overloaded
from compatgw.sections import MIB
from compatgw.upstream.client import UpstreamClient
from compatgw.upstream.jwks import Jwks
from tests.issuer import DISCOVERY, Clock, Issuer

HOUR = 3600.0
DAY = 86_400.0


@pytest.fixture
def clock() -> Clock:
    """A clock that never goes back."""
    return Clock(1000.0)


@pytest.fixture
def issuer() -> Issuer:
    """An issuer with one key."""
    made = Issuer()
    made.keys.append({"kid": "k1", "kty": "RSA"})
    return made


def jwks_of(issuer: Issuer, clock: Clock, **options: Any) -> Jwks:
    """The keys of an issuer in this process."""
    return Jwks(issuer.upstream(), issuer.url, options.pop("jwks_url", None), monotonic=clock, **options)


class Gate:
    """An application in front of another, that lets requests in when it is open.

    Attributes:
        arrived: Set when a request waits.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self.open = asyncio.Event()
        self.arrived = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The application."""
        self.arrived.set()
        await self.open.wait()
        await self._app(scope, receive, send)


def behind(app: Any, clock: Clock, **options: Any) -> Jwks:
    """The keys of an issuer that is reached through `app`."""
    upstream = UpstreamClient(http_client=httpx.AsyncClient(transport=httpx.ASGITransport(app)))
    return Jwks(upstream, "https://idp.test", monotonic=clock, **options)


async def away(jwks: Jwks) -> Overloaded:
    """The failure of a caller who needs keys."""
    with pytest.raises(Overloaded) as caught:
        await jwks.keys()
    error = caught.value
    assert (error.status, error.code, error.type) == (503, "issuer_unavailable", "upstream_error")
    assert error.retry_after is not None
    assert error.retry_after >= 1
    return error


# --- finding ---


async def test_keys_are_found_by_discovery_once(issuer: Issuer, clock: Clock) -> None:
    """Two documents, whoever asks how often."""
    jwks = jwks_of(issuer, clock)
    first = await jwks.keys()
    clock.now += HOUR / 2
    second = await jwks.keys()

    assert first is second
    assert first.find("k1") == ({"kid": "k1", "kty": "RSA"},)
    assert issuer.asked == [DISCOVERY, "/keys"]


async def test_a_given_address_needs_no_discovery(issuer: Issuer, clock: Clock) -> None:
    """An issuer may be no address at all then."""
    issuer.url = "an issuer"
    jwks = jwks_of(issuer, clock, jwks_url="https://keys.test/keys?v=1")
    found = await jwks.keys()

    assert found.find("k1")
    assert issuer.asked == ["/keys"]


async def test_an_issuer_that_ends_with_a_slash_is_asked_at_the_right_place(clock: Clock) -> None:
    """The slash belongs to its name, not to the path."""
    issuer = Issuer("https://idp.test/")
    await jwks_of(issuer, clock).keys()

    assert issuer.asked == [DISCOVERY, "/keys"]


async def test_a_slash_more_is_another_issuer(issuer: Issuer, clock: Clock) -> None:
    """The document has to name the very issuer that was configured."""
    jwks = Jwks(issuer.upstream(), "https://idp.test/", monotonic=clock)
    error = await away(jwks)

    assert "another issuer" in error.message
    assert issuer.asked == [DISCOVERY]


@pytest.mark.parametrize(
    "found",
    [
        None,
        7,
        "",
        "http://idp.test/keys",
        "ftp://idp.test/keys",
        "https://ann:secret@idp.test/keys",
        "http://localhost/keys",
        "https://[::1/keys",
        "https://idp.test:99999/keys",
        "https://idp.test/ke\nys",
        "/keys",
    ],
)
async def test_a_document_that_leads_nowhere_safe_is_not_followed(issuer: Issuer, clock: Clock, found: object) -> None:
    """Neither off https nor to this machine, where the issuer itself is elsewhere."""
    document = orjson.dumps({"issuer": issuer.url, "jwks_uri": found})
    issuer.answers[DISCOVERY] = (200, document, {})
    error = await away(jwks_of(issuer, clock))

    assert issuer.asked == [DISCOVERY]
    assert "jwks_uri" in error.message
    assert "secret" not in error.message


@pytest.mark.parametrize(
    ("issuer", "jwks_url"),
    [
        ("http://idp.test", None),
        ("http://127.0.0.1.idp.test", None),
        ("http://10.0.0.1", None),
        ("idp.test", None),
        ("https://", None),
        ("ftp://idp.test", None),
        ("https://idp.test/\x00", None),
        ("https://idp.test /", None),
        ("https://idp.tést", None),
        ("https://idp.test:port", None),
        ("https://ann:s3cret@idp.test", None),
        ("https://idp.test/?a=b", None),
        ("https://idp.test/#a", None),
        ("https://idp.test", "http://idp.test/keys"),
        ("https://idp.test", "keys"),
        ("https://idp.test", ""),
    ],
)
def test_an_address_that_is_not_safe_is_a_wrong_setting(issuer: str, jwks_url: str | None) -> None:
    """It is told when the gateway is made."""
    with pytest.raises(ConfigError) as caught:
        Jwks(UpstreamClient(), issuer, jwks_url)

    assert "issuer" in str(caught.value) or "jwks_url" in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "127.8.8.8", "[::1]:8080"])
async def test_this_machine_needs_no_https(clock: Clock, host: str) -> None:
    """An issuer for development runs beside the gateway."""
    issuer = Issuer(f"http://{host}")
    issuer.keys.append({"kid": "k1"})

    assert (await jwks_of(issuer, clock).keys()).find("k1") == ({"kid": "k1"},)


@pytest.mark.parametrize("transport", ["aiohttp", "httpx"])
async def test_keys_come_over_a_real_socket(
    issuer: Issuer, clock: Clock, serve: Callable[..., str], transport: Literal["aiohttp", "httpx"]
) -> None:
    """Over the gateway's own transports."""
    issuer.url = serve(issuer)
    upstream = UpstreamClient(transport=transport)
    found = await Jwks(upstream, issuer.url, monotonic=clock).keys()
    await upstream.aclose()

    assert found.find("k1") == ({"kid": "k1", "kty": "RSA"},)


async def test_junk_beside_keys_is_passed_over(issuer: Issuer, clock: Clock) -> None:
    """A key without an id is found among all; two of one id are both found."""
    issuer.keys = [None, 7, "k1", [], {}, {"kid": 1}, {"kid": "k1", "kty": "EC"}, {"kid": "k1", "kty": "RSA"}]
    found = await jwks_of(issuer, clock).keys()

    assert found.find("k1") == ({"kid": "k1", "kty": "EC"}, {"kid": "k1", "kty": "RSA"})
    assert found.find("k2") == ()
    assert len(found.find(None)) == 4


# --- an issuer that is away or wrong ---

# A discovery document and a key set in one.
GOOD = b'{"issuer":"https://idp.test","jwks_uri":"https://idp.test/keys","keys":[]}'
WRONG: dict[str, tuple[int, bytes, dict[str, str]]] = {
    "500": (500, b"oops", {}),
    "404": (404, b"", {}),
    "redirect": (302, b"", {"location": "https://idp.test/elsewhere"}),
    "permanent redirect": (308, b"", {"location": "/elsewhere"}),
    "redirect with a good body": (307, GOOD, {"location": "https://idp.test/elsewhere"}),
    "not authoritative": (203, GOOD, {}),
    "html": (200, b"<!doctype html><title>Sign in</title>", {"content-type": "text/html"}),
    "empty": (200, b"", {}),
    "not an object": (200, b"[]", {}),
    "deep": (200, b"[" * 100_000, {}),
    "too long": (200, b" " * (MIB + 1), {}),
}


@pytest.mark.parametrize("path", [DISCOVERY, "/keys"])
@pytest.mark.parametrize("wrong", WRONG)
async def test_whatever_an_issuer_answers_instead_is_503(issuer: Issuer, clock: Clock, wrong: str, path: str) -> None:
    """No redirect is followed, and the issuer is left alone for five seconds."""
    issuer.answers[path] = WRONG[wrong]
    jwks = jwks_of(issuer, clock)
    await away(jwks)
    asked = list(issuer.asked)
    error = await away(jwks)
    clock.now += 4.9
    await away(jwks)

    assert issuer.url in error.message
    assert error.retry_after == 5
    assert issuer.asked == asked
    assert "/elsewhere" not in asked

    clock.now += 0.2
    issuer.answers.clear()
    assert (await jwks.keys()).find("k1")


@pytest.mark.parametrize("keys", [None, {}, "k1", 7])
async def test_a_key_set_without_a_list_is_no_key_set(issuer: Issuer, clock: Clock, keys: object) -> None:
    """An empty list is one: the issuer has taken all its keys back."""
    issuer.answers["/keys"] = (200, orjson.dumps({"keys": keys}), {})
    error = await away(jwks_of(issuer, clock))
    issuer.answers["/keys"] = (200, b'{"keys":[]}', {})
    found = await jwks_of(issuer, clock).keys()

    assert "no list 'keys'" in error.message
    assert found.find(None) == ()


async def test_a_key_set_of_exactly_the_limit_is_read(issuer: Issuer, clock: Clock) -> None:
    """One byte more is not."""
    whole = b'{"keys":[]}'
    issuer.answers["/keys"] = (200, whole + b" " * (MIB - len(whole)), {})
    await jwks_of(issuer, clock).keys()
    issuer.answers["/keys"] = (200, whole + b" " * (MIB - len(whole) + 1), {})
    await away(jwks_of(issuer, clock))


async def test_an_issuer_that_never_answers_costs_one_bounded_wait(
    issuer: Issuer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """All who wait are told at once, and the operator too."""
    jwks = behind(Gate(issuer), clock, wait=0.02)
    with caplog.at_level(logging.WARNING, "compatgw"):
        failures = await asyncio.gather(*[away(jwks) for _ in range(20)])

    assert "within 0.02 seconds" in failures[0].message
    assert jwks.fetches == 1
    assert len(caplog.records) == 1


@pytest.fixture
async def dribble() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """The origin of a server that sends spaces for ever, slowly; set when its client has left."""
    left = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            left.set()  # before it asked, on a busy machine
            return writer.close()
        gone = asyncio.ensure_future(reader.read())
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
        while not gone.done():
            writer.write(b" ")
            await asyncio.wait([gone], timeout=0.005)
        left.set()
        return writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", left
    server.close()


@pytest.mark.parametrize("transport", ["aiohttp", "httpx"])
async def test_an_issuer_that_answers_byte_by_byte_is_left(
    dribble: tuple[str, asyncio.Event], clock: Clock, transport: Literal["aiohttp", "httpx"]
) -> None:
    """The bound is for the whole answer, not from one byte to the next."""
    origin, left = dribble
    upstream = UpstreamClient(transport=transport)
    error = await away(Jwks(upstream, origin, monotonic=clock, wait=0.3))
    await asyncio.wait_for(left.wait(), 5)
    await upstream.aclose()

    assert "did not answer" in error.message


async def test_a_refused_connection_is_503(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """The caller is told the issuer, the operator why."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    await server.wait_closed()
    upstream = UpstreamClient()
    with caplog.at_level(logging.WARNING, "compatgw"):
        error = await away(Jwks(upstream, origin, monotonic=clock))
    await upstream.aclose()

    assert "the call to it failed" in error.message
    assert "refused" in caplog.text


async def test_whatever_the_hosts_client_raises_is_503(clock: Clock) -> None:
    """A hook of the host's own may raise anything; nobody waits for ever."""

    async def broken(request: httpx.Request) -> httpx.Response:
        raise LookupError("a hook of the host's")

    upstream = UpstreamClient(http_client=httpx.AsyncClient(transport=httpx.MockTransport(broken)))
    error = await away(Jwks(upstream, "https://idp.test", monotonic=clock))

    assert "LookupError" in error.message


# --- keeping and renewing ---


async def test_keys_are_renewed_in_good_time_without_a_wait(issuer: Issuer, clock: Clock) -> None:
    """At four fifths of an hour the old ones are given, and new ones asked for."""
    jwks = jwks_of(issuer, clock)
    old = await jwks.keys()
    clock.now += HOUR * 0.79
    assert await jwks.keys() is old
    assert jwks.fetches == 1

    clock.now += HOUR * 0.02
    issuer.keys.append({"kid": "k2"})
    during = await jwks.keys()
    assert jwks._under_way
    new = await jwks.renewed(old)

    assert during is old
    assert new.find("k2")
    assert await jwks.keys() is new
    assert jwks.fetches == 2


async def test_keys_older_than_an_hour_are_waited_for(issuer: Issuer, clock: Clock) -> None:
    """A key that the issuer took back is not used after that."""
    jwks = jwks_of(issuer, clock)
    await jwks.keys()
    clock.now += HOUR + 1
    issuer.keys = [{"kid": "k2"}]
    found = await jwks.keys()

    assert found.find("k1") == ()
    assert found.find("k2")


async def test_old_keys_go_on_while_the_issuer_is_away_but_not_for_ever(issuer: Issuer, clock: Clock) -> None:
    """It is asked once a minute, without a wait after the first; after a day there are no keys."""
    jwks = jwks_of(issuer, clock)
    old = await jwks.keys()
    issuer.break_down()
    clock.now += HOUR + 1
    assert await jwks.keys() is old
    assert jwks.fetches == 2

    for second in range(180):
        clock.now += 1
        assert await jwks.keys() is old, second
        await asyncio.gather(*jwks._under_way.values())
    assert jwks.fetches == 5

    clock.now += DAY - 182
    assert await jwks.keys() is old
    await asyncio.gather(*jwks._under_way.values())
    clock.now += 6
    await away(jwks)

    issuer.answers.clear()
    clock.now += 6
    assert (await jwks.keys()).find("k1")


async def test_who_has_old_keys_waits_once_for_an_issuer_that_hangs(issuer: Issuer, clock: Clock) -> None:
    """After that it is asked again while the old keys are used."""
    gate = Gate(issuer)
    gate.open.set()
    jwks = behind(gate, clock, wait=0.02)
    old = await jwks.keys()
    gate.open.clear()
    clock.now += HOUR + 1
    assert await jwks.keys() is old
    assert jwks._under_way == {}

    clock.now += 61
    assert await jwks.keys() is old
    assert jwks._under_way
    assert jwks.fetches == 2
    await asyncio.wait(jwks._under_way.values())
    assert jwks.fetches == 3


async def test_a_gateway_that_slept_for_days_asks_before_it_believes(issuer: Issuer, clock: Clock) -> None:
    """Nothing old is used when the issuer can be asked."""
    jwks = jwks_of(issuer, clock)
    await jwks.keys()
    clock.now += 3 * DAY
    issuer.keys = [{"kid": "k2"}]

    assert (await jwks.keys()).find("k2")


async def test_a_thousand_unknown_keys_cost_a_fetch_a_minute(issuer: Issuer, clock: Clock) -> None:
    """Eight minutes of hammering are eight fetches."""
    jwks = jwks_of(issuer, clock)
    known = await jwks.keys()
    for _ in range(1000):
        clock.now += 0.5
        known = await jwks.renewed(known)

    assert jwks.fetches == 1 + 8
    assert issuer.asked == [DISCOVERY, "/keys"] * 9


async def test_who_knows_old_keys_alone_is_given_the_new_ones(issuer: Issuer, clock: Clock) -> None:
    """Another caller had them fetched meanwhile: nobody asks again."""
    jwks = jwks_of(issuer, clock)
    old = await jwks.keys()
    clock.now += 61
    new = await jwks.renewed(old)

    assert new is not old
    assert await jwks.renewed(old) is new
    clock.now += 61
    assert await jwks.renewed(old) is new
    assert jwks.fetches == 2


async def test_whether_a_key_exists_is_open_while_the_issuer_is_away(issuer: Issuer, clock: Clock) -> None:
    """That is no fault of the token: 503, for the whole minute in which nobody asks again."""
    jwks = jwks_of(issuer, clock)
    known = await jwks.keys()
    issuer.break_down()
    clock.now += 61
    for _ in range(3):
        with pytest.raises(Overloaded) as caught:
            await jwks.renewed(known)
        assert caught.value.retry_after == 60
    assert jwks.fetches == 2
    assert await jwks.keys() is known


async def test_keys_that_are_too_old_cannot_be_renewed_from_an_issuer_that_is_away(
    issuer: Issuer, clock: Clock
) -> None:
    """Nothing is left to go on with."""
    jwks = jwks_of(issuer, clock)
    known = await jwks.keys()
    issuer.break_down()
    clock.now += 2 * DAY
    with pytest.raises(Overloaded):
        await jwks.renewed(known)


# --- many at once ---


async def test_all_who_come_at_once_wait_for_one_fetch(issuer: Issuer, clock: Clock) -> None:
    """A hundred connections after a restart ask once."""
    gate = Gate(issuer)
    jwks = behind(gate, clock)
    waiting = [asyncio.create_task(jwks.keys()) for _ in range(100)]
    await gate.arrived.wait()
    gate.open.set()
    found = await asyncio.gather(*waiting)

    assert len(set(map(id, found))) == 1
    assert issuer.asked == [DISCOVERY, "/keys"]


async def test_who_leaves_takes_the_keys_from_nobody(issuer: Issuer, clock: Clock) -> None:
    """Even if it was the first, or all leave."""
    gate = Gate(issuer)
    jwks = behind(gate, clock)
    waiting = [asyncio.create_task(jwks.keys()) for _ in range(3)]
    await gate.arrived.wait()
    waiting[0].cancel()
    waiting[2].cancel()
    gate.open.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)

    assert isinstance(results[0], asyncio.CancelledError)
    assert isinstance(results[2], asyncio.CancelledError)
    assert not isinstance(results[1], BaseException)

    clock.now += 2 * DAY
    gate.open.clear()
    gate.arrived.clear()
    alone = asyncio.create_task(jwks.keys())
    await gate.arrived.wait()
    alone.cancel()
    await asyncio.wait({alone})
    gate.open.set()
    await jwks.keys()

    assert jwks.fetches == 2


async def test_closing_ends_what_is_under_way_and_a_later_call_asks_anew(issuer: Issuer, clock: Clock) -> None:
    """Who waits is told, not left."""
    gate = Gate(issuer)
    jwks = behind(gate, clock)
    waiting = asyncio.create_task(away(jwks))
    await gate.arrived.wait()
    await jwks.aclose()
    await jwks.aclose()
    error = await waiting
    gate.open.set()

    assert "ended" in error.message
    assert (await jwks.keys()).find("k1")
    assert jwks._under_way == {}


def test_keys_serve_every_loop(issuer: Issuer, clock: Clock) -> None:
    """What one loop fetched is there in the next; what it left behind goes with it."""
    gate: list[Gate] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await (gate[0] if gate else issuer)(scope, receive, send)

    jwks = behind(app, clock)

    async def leave() -> None:
        gate.append(Gate(issuer))
        waiting = asyncio.create_task(jwks.keys())
        await gate[0].arrived.wait()
        waiting.cancel()

    asyncio.run(leave())
    gate.clear()
    found = [asyncio.run(jwks.keys()) for _ in range(2)]

    assert found[0] is found[1]
    assert jwks._under_way == {}


def test_a_loop_that_was_closed_in_the_middle_is_forgotten(issuer: Issuer, clock: Clock) -> None:
    """Its fetch never ends, and keeps nobody from another."""
    jwks = behind(Gate(issuer), clock)
    loop = asyncio.new_event_loop()
    task = loop.create_task(jwks.keys())
    for _ in range(3):
        loop.run_until_complete(asyncio.sleep(0))
    (fetch,) = jwks._under_way.values()
    loop.close()

    async def again() -> bool:
        waiting = asyncio.create_task(jwks.keys())
        await asyncio.sleep(0)
        places = list(jwks._under_way)
        waiting.cancel()
        await jwks.aclose()
        return places == [asyncio.get_running_loop()]

    assert asyncio.run(again())
    left: Any
    for left in (task, fetch):
        # Nobody can end a task of a closed loop; its warning is not what is looked at here.
        left._log_destroy_pending = False
        left.get_coro().close()
