"""`python -m tests.hosts`: every host under every server, each a process of its own, and the matrix printed.

What does not live here: the checks (`stage.py`), how calls end in detail (`test_shutdown.py`).
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import httpx

from compatgw_testing import FakeServer
from tests.hosts.stage import BODY, CHECKS, HOSTS, KEY, WAIT, Upstream, environment, missing, tried, write_recipe
from tests.hosts.stage import write_settings as settings_for

ROOT = Path(__file__).parents[2]
# How each server is started: with which module, where, and below which root path.
SERVERS: Mapping[str, Callable[[str, str, str], list[str]]] = MappingProxyType(
    {
        "uvicorn": lambda module, port, root: ["uvicorn", f"{module}:app", "--port", port, "--root-path", root],
        "granian": lambda module, port, root: [
            "granian", "--interface", "asgi", f"{module}:app", "--port", port, "--workers-kill-timeout", "2",
            *(["--url-path-prefix", root] if root else []),
        ],
        "hypercorn": lambda module, port, root: [
            "hypercorn", f"{module}:app", "--bind", f"127.0.0.1:{port}", "--root-path", root,
        ],
    }
)  # fmt: skip
# What SIGTERM makes of an open stream where that is not ours to say: granian waits for it for ever, or, as here,
# kills its worker in the end.
KNOWN: Mapping[str, str] = MappingProxyType({"granian": "cut off"})
_UP = 40.0
_DOWN = 15.0


@contextmanager
def process(command: list[str], folder: Path, settings: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server, once it answers."""
    environ = {**os.environ, **environment(settings), "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}
    log = (folder / "server.log").open("wb")
    running = subprocess.Popen(
        [sys.executable, "-m", *command], env=environ, stdout=log, stderr=log, cwd=folder, start_new_session=True
    )
    try:
        until = time.monotonic() + _UP
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/ai/healthz", timeout=WAIT)
                break
            except httpx.TransportError:
                if running.poll() is not None or time.monotonic() > until:
                    raise SystemExit((folder / "server.log").read_text()) from None
                time.sleep(0.05)
        yield running
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        log.close()


def free_port() -> int:
    """A port that nobody has just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def stopped(base: str, upstream: Upstream, running: subprocess.Popen[bytes]) -> str:
    """What becomes of an open stream when the server gets SIGTERM: `ok` for an honest end, or what else."""
    gate = upstream.fresh()
    gate.let(2)
    try:
        with httpx.stream(
            "POST", f"{base}/v1/chat/completions", json={**BODY, "stream": True}, headers=KEY, timeout=_DOWN
        ) as got:
            lines = got.iter_lines()
            next(lines)
            running.send_signal(signal.SIGTERM)
            last = [line for line in lines if line][-1]
    except httpx.RemoteProtocolError:
        return "cut off"
    except httpx.ReadTimeout:
        return "hangs"
    if "[DONE]" in last:
        return "looks whole"
    try:
        running.wait(_DOWN)
    except subprocess.TimeoutExpired:
        return "told, but goes on"
    return "ok" if '"code":"overloaded"' in last else last[:80]


def row(server: str, name: str, origin: str, upstream: Upstream, root: str) -> dict[str, str]:
    """One host under one server."""
    with tempfile.TemporaryDirectory(prefix="cgw-hosts-") as place:
        folder, port = Path(place), free_port()
        settings = settings_for(origin, folder, shutdown_grace=1.0)
        file = write_recipe(HOSTS[name], "/ai", folder)
        with process(SERVERS[server](file.stem, str(port), root), folder, settings, port) as running:
            base = f"http://127.0.0.1:{port}/ai"
            found = tried(base, upstream)
            hello = httpx.get(f"http://127.0.0.1:{port}/v1/hello", timeout=WAIT)
            found["host's own"] = "ok" if "world" in hello.text else str(hello.status_code)
            found["SIGTERM"] = stopped(base, upstream, running)
            return found


def main() -> int:
    """Prints the matrix; 1 where a cell is not as it should be."""
    told = argparse.ArgumentParser(prog="scripts/hosts", description=__doc__)
    told.add_argument("--servers", default=",".join(SERVERS), help="which (default: %(default)s)")
    told.add_argument("--hosts", default=",".join(name for name, host in HOSTS.items() if not host.wsgi))
    told.add_argument("--root-path", default="", help="of the servers; the requests come without it")
    asked = told.parse_args()
    upstream, bad = Upstream(), 0
    columns = [*CHECKS, "host's own", "SIGTERM"]
    print(f"{'server':10} {'host':11}", *(f"{column:10}" for column in columns))
    with FakeServer(upstream) as serving:
        for server in asked.servers.split(","):
            if importlib.util.find_spec(server) is None:
                print(f"{server:10} is not installed")
                continue
            for name in asked.hosts.split(","):
                if missing(HOSTS[name]):
                    print(f"{server:10} {HOSTS[name].name:11} is not installed")
                    continue
                found = row(server, name, serving.origin, upstream, asked.root_path)
                print(
                    f"{server:10} {HOSTS[name].name:11}",
                    *(f"{found[column][:60]:10}" for column in columns),
                    flush=True,
                )
                wanted = {"SIGTERM": KNOWN.get(server, "ok")}
                if asked.root_path:
                    # Quart answers 404 where it is not in the path.
                    wanted["host's own"] = found["host's own"]
                bad += sum(found[column] != wanted.get(column, "ok") for column in columns)
    print("every cell is as it should be" if not bad else f"{bad} cells are not as they should be")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
