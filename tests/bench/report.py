"""The tables, and the goals beside the figures.

What does not live here: measuring.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench.rounds import DIRECT, FLOOR

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.bench.rounds import Results
    from tests.bench.scenarios import Scenario
    from tests.bench.startup import Startup

GATEWAY = "compatgw"
NONE = "-"


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything that one call of the benchmark found.

    Attributes:
        results: Runs under load.
        growth: Scenario and target to growth of memory, as a multiple of the body.
        resident: Target to bytes of resident memory after all runs.
        startup: The cost of the import; None if it was not measured.
    """

    results: Results
    growth: Mapping[tuple[str, str], float]
    resident: Mapping[str, int]
    startup: Startup | None


Lookup = Callable[[Measured], float | None]


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure that the gateway should reach.

    Attributes:
        what: In words.
        judged: The figure; None if it was not measured.
        bound: The value to reach.
        at_least: True if more is better.
        unit: Of the figure and the bound.
        absolute: What the figure was made of, for a target, where it is a ratio.
        absolute_unit: Of that.
    """

    what: str
    judged: Lookup
    bound: float
    at_least: bool = False
    unit: str = "x"
    absolute: Callable[[Measured, str], float | None] = lambda _measured, _target: None
    absolute_unit: str = ""

    def met(self, value: float) -> bool:
        """True if `value` reaches the goal."""
        return value >= self.bound if self.at_least else value <= self.bound


def _cpu_goal(what: str, scenario: str, bound: float) -> Goal:
    return Goal(
        what,
        lambda m: m.results.ratio(scenario, GATEWAY, "cpu"),
        bound,
        absolute=lambda m, target: m.results.median(scenario, target, "cpu"),
        absolute_unit=" us",
    )


def _growth_goal(what: str, scenario: str, bound: float) -> Goal:
    def grown(measured: Measured, target: str) -> float | None:
        return measured.growth.get((scenario, target))

    return Goal(what, lambda m: grown(m, GATEWAY), bound, absolute=grown, absolute_unit="x the body")


GOALS = (
    Goal(
        "requests a second, 1 KB, keys on, 64 at once",
        lambda m: m.results.ratio("c64", GATEWAY, "rps"),
        0.5,
        at_least=True,
        absolute=lambda m, target: m.results.median("c64", target, "rps"),
        absolute_unit="/s",
    ),
    Goal(
        "p50 added, 1 KB, one at a time",
        lambda m: m.results.added_ratio("c1", GATEWAY, "p50"),
        2.0,
        absolute=lambda m, target: m.results.added("c1", target, "p50"),
        absolute_unit=" us",
    ),
    _cpu_goal("CPU per event, 64 paced streams, passed through", "g64", 1.7),
    _cpu_goal("CPU per event, 64 paced streams, translated", "g64t", 3.5),
    Goal("`import compatgw`", lambda m: m.startup.bare if m.startup else None, 150.0, unit=" ms"),
    Goal("`from compatgw import Gateway`", lambda m: m.startup.milliseconds if m.startup else None, 150.0, unit=" ms"),
    _growth_goal("peak growth of memory, 5 MB body, passed through", "l1", 4.0),
    _growth_goal("peak growth of memory, 5 MB body, translated", "l1t", 6.0),
)


def report(measured: Measured, scenarios: Mapping[str, Scenario], targets: list[str]) -> str:
    """All tables, in markdown."""
    lines: list[str] = []
    for scenario in scenarios.values():
        if any(measured.results.of(scenario.name, target) for target in targets):
            lines += ["", *_scenario_table(measured.results, scenario, targets)]
    lines += ["", *_goals_table(measured)]
    if measured.resident:
        lines += ["", _resident(measured)]
    if measured.startup is not None:
        loaded = ", ".join(measured.startup.loaded) or "none of the libraries that should come later"
        first = f"A first gateway is there after {measured.startup.first:.0f} ms and loads {loaded}"
        lines += [
            "",
            f"{first}; for comparison, `import httpx` takes {measured.startup.yardstick:.0f} ms here and now.",
        ]
    lines += _complaints(measured.results)
    return "\n".join(lines).strip()


def _scenario_table(results: Results, scenario: Scenario, targets: list[str]) -> Iterator[str]:
    unit = "event" if scenario.stream else "answer"
    heads = ["target", "req/s", "p50 added, us", "p99 added, us"]
    if scenario.stream:
        heads += ["first chunk p50 added, us", "first chunk p99 added, us", "events/s"]
    heads.append(f"CPU us per {unit}")
    yield f"### {scenario.name}: {scenario.title}"
    yield ""
    yield f"| {' | '.join(heads)} |"
    yield "|---" + "|---:" * (len(heads) - 1) + "|"
    for target in targets:
        if results.of(scenario.name, target):
            yield f"| {' | '.join([target, *_cells(results, scenario, target)])} |"


def _cells(results: Results, scenario: Scenario, target: str) -> Iterator[str]:
    """The figures of one row; times are what the target adds to the direct way, which stands as it is."""
    name = scenario.name

    def absolute(figure: str) -> str:
        return _with_ratio(results.median(name, target, figure), _unless_floor(target, name, figure, results.ratio))

    def added(figure: str) -> str:
        if target == DIRECT:
            value = results.median(name, target, figure)
            return f"({value:,.0f})" if value is not None else NONE
        return _with_ratio(
            results.added(name, target, figure), _unless_floor(target, name, figure, results.added_ratio)
        )

    yield absolute("rps")
    yield added("p50")
    yield added("p99")
    if scenario.stream:
        yield added("first50")
        yield added("first99")
        yield absolute("events_s")
    yield absolute("cpu")


def _unless_floor(
    target: str, scenario: str, figure: str, ratio: Callable[[str, str, str], float | None]
) -> float | None:
    return None if target in (FLOOR, DIRECT) else ratio(scenario, target, figure)


def _with_ratio(value: float | None, ratio: float | None) -> str:
    if value is None:
        return NONE
    text = f"{value:,.1f}" if abs(value) < 100 else f"{value:,.0f}"
    return text if ratio is None else f"{text} ({ratio:.2f}x)"


def _goals_table(measured: Measured) -> Iterator[str]:
    yield "### Goals"
    yield ""
    yield f"| what | floor | {GATEWAY} | figure | goal | reached |"
    yield "|---|---:|---:|---:|---:|---|"
    for goal in GOALS:
        value = goal.judged(measured)
        sign = ">=" if goal.at_least else "<="
        cells = [
            goal.what,
            *(_with_unit(goal.absolute(measured, target), goal.absolute_unit) for target in (FLOOR, GATEWAY)),
            NONE if value is None else f"{value:.2f}{goal.unit}",
            f"{sign} {goal.bound:g}{goal.unit}",
            "not measured" if value is None else "yes" if goal.met(value) else "no",
        ]
        yield f"| {' | '.join(cells)} |"


def _with_unit(value: float | None, unit: str) -> str:
    return NONE if value is None else _with_ratio(value, None) + unit


def _resident(measured: Measured) -> str:
    floor = measured.resident.get(FLOOR)
    sizes = [
        f"{target} {size / 2**20:.0f} MB" + (f" ({size / floor:.2f}x)" if floor and target != FLOOR else "")
        for target, size in measured.resident.items()
    ]
    return f"Resident memory after all runs: {', '.join(sizes)}."


def _complaints(results: Results) -> list[str]:
    lines = [
        f"- {target}, {scenario}: {bad:,} answers were not good, the first with status {first}."
        for (scenario, target), runs in results.runs.items()
        if (bad := sum(run.bad for run in runs))
        for first in [next(run.first_bad for run in runs if run.bad)]
    ]
    return ["", *lines] if lines else []
