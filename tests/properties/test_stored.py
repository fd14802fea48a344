"""What was packed comes back as it was, and nothing else ever passes for it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.wire.stored import pack, unpack

_texts = st.text(st.characters(codec="utf-8"), max_size=12)
_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=8,
)
heads = st.dictionaries(_texts, _values, max_size=4)
kinds = st.sampled_from(["answer", "idem", "a", "answer2"])


@given(kinds, heads, st.binary(max_size=200))
def test_what_was_packed_comes_back(kind: str, head: dict[str, Any], body: bytes) -> None:
    """Head and body, with whatever line ends are in them."""
    assert unpack(kind, pack(kind, head, body)) == (head, body)


@given(kinds, kinds, heads, st.binary(max_size=50))
def test_another_kind_is_not_read(kind: str, other: str, head: dict[str, Any], body: bytes) -> None:
    """An idempotent answer never passes for a cached one."""
    assert (unpack(other, pack(kind, head, body)) is None) == (kind != other)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_nothing(data: bytes) -> None:
    """Whatever another program has put there."""
    assert unpack("answer", data) is None


@given(heads, st.binary(max_size=60), st.data())
def test_bytes_that_were_cut_or_changed_are_nothing(head: dict[str, Any], body: bytes, data: st.DataObject) -> None:
    """Cut anywhere, grown, or with one byte changed."""
    packed = pack("answer", head, body)
    place = data.draw(st.integers(0, len(packed) - 1))
    flipped = bytes([packed[place] ^ data.draw(st.integers(1, 255))])

    assert unpack("answer", packed[:place]) is None
    assert unpack("answer", packed[:place] + flipped + packed[place + 1 :]) is None
    assert unpack("answer", packed + b"\n") is None


def test_another_version_is_nothing() -> None:
    """What an older or a newer gateway keeps under the same names is not read."""
    assert unpack("answer", pack("answer", {}, b"{}").replace(b"cgw1", b"cgw2", 1)) is None


def test_what_is_no_json_cannot_be_packed() -> None:
    """Half of a character pair is no text."""
    with pytest.raises(ValueError, match="not JSON"):
        pack("answer", {"a": "\ud800"}, b"")


def test_the_head_is_one_line() -> None:
    """So that its end is the first line end."""
    packed = pack("answer", {"a": "x\ny"}, b"\n\n")

    assert orjson.loads(packed.split(b"\n", 1)[1][16:].split(b"\n", 1)[0]) == {"a": "x\ny"}
