"""Every host that the README shows, as it shows it, under a real server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from tests.hosts.stage import (
    HOSTS,
    KEY,
    RECIPES,
    WAIT,
    Host,
    Upstream,
    load,
    missing,
    tried,
    write_recipe,
    write_settings,
)

PLACES = [
    pytest.param(name, path, id=f"{name}{path}")
    for name, host in HOSTS.items()
    for path in (*(("/",) if host.root else ()), "/ai", "/a/b")
]


@pytest.fixture
def serve_wsgi() -> Iterator[Callable[[ModuleType], str]]:
    """Starts a WSGI application under a server with threads; gives its origin."""
    running: list[tuple[Any, ModuleType]] = []

    def start(module: ModuleType) -> str:
        from werkzeug.serving import make_server

        app = module.app

        server: Any = make_server("127.0.0.1", 0, app, threaded=True)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append((server, module))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, module in running:
        server.shutdown()
        server.server_close()
        # Nobody ends the loop of a2wsgi, in its thread.
        for middleware in module.app.mounts.values():
            asyncio.run_coroutine_threadsafe(module.gateway.aclose(), middleware.loop).result(WAIT)
            middleware.loop.call_soon_threadsafe(middleware.loop.stop)
            waiting = threading.Event()
            while middleware.loop.is_running():
                waiting.wait(0.001)
            middleware.loop.close()


def chosen(name: str) -> Host:
    """A host that is installed."""
    host = HOSTS[name]
    if lacking := missing(host):
        pytest.skip(f"{', '.join(lacking)} is not installed: pip install --group hosts")
    return host


@pytest.mark.parametrize(("name", "path"), PLACES)
def test_a_mounted_gateway_is_all_there(
    name: str, path: str, serve: Callable[..., str], serve_wsgi: Callable[[ModuleType], str], tmp_path: Path
) -> None:
    """Plain, streamed, left, not found, failed and its own pages; and the host's routes beside it, even under /v1."""
    host, upstream = chosen(name), Upstream()
    # Behind a WSGI server nobody is told that a client left: what is sent to it finds no taker.
    settings = write_settings(serve(upstream), tmp_path, timeouts={"send": 1.0})
    module = load(write_recipe(host, path, tmp_path), settings)
    origin = serve_wsgi(module) if host.wsgi else serve(module.app)
    row = tried(origin + path.rstrip("/"), upstream, wsgi=host.wsgi)
    print(f"{host.name:10} {'werkzeug' if host.wsgi else 'uvicorn':9} {path:5}", row)
    assert set(row.values()) == {"ok"}, row
    assert httpx.get(f"{origin}/v1/hello", timeout=WAIT).json() == {"hello": "world"}
    assert httpx.get(f"{origin}/nowhere", headers=KEY, timeout=WAIT).status_code == 404


@pytest.mark.parametrize("name", HOSTS)
def test_the_readme_shows_each_recipe_as_it_is_run(name: str) -> None:
    """To the letter, but for the line that says what it is."""
    text = (RECIPES / HOSTS[name].recipe).read_text("utf-8").split("\n", 2)[2]
    assert f"```python\n{text}```" in (RECIPES.parents[2] / "README.md").read_text("utf-8")
