"""Sessions: bits in a browser, everything else sealed in the counters, and two ends that come by themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.pages.console import sessions as module
from compatgw.pages.console.sessions import Sessions
from compatgw.sections import ConsoleSettings
from compatgw.state.memory import MemoryCounters
from tests.state.making import Clock

SETTINGS = ConsoleSettings(idle=600, longest=3600)


@pytest.fixture
def kept(clock: Clock) -> MemoryCounters:
    """Where sessions are."""
    return MemoryCounters(clock=clock)


@pytest.fixture
def sessions(kept: MemoryCounters) -> Sessions:
    """Sessions that end after ten minutes of nothing, and after an hour."""
    return Sessions(kept, SETTINGS)


async def test_a_session_is_found_by_its_token_alone(sessions: Sessions) -> None:
    """What was begun is found again; nothing else finds it, whatever it looks like."""
    begun = await sessions.begin("the key")
    found = await sessions.find(begun.token)
    assert found == begun
    assert found is not None
    assert (found.key, found.csrf) == ("the key", begun.csrf)
    other = begun.token[:-1] + ("A" if begun.token[-1] != "A" else "B")
    for token in (None, "", other, begun.token + "A", begun.token[:-1], "x" * 43, "\0" * 43, begun.csrf):
        assert await sessions.find(token) is None


async def test_every_session_is_another(sessions: Sessions) -> None:
    """Tokens have 256 bits, and neither they nor what forms send come twice."""
    begun = [await sessions.begin("k") for _ in range(50)]
    assert len({each.token for each in begun}) == len({each.csrf for each in begun}) == 50
    assert all(len(each.token) == 43 and len(each.csrf) == 64 for each in begun)


async def test_the_counters_hold_nothing_to_come_in_with(sessions: Sessions, kept: MemoryCounters) -> None:
    """Whoever reads the counters finds neither a token, nor a key, nor what forms send."""
    begun = await sessions.begin("the-admin-key")
    await sessions.leave(begun, {"secret": "the-minted-key"})
    everything = repr([(name, value) for name, (value, _) in kept._values.items()])
    for secret in (begun.token, begun.csrf, "the-admin-key", "the-minted-key"):
        assert secret not in everything
    assert begun.token not in repr(begun)
    assert "the-admin-key" not in repr(begun)


async def test_an_idle_session_ends(sessions: Sessions, clock: Clock) -> None:
    """Each visit gives it ten more minutes; after ten without one it is over."""
    begun = await sessions.begin("k")
    for _ in range(3):
        clock.now += 599
        assert await sessions.find(begun.token) is not None
    clock.now += 600
    assert await sessions.find(begun.token) is None
    clock.now -= 300
    assert await sessions.find(begun.token) is None


async def test_a_session_in_use_ends_too(sessions: Sessions, clock: Clock) -> None:
    """After the longest time it is over, however busy it was."""
    begun = await sessions.begin("k")
    for _ in range(11):
        clock.now += 300
        assert await sessions.find(begun.token) is not None
    clock.now += 300
    assert await sessions.find(begun.token) is None


async def test_a_visit_under_way_brings_no_session_back(sessions: Sessions, kept: MemoryCounters) -> None:
    """Who logs out while another page loads is out: what that page renews leads nowhere."""
    begun = await sessions.begin("k")
    here = next(name for name in kept._values if ":here:" in name)
    await sessions.end(begun.token)
    assert not kept._values
    await kept.put(here, b"1", 600)
    assert await sessions.find(begun.token) is None


async def test_what_is_left_is_taken_once(sessions: Sessions, clock: Clock) -> None:
    """What a page leaves is there for the next one of the same session, for two minutes, once."""
    begun, other = await sessions.begin("k"), await sessions.begin("k")
    await sessions.leave(begun, {"secret": "s"})
    assert await sessions.take(other) is None
    assert await sessions.take(begun) == {"secret": "s"}
    assert await sessions.take(begun) is None
    await sessions.leave(begun, {"secret": "s"})
    clock.now += 120
    assert await sessions.take(begun) is None


async def test_what_was_changed_outside_is_nothing(sessions: Sessions, kept: MemoryCounters) -> None:
    """A value that somebody else wrote, or moved from another place, opens nothing."""
    begun, other = await sessions.begin("k"), await sessions.begin("l")
    mine, theirs = [name for name in kept._values if ":session:" in name]
    value = await kept.get(mine)
    assert value is not None
    for wrong in (value[:-1] + bytes([value[-1] ^ 1]), bytes([value[0] ^ 1]) + value[1:], b"", value[:30]):
        await kept.put(mine, wrong, 600)
        assert await sessions.find(begun.token) is None
    await kept.put(theirs, value, 600)
    assert await sessions.find(other.token) is None


@given(st.dictionaries(st.text(), st.text()), st.text())
async def test_any_value_comes_back(value: dict[str, str], name: str) -> None:
    """Whatever is sealed opens as what it was, under its own name alone."""
    token = "t" * 43
    try:
        sealed = module._sealed(token, name, value)
    except (TypeError, UnicodeEncodeError):
        # Half a character is no text that a form brings.
        return
    assert module._opened(token, name, sealed) == value
    assert module._opened(token, name + "x", sealed) is None
    assert module._opened("u" * 43, name, sealed) is None
