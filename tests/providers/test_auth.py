"""Keys as headers: the four ways vendors take them, and what no header may hold."""

from __future__ import annotations

import pytest

from compatgw.providers.auth import headers


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("bearer", (("Authorization", "Bearer k-1"),)),
        ("x-api-key", (("x-api-key", "k-1"),)),
        ("x-goog-api-key", (("x-goog-api-key", "k-1"),)),
        ("api-key", (("api-key", "k-1"),)),
        ("none", ()),
    ],
)
def test_a_key_goes_the_vendors_way(scheme: str, expected: tuple[tuple[str, str], ...]) -> None:
    """One header, or none."""
    assert headers(scheme, "k-1") == expected


@pytest.mark.parametrize("bad", ["\r\nX-Evil: 1", "\n", " ", "\t", "\x00", "\x7f", "é", "\u2028"])
def test_a_key_that_would_end_its_header_is_refused_without_being_shown(bad: str) -> None:
    """A line break in a key is a header of somebody else's."""
    with pytest.raises(ValueError, match="key") as error:
        headers("bearer", f"sk-hidden{bad}")

    assert "sk-hidden" not in str(error.value)
