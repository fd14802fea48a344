"""Runs the command line as people and scripts do: in process, in a process of its own, on a terminal.

What does not live here: what must come out.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

import httpx
from click.testing import CliRunner, Result

from compatgw.cli import main

PROGRAM = (sys.executable, "-m", "compatgw")
# Only a controlling terminal turns ^C into a signal.
_ON_TERMINAL = (
    sys.executable,
    "-c",
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])",
)
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PATIENCE = 40.0


class Line:
    """The command line in process, on one ledger.

    Args:
        environ: Beside that of the test.
    """

    def __init__(self, **environ: str) -> None:
        self.environ = environ

    def run(self, *args: str, stdin: str | bytes | None = None) -> Result:
        """Runs a command; how it ends is for the test to judge."""
        return CliRunner().invoke(main, list(args), input=stdin, env=self.environ)

    def out(self, *args: str, stdin: str | bytes | None = None) -> str:
        """What a command that succeeds prints on stdout."""
        got = self.run(*args, stdin=stdin)
        assert got.exit_code == 0, got.output + repr(got.exception)
        return got.stdout

    def json(self, *args: str, stdin: str | None = None) -> Any:
        """What a command that succeeds prints with `--json`: one value and nothing else."""
        return json.loads(self.out(*args, "--json", stdin=stdin))

    def refused(self, *args: str, stdin: str | bytes | None = None) -> str:
        """The one line that a command ends with which fails."""
        got = self.run(*args, stdin=stdin)
        assert (got.exit_code, got.stdout, got.stderr.count("\n")) == (1, "", 1), got.output + repr(got.exception)
        return got.stderr

    def rows(self, *args: str) -> list[dict[str, str]]:
        """A plain table as `awk` reads it: by columns that stand where the heads stand."""
        head, *lines = self.out(*args).splitlines()
        return [dict(zip(head.split(), line.split(), strict=False)) for line in lines]


@dataclass(frozen=True)
class Seen:
    """What a terminal was sent.

    Attributes:
        raw: With all that colours and moves. code: The exit status.
    """

    raw: str
    code: int

    @property
    def text(self) -> str:
        """What is read."""
        return _COLOURS.sub("", self.raw).replace("\r\n", "\n")


class Terminal:
    """A command on a terminal of its own.

    Args:
        columns: Its width.
    """

    def __init__(self, *args: str, columns: int = 80, environ: Mapping[str, str] | None = None) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        own = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
        settings = {**own, "TERM": "xterm-256color", **(environ or {})}
        self._process = subprocess.Popen(
            [*_ON_TERMINAL, *PROGRAM, *args],
            stdin=theirs, stdout=theirs, stderr=theirs, env=settings, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self._read = b""

    def until(self, words: str) -> None:
        """Reads until the terminal shows `words`."""
        while words.encode() not in self._read:
            assert self._more(), f"it ended without {words!r}:\n{self._read.decode()}"

    def send(self, text: str) -> None:
        """Types."""
        os.write(self._ours, text.encode())

    def end(self) -> Seen:
        """Reads to the end."""
        while self._more():
            pass
        code = self._process.wait(10)
        os.close(self._ours)
        return Seen(self._read.decode(), code)

    def _more(self) -> bool:
        ready, _, _ = select.select([self._ours], [], [], _PATIENCE)
        assert ready, f"nothing more came:\n{self._read.decode()}"
        try:
            came = os.read(self._ours, 65_536)
        except OSError:
            return False
        self._read += came
        return bool(came)


def lines_until(stream: IO[str], last: str) -> str:
    """What a process prints up to the line that holds `last`."""
    read = ""
    for line in stream:
        read += line
        if last in line:
            return read
    raise AssertionError(f"the process ended; it printed:\n{read}")


def start(started: list[subprocess.Popen[str]], *args: str, **environ: str) -> subprocess.Popen[str]:
    """A `compatgw` process of its own, with what it prints in one stream; `started` stops it."""
    one = subprocess.Popen(
        [sys.executable, "-u", "-m", "compatgw", *args],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **environ},
    )  # fmt: skip
    started.append(one)
    return one


def wait_for(url: str) -> httpx.Response:
    """The first answer at `url`."""
    transport = httpx.HTTPTransport(retries=8)
    with httpx.Client(transport=transport, timeout=10) as client:
        return client.get(url)


def within(seconds: float, holds: Any) -> bool:
    """Whether `holds()` becomes true in that time."""
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            return False
    return True
