"""The table of errors has every error that callers can meet."""

import ast
from pathlib import Path

import compatgw
from compatgw import errors
from compatgw.pages.failures import failures

ROOT = Path(compatgw.__file__).parent
# Where what callers meet is raised, and codes that only operators or pages meet.
PLACES = ("flow", "policy", "surfaces", "web", "dialects", "guardrails")
OTHERS = {
    "changed": "of records that operators change",
    "duplicate": "the same",
    "cancelled": "in-band, of a response that its own client ended",
    "issuer_unavailable": "the operator's issuer does not answer; told as 503 with its own sentence",
    "seal_broken": "the operator's key ring does not open a key",
    "no_key_ring": "the same",
    "plan_missing": "the operator took a plan away",
    "billing": "read from a provider, never written",
    "exceeded_current_quota": "the same",
    "api_key_invalid": "the same",
}


def raised() -> set[str]:
    """Every code that is written down where errors are made."""
    found = set()
    for place in PLACES:
        for path in (ROOT / place).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    found |= {
                        each.value.value
                        for each in node.keywords
                        if each.arg == "code"
                        and isinstance(each.value, ast.Constant)
                        and isinstance(each.value.value, str)
                    }
    return found


def test_every_code_that_is_raised_is_in_the_table() -> None:
    """A code that callers meet has a row, and with it a text that says what mends it."""
    assert raised() - set(OTHERS) <= {row.code for row in failures()}


def test_rows_are_what_the_classes_say() -> None:
    """Status and type of each class of errors stand in the row of its own code."""
    rows = {row.code: row for row in failures()}
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.GatewayError) and kind.default_code in rows:
            assert rows[kind.default_code].status == kind.status
    assert rows["rate_limit_exceeded"] == (429, "requests", "rate_limit_exceeded")
    assert rows["circuit_open"] == (503, "upstream_error", "circuit_open")
    assert [row.status for row in failures()] == sorted(row.status for row in failures())
