"""Ways in which vcrpy records or replays something else than it seems, each told with what to do.

    import order   vcrpy keeps, when it is imported, the methods that it finds in httpx. Imported while a mock
                   such as `httpx_mock` is active, it keeps the mock for good, and later tests fail.
    in process     vcrpy also records what goes to an application in the same process. In replay the tape answers
                   in its place: the gateway under test never runs, and the test passes on nothing.
    failed save    where saving a cassette fails, vcrpy leaves its patches in place until they are collected as
                   garbage, which is in the middle of some later test.

What does not live here: anything that needs vcrpy; only what is loaded already is looked at.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LIBRARIES = ("httpx", "httpx2")
_METHODS = (("HTTPTransport", "handle_request"), ("AsyncHTTPTransport", "handle_async_request"))
# Names under which vcr.patch keeps what it found.
_KEPT = (
    ("httpx", "_HttpxHttpTransport_handle_request"),
    ("httpx", "_HttpxAsyncHttpTransport_handle_async_request"),
    ("httpx2", "_Httpx2HttpTransport_handle_request"),
    ("httpx2", "_Httpx2AsyncHttpTransport_handle_async_request"),
)
_IN_PROCESS = frozenset({"ASGITransport", "WSGITransport"})
# Names that no public server has: what stands there is in the process, or next to it.
_PRIVATE = frozenset({"test", "local", "localhost", "invalid", "example"})


class CassetteTrap(RuntimeError):
    """A cassette would not hold, or not replay, what it seems to."""


def import_order() -> str | None:
    """Whether vcrpy has kept a mock of httpx, or would if it were imported now: what to do; None if all is well."""
    first = "put `import vcr` at the top of conftest.py, so that it is imported before any mock is active"
    kept = sys.modules.get("vcr.patch")
    if kept is None:
        for library, method in _current():
            if owner := _stranger(library, method):
                return f"vcrpy would be imported while {owner} replaces {library}'s transport and keep it: {first}."
        return None
    for library, name in _KEPT:
        if owner := _stranger(library, getattr(kept, name, None)):
            return f"vcrpy was imported while {owner} replaced {library}'s transport, and has kept it: {first}."
    return None


def cassette_is_active() -> bool:
    """Whether a cassette of vcrpy is in use in this process right now."""
    client = sys.modules.get("http.client")
    if getattr(getattr(client, "HTTPConnection", None), "cassette", None) is not None:
        return True
    return any(_is_vcrs(method) for _, method in _current())


def _current() -> Iterator[tuple[str, Any]]:
    for library in _LIBRARIES:
        module = sys.modules.get(library)
        for owner, name in _METHODS:
            method = getattr(getattr(module, owner, None), name, None)
            if method is not None:
                yield library, method


def _stranger(library: str, method: Any) -> str | None:
    """The package that `method` comes from, if that is not the library; vcrpy's own keeps the library's name."""
    package = str(getattr(method, "__module__", library)).partition(".")[0]
    return None if package == library else package


def _is_vcrs(method: Any) -> bool:
    code = getattr(method, "__code__", None)
    return code is not None and "vcr" in code.co_filename.replace("\\", "/").split("/")[-3:-1]


def refuse_in_process(request: Any) -> Any:
    """For `before_record_request`: refuses to record what goes to an application in the same process.

    Raises:
        CassetteTrap: The request comes from a client on an ASGI or WSGI transport.
    """
    frame = sys._getframe(1)  # noqa: SLF001  # vcrpy tells its hooks nothing of the transport
    # The transport's own method stands a few calls above the hook.
    for _ in range(12):
        transport = frame.f_locals.get("self")
        if any(one.__name__ in _IN_PROCESS for one in type(transport).__mro__):
            host = urlsplit(request.uri).hostname
            raise CassetteTrap(
                f"{request.method} {request.uri} goes to an application in this process: on the tape, it would be "
                f"answered by the tape, and the application would not run; add ignore_hosts=[{host!r}] to the vcr "
                "configuration, and record only what the application itself calls."
            )
        if frame.f_back is None:
            break
        frame = frame.f_back
    return request


def recorded_twice(urls: Iterable[str]) -> str | None:
    """What is wrong with a cassette that has both a gateway's own calls and those to the gateway; None if it has not.

    Args:
        urls: The URLs of its requests.
    """
    # An address of this machine may be the gateway's or its upstream's: it is the last to be suspected.
    hosts = sorted({urlsplit(url).hostname or "" for url in urls}, key=lambda host: (_is_loopback(host), host))
    near = next((host for host in hosts if _is_loopback(host) or _is_private(host)), None)
    others = [host for host in hosts if host != near]
    if near is None or not others:
        return None
    return (
        f"the cassette has calls to {near} and to {others[0]}: if {near} is the application under test, it never runs "
        f"in replay, for the tape answers in its place; add ignore_hosts=[{near!r}] and record again."
    )


def _is_loopback(host: str) -> bool:
    return host.startswith("127.") or host == "::1"


def _is_private(host: str) -> bool:
    return "." not in host.strip(".") or host.rstrip(".").rpartition(".")[2] in _PRIVATE


@contextmanager
def saving() -> Iterator[None]:
    """Round the saving of a cassette: where it fails, vcrpy's patches are undone at once."""
    try:
        yield
    except BaseException:
        frame = sys._getframe(2)  # noqa: SLF001  # whoever has the patches calls us, and hands on nothing of them
        while frame.f_back is not None:
            patches = getattr(frame.f_locals.get("self"), "_CassetteContextDecorator__finish", None)
            if patches is not None:
                next(patches, None)
                break
            frame = frame.f_back
        raise
