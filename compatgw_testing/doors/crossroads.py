"""Many ASGI applications on one address, each under a path of its own; they come and go while it serves.

What does not live here: the address (`server.py`), the applications.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from typing import TYPE_CHECKING

from compatgw_testing.doors.lifespan import answer_lifespan

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from compatgw_testing.doors.exchange import App, Receive, Send

_STRAYS = 100


class Crossroads:
    """An ASGI application that hands each request to the one mounted under the longest prefix of its path.

    Any thread may mount and unmount; requests that are being served go on.

    Args:
        routes: Prefix to application. Slashes around a prefix do not matter.
        default: What serves a path that no prefix fits. Default: an answer 404 that says so.

    Attributes:
        strays: The latest requests that nobody owned, as `GET /path`, 100 at most.
    """

    def __init__(self, routes: Mapping[str, App] | None = None, *, default: App | None = None) -> None:
        self.default = default
        self.strays: deque[str] = deque(maxlen=_STRAYS)
        self._lock = threading.Lock()
        # Replaced, never changed, so that a request reads one state of it without the lock.
        self._routes: dict[str, App] = {}
        for prefix, app in (routes or {}).items():
            self.mount(prefix, app)

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What is mounted, sorted, each with a slash before it and none after."""
        return tuple(sorted(self._routes))

    def mount(self, prefix: str, app: App) -> str:
        """Serves `app` under `prefix`; gives the prefix as paths have it.

        Raises:
            ValueError: The prefix is empty or taken.
        """
        path = _clean(prefix)
        if path == "/":
            raise ValueError("an application is mounted under a path such as '/openai', not under the root")
        with self._lock:
            if path in self._routes:
                raise ValueError(f"{path} is taken; unmount what is there, or choose another prefix")
            self._routes = {**self._routes, path: app}
        return path

    def unmount(self, prefix: str) -> None:
        """Serves nothing under `prefix` any more. Idempotent."""
        path = _clean(prefix)
        with self._lock:
            self._routes = {name: app for name, app in self._routes.items() if name != path}

    async def __call__(self, scope: MutableMapping[str, object], receive: Receive, send: Send) -> None:
        """Serves one request. Lifespan is answered and reaches no application."""
        if scope["type"] == "lifespan":
            await answer_lifespan(receive, send)
            return
        path, root = str(scope["path"]), str(scope.get("root_path", ""))
        below = path.removeprefix(root) if root else path
        routes, prefix = self._routes, below.rstrip("/")
        while prefix:
            if prefix in routes:
                await routes[prefix]({**scope, "root_path": root + prefix}, receive, send)
                return
            prefix = prefix.rpartition("/")[0]
        if self.default is not None:
            await self.default(scope, receive, send)
        elif scope["type"] == "http":
            await self._stray(str(scope.get("method")), below, send)
        else:
            raise ValueError(f"nothing is mounted for a {scope['type']} at {below}")

    async def _stray(self, method: str, path: str, send: Send) -> None:
        self.strays.append(f"{method} {path}")
        message = (
            f"No test owns {path}: what was mounted there is gone, or the base URL is of another test. "
            "A client that outlives its test keeps the address it was made with."
        )
        error = {"message": message, "type": "not_found", "param": None, "code": "no_test_owns_this"}
        body = json.dumps({"error": error}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 404, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


def _clean(prefix: str) -> str:
    return "/" + prefix.strip("/")
