"""Keys that callers hold, and keys of theirs that are sealed."""

from __future__ import annotations

import base64
import random

import pytest

from compatgw.state.base import BadRecord, SealBroken, Sealed
from compatgw.state.secrets import BODY, Hasher, KeyRing, id_of, last4, mint

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
CHEAP = Hasher(time_cost=1, memory_cost=8, parallelism=1)


def test_a_key_names_itself_and_ends_with_its_hint() -> None:
    """Prefix, id, secret and checksum; a repr shows the id and the hint alone."""
    key = mint("csk-")

    assert key.text.startswith("csk-" + key.id)
    assert len(key.text) == 4 + BODY == 54
    assert key.text.endswith(key.hint)
    assert id_of(key.text, ("cgw-", "csk-")) == key.id
    assert key.text not in repr(key)


def test_keys_are_never_the_same_and_repeat_with_their_random() -> None:
    """Random comes from the system unless a run must repeat."""
    one, two = [mint(random=random.Random(7).randbytes) for _ in range(2)]

    assert one == two
    assert len({mint().text for _ in range(50)} | {mint().id for _ in range(50)}) == 100


def test_a_rotated_key_keeps_its_id() -> None:
    """Its limits, budget and usage go on."""
    old = mint()
    new = mint(id=old.id)

    assert new.id == old.id
    assert new.text != old.text


def test_any_mistyped_character_is_noticed_without_a_look_up() -> None:
    """Every place, every other character there."""
    key = mint().text
    for place in range(4, len(key)):
        for character in ALPHABET:
            if character != key[place]:
                assert id_of(key[:place] + character + key[place + 1 :]) is None
    assert id_of(key[:5] + key[6] + key[5] + key[7:]) is None or key[5] == key[6]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cgw-",
        "x" * 10_000,
        "cgw-" + "x" * 50,
        "cgw-" + "é" * 50,
        "cgw-" + "\0" * 50,
        "\ud800" * 54,
        "sk-proj-abc",
        "a.b.c",
    ],
)
def test_what_is_no_key_of_ours_has_no_id(text: str) -> None:
    """Other providers' keys, tokens, 10,000 characters, NUL."""
    assert id_of(text) is None


def test_a_key_with_more_behind_it_is_none() -> None:
    """A space, a line's end: what was copied too far."""
    key = mint().text
    for wrong in (key + " ", " " + key, key + "\n", key[:-1], key + "0"):
        assert id_of(wrong) is None


@pytest.mark.parametrize("prefix", ["a b", "é-", "x" * 33, "a\n"])
def test_a_prefix_that_cannot_be_sent_is_refused(prefix: str) -> None:
    """It goes into a header."""
    with pytest.raises(BadRecord, match="prefix"):
        mint(prefix)


@pytest.mark.parametrize("id", ["", "short", "x" * 13, "-" * 12])
def test_an_id_that_no_key_has_is_refused(id: str) -> None:
    """Before a key is made that nobody could use."""
    with pytest.raises(BadRecord, match="no id"):
        mint(id=id)


def test_a_hash_proves_its_key_and_no_other() -> None:
    """Argon2id, salted; what is no hash proves nothing."""
    hashed = CHEAP.hash("key")

    assert hashed.startswith("$argon2id$")
    assert hashed != CHEAP.hash("key")
    assert CHEAP.matches(hashed, "key")
    assert not CHEAP.matches(hashed, "kez")
    assert not CHEAP.matches("no real hash", "key")


# --- sealing ---

OLD, NEW = bytes(range(32)), bytes(range(32, 64))


def test_what_is_sealed_opens_with_the_ring_alone() -> None:
    """And looks different each time."""
    ring = KeyRing({"k1": OLD})
    sealed = ring.seal("sk-secret é", of="t1/openai")

    assert ring.open(sealed, of="t1/openai") == "sk-secret é"
    assert b"secret" not in sealed.data
    assert sealed != ring.seal("sk-secret é", of="t1/openai")
    assert "data" not in repr(sealed)


def test_what_was_sealed_for_one_opens_for_no_other() -> None:
    """Who may write the table cannot move a key to a team of their own."""
    ring = KeyRing({"k1": OLD})
    sealed = ring.seal("sk-secret", of="t1/openai")

    with pytest.raises(SealBroken, match="changed, or moved"):
        ring.open(sealed, of="t2/openai")


@pytest.mark.parametrize("data", [b"", b"x", b"x" * 12, b"x" * 60])
def test_what_was_changed_does_not_open(data: bytes) -> None:
    """Cut off, or of something else."""
    with pytest.raises(SealBroken):
        KeyRing({"k1": OLD}).open(Sealed("k1", data), of="t1")


def test_rotation_seals_anew_and_the_old_key_can_go() -> None:
    """A key in front, all sealed again, then the old one is taken out."""
    sealed = KeyRing({"k1": OLD}).seal("sk-secret", of="t1")
    both = KeyRing({"k2": NEW, "k1": OLD})
    again = both.reseal(sealed, of="t1")

    assert again is not None
    assert again.ring == "k2"
    assert both.reseal(again, of="t1") is None
    assert KeyRing({"k2": NEW}).open(again, of="t1") == "sk-secret"
    with pytest.raises(SealBroken, match="no key 'k1'"):
        KeyRing({"k2": NEW}).open(sealed, of="t1")


def test_a_ring_is_read_from_one_line() -> None:
    """As it stands in an environment variable, the newest first."""
    line = f"k2:{base64.b64encode(NEW).decode()}, k1:{base64.b64encode(OLD).decode()}"
    ring = KeyRing.parse(line, random=random.Random(7).randbytes)

    assert ring.current == "k2"
    assert ring.open(KeyRing({"k1": OLD}).seal("x", of="t"), of="t") == "x"


ENCODED = base64.b64encode(OLD).decode()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "Key 1"),
        (ENCODED, "Key 1"),
        (f"k1:{ENCODED},", "Key 2"),
        (f":{ENCODED}", "Key 1"),
        ("k1:sesame!", "Key 1"),
        ("k1:c2VzYW1l", "'k1' has 6 bytes"),
        (f"k1:{ENCODED},k1:{ENCODED}", "two keys 'k1'"),
    ],
)
def test_a_line_that_is_no_ring_is_named_without_showing_it(line: str, words: str) -> None:
    """Whoever reads the log learns which key, not what it is."""
    with pytest.raises(BadRecord, match=words) as caught:
        KeyRing.parse(line)
    for secret in ("sesame", "c2VzYW1l", ENCODED):
        assert secret not in str(caught.value)


def test_an_empty_ring_is_refused() -> None:
    """It could seal nothing."""
    with pytest.raises(BadRecord, match="empty"):
        KeyRing({})


def test_of_a_secret_only_its_end_is_shown() -> None:
    """Of a short one nothing."""
    assert last4("sk-proj-abcdefghijkl") == "ijkl"
    assert last4("short") == ""
