"""What all tests share: real servers, a gated upstream, and no provider key of the machine."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
import uvicorn

from compatgw.state.secrets import Hasher
from tests.gated import GatedUpstream
from tests.servers import clock, empty_ledger, ledger_url, postgres_url, redis_url, sqlite_template

__all__ = ["clock", "empty_ledger", "ledger_url", "postgres_url", "redis_url", "sqlite_template"]

# The same examples in every run, so that whoever changes something else never meets what they did not break;
# `--hypothesis-profile search` looks for new ones.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.register_profile("search", deadline=None, max_examples=1000)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _no_keys_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        mine = name.startswith("COMPATGW_") and name != "COMPATGW_RECORDINGS"
        if mine or name.endswith(("_API_KEY", "_TOKEN", "_BASE_URL")):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _keys_are_proved_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    # Argon2id at full cost is for attackers; `tests/state/test_secrets.py` looks at what it costs.
    monkeypatch.setattr(Hasher.__init__, "__kwdefaults__", {"time_cost": 1, "memory_cost": 8, "parallelism": 1})


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Starts an ASGI application under uvicorn; gives its origin."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(app: Any, **options: Any) -> str:
        listener = socket.socket(
            socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP
        )  # by name, so that Nagle is off
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="warning", lifespan="auto", **options)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        ready = threading.Event()
        while not server.started and thread.is_alive():
            ready.wait(0.005)
        assert server.started, "the server did not start"
        running.append((server, thread))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive(), "the server did not stop"


@pytest.fixture
def upstream() -> GatedUpstream:
    """A fresh gated upstream."""
    return GatedUpstream()
