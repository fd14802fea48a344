"""Processes: pinned to a core, measured through /proc, and gone when the benchmark is.

What does not live here: what is started (`__main__.py`, `serve.py`) and when it is measured (`rounds.py`).
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import urlopen

if TYPE_CHECKING:
    from collections.abc import Sequence

_TICKS = os.sysconf("SC_CLK_TCK")
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class BenchError(Exception):
    """The benchmark cannot go on; the text says how to mend it."""


def cores() -> tuple[int, int]:
    """A core for what is measured and one for upstream and load; the same where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def compiled(source: Path, place: Path) -> Path:
    """`source`, a C program, compiled into `place`."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise BenchError("A C compiler is needed (on Debian: apt-get install gcc libc6-dev), or name one in CC.")
    program = place / source.stem
    done = subprocess.run([compiler, "-O2", "-o", program, source], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"{source.name} does not compile:\n{done.stderr}")
    return program


def answers(origin: str) -> bool:
    """True if something answers HTTP there, with whatever status."""
    try:
        with urlopen(f"{origin}/v1/models", timeout=5):  # noqa: S310 - loopback only
            return True
    except HTTPError:
        return True
    except OSError:
        return False


class Child:
    """A process of ours.

    Args:
        name: For messages.
        command: What to run.
        core: The core that it may use.
        log: Where its output goes.
    """

    def __init__(self, name: str, command: Sequence[str | Path], core: int, log: Path) -> None:
        def settle() -> None:
            os.sched_setaffinity(0, {core})
            # Should the benchmark itself be killed, nothing stays behind.
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

        self.name = name
        self._log = log
        with log.open("wb") as output:
            # A session of its own: Ctrl-C reaches the benchmark alone, which then ends its children in order.
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=settle,  # noqa: PLW1509 - no threads here
            )
        self.pid = self._process.pid

    def wait_until_it_answers(self, port: int, seconds: float = 30.0) -> None:
        """Waits until something answers HTTP on `port`.

        Raises:
            BenchError: It ended or stayed silent; the text holds the end of its log.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._process.poll() is None:
            if answers(f"http://127.0.0.1:{port}"):
                return
            time.sleep(0.05)
        log = self._log.read_text(errors="replace")[-3000:]
        raise BenchError(self.obituary() or f"{self.name} does not answer:\n{log}".rstrip(":\n"))

    def obituary(self) -> str | None:
        """How it ended before it was stopped; None while it runs."""
        code = self._process.poll()
        if code is None:
            return None
        return f"{self.name} has ended with {code}:\n{self._log.read_text(errors='replace')[-3000:]}".rstrip(":\n")

    def stop(self) -> None:
        """Ends it, politely first. Idempotent."""
        for politely in (True, False):
            if self._process.poll() is None:
                (self._process.terminate if politely else self._process.kill)()
                try:
                    self._process.wait(5)
                except subprocess.TimeoutExpired:
                    continue


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used, its own and the kernel's for it."""
    return cpu_of_stat(Path(f"/proc/{pid}/stat").read_text()) / _TICKS


def cpu_of_stat(text: str) -> int:
    """Clock ticks, user and system, in the content of /proc/PID/stat."""
    # The name of the program, in brackets, may hold spaces and brackets itself.
    fields = text.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def memory(pid: int, field: str = "VmRSS") -> int:
    """Bytes of resident memory: now (`VmRSS`), or at most since `forget_peak` (`VmHWM`)."""
    return memory_of_status(Path(f"/proc/{pid}/status").read_text(), field)


def memory_of_status(text: str, field: str) -> int:
    """Bytes that a field of /proc/PID/status names."""
    found = re.search(rf"^{field}:\s+(\d+) kB$", text, re.MULTILINE)
    if found is None:
        raise BenchError(f"/proc/PID/status has no {field}.")
    return int(found[1]) * 1024


def forget_peak(pid: int) -> None:
    """Sets the peak of resident memory to what is resident now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
