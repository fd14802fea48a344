"""`python -m tests.bench`: starts everything, measures, prints, and leaves nothing behind.

What does not live here: each of these steps.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tests.bench.processes import BenchError, Child, answers, compiled, cores, free_port, memory
from tests.bench.report import GATEWAY, Measured, report
from tests.bench.rounds import DIRECT, FLOOR, Load, Results, Target, growth, measure
from tests.bench.scenarios import KEY, SCENARIOS, Scenario
from tests.bench.startup import startup

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
WARM_UP = 0.5


def parser() -> argparse.ArgumentParser:
    """The command line."""
    told = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    told.add_argument("--scen", default=",".join(SCENARIOS), help="scenarios, with commas (default: %(default)s)")
    told.add_argument("--rounds", type=int, default=3, help="how often each is run (default: %(default)s)")
    told.add_argument("--secs", type=float, default=3.0, help="seconds of each run (default: %(default)s)")
    told.add_argument(
        "--only",
        default=",".join((DIRECT, FLOOR, GATEWAY)),
        help="which of our own targets to measure (default: %(default)s); ratios need the first two",
    )
    told.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="NAME=ORIGIN[,PID]",
        help="another gateway that is running, such as nginx=http://127.0.0.1:9803,4711; "
        "it has to pass on to the upstream of --upstream-port. May be repeated",
    )
    told.add_argument("--peer-key", default="k", help="the bearer token for peers (default: %(default)s)")
    told.add_argument("--peer-model", default="fake", help="the model to ask peers for (default: %(default)s)")
    told.add_argument("--upstream-port", type=int, help="a fixed port for the upstream (default: a free one)")
    told.add_argument("--no-import", action="store_true", help="do not measure the import")
    return told


class Bench:
    """The processes of one benchmark.

    Args:
        stack: Ends them.
        place: A temporary folder.
        upstream_port: Where the upstream listens; None for a free port.
    """

    def __init__(self, stack: ExitStack, place: Path, upstream_port: int | None) -> None:
        self._stack = stack
        self._place = place
        self._core, other = cores()
        if self._core == other:
            print("# one core only: upstream and load compete with what is measured", file=sys.stderr)
        self._children: list[Child] = []
        self.load = Load(compiled(HERE / "lg.c", place), place, other)
        port = upstream_port or free_port()
        self.upstream = f"http://127.0.0.1:{port}"
        self._start("upstream", [compiled(HERE / "fakeup.c", place), str(port)], port, other)

    def start(self, name: str) -> tuple[Target, Child]:
        """A fresh process of the floor or the gateway, and how it is asked."""
        port = free_port()
        kind = "relay" if name == FLOOR else "gateway"
        command = [sys.executable, "-m", "tests.bench.serve", kind, str(port), self.upstream]
        child = self._start(name, command, port, self._core)
        origin = f"http://127.0.0.1:{port}"
        if name == FLOOR:
            return Target(name, origin, pid=child.pid), child
        return (
            Target(
                name,
                origin,
                model="openai/fake",
                translated_model="anthropic/fake",
                translated_path="/v1/chat/completions",
                headers=(f"Authorization: Bearer {KEY}",),
                pid=child.pid,
            ),
            child,
        )

    def obituaries(self) -> list[str]:
        """What can be said of processes that ended by themselves."""
        return [said for child in self._children if (said := child.obituary())]

    def growth(self, name: str, scenario: Scenario) -> float:
        """`rounds.growth` of a process that has done nothing yet."""
        target, child = self.start(name)
        try:
            return growth(self.load, target, SCENARIOS["c1"], scenario)
        finally:
            child.stop()
            self._children.remove(child)

    def _start(self, name: str, command: Sequence[str | Path], port: int, core: int) -> Child:
        child = Child(name, command, core, self._place / f"{name}.log")
        self._stack.callback(child.stop)
        self._children.append(child)
        child.wait_until_it_answers(port)
        return child


def peer(text: str, key: str, model: str) -> Target:
    """The target that `NAME=ORIGIN[,PID]` means.

    Raises:
        BenchError: It means none.
    """
    name, _, rest = text.partition("=")
    origin, _, pid = rest.partition(",")
    if not name or not origin.startswith("http://127.0.0.1:") or not (pid or "0").isdecimal():
        raise BenchError(f"--peer {text}: write NAME=http://127.0.0.1:PORT or NAME=http://127.0.0.1:PORT,PID.")
    headers = (f"Authorization: Bearer {key}",)
    return Target(name, origin, model=model, translated_model=None, headers=headers, pid=int(pid) if pid else None)


def run(options: argparse.Namespace, stack: ExitStack) -> str:
    """Everything; gives the report."""
    peers = [peer(text, options.peer_key, options.peer_model) for text in options.peer]
    names = [name for name in options.scen.split(",") if name]
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown:
        raise BenchError(f"There is no scenario {', '.join(unknown)}; there are {', '.join(SCENARIOS)}.")
    scenarios = {name: SCENARIOS[name] for name in names}
    place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="compatgw-bench-")))
    bench = Bench(stack, place, options.upstream_port)
    try:
        return measured(options, scenarios, peers, bench)
    except BenchError as error:
        ended = [said for said in bench.obituaries() if said not in str(error)]
        raise BenchError("\n".join([str(error), *ended])) from None


def measured(options: argparse.Namespace, scenarios: dict[str, Scenario], peers: list[Target], bench: Bench) -> str:
    """Starts the targets and measures them; gives the report."""
    silent = [one.name for one in peers if not answers(one.origin)]
    if silent:
        raise BenchError(f"{', '.join(silent)} does not answer. Start it before the benchmark.")
    own = [name for name in (FLOOR, GATEWAY) if name in options.only.split(",")]

    grown: dict[tuple[str, str], float] = {}
    for scenario in scenarios.values():
        if scenario.size == "large":
            for name in own:
                _say(f"memory, {scenario.name}, {name}")
                grown[scenario.name, name] = bench.growth(name, scenario)

    targets = {DIRECT: Target(DIRECT, bench.upstream)} if DIRECT in options.only else {}
    targets |= {name: bench.start(name)[0] for name in own}
    targets |= {one.name: one for one in peers}
    _say(_duration(options, scenarios, targets))
    results = Results()
    for scenario_name, target_name, done in measure(
        bench.load, targets, scenarios.values(), options.rounds, options.secs
    ):
        results.runs.setdefault((scenario_name, target_name), []).append(done)
        _say(f"{scenario_name:5} {target_name:10} {done.rps:10,.0f} req/s")
    resident = {target.name: memory(target.pid) for target in targets.values() if target.pid}
    imported = None if options.no_import or GATEWAY not in own else startup()
    return _heading(options) + "\n\n" + report(Measured(results, grown, resident, imported), scenarios, list(targets))


def main() -> int:
    """Runs the benchmark; a signal ends it in order."""
    options = parser().parse_args()
    signal.signal(signal.SIGTERM, _stop)
    with ExitStack() as stack:
        try:
            print(run(options, stack))
        except BenchError as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("bench: stopped", file=sys.stderr)
            return 130
    return 0


def _heading(options: argparse.Namespace) -> str:
    return (
        f"Medians of {options.rounds} rounds of {options.secs:g} s, {os.cpu_count()} cores, Python "
        f"{sys.version.partition(' ')[0]}. `{DIRECT}` is the upstream itself, its times in brackets; `{FLOOR}` a bare "
        "uvicorn and aiohttp relay, the floor; figures in brackets with an x are multiples of the floor's."
    )


def _duration(options: argparse.Namespace, scenarios: dict[str, Scenario], targets: dict[str, Target]) -> str:
    runs = options.rounds * sum(target.takes(s) for s in scenarios.values() for target in targets.values())
    return f"{runs} runs, about {runs * (options.secs + WARM_UP):.0f} s"


def _say(text: str) -> None:
    print(f"# {text}", file=sys.stderr, flush=True)


def _stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
