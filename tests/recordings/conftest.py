"""Counts what the recordings' tests judged, and prints it by vendor at the end of the run."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

_KEY = "recording"


@pytest.fixture(autouse=True)
def _tally(request: pytest.FixtureRequest, record_property: Callable[[str, Any], None]) -> None:
    recording = getattr(request.node, "callspec", None) and request.node.callspec.params.get("recording")
    if recording is not None:
        record_property(_KEY, f"{request.module.KIND} {recording.vendor}")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line for each kind of judgement: how many of each vendor passed, and how many did not."""
    counts: dict[str, Counter[str]] = {"passed": Counter(), "failed": Counter(), "skipped": Counter()}
    for outcome, counter in counts.items():
        for report in terminalreporter.stats.get(outcome, ()):
            counter.update(value for name, value in getattr(report, "user_properties", ()) if name == _KEY)
    if not any(counts.values()):
        return
    terminalreporter.section("recordings")
    for kind in sorted({key.split(" ")[0] for counter in counts.values() for key in counter}):
        for outcome, counter in counts.items():
            vendors = {key.split(" ", 1)[1]: n for key, n in sorted(counter.items()) if key.startswith(f"{kind} ")}
            if vendors:
                text = ", ".join(f"{vendor} {n}" for vendor, n in vendors.items())
                terminalreporter.write_line(f"{kind} {outcome} {sum(vendors.values())}: {text}")
    verdicts: Counter[str] = Counter()
    for report in terminalreporter.stats.get("passed", ()):
        verdicts.update(value for name, value in getattr(report, "user_properties", ()) if name == "verdict")
    if verdicts:
        text = ", ".join(f"{verdict} {n}" for verdict, n in sorted(verdicts.items()))
        terminalreporter.write_line(f"encodings (one for each model or provider tried): {text}")
