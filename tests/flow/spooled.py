"""How many uploads a process has on disk, where they have no names.

What does not live here: tests.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True, scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where temporary files are made: a place of these tests' own."""
    before, tempfile.tempdir = tempfile.tempdir, str(tmp_path_factory.mktemp("uploads"))
    yield tempfile.tempdir
    tempfile.tempdir = before


def open_files() -> int:
    """Uploads that this process has on disk; they have no name there."""
    links = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            links.append(str(entry.readlink()))
        except OSError:
            pass
    return sum(link.startswith(tempfile.gettempdir()) and "deleted" in link for link in links)
