"""pytest-httpx and its kin: a provider's true answers behind `httpx_mock`.

    def test_summary(httpx_mock):
        fake = add_provider_response(httpx_mock, "anthropic", "Bonjour")
        assert my_app.summarise("...") == "Bonjour"            # my_app uses httpx
        assert fake.assert_called_once().body["model"] == "claude-sonnet-4-6"

Each request is served by a fake in this process, so bytes, ids, headers, refusals and faults
are the vendor's. Nothing of the mocking library is imported: whatever has `add_callback`
(pytest-httpx, httpx2-pytest) or `route` (respx, pytest-httpx2) will do.

What does not live here: the answers (`fakes/`), serving them (`doors/`), vcrpy (`vcr.py`).
"""

from __future__ import annotations

import inspect
import re
import sys
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, cast
from urllib.parse import parse_qsl, urlencode

from compatgw_testing.doors import inprocess
from compatgw_testing.fakes import Fake, FakeAnthropic, FakeCohere, FakeGemini, FakeOpenAI
from compatgw_testing.fakes.openai.habits import HABITS
from compatgw_testing.fakes.scripted import steps_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
    from typing import Unpack

    from compatgw_testing.doors.exchange import Receive, Send
    from compatgw_testing.script import Step

_FAKES: Mapping[str, type[Fake]] = {"anthropic": FakeAnthropic, "cohere": FakeCohere, "gemini": FakeGemini}
# Where each vendor's clients call by default.
_HOSTS: Mapping[str, str] = {
    "openai": r"api\.openai\.com",
    "anthropic": r"api\.anthropic\.com",
    "gemini": r"generativelanguage\.googleapis\.com",
    "cohere": r"api\.cohere\.(com|ai)",
    "azure": r"[^/:]+\.openai\.azure\.com",
    "deepseek": r"api\.deepseek\.com",
    "groq": r"api\.groq\.com",
    "mistral": r"api\.mistral\.ai",
    "openrouter": r"openrouter\.ai",
    "perplexity": r"api\.perplexity\.ai",
}
_KEY_HEADERS = (b"authorization", b"x-api-key", b"x-goog-api-key", b"api-key")
MOCKS = frozenset({"httpx_mock", "httpx2_mock", "respx_mock"})
# Those that see what httpx sends, and so what a gateway sends over its httpx transport.
HTTPX_MOCKS = frozenset({"httpx_mock", "respx_mock"})
CASSETTE_FIXTURES = frozenset({"vcr_cassette", "llm_cassette", "compatgw_llm_cassette"})
CASSETTE_MARKERS = frozenset({"vcr", "llm_cassette"})


class Matchers(TypedDict, total=False):
    """Further conditions, handed to the mock as they are; pytest-httpx says what they mean.

    `is_reusable` also makes the last step of the script answer every later request.
    """

    method: str
    proxy_url: Any
    match_headers: dict[str, Any]
    match_content: bytes
    match_json: Any
    match_data: dict[str, Any]
    match_files: Any
    match_extensions: dict[str, Any]
    match_params: dict[str, Any]
    is_optional: bool
    is_reusable: bool


class CallbackMock(Protocol):
    """A mock in the manner of pytest-httpx."""

    def add_callback(self, callback: Callable[[Any], Any], **matchers: Any) -> None:
        """Answers the requests that meet the conditions with what `callback` makes of them."""


class RouteMock(Protocol):
    """A mock in the manner of respx."""

    def route(self, *patterns: Any, **lookups: Any) -> Any:
        """A route, whose `mock(side_effect=...)` says what answers."""


def add_provider_response(
    mock: CallbackMock | RouteMock,
    dialect: str | Fake,
    script: Step | str | Sequence[Step | str] | None = None,
    *,
    url: str | re.Pattern[str] | None = None,
    mount: str = "",
    key: str | None = None,
    seed: int | str = 0,
    virtual: bool = True,
    **matchers: Unpack[Matchers],
) -> Fake:
    """Registers a provider's answers with `httpx_mock`; plain or streamed, as each request asks.

    Args:
        mock: The fixture `httpx_mock`, `httpx2_mock` or `respx_mock`.
        dialect: `openai`, `anthropic`, `gemini`, `cohere`, or a name in `HABITS` such as `groq`; or a fake, such as
            one that an earlier call returned.
        script: One answer per request: texts, or what `reply`, `tool_call`, `fail`, `fault` give. Default: what the
            fake answers without a script (embeddings, models, token counts, its own rules).
        url: As in pytest-httpx: a full URL, or a pattern that its beginning meets. Default: the vendor's own hosts.
        mount: Path before the vendor's own, such as `/proxy`.
        key: The one credential that is accepted. Default: any, but one must be there.
        seed: From which ids and times follow.
        virtual: Delays take no time, and a stall is the client's read timeout at once. False: in real time.
        matchers: See `Matchers`. respx-like mocks take `method` and `is_reusable` only.

    Returns:
        The fake that answers; its journal says what was asked.

    Raises:
        ValueError: There is no such dialect, or the hosts of this fake are not known and `url` is missing.
        TypeError: `mock` is no such fixture, or a matcher is none that it has.
    """
    fake = dialect if isinstance(dialect, Fake) else _fake(dialect, seed)
    steps = [] if script is None else steps_of(script)
    where = _default_url(fake) if url is None else url
    answer = _Answers(fake, mount, key, virtual=virtual)
    add_callback, route = getattr(mock, "add_callback", None), getattr(mock, "route", None)
    if add_callback is not None:
        for _ in steps or (None,):
            add_callback(answer, url=where, **matchers)
    elif route is not None:
        _add_route(route, answer, where, len(steps or (None,)), matchers)
    else:
        name = type(mock).__name__
        raise TypeError(f"{name} is no mock that this knows: hand in httpx_mock, httpx2_mock or respx_mock")
    fake.enqueue(*steps)
    if steps and matchers.get("is_reusable"):
        fake.always(steps[-1])
    return fake


def _fake(dialect: str, seed: int | str) -> Fake:
    fake: Fake
    if dialect in HABITS:
        fake = FakeOpenAI(habit=dialect, seed=seed)
    elif dialect in _FAKES:
        fake = _FAKES[dialect](seed=seed)
    else:
        known = ", ".join(sorted({*_FAKES, *HABITS}))
        raise ValueError(f"there is no dialect {dialect!r} to answer in; there are {known}")
    fake.unscripted = "fail"
    return fake


def _default_url(fake: Fake) -> re.Pattern[str]:
    name = fake.dialect
    if isinstance(fake, FakeOpenAI):
        name = next((known for known, habit in HABITS.items() if habit == fake.habit), "")
    if name not in _HOSTS:
        raise ValueError("the hosts of this fake are not known: give add_provider_response the `url` that is called")
    return re.compile(rf"https?://{_HOSTS[name]}(:\d+)?/")


def _add_route(
    route: Callable[..., Any], answer: _Answers, url: str | re.Pattern[str], times: int, matchers: Mapping[str, Any]
) -> None:
    if unknown := set(matchers) - {"method", "is_reusable"}:
        raise TypeError(
            f"{', '.join(sorted(unknown))}: a respx-like mock knows no such matcher; make the route yourself"
        )
    lookups = {"url": url} if isinstance(url, str) else {"url__regex": url.pattern}
    if "method" in matchers:
        lookups["method"] = matchers["method"]
    left = None if matchers.get("is_reusable") else times

    def limited(request: Any) -> Any:
        nonlocal left
        if left is not None:
            if left == 0:
                raise AssertionError(f"{request.method} {request.url}: all {times} scripted answers were given")
            left -= 1
        return answer(request)

    route(**lookups).mock(side_effect=limited)


class _Answers:
    """Answers requests of either library, sync and async; a callback for the mocks."""

    def __init__(self, fake: Fake, mount: str, key: str | None, *, virtual: bool) -> None:
        self._app = _Mounted(fake, mount.rstrip("/"), key)
        self._virtual = virtual
        # A transport that is forgotten ends its thread, so these live as long as the mock keeps its callbacks.
        self._transports: dict[tuple[str, bool], Any] = {}

    def __call__(self, request: Any) -> Any | Awaitable[Any]:
        """The answer; awaitable if a coroutine of the mock asks."""
        if _in_coroutine():
            return self._transport(request, sync=False).handle_async_request(request)
        return self._transport(request, sync=True).handle_request(request)

    def _transport(self, request: Any, *, sync: bool) -> Any:
        name = cast("inprocess.Library", type(request).__module__.partition(".")[0])
        made = self._transports.get((name, sync))
        if made is None:
            open_door = cast("Callable[..., Any]", inprocess.transport)
            made = open_door(self._app, library=name, sync=sync, virtual=self._virtual)
            self._transports[name, sync] = made
        return made


def _in_coroutine() -> bool:
    """Whether the mock was called by an asynchronous client.

    A running loop does not tell: a synchronous client may be used inside one. But of the mock's own frames, one
    is a coroutine's then.
    """
    frame = sys._getframe(2)  # noqa: SLF001  # the two above are ours
    while frame.f_globals.get("__name__", "").startswith("compatgw_testing.") and frame.f_back is not None:
        frame = frame.f_back
    package = frame.f_globals.get("__name__", "").partition(".")[0]
    while frame.f_globals.get("__name__", "").partition(".")[0] == package:
        if frame.f_code.co_flags & inspect.CO_COROUTINE:
            return True
        if frame.f_back is None:
            break
        frame = frame.f_back
    return False


class _Mounted:
    """The fake under a path, for callers whose credential it need not know."""

    def __init__(self, fake: Fake, mount: str, key: str | None) -> None:
        self._fake = fake
        self._mount = mount
        self._key = key

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        headers = [(name, self._changed(value) if name in _KEY_HEADERS else value) for name, value in scope["headers"]]
        query = scope["query_string"]
        if b"key=" in query:
            pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
            changed = [
                (name, self._changed(value.encode()).decode() if name == "key" else value) for name, value in pairs
            ]
            query = urlencode(changed).encode()
        await self._fake({**scope, "root_path": self._mount, "headers": headers, "query_string": query}, receive, send)

    def _changed(self, given: bytes) -> bytes:
        """The fake's own credential in place of an accepted one."""
        scheme = b"Bearer " if given[:7].lower() == b"bearer " else b""
        secret = given[len(scheme) :]
        if not secret or (self._key is not None and secret != self._key.encode()):
            return given
        return scheme + self._fake.api_key.encode()


# What the plugin asks.


def intercepts_httpx(fixture_names: Iterable[str]) -> bool:
    """Whether a test with these fixtures intercepts httpx, so that a gateway in it has to use its httpx transport."""
    return not HTTPX_MOCKS.isdisjoint(fixture_names)


def conflicts(fixture_names: Iterable[str], marker_names: Iterable[str] = ()) -> str | None:
    """What is wrong with a test that has a mock of httpx and a cassette as well; None if it has not both.

    Args:
        fixture_names: All fixtures of the test, autouse ones included.
        marker_names: All markers of the test.
    """
    names = set(fixture_names)
    mocks = sorted(MOCKS & names)
    tapes = sorted(CASSETTE_FIXTURES & names, key=len) + [
        f"@pytest.mark.{one}" for one in sorted(CASSETTE_MARKERS & {*marker_names})
    ]
    if not mocks or not tapes:
        return None
    return (
        f"{mocks[0]} and {tapes[0]} are in one test, but both replace the transports of the HTTP library: depending on "
        "which was imported first, the cassette passes by the mock and reaches the network, or it keeps the mock for "
        f"good and breaks later tests. Split the test, or drop {mocks[0]} and let a fake answer what is not recorded."
    )
