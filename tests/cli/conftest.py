"""What tests of the command line share: a folder of their own, ledgers on both back ends, processes that end."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import Line

RING = "k1:" + base64.b64encode(bytes(range(32))).decode()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the command runs in; without a setting its ledger is made there."""
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def line(ledger_url: str) -> Line:
    """The command line on an empty ledger, on each back end, with a key ring."""
    return Line(COMPATGW_STATE__LEDGER=ledger_url, COMPATGW_STATE__KEY_RING=RING)


@pytest.fixture
def sqlite_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty ledger in a file."""
    url: str = request.getfixturevalue("empty_ledger")("sqlite")
    return url


@pytest.fixture
def process() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that a test starts; stopped at its end."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for one in started:
        one.terminate()
        one.communicate(timeout=10)
