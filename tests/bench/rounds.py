"""Runs the load generator over targets and scenarios in interleaved rounds, and measures beside it.

What does not live here: starting and stopping (`processes.py`), tables (`report.py`).
"""

from __future__ import annotations

import os
import statistics
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson

from tests.bench.processes import BenchError, cpu_seconds, forget_peak, memory

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tests.bench.scenarios import Scenario

DIRECT = "direct"
FLOOR = "relay"


@dataclass(frozen=True, slots=True)
class Target:
    """Who is asked.

    Attributes:
        name: In the tables.
        origin: Such as `http://127.0.0.1:9900`.
        model: Which model it is asked for where the answer passes through.
        translated_model: And where it is translated; None where it translates nothing.
        translated_path: What is asked of it then.
        path: What is asked of it otherwise.
        headers: Sent with each request.
        pid: Its process, where that is known.
    """

    name: str
    origin: str
    model: str = "fake"
    translated_model: str | None = "fake"
    translated_path: str = "/v1/messages"
    path: str = "/v1/chat/completions"
    headers: tuple[str, ...] = ()
    pid: int | None = None

    def takes(self, scenario: Scenario) -> bool:
        """True if it can be asked that."""
        return not scenario.translated or self.translated_model is not None

    def url(self, scenario: Scenario) -> str:
        """Where the scenario is asked of it."""
        return self.origin + (self.translated_path if scenario.translated else self.path)

    def model_for(self, scenario: Scenario) -> str:
        """Which model the scenario asks it for."""
        return (self.translated_model or self.model) if scenario.translated else self.model


@dataclass(frozen=True, slots=True)
class Run:
    """One target under one scenario, once. Times in microseconds.

    Attributes:
        rps: Complete answers in a second.
        p50: Median time of an answer.
        p99: Of the slowest hundredth.
        first50: Median time until the first byte of a body.
        first99: Of the slowest hundredth.
        events_s: Server-sent events in a second.
        cpu: Processor time for each event of a stream, or each answer otherwise; None without a pid.
        bad: Answers that were not 2xx, and broken connections.
        first_bad: Status of the first of them.
    """

    rps: float
    p50: float
    p99: float
    first50: float
    first99: float
    events_s: float
    cpu: float | None
    bad: int
    first_bad: int


@dataclass(slots=True)
class Results:
    """All runs: scenario and target to one run per round."""

    runs: dict[tuple[str, str], list[Run]] = field(default_factory=dict)

    def of(self, scenario: str, target: str) -> list[Run]:
        """The runs of one target under one scenario, by round."""
        return self.runs.get((scenario, target), [])

    def median(self, scenario: str, target: str, figure: str) -> float | None:
        """The median of a figure over the rounds; None where there is none."""
        return _median(getattr(run, figure) for run in self.of(scenario, target))

    def ratio(self, scenario: str, target: str, figure: str) -> float | None:
        """The median, over the rounds, of a figure as a multiple of the floor's in the same round."""
        pairs = zip(self.of(scenario, target), self.of(scenario, FLOOR), strict=False)
        return _median(_divided(getattr(run, figure), getattr(floor, figure)) for run, floor in pairs)

    def added(self, scenario: str, target: str, figure: str) -> float | None:
        """The median, over the rounds, of what a target adds to a time of the direct way."""
        pairs = zip(self.of(scenario, target), self.of(scenario, DIRECT), strict=False)
        return _median(getattr(run, figure) - getattr(direct, figure) for run, direct in pairs)

    def added_ratio(self, scenario: str, target: str, figure: str) -> float | None:
        """What a target adds as a multiple of what the floor adds."""
        mine, floor = self.added(scenario, target, figure), self.added(scenario, FLOOR, figure)
        return None if mine is None else _divided(mine, floor)


class Load:
    """The load generator.

    Args:
        program: The compiled `lg`.
        place: Folder for request bodies.
        core: The core that it runs on.
    """

    def __init__(self, program: Path, place: Path, core: int) -> None:
        self._program = program
        self._place = place
        self._core = core

    def run(self, target: Target, scenario: Scenario, seconds: float, warm_up: float = 0.5, most: int = 0) -> Run:
        """Loads `target` for some seconds, or with `most` requests if that is sooner.

        Raises:
            BenchError: The load generator could not connect.
        """
        command = [self._program, "-c", scenario.connections, "-t", seconds, "-w", warm_up, "-n", most]
        command += ["-f", self._body(target.model_for(scenario), scenario)]
        for header in target.headers:
            command += ["-H", header]
        before = cpu_seconds(target.pid) if target.pid else None
        done = subprocess.run(
            [str(part) for part in [*command, target.url(scenario)]],
            capture_output=True,
            timeout=seconds + warm_up + 60,
            check=False,
            preexec_fn=lambda: os.sched_setaffinity(0, {self._core}),
        )
        if done.returncode != 0:
            raise BenchError(f"{target.name}, {scenario.name}: {done.stderr.decode(errors='replace').strip()}")
        used = cpu_seconds(target.pid) - before if target.pid and before is not None else None
        return run_of(done.stdout, used, scenario)

    def _body(self, model: str, scenario: Scenario) -> Path:
        path = self._place / f"{scenario.name}-{model.replace('/', '-')}.json"
        if not path.exists():
            path.write_bytes(scenario.body(model))
        return path


def run_of(output: bytes, cpu_used: float | None, scenario: Scenario) -> Run:
    """The figures in the load generator's output.

    Args:
        output: Its JSON object.
        cpu_used: Seconds of processor time that the target used meanwhile.
        scenario: Decides whether that is divided by events or by answers.
    """
    seen = orjson.loads(output)
    units = seen["events"] if scenario.stream else seen["total"]
    return Run(
        rps=seen["rps"],
        p50=seen["p50"],
        p99=seen["p99"],
        first50=seen["first50"],
        first99=seen["first99"],
        events_s=seen["events_s"],
        cpu=cpu_used / units * 1e6 if cpu_used is not None and units else None,
        bad=seen["non2xx"] + seen["errors"],
        first_bad=seen["first_bad"],
    )


def growth(load: Load, target: Target, warm_up: Scenario, scenario: Scenario) -> float:
    """Peak growth of a fresh target's resident memory over large requests, as a multiple of their body."""
    assert target.pid is not None
    load.run(target, warm_up, seconds=30, warm_up=0, most=50)
    forget_peak(target.pid)
    before = memory(target.pid)
    run = load.run(target, scenario, seconds=30, warm_up=0, most=3)
    if run.bad:
        raise BenchError(f"{target.name}, {scenario.name}: answered {run.first_bad}.")
    return (memory(target.pid, "VmHWM") - before) / len(scenario.body(target.model_for(scenario)))


def measure(
    load: Load, targets: Mapping[str, Target], scenarios: Iterable[Scenario], rounds: int, seconds: float
) -> Iterable[tuple[str, str, Run]]:
    """Every target under every scenario, once a round, neighbours in time where they are compared."""
    wanted = list(scenarios)
    for _ in range(rounds):
        for scenario in wanted:
            for target in targets.values():
                if target.takes(scenario):
                    yield scenario.name, target.name, load.run(target, scenario, seconds)


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _divided(value: float | None, by: float | None) -> float | None:
    return None if value is None or not by else value / by
