"""How a database gets its tables, and which databases are refused."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Update, column, table, text, update

from compatgw.state import migrations
from compatgw.state.base import LedgerUnavailable, SchemaMismatch, Team
from compatgw.state.database import place_of
from compatgw.state.schema import HEAD, VERSION_TABLE, metadata
from compatgw.state.sql import SqlLedger
from tests.state.making import NewLedger, team


def test_the_newest_revision_is_the_one_that_the_tables_say() -> None:
    """One line of revisions, its head in `schema.py`."""
    config = Config()
    config.set_main_option("script_location", str(migrations.FOLDER))

    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


async def test_what_the_migrations_make_is_what_the_tables_say(ledger: SqlLedger) -> None:
    """Tables, columns, types, keys and indexes, on every back end."""

    def differences(connection: Connection) -> list[object]:
        def ours(name: str | None, kind: str, parent: object) -> bool:
            return kind != "table" or ((name or "").startswith("compatgw_") and name != VERSION_TABLE)

        context = MigrationContext.configure(connection, opts={"include_name": ours, "compare_type": True})
        return list(compare_metadata(context, metadata))

    session = await ledger._session()
    async with session.database.read() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_new_file_gets_its_tables_by_itself(tmp_path: Path) -> None:
    """And an empty one, too."""
    (tmp_path / "empty.db").touch()
    for name in ("new.db", "empty.db"):
        ledger = SqlLedger(f"sqlite:///{tmp_path / name}")
        await ledger.add(team())
        await ledger.aclose()

        assert await ledger.find(Team, "t1") is not None
        await ledger.aclose()


async def test_a_server_gets_its_tables_only_when_told(postgres_url: str) -> None:
    """Until then the message names the command."""
    database = "fresh"
    maker = SqlLedger(postgres_url)
    session = await maker._session()
    async with session.database._readers.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text(f"DROP DATABASE IF EXISTS {database}"))
        await connection.execute(text(f"CREATE DATABASE {database}"))
    await maker.aclose()
    url = postgres_url.replace("/postgres?", f"/{database}?")

    early = SqlLedger(url)
    with pytest.raises(SchemaMismatch, match="compatgw db upgrade"):
        await early.open()
    await early.aclose()
    for _ in range(2):
        upgraded = SqlLedger(url, upgrade=True)
        await upgraded.open()
        await upgraded.aclose()
    await early.add(team())
    await early.aclose()


def _at(revision: str) -> Update:
    version = table(VERSION_TABLE, column("version_num"))
    return update(version).values(version_num=revision)


@pytest.mark.parametrize("upgrade", [True, False])
async def test_a_newer_schema_is_refused_and_left_alone(new_ledger: NewLedger, ledger_url: str, upgrade: bool) -> None:
    """An old version that wrote into a new schema would lose what it does not know."""
    first = new_ledger()
    session = await first._session()
    async with session.database.write() as connection:
        await connection.execute(_at("9999"))
    try:
        later = new_ledger(upgrade=upgrade)
        with pytest.raises(SchemaMismatch, match=r"9999, newer than .* Upgrade compatgw"):
            await later.open()
        with pytest.raises(SchemaMismatch):
            await later.add(team())
    finally:
        async with session.database.write() as connection:
            await connection.execute(_at(HEAD))
    assert await first.find(Team, "t1") is None


async def test_an_older_schema_is_named_where_it_is_not_to_be_changed(new_ledger: NewLedger) -> None:
    """With the command."""
    first = new_ledger()
    session = await first._session()
    async with session.database.write() as connection:
        await connection.execute(_at("0000"))
    try:
        with pytest.raises(SchemaMismatch, match=f"is 0000, this version needs {HEAD}"):
            await new_ledger(upgrade=False).open()
    finally:
        async with session.database.write() as connection:
            await connection.execute(_at(HEAD))


async def test_a_migration_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Whatever was in its way: all tables or none."""
    path = tmp_path / "ledger.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE compatgw_usage (something TEXT)")
    connection.close()

    ledger = SqlLedger(f"sqlite:///{path}")
    with pytest.raises(LedgerUnavailable, match="already exists"):
        await ledger.open()
    await ledger.aclose()
    with sqlite3.connect(path) as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()

    assert names == {"compatgw_usage"}


async def test_the_hosts_own_tables_stay_as_they_are(tmp_path: Path) -> None:
    """The database may be the host's; its own migrations have their own version table."""
    path = tmp_path / "host.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('host')")
        connection.execute("CREATE TABLE teams (id TEXT)")
    connection.close()
    ledger = SqlLedger(f"sqlite:///{path}")
    await ledger.add(team())
    await ledger.aclose()

    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT * FROM alembic_version").fetchall() == [("host",)]
        assert connection.execute("SELECT * FROM teams").fetchall() == []
    connection.close()


START = """
import asyncio, sys
from compatgw.state.sql import SqlLedger
from compatgw.state.base import Team

async def main():
    sys.stdin.readline()
    ledger = SqlLedger(sys.argv[1], busy=30, upgrade=True)
    await ledger.add(Team(id=sys.argv[2], name=sys.argv[2]))
    await ledger.aclose()

asyncio.run(main())
"""


def test_processes_that_start_on_one_new_file_all_start(tmp_path: Path) -> None:
    """One makes the tables, the other waits and finds them."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", START, url, id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        for id in ("a", "b", "c")
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    ends = [process.communicate(timeout=50) for process in processes]

    assert [(process.returncode, error.decode()) for process, (_, error) in zip(processes, ends, strict=True)] == [
        (0, "")
    ] * 3
    ledger = SqlLedger(url)
    assert {each.id for each in asyncio.run(ledger.page(Team)).items} == {"a", "b", "c"}


async def test_tables_that_are_made_at_the_same_time_are_made_once(tmp_path: Path) -> None:
    """Many ledgers in one process, too, and many calls on one that is not open yet."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledgers = [SqlLedger(url, busy=20) for _ in range(4)]
    await asyncio.gather(*[each.add(team(f"{n}-{m}")) for n, each in enumerate(ledgers) for m in range(3)])

    assert len((await ledgers[0].page(Team)).items) == 12
    for each in ledgers:
        await each.aclose()


@pytest.mark.parametrize(
    ("content", "words"), [(b"this is no database at all, but text" * 40, "is no database"), (None, "does not exist")]
)
async def test_a_place_that_cannot_be_a_ledger_is_named(tmp_path: Path, content: bytes | None, words: str) -> None:
    """A file of something else, a folder that is missing; neither is touched."""
    path = tmp_path / ("ledger.db" if content else "missing/ledger.db")
    if content:
        path.write_bytes(content)
    ledger = SqlLedger(f"sqlite:///{path}")

    with pytest.raises((SchemaMismatch, LedgerUnavailable), match=words):
        await ledger.open()
    await ledger.aclose()
    assert not path.exists() if content is None else path.read_bytes() == content


def test_reading_the_protocols_loads_no_database_library() -> None:
    """A gateway without keys pays for none of them."""
    code = (
        "import sys, compatgw.state.opening, compatgw.state.memory, compatgw.policy.limits, compatgw.policy.money;"
        "print([m for m in ('sqlalchemy','alembic','aiosqlite','asyncpg','redis','argon2','cryptography') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_opening_a_ledger_that_is_up_to_date_does_not_load_alembic(sqlite_template: Path, tmp_path: Path) -> None:
    """It takes longer to import than all the rest."""
    shutil.copy(sqlite_template, tmp_path / "ledger.db")
    code = (
        "import asyncio, sys; from compatgw.state.opening import open_ledger;"
        f"l = open_ledger('sqlite:///{tmp_path}/ledger.db');"
        "r = asyncio.Runner(); r.run(l.open()); r.run(l.aclose()); r.close(); print('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("url", ["postgresql://u:SEEDED@host/db", "postgresql://host/db?user=u&password=SEEDED"])
def test_what_is_shown_of_a_database_holds_no_password(url: str) -> None:
    """Wherever in the URL it stands."""
    assert "SEEDED" not in place_of(url).shown
