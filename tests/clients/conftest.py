"""At the end of a run of this folder: how many client x surface x upstream held."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A line for each client that ran, and the sum."""
    rows = sorted(
        value
        for kind in ("passed", "failed")
        for report in terminalreporter.getreports(kind)
        for name, value in report.user_properties
        if name == "cells"
    )
    if rows:
        terminalreporter.section("clients")
        for client, held, told in rows:
            terminalreporter.line(f"{client:20} {held:3} of {told:3}")
        held, told = sum(row[1] for row in rows), sum(row[2] for row in rows)
        terminalreporter.line(f"{held} of {told} client x surface x upstream, {len(rows)} clients")
