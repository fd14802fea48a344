"""The network guard: every client library is refused below itself, and nothing escapes unnoticed."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import cohere
import httpx
import httpx2
import openai
import pytest
import requests
import uvloop

from compatgw_testing import FakeOpenAI, FakeServer
from compatgw_testing.guard import LOOPBACK, Escape, NetworkEscape, NetworkGuard, vendor_of

pytest_plugins = ["pytester"]

HERE = "tests/testing/test_guard.py"
# Reserved for documents: nobody answers there.
AWAY = "192.0.2.1"


@pytest.fixture
def guard(monkeypatch: pytest.MonkeyPatch) -> Iterator[NetworkGuard]:
    """An active guard; no proxy of this machine's environment stands in the way."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    with NetworkGuard() as active:
        yield active


def only(guard: NetworkGuard) -> Escape:
    """What was tried, if it was one thing."""
    assert len(set(guard.escapes)) == 1, guard.escapes
    return guard.escapes[0]


def test_the_official_sdk_is_stopped_and_told_what_to_set(guard: NetworkGuard) -> None:
    """openai 3 (httpx2): the message names caller, host, port, vendor and variable, and there is no retry."""
    with openai.OpenAI(api_key="sk-x", max_retries=2) as client, pytest.raises(NetworkEscape) as caught:
        client.models.list()

    escape = only(guard)
    assert len(guard.escapes) == 1
    assert (escape.host, escape.port) == ("api.openai.com", 443)
    assert escape.caller.startswith(HERE)
    text = str(caught.value)
    assert all(part in text for part in (escape.caller, "api.openai.com:443", "OpenAI", "OPENAI_BASE_URL"))


async def test_the_asynchronous_sdk_is_stopped_where_it_was_called(guard: NetworkGuard) -> None:
    """openai 3 on an event loop: names are looked up in a thread, and still the caller is this file."""
    async with openai.AsyncOpenAI(api_key="sk-x", max_retries=0) as client:
        with pytest.raises(NetworkEscape):
            await client.models.list()

    escape = only(guard)
    assert (escape.host, escape.port) == ("api.openai.com", 443)
    assert escape.caller.startswith(HERE)


def test_cohere_on_the_other_http_library_is_stopped(guard: NetworkGuard) -> None:
    """cohere 7 uses httpx."""
    with httpx.Client() as http:
        client = cohere.ClientV2(api_key="x", httpx_client=http)
        with pytest.raises(NetworkEscape, match="CO_API_URL"):
            client.chat(model="command-a-03-2025", messages=[cohere.UserChatMessageV2(content="Hi")])

    assert only(guard).host == "api.cohere.com"


async def _aiohttp() -> None:
    async with aiohttp.ClientSession() as session:
        await session.get("https://api.anthropic.com/v1/models")


async def _httpx() -> None:
    async with httpx.AsyncClient() as client:
        await client.get("https://api.anthropic.com/v1/models")


async def _httpx2() -> None:
    async with httpx2.AsyncClient() as client:
        await client.get("https://api.anthropic.com/v1/models")


async def _streams() -> None:
    await asyncio.open_connection("api.anthropic.com", 443)


async def _in_a_task_of_the_library() -> None:
    await asyncio.gather(asyncio.open_connection("api.anthropic.com", 443))


async def _in_a_thread() -> None:
    await asyncio.to_thread(socket.create_connection, ("api.anthropic.com", 443), 5)


ASYNC_CLIENTS: list[Callable[[], Awaitable[None]]] = [
    _aiohttp,
    _httpx,
    _httpx2,
    _streams,
    _in_a_task_of_the_library,
    _in_a_thread,
]


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("call", ASYNC_CLIENTS)
def test_asynchronous_clients_are_stopped_on_both_loops(
    guard: NetworkGuard, call: Callable[[], Any], loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """Whatever the loop resolves and connects with, the name is what is reported, and the caller is found."""
    with asyncio.Runner(loop_factory=loop) as runner, pytest.raises(NetworkEscape):
        runner.run(call())

    escape = only(guard)
    assert (escape.host, escape.port) == ("api.anthropic.com", 443)
    assert escape.vendor is not None
    assert escape.vendor.variable == "ANTHROPIC_BASE_URL"
    if call is not _in_a_thread:
        assert escape.caller.startswith(HERE)


def _udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", (AWAY, 53))


def _udp_with_flags() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", 0, (AWAY, 53))


def _udp_message() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendmsg([b"x"], [], 0, (AWAY, 53))


def _connect_ex() -> None:
    with socket.socket() as sock:
        sock.connect_ex((AWAY, 80))


def _connect_6() -> None:
    with socket.socket(socket.AF_INET6) as sock:
        sock.connect(("2001:db8::1", 80, 0, 0))


def _mapped() -> None:
    with socket.socket(socket.AF_INET6) as sock:
        sock.connect((f"::ffff:{AWAY}", 80))


@pytest.mark.parametrize(
    "call",
    [
        lambda: socket.create_connection((AWAY, 80), 5),
        lambda: socket.create_connection(("example.com", 80), 5),
        lambda: socket.getaddrinfo("example.com", 443),
        lambda: socket.getaddrinfo(b"example.com", "https"),
        lambda: socket.gethostbyname("example.com."),
        lambda: socket.gethostbyname_ex("example.com"),
        lambda: socket.gethostbyaddr(AWAY),
        lambda: urllib.request.urlopen("http://example.com/", timeout=5),
        lambda: requests.get("http://example.com/", timeout=5),
        _connect_ex,
        _connect_6,
        _mapped,
        _udp,
        _udp_with_flags,
        _udp_message,
    ],
)
def test_plain_sockets_and_lookups_are_refused(guard: NetworkGuard, call: Callable[[], Any]) -> None:
    """Connecting, sending a datagram and asking for a name are escapes alike."""
    with pytest.raises(NetworkEscape):
        call()

    assert only(guard).caller.startswith(HERE)


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_loops_are_refused_below_their_streams(
    guard: NetworkGuard, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """`sock_connect`, an address instead of a name, datagrams."""

    async def run() -> None:
        running = asyncio.get_running_loop()
        with socket.socket() as sock:
            sock.setblocking(False)
            with pytest.raises(NetworkEscape):
                await running.sock_connect(sock, (AWAY, 80))
        with pytest.raises(NetworkEscape):
            await running.create_connection(asyncio.Protocol, AWAY, 81)
        with pytest.raises(NetworkEscape):
            await running.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(AWAY, 82))
        with pytest.raises(NetworkEscape):
            await running.getaddrinfo("example.com", 83)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())

    assert [one.port for one in guard.escapes] == [80, 81, 82, 83]


def test_the_loop_of_windows_is_guarded_above_its_own_sockets(guard: NetworkGuard) -> None:
    """Its `sock_connect` does not pass by Python's sockets."""
    from asyncio.proactor_events import BaseProactorEventLoop

    with socket.socket() as sock, pytest.raises(NetworkEscape):
        asyncio.run(BaseProactorEventLoop.sock_connect(None, sock, (AWAY, 80)))  # type: ignore[arg-type]


def test_a_swallowed_escape_is_still_known(guard: NetworkGuard) -> None:
    """An application that answers from a fallback does not hide it; equal ones are counted on one line."""
    for _ in range(3):
        try:
            urllib.request.urlopen("https://api.groq.com/openai/v1/models", timeout=5)
        except Exception:  # noqa: BLE001, S110  # what applications do
            pass

    with pytest.raises(AssertionError, match=r"api\.groq\.com:443 \(Groq\).*GROQ_BASE_URL.*\(3 times\)"):
        guard.assert_no_escape()


def test_other_threads_are_guarded(guard: NetworkGuard) -> None:
    """An escape from a thread of the application names the frame in that thread."""

    def work() -> None:
        with pytest.raises(NetworkEscape):
            socket.create_connection(("api.mistral.ai", 443), 5)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)

    escape = only(guard)
    assert escape.caller.startswith(HERE)
    assert "base URL" in str(escape)


async def test_loopback_and_unix_sockets_work(guard: NetworkGuard, tmp_path: Path) -> None:
    """A fake's server is reached by address and by name, sync and async; unix sockets and pairs are no network."""
    with FakeServer(FakeOpenAI().reply("one").reply("two").reply("three")) as server:
        ask: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
        async with openai.AsyncOpenAI(base_url=server.sdk_url, api_key="sk-fake-openai") as client:
            assert (await client.chat.completions.create(**ask)).choices[0].message.content == "one"
        named = server.sdk_url.replace("127.0.0.1", "localhost")
        async with openai.AsyncOpenAI(base_url=named, api_key="sk-fake-openai") as client:
            assert (await client.chat.completions.create(**ask)).choices[0].message.content == "two"
        with openai.OpenAI(base_url=server.sdk_url, api_key="sk-fake-openai") as sync:
            answer = await asyncio.to_thread(lambda: sync.chat.completions.create(**ask))
        assert answer.choices[0].message.content == "three"
    left, right = socket.socketpair()
    with left, right:
        left.sendall(b"x")
        assert right.recv(1) == b"x"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as caller:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        caller.connect(str(tmp_path / "s"))
    assert socket.getaddrinfo(None, 0)
    assert socket.getaddrinfo(socket.gethostname(), 0)
    assert socket.gethostbyname("127.0.0.1") == "127.0.0.1"
    guard.assert_no_escape()


def test_a_proxy_of_this_machine_is_a_way_out(guard: NetworkGuard, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is loopback, but what passes there leaves: the port that the environment names is refused, others not."""
    with socket.socket() as proxy, socket.socket() as other:
        for listener in (proxy, other):
            listener.bind(("127.0.0.1", 0))
            listener.listen()
        monkeypatch.setenv("HTTPS_PROXY", f"http://localhost:{proxy.getsockname()[1]}")

        socket.create_connection(other.getsockname(), 5).close()
        with pytest.raises(NetworkEscape, match="uses the proxy"):
            socket.create_connection(proxy.getsockname(), 5)

        own = f"127.0.0.1:{proxy.getsockname()[1]}"
        guard.__exit__(None, None, None)
        with NetworkGuard([own]):
            socket.create_connection(proxy.getsockname(), 5).close()


@pytest.mark.parametrize(
    ("allowed", "host", "port", "passes"),
    [
        ("10.0.0.0/8", "10.1.2.3", 80, True),
        ("10.0.0.0/8", "11.1.2.3", 80, False),
        ("10.0.0.0/8", "::ffff:10.1.2.3", 80, True),
        ("10.0.0.0/8", "::ffff:11.1.2.3", 80, False),
        ("192.0.2.1", AWAY, 80, True),
        ("192.0.2.1:81", AWAY, 80, False),
        ("192.0.2.1:80", AWAY, 80, True),
        ("[2001:db8::1]:80", "2001:db8::1", 80, True),
        ("2001:db8::/32", "2001:db8::7", 80, True),
        ("2001:db8::/32", AWAY, 80, False),
    ],
)
def test_what_is_allowed_beside_loopback(allowed: str, host: str, port: int, passes: bool) -> None:
    """Addresses and networks, with and without a port; the socket below is one that goes nowhere."""
    tried: list[Any] = []

    class Nowhere(socket.socket):
        pass

    below = socket.socket.connect
    socket.socket.connect = lambda sock, address: tried.append(address)  # type: ignore[method-assign]
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with NetworkGuard([allowed]) as guard, Nowhere(family) as sock:
            try:
                sock.connect((host, port))
            except NetworkEscape:
                pass
    finally:
        socket.socket.connect = below  # type: ignore[method-assign]

    assert bool(tried) is passes
    assert bool(guard.escapes) is not passes


def test_an_allowed_name_allows_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The look-up gives an address that no rule names; connecting to it passes, to another does not."""
    tried: list[Any] = []
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (AWAY, 5432))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **named: found)
    monkeypatch.setattr(socket.socket, "connect", lambda sock, address: tried.append(address))

    with NetworkGuard(["*.internal:5432"]) as guard:
        socket.create_connection(("db.internal", 5432), 5).close()
        with pytest.raises(NetworkEscape):
            socket.create_connection(("db.internal", 5433), 5)
        with pytest.raises(NetworkEscape), socket.socket() as sock:
            sock.connect(("192.0.2.9", 5432))

    assert tried == [(AWAY, 5432)]
    assert len(guard.escapes) == 2


def names() -> dict[str, Any]:
    """What the guard changes, as found in the places themselves."""
    here = {f"socket.{name}": vars(socket)[name] for name in ("getaddrinfo", "gethostbyname", "gethostbyaddr")}
    for owner in (*socket.socket.__mro__[:-1], asyncio.BaseEventLoop, uvloop.Loop):
        if owner.__module__ != "_socket":
            here.update({f"{owner.__qualname__}.{name}": value for name, value in vars(owner).items()})
    return here


def test_everything_is_put_back_as_it_was() -> None:
    """Guards nest: the inner one refuses for itself, and after both nothing is left behind."""
    before = names()

    with NetworkGuard() as outer:
        with NetworkGuard([AWAY]) as inner:
            with pytest.raises(NetworkEscape):
                socket.create_connection((AWAY, 80), 5)
            with pytest.raises(NetworkEscape):
                socket.create_connection(("192.0.2.2", 80), 5)
        between = names()
        with pytest.raises(NetworkEscape):
            socket.create_connection((AWAY, 81), 5)

    assert [one.port for one in outer.escapes] == [80, 81]
    assert [one.host for one in inner.escapes] == ["192.0.2.2"]
    assert between != before
    assert names() == before


def test_who_patched_over_the_guard_keeps_what_it_put_there() -> None:
    """Ends in the wrong order leave the other's patch in place, and the guard's own lets everything pass."""
    tried: list[Any] = []
    below = socket.socket.connect
    socket.socket.connect = lambda sock, address: tried.append(address)  # type: ignore[method-assign]
    try:
        first, second = NetworkGuard(), NetworkGuard()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        with socket.socket() as sock, pytest.raises(NetworkEscape):
            sock.connect((AWAY, 80))
        second.__exit__(None, None, None)
        with socket.socket() as sock:
            sock.connect((AWAY, 80))
    finally:
        socket.socket.connect = below  # type: ignore[method-assign]

    assert tried == [(AWAY, 80)]
    assert not first.escapes
    assert len(second.escapes) == 1


def test_a_guard_is_active_once_at_a_time() -> None:
    """Entering it twice would lose what it found."""
    with NetworkGuard() as guard, pytest.raises(RuntimeError, match="active already"):
        guard.__enter__()


@pytest.mark.parametrize(
    ("host", "variable"),
    [
        ("api.openai.com", "OPENAI_BASE_URL"),
        ("my-team.openai.azure.com", "AZURE_OPENAI_ENDPOINT"),
        ("API.Anthropic.com", "ANTHROPIC_BASE_URL"),
        ("generativelanguage.googleapis.com", "GOOGLE_GEMINI_BASE_URL"),
        ("us-central1-aiplatform.googleapis.com", "GOOGLE_VERTEX_BASE_URL"),
        ("bedrock-runtime.eu-west-1.amazonaws.com", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"),
        ("api.deepseek.com", ""),
    ],
)
def test_known_hosts(host: str, variable: str) -> None:
    """Each known host has its vendor, and the variable if its SDK reads one."""
    vendor = vendor_of(host)

    assert vendor is not None
    assert vendor.variable == variable


def test_other_hosts_are_nobodys() -> None:
    """No guess for a host that only looks like one."""
    assert vendor_of("api.openai.com.example.com") is None
    assert "localhost" in LOOPBACK


SUITE = """
import socket
import pytest

HERE = socket.getaddrinfo, socket.socket.connect, socket.gethostbyname

def application():
    try:
        socket.create_connection(("api.openai.com", 443), 5)
    except Exception:
        return "sorry"

@pytest.mark.parametrize("run", range(4))
def test_swallowed(no_llm_network, run):
    assert application() == "sorry"

@pytest.mark.parametrize("run", range(4))
def test_kept(no_llm_network, run):
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), 5).close()

@pytest.mark.parametrize("run", range(4))
def test_unguarded(run):
    assert (socket.getaddrinfo, socket.socket.connect, socket.gethostbyname) == HERE
"""


@pytest.mark.parametrize("workers", [[], ["-n", "2"]])
def test_the_fixture_fails_a_test_whose_application_swallowed_the_refusal(
    pytester: pytest.Pytester, workers: list[str]
) -> None:
    """In a suite of somebody else, in one process and in several; other tests are left alone."""
    pytester.makepyfile(SUITE)

    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *workers)

    result.assert_outcomes(passed=8, failed=4)
    result.stdout.fnmatch_lines(["*.py:8 looks up api.openai.com:443 (OpenAI)*OPENAI_BASE_URL*"])


CODE = """
import sys
import compatgw_testing.guard
print(*sys.modules)
"""


def test_the_guard_needs_nothing_but_the_standard_library() -> None:
    """No client library is imported to guard against it."""
    loaded = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True).stdout.split()

    assert not {"httpx", "httpx2", "aiohttp", "uvloop", "openai", "pytest", "requests"} & set(loaded)
