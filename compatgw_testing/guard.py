"""A guard at the sockets: while it stands, nothing in this process reaches another machine unnoticed.

It stands below every client library, because one that patches a library misses the next one.
What Python's sockets do not carry it cannot see: subprocesses, clients with sockets of their
own in C or Rust (curl_cffi, pyreqwest, grpc), and connections that were open before.

What does not live here: the fixture (`plugin.py`), redirecting clients (`doors/`), answering anything.
"""

from __future__ import annotations

import asyncio
import asyncio.proactor_events
import ipaddress
import os
import socket
import sys
import sysconfig
from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator
    from types import CodeType, FrameType, TracebackType
    from typing import Self

# Always allowed. Connecting to the unspecified address means this machine, too.
LOOPBACK = ("localhost", "*.localhost", "127.0.0.0/8", "::1", "0.0.0.0", "::")  # noqa: S104
_UNKNOWN = "an unknown place (its task or thread was started by a library)"
_MISSING = object()


class Vendor(NamedTuple):
    """Whose host it is, and the environment variable that points its client elsewhere; "" if there is none."""

    name: str
    variable: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Escape:
    """One attempt to reach another machine.

    Attributes:
        host: Name or address that was asked for.
        port: None where a name was looked up without one.
        caller: `file:line` of the innermost frame that is no library's.
        how: `connect`, `lookup`, `send`, or `proxy` (a proxy of this machine that leads outside).
        vendor: Whose host it is; None if it is no known one.
    """

    host: str
    port: int | None
    caller: str
    how: str
    vendor: Vendor | None = None

    def __str__(self) -> str:
        place = self.host if self.port is None else f"{self.host}:{self.port}"
        whose = f" ({self.vendor.name})" if self.vendor else ""
        did = {"connect": "connects to", "lookup": "looks up", "send": "sends to", "proxy": "uses the proxy"}[self.how]
        if self.how == "proxy":
            mend = "unset the proxy variables of the environment"
        elif self.vendor and self.vendor.variable:
            mend = f"set {self.vendor.variable} to a fake's URL before the client is made (the fixture fake_llm does)"
        elif self.vendor:
            mend = "give its client a fake's URL as base URL"
        else:
            mend = "answer it with a fake"
        return f"{self.caller} {did} {place}{whose} while the network is guarded: {mend}, or allow the host."


class NetworkEscape(RuntimeError):
    """Something tried to reach another machine.

    No OSError on purpose: client libraries take those for a bad network and try again.

    Attributes:
        escape: What was tried, and by whom.
    """

    def __init__(self, escape: Escape) -> None:
        super().__init__(str(escape))
        self.escape = escape


class _Patch(NamedTuple):
    owner: Any
    name: str
    found: object
    ours: object


class NetworkGuard:
    """While active, each attempt to reach another machine is refused and noted. A context manager.

    Loopback and unix sockets are always allowed. It guards the whole process, other threads
    included. Guards nest: a connection needs the leave of all of them.

    Args:
        allowed: What may be reached beside loopback: names (`db.test`, `*.internal`), addresses, networks
            (`10.0.0.0/8`), each with a port after a colon if only that one is meant (`[::1]:80` for IPv6).

    Attributes:
        escapes: What was tried, oldest first; it stays after the end.

    Raises:
        NetworkEscape: Not by the guard's own methods, but by the call that tries to leave.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self.escapes: list[Escape] = []
        self._own = tuple(map(_Rule, allowed))
        self._loopback = tuple(map(_Rule, LOOPBACK))
        # Addresses that allowed names stand for.
        self._resolved: set[str] = set()
        self._patches: list[_Patch] = []
        self._active = False

    def __enter__(self) -> Self:
        if self._patches:
            raise RuntimeError("this NetworkGuard is active already; make another one")
        self._active = True
        self._guard_sockets()
        self._guard_loops()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._active = False
        for patch in reversed(self._patches):
            # Whoever patched over us keeps a reference to ours, which lets everything pass from now on.
            if vars(patch.owner).get(patch.name) is not patch.ours:
                continue
            if patch.found is _MISSING:
                delattr(patch.owner, patch.name)
            else:
                setattr(patch.owner, patch.name, patch.found)
        self._patches.clear()

    def assert_no_escape(self) -> None:
        """Nothing tried to leave, not even something whose exception was swallowed.

        Raises:
            AssertionError: Something did; the message lists each place once.
        """
        if self.escapes:
            lines = [f"  {one}" + (f" ({times} times)" if times > 1 else "") for one, times in self._counted()]
            raise AssertionError("\n".join(["requests escaped to the network:", *lines]))

    def _counted(self) -> list[tuple[Escape, int]]:
        return list(Counter(self.escapes).items())

    # Patches.

    def _patch(self, owner: Any, name: str, make: Callable[[Callable[..., Any]], object]) -> None:
        ours = make(getattr(owner, name))
        self._patches.append(_Patch(owner, name, vars(owner).get(name, _MISSING), ours))
        setattr(owner, name, ours)

    def _guard_sockets(self) -> None:
        # Others may have put a subclass in its place; all Python sockets share the class below `_socket`'s.
        plain = socket.socket.__mro__[-2]
        base = next(one for one in socket.socket.__mro__ if plain in one.__bases__)
        self._patch(base, "connect", self._connecting)
        self._patch(base, "connect_ex", self._connecting)
        self._patch(base, "sendto", self._sending(1))
        self._patch(base, "sendmsg", self._sending(3))
        self._patch(socket, "getaddrinfo", self._resolving)
        self._patch(socket, "gethostbyname", self._resolving)
        self._patch(socket, "gethostbyname_ex", self._resolving)
        self._patch(socket, "gethostbyaddr", self._naming)

    def _guard_loops(self) -> None:
        """Loops look names up in a thread, where the caller's frames are out of sight, or without Python's sockets."""
        self._patch(asyncio.BaseEventLoop, "getaddrinfo", self._resolving_later)
        self._patch(asyncio.proactor_events.BaseProactorEventLoop, "sock_connect", self._connecting_later)
        uvloop = sys.modules.get("uvloop")
        if uvloop is not None:
            self._patch(uvloop.Loop, "getaddrinfo", self._resolving_later)
            self._patch(uvloop.Loop, "create_connection", self._opening_later)
            self._patch(uvloop.Loop, "create_datagram_endpoint", self._datagrams_later)

    def _connecting(self, original: Callable[..., Any]) -> object:
        def connect(sock: socket.socket, address: Any) -> Any:
            try:
                self._judge_address(sock, address, "connect")
            except NetworkEscape:
                # Callers such as socket.create_connection close it after an OSError alone.
                sock.close()
                raise
            return original(sock, address)

        return connect

    def _sending(self, before: int) -> Callable[[Callable[..., Any]], object]:
        """For `sendto` and `sendmsg`, whose address comes last, after at least `before` arguments."""

        def make(original: Callable[..., Any]) -> object:
            def send(sock: socket.socket, *args: Any) -> Any:
                if len(args) > before and args[-1] is not None:
                    self._judge_address(sock, args[-1], "send")
                return original(sock, *args)

            return send

        return make

    def _resolving(self, original: Callable[..., Any]) -> object:
        def resolve(host: Any, *args: Any, **named: Any) -> Any:
            port = args[0] if args else named.get("port")
            known = self._judge_name(host, port)
            found = original(host, *args, **named)
            if known:
                self._resolved.update(_addresses(found))
            return found

        return resolve

    def _naming(self, original: Callable[..., Any]) -> object:
        """For the way back, from an address to its name: there the address leaves, too."""

        def gethostbyaddr(host: Any) -> Any:
            if _as_address(_text(host)) is None:
                self._judge_name(host, None)
            else:
                self._judge(host, None, "lookup")
            return original(host)

        return gethostbyaddr

    def _resolving_later(self, original: Callable[..., Awaitable[Any]]) -> object:
        async def getaddrinfo(loop: object, host: Any, port: Any, **named: Any) -> Any:
            known = self._judge_name(host, port)
            found = await original(loop, host, port, **named)
            if known:
                self._resolved.update(_addresses(found))
            return found

        return getaddrinfo

    def _connecting_later(self, original: Callable[..., Awaitable[Any]]) -> object:
        async def sock_connect(loop: object, sock: socket.socket, address: Any) -> Any:
            self._judge_address(sock, address, "connect")
            return await original(loop, sock, address)

        return sock_connect

    def _opening_later(self, original: Callable[..., Awaitable[Any]]) -> object:
        async def create_connection(
            loop: object, protocol_factory: object, host: Any = None, port: Any = None, **named: Any
        ) -> Any:
            self._judge(host, port, "connect")
            return await original(loop, protocol_factory, host, port, **named)

        return create_connection

    def _datagrams_later(self, original: Callable[..., Awaitable[Any]]) -> object:
        async def create_datagram_endpoint(
            loop: object, protocol_factory: object, local_addr: Any = None, remote_addr: Any = None, **named: Any
        ) -> Any:
            if isinstance(remote_addr, tuple):
                self._judge(remote_addr[0], remote_addr[1], "connect")
            return await original(loop, protocol_factory, local_addr, remote_addr, **named)

        return create_datagram_endpoint

    # Judging.

    def _judge_address(self, sock: socket.socket, address: Any, how: str) -> None:
        if sock.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple) and len(address) > 1:
            self._judge(address[0], address[1], how)

    def _judge_name(self, host: Any, port: Any) -> bool:
        """Whether the addresses of `host` become allowed; an address is judged when something connects to it."""
        name = _text(host)
        if not self._active or not name or _as_address(name) is not None or name == socket.gethostname().lower():
            return False
        self._judge(name, port, "lookup")
        return any(rule.meets(name, _number(port)) for rule in self._own)

    def _judge(self, host: Any, port: Any, how: str) -> None:
        name, number = _text(host), _number(port)
        if not self._active or not name:
            return
        if any(rule.meets(name, number) for rule in self._own) or name in self._resolved:
            return
        if any(rule.meets(name, number) for rule in self._loopback):
            if how == "lookup" or number not in self._proxies():
                return
            how = "proxy"
        escape = Escape(host=name, port=number, caller=_caller(), how=how, vendor=vendor_of(name))
        self.escapes.append(escape)
        raise NetworkEscape(escape)

    def _proxies(self) -> set[int]:
        """Ports of this machine that the environment names as proxies: what passes there leaves."""
        named = [value for name, value in os.environ.items() if name.lower().endswith("_proxy") and "://" in value]
        local = [parts for parts in map(urlsplit, named) if any(r.meets(parts.hostname, None) for r in self._loopback)]
        return {parts.port for parts in local if parts.port is not None}


class _Rule:
    """One entry of `allowed`."""

    def __init__(self, entry: str) -> None:
        self.port: int | None = None
        self.pattern = entry.lower()
        self.network: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None
        host, colon, port = self.pattern.rpartition(":")
        if colon and port.isdigit() and (":" not in host or host.startswith("[")):
            self.pattern, self.port = host.strip("[]"), int(port)
        try:
            self.network = ipaddress.ip_network(self.pattern, strict=False)
        except ValueError:
            pass

    def meets(self, host: str | None, port: int | None) -> bool:
        """Whether this entry allows `host`; a port that is not known yet is left for later."""
        if host is None or (self.port is not None and port is not None and port != self.port):
            return False
        if self.network is None:
            return fnmatchcase(host, self.pattern)
        address = _as_address(host)
        return address is not None and address in self.network


def _text(host: Any) -> str:
    if isinstance(host, (bytes, bytearray)):
        host = bytes(host).decode("ascii", "replace")
    return host.lower().rstrip(".") if isinstance(host, str) else ""


def _number(port: Any) -> int | None:
    if isinstance(port, (bytes, bytearray)):
        port = bytes(port).decode("ascii", "replace")
    if isinstance(port, str) and not port.isdigit():
        return {"https": 443, "http": 80}.get(port)
    return None if port is None else int(port)


def _as_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _addresses(found: Any) -> Iterator[str]:
    """The addresses in what a look-up gave, in any of its forms."""
    if isinstance(found, str):
        yield found
    elif isinstance(found, tuple):
        yield from found[2]
    else:
        for entry in found:
            yield entry[4][0]


# Whose code it was.


def _caller() -> str:
    roots = _library_roots()
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  # walking frames is what the message is for
    while frame is not None:
        if not _is_library(frame.f_code, roots):
            return _place(frame.f_code, frame.f_lineno)
        frame = frame.f_back
    waiting = sorted(set(_waiting(roots)))
    if waiting:
        return " or ".join(waiting[:3])
    test = os.environ.get("PYTEST_CURRENT_TEST")
    return f"{_UNKNOWN}, during {test}," if test else _UNKNOWN


def _waiting(roots: tuple[str, ...]) -> Iterator[str]:
    """The innermost frames of their own in the tasks that wait: a library may connect in a task of its own."""
    try:
        tasks = asyncio.all_tasks()
    except RuntimeError:
        return
    for task in tasks:
        step: Any = task.get_coro()
        place = None
        while step is not None:
            frame = getattr(step, "cr_frame", None) or getattr(step, "gi_frame", None)
            if frame is not None and not _is_library(frame.f_code, roots):
                place = _place(frame.f_code, frame.f_lineno)
            step = getattr(step, "cr_await", None) or getattr(step, "gi_yieldfrom", None)
        if place is not None:
            yield place


def _library_roots() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return (*(paths[name] + os.sep for name in names), str(Path(__file__).parent) + os.sep)


def _is_library(code: CodeType, roots: tuple[str, ...]) -> bool:
    path = code.co_filename
    if path.startswith("<frozen"):
        return True
    return path.startswith(roots) or not {"site-packages", "dist-packages"}.isdisjoint(Path(path).parts)


def _place(code: CodeType, line: int) -> str:
    path = Path(code.co_filename)
    here = Path.cwd()
    return f"{path.relative_to(here) if path.is_relative_to(here) else path}:{line}"


# Known hosts.


def vendor_of(host: str) -> Vendor | None:
    """Whose API answers under `host`, as far as the message needs it; None for hosts of nobody known."""
    return next((vendor for pattern, vendor in _VENDORS if fnmatchcase(host.lower(), pattern)), None)


_VENDORS = (
    ("api.openai.com", Vendor("OpenAI", "OPENAI_BASE_URL")),
    ("*.openai.azure.com", Vendor("Azure OpenAI", "AZURE_OPENAI_ENDPOINT")),
    ("*.services.ai.azure.com", Vendor("Azure AI", "AZURE_OPENAI_ENDPOINT")),
    ("api.anthropic.com", Vendor("Anthropic", "ANTHROPIC_BASE_URL")),
    ("generativelanguage.googleapis.com", Vendor("Google Gemini", "GOOGLE_GEMINI_BASE_URL")),
    ("*aiplatform.googleapis.com", Vendor("Google Vertex AI", "GOOGLE_VERTEX_BASE_URL")),
    ("api.cohere.com", Vendor("Cohere", "CO_API_URL")),
    ("api.cohere.ai", Vendor("Cohere", "CO_API_URL")),
    ("bedrock-runtime.*.amazonaws.com", Vendor("Amazon Bedrock", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME")),
    ("api.groq.com", Vendor("Groq", "GROQ_BASE_URL")),
    ("api.together.xyz", Vendor("Together", "TOGETHER_BASE_URL")),
    ("api.together.ai", Vendor("Together", "TOGETHER_BASE_URL")),
    ("api.fireworks.ai", Vendor("Fireworks", "FIREWORKS_BASE_URL")),
    ("api.cerebras.ai", Vendor("Cerebras", "CEREBRAS_BASE_URL")),
    ("api.mistral.ai", Vendor("Mistral", "")),
    ("api.deepseek.com", Vendor("DeepSeek", "")),
    ("api.perplexity.ai", Vendor("Perplexity", "")),
    ("api.x.ai", Vendor("xAI", "")),
    ("openrouter.ai", Vendor("OpenRouter", "")),
    ("router.huggingface.co", Vendor("Hugging Face", "")),
    ("api.voyageai.com", Vendor("Voyage AI", "")),
    ("api.jina.ai", Vendor("Jina AI", "")),
)
