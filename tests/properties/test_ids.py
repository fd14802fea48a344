"""Tool call ids and names across vendors: the same in, the same out, in the right alphabet."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw.dialects import ids

quick = settings(max_examples=100, deadline=None)
_any = st.text(max_size=90)
_good = st.from_regex(r"\A[a-zA-Z0-9_-]{1,64}\Z")


@quick
@given(value=_any | _good, limit=st.sampled_from([40, 64, 128]))
def test_portable_ids_have_the_right_alphabet_and_length(value: str, limit: int) -> None:
    """And are the same each time, and stay what they are."""
    found = ids.portable(value, limit)

    assert re.fullmatch(r"[a-zA-Z0-9_-]+", found)
    assert len(found) <= limit
    assert found == ids.portable(value, limit) == ids.portable(found, limit)


@quick
@given(value=_good)
def test_conforming_ids_are_untouched(value: str) -> None:
    """What is fine as it is comes back as it is."""
    assert ids.portable(value) == value


@quick
@given(a=_any, b=_any)
def test_different_ids_stay_different(a: str, b: str) -> None:
    """Two calls never become one."""
    if a != b:
        assert ids.portable(a) != ids.portable(b)
        assert ids.base62(a, 9) != ids.base62(b, 9)


@quick
@given(value=_any, length=st.integers(9, 24))
def test_base62_ids_have_exactly_the_asked_form(value: str, length: int) -> None:
    """Letters and digits, so many of them; a conforming one is untouched."""
    found = ids.base62(value, length)

    assert re.fullmatch(f"[a-zA-Z0-9]{{{length}}}", found)
    assert found == ids.base62(value, length) == ids.base62(found, length)


@quick
@given(parts=st.lists(st.text(st.characters(exclude_characters="\x1f"), max_size=8), min_size=1, max_size=4))
def test_minted_ids_fit_every_vendor_that_takes_openais(parts: list[str]) -> None:
    """`call_` and 24 digits; where one part ends and the next begins counts."""
    found = ids.minted(*parts)

    assert re.fullmatch(r"call_[0-9a-f]{24}", found)
    assert found == ids.minted(*parts)
    assert found != ids.minted(*parts, "x")
    if len(parts) > 1:
        assert found != ids.minted("".join(parts))
