"""What a token says: when it holds, for whom and about whom, to which team it leads; and how strictly it is read."""

from __future__ import annotations

import asyncio
import string
from collections.abc import Callable
from typing import Any

import jwt
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.errors import Unauthenticated
from compatgw.web.oidc import LONGEST, TokenVerifier, looks_like_token
from tests.issuer import (
    AUDIENCE,
    DISCOVERY,
    NOW,
    Clock,
    Issuer,
    claims,
    private_key,
    raw,
    refused,
)

# --- times ---


@pytest.mark.parametrize(
    ("changes", "now", "why"),
    [
        ({"exp": NOW}, NOW + 29.9, None),
        ({"exp": NOW}, NOW + 30, "expired"),
        ({"exp": NOW + 0.5}, NOW + 30.4, None),
        ({"exp": 1}, NOW, "expired"),
        ({"exp": -1}, NOW, "expired"),
        ({"nbf": NOW}, NOW - 30, None),
        ({"nbf": NOW}, NOW - 30.1, "not valid yet"),
        ({"nbf": NOW + 3600}, NOW, "not valid yet"),
        ({"iat": NOW}, NOW - 30, None),
        ({"iat": NOW}, NOW - 30.1, "issued in the future"),
        ({"exp": None}, NOW, "never expires"),
    ],
)
async def test_times_hold_to_the_leeway_exactly(
    issuer: Issuer,
    make: Callable[..., TokenVerifier],
    clock: Clock,
    changes: dict[str, float],
    now: float,
    why: str | None,
) -> None:
    """30 seconds by default; at the end of it a token is over, at its beginning it holds."""
    clock.now = now
    text = issuer.token(**changes)
    if why is None:
        assert (await make().verify(text)).name == "oidc:ann"
    else:
        code = "expired_api_key" if why == "expired" else "invalid_api_key"
        assert why in await refused(make(), text, code)


async def test_a_time_may_be_any_number(make: Callable[..., TokenVerifier]) -> None:
    """Also one that no clock will ever reach."""
    payload = orjson.dumps(claims()).replace(str(NOW + 600).encode(), b"1" + b"0" * 30)

    assert (await make().verify(raw(payload))).attributes["exp"] == 1e30


async def test_a_leeway_of_nothing_grants_nothing(
    issuer: Issuer, make: Callable[..., TokenVerifier], clock: Clock
) -> None:
    """The very second is over."""
    text = issuer.token(exp=NOW + 1, nbf=NOW, iat=NOW)
    await make(leeway=0).verify(text)
    clock.now = NOW + 1
    await refused(make(leeway=0), text, "expired_api_key")
    clock.now = NOW - 0.1
    await refused(make(leeway=0), text)


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", [b'"1700000600"', b"null", b"true", b"[]", b"{}", b"1e400", b"NaN", b"Infinity"])
async def test_a_time_that_is_no_number_is_refused(make: Callable[..., TokenVerifier], name: str, value: bytes) -> None:
    """What cannot be compared is not passed over."""
    payload = orjson.dumps(claims(nbf=NOW, iat=NOW))
    before = orjson.dumps({name: claims(nbf=NOW, iat=NOW)[name]})[1:-1]
    assert before in payload

    assert "cannot be read" in await refused(make(), raw(payload.replace(before, b'"%b":%b' % (name.encode(), value))))


async def test_a_clock_that_jumps_back_refuses_new_tokens_until_it_is_set_right(
    issuer: Issuer, make: Callable[..., TokenVerifier], clock: Clock
) -> None:
    """A token from the future is told apart from a wrong one."""
    verifier = make()
    clock.now -= 86_400
    assert "clocks" in await refused(verifier, issuer.token(nbf=NOW))
    clock.now = NOW
    assert (await verifier.verify(issuer.token(nbf=NOW))).name == "oidc:ann"


# --- audience, issuer, subject ---


@pytest.mark.parametrize(
    ("audience", "good"),
    [
        (AUDIENCE, True),
        ([AUDIENCE], True),
        (["other", AUDIENCE], True),
        (["second"], True),
        ("other", False),
        (["other"], False),
        ([], False),
        ("", False),
        ([""], False),
        (None, False),
        (7, False),
        ({AUDIENCE: 1}, False),
        ([AUDIENCE, 7], False),
        ([[AUDIENCE]], False),
        (AUDIENCE + " ", False),
        (AUDIENCE.upper(), False),
        ("gate", False),
    ],
)
async def test_a_token_has_to_be_meant_for_this_gateway(
    issuer: Issuer, make: Callable[..., TokenVerifier], audience: object, good: bool
) -> None:
    """`aud` is a text or a list of texts, and one of them is an audience, whole."""
    verifier, text = make(audience=[AUDIENCE, "second"]), issuer.token(aud=audience)
    if good:
        assert (await verifier.verify(text)).name == "oidc:ann"
    else:
        assert "meant for somebody else" in await refused(verifier, text)


@pytest.mark.parametrize(
    "named",
    ["https://idp.test/", "https://idp.test//", "https://IDP.test", "http://idp.test", " https://idp.test", "", None,
     7, ["https://idp.test"], {"https://idp.test": 1}],
)  # fmt: skip
async def test_an_issuer_is_exactly_the_configured_one(
    issuer: Issuer, make: Callable[..., TokenVerifier], named: object
) -> None:
    """A slash more is another one; nobody is asked for keys."""
    assert "issuer of the token" in await refused(make(), raw(orjson.dumps(claims(iss=named))))
    assert issuer.asked == []


@pytest.mark.parametrize(
    "subject",
    [None, "", "\0", "ann\0", "ann\nbob", "ann\r", "\x1b[31mann", "ann\u202ebob", "x" * 256, "x" * 10_000, 7, True,
     ["ann"], {"ann": 1}],
)  # fmt: skip
async def test_a_subject_that_is_no_name_is_refused(
    issuer: Issuer, make: Callable[..., TokenVerifier], subject: object
) -> None:
    """Names stand in logs and records."""
    assert "subject" in await refused(make(), issuer.token(sub=subject))


async def test_a_subject_may_have_255_characters(issuer: Issuer, make: Callable[..., TokenVerifier]) -> None:
    """As the standard says."""
    assert (await make().verify(issuer.token(sub="x" * 255))).name == "oidc:" + "x" * 255


async def test_rows_of_one_issuer_differ_by_audience(issuer: Issuer, make: Callable[..., TokenVerifier]) -> None:
    """Each with its own settings, over one set of keys; the first that fits decides."""
    verifier = make(
        issuer.settings(audience=["apps"], scopes=["chat"]),
        issuer.settings(audience=["batch", "apps"], scopes=["embeddings"]),
    )

    assert (await verifier.verify(issuer.token(aud="apps"))).scopes == ("chat",)
    assert (await verifier.verify(issuer.token(aud="batch"))).scopes == ("embeddings",)
    assert "meant for somebody else" in await refused(verifier, issuer.token(aud="other"))
    assert issuer.asked == [DISCOVERY, "/keys"]


# --- teams ---


@pytest.mark.parametrize(
    ("settings", "given", "team"),
    [
        ({}, {"team": "t1"}, "t1"),
        ({"team": "t9"}, {"team": "t1"}, "t1"),
        ({"team": "t9"}, {}, "t9"),
        ({"team_claim": "org.unit.id"}, {"org": {"unit": {"id": "t2"}}}, "t2"),
        ({"team_claim": "org.unit"}, {"org.unit": "t3", "org": {"unit": "t4"}}, "t3"),
        ({"team_claim": "https://example.com/org.id"}, {"https://example.com/org": {"id": "t5"}}, "t5"),
        ({"team_claim": "https://example.com/team"}, {"https://example.com/team": "t6"}, "t6"),
        ({"team_claim": "a.b.c"}, {"a.b": {"x": 1}, "a": {"b.c": "t7"}}, "t7"),
        ({"teams": {"blue": "t8"}}, {"team": "blue"}, "t8"),
        ({"teams": {"blue": "t8"}, "team": "t9"}, {}, "t9"),
    ],
)
async def test_claims_lead_to_a_team(
    issuer: Issuer,
    make: Callable[..., TokenVerifier],
    settings: dict[str, Any],
    given: dict[str, Any],
    team: str,
) -> None:
    """By path, by map, or the team of those without the claim."""
    text = issuer.token(**{"team": None, **given})

    assert (await make(**settings).verify(text)).team == team


@pytest.mark.parametrize(
    ("settings", "given"),
    [
        ({}, {}),
        ({"team_claim": "org.unit"}, {"org": {}}),
        ({"team_claim": "org.unit"}, {"org": "unit"}),
        ({"team_claim": "org.unit"}, {"org": ["unit"]}),
        ({"team_claim": "org.unit"}, {"unit": "t1"}),
        ({"team_claim": "org.unit", "team": "t9"}, {"org": {"unit": None}}),
        ({"team": "t9"}, {"team": 7}),
        ({"team": "t9"}, {"team": ["t1"]}),
        ({"team": "t9"}, {"team": {"id": "t1"}}),
        ({"team": "t9"}, {"team": True}),
        ({"team": "t9"}, {"team": ""}),
        ({"team": "t9"}, {"team": "t1\0"}),
        ({"team": "t9"}, {"team": "x" * 256}),
        ({"teams": {"blue": "t8"}, "team": "t9"}, {"team": "t8"}),
        ({"teams": {"blue": "t8"}}, {"team": "Blue"}),
    ],
)
async def test_a_claim_that_leads_to_no_team_is_refused(
    issuer: Issuer, make: Callable[..., TokenVerifier], settings: dict[str, Any], given: dict[str, Any]
) -> None:
    """The team of those without the claim is not for those with a wrong one."""
    text = issuer.token(**{"team": None, **given})

    assert "names no team" in await refused(make(**settings), text)


# --- form ---


async def test_members_that_come_twice_count_once_and_alike_for_all(make: Callable[..., TokenVerifier]) -> None:
    """The last decides, for us as for the library: no two readers see two tokens in one."""
    payload = orjson.dumps(claims())
    twice = payload[:-1] + b',"sub":"bob","team":"t2"}'
    principal = await make().verify(raw(twice))
    assert (principal.name, principal.team) == ("oidc:bob", "t2")
    options: Any = {"verify_aud": False, "verify_exp": False}
    read = jwt.decode(raw(twice), private_key("RS256").public_key(), algorithms=["RS256"], options=options)
    assert read == dict(principal.attributes)

    assert "algorithm" in await refused(make(), raw(payload, b'{"alg":"RS256","kid":"k1","alg":"none"}'))
    assert "does not publish" in await refused(make(), raw(payload, b'{"alg":"RS256","kid":"k1","kid":"k2"}'))
    assert "expired" in await refused(make(), raw(payload[:-1] + b',"exp":1}'), "expired_api_key")
    assert "issuer" in await refused(make(), raw(payload[:-1] + b',"iss":"https://evil.test"}'))


@pytest.mark.parametrize(
    ("header", "payload"),
    [
        (b"", b"{}"),
        (b"{}", b""),
        (b"[]", b"{}"),
        (b"{}", b"[]"),
        (b"null", b"{}"),
        (b'"x"', b"{}"),
        (b"{", b"{}"),
        (b'{"alg":"RS256"', b"{}"),
        (b"\xff", b"{}"),
        (b'{"alg":"\xff"}', b"{}"),
        (b"{} {}", b"{}"),
        (b"[" * 5000, b"{}"),
        (b"{}", b'{"a":' * 2000),
        (b'\xef\xbb\xbf{"alg":"RS256"}', b"{}"),
        (b'{"alg":"RS256","kid":"\\ud800"}', b"{}"),
    ],
)
async def test_what_is_no_json_object_is_no_token(
    make: Callable[..., TokenVerifier], header: bytes, payload: bytes
) -> None:
    """In either part."""
    assert "cannot be read" in await refused(make(), raw(payload, header))


@pytest.mark.parametrize("id", [7, True, ["k1"], {"k1": 1}])
async def test_a_key_id_is_a_text(make: Callable[..., TokenVerifier], id: object) -> None:
    """Nothing else is looked up."""
    header = orjson.dumps({"alg": "RS256", "kid": id})

    assert "'kid'" in await refused(make(), raw(orjson.dumps(claims()), header))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + "=",
        lambda text: text + "==",
        lambda text: text.replace(".", "=.", 1),
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text.replace(".", ".\n", 1),
        lambda text: text[:-1] + "+",
        lambda text: text[:-1] + "/",
        lambda text: text + ".",
        lambda text: text + ".AAAA",
        lambda text: "." + text,
        lambda text: text.partition(".")[2],
        lambda text: text.replace(".", "%2E"),
        lambda text: text[:-1] + "é",
        lambda text: text[:-1] + "\ud800",
    ],
)
async def test_base64_is_read_strictly(
    issuer: Issuer, make: Callable[..., TokenVerifier], change: Callable[[str], str]
) -> None:
    """No padding, no other alphabet, no white space, no part more or less; nothing of it is a token."""
    text = change(issuer.token())

    assert not looks_like_token(text)
    assert "three parts" in await refused(make(), text)


async def test_bits_that_nobody_reads_are_no_second_spelling(
    issuer: Issuer, make: Callable[..., TokenVerifier]
) -> None:
    """A signature of 256 bytes ends in a character that has two bits to spare; and no part is one character over."""
    text = issuer.token()
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    last = alphabet.index(text[-1])
    assert last % 4 == 0 or last % 16 == 0
    other = text[:-1] + alphabet[last + 1]

    assert "not base64url" in await refused(make(), other)
    assert "not base64url" in await refused(make(), f"{text.rpartition('.')[0]}.AAAAA")


async def test_a_long_token_is_refused_unread(issuer: Issuer, make: Callable[..., TokenVerifier]) -> None:
    """A megabyte costs nothing; up to the limit a token is read."""
    verifier = make()
    huge = issuer.token(extra="x" * 1_000_000)
    assert looks_like_token(huge)
    assert "longer than" in await refused(verifier, huge)
    assert "longer than" in await refused(verifier, "\0" * (LONGEST + 1))
    assert not looks_like_token("x" * (LONGEST + 1))
    assert issuer.asked == []

    size = len(issuer.token())
    fitting = issuer.token(extra="x" * ((LONGEST - size - 40) * 3 // 4))
    assert LONGEST - 100 < len(fitting) <= LONGEST
    assert (await verifier.verify(fitting)).name == "oidc:ann"


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("eyJh.eyJh.c2ln", True),
        ("a.b.c", True),
        ("a-_.b.", True),
        ("cgw-abc", False),
        ("sk-proj-abc", False),
        ("", False),
        ("..", False),
        ("a..c", False),
        (".b.c", False),
        ("a.b", False),
        ("a.b.c.d", False),
        ("a.b.c.d.e", False),
        ("a.b.c ", False),
        ("a.b.ç", False),
    ],
)
def test_three_parts_of_base64url_look_like_a_token(text: str, token: bool) -> None:
    """All else is a key."""
    assert looks_like_token(text) is token


@given(st.one_of(st.text(), st.from_regex(r"[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}")))
def test_whatever_comes_is_refused_in_one_way(text: str) -> None:
    """No text makes anything else happen than a 401, and nobody is asked for it."""
    issuer = Issuer()
    verifier = TokenVerifier([issuer.settings()], issuer.upstream(), clock=Clock())
    assert verifier.recall(text) is None
    with pytest.raises(Unauthenticated):
        asyncio.run(verifier.verify(text))
    assert issuer.asked == []


def test_no_character_of_a_token_can_be_changed(issuer: Issuer) -> None:
    """Each in turn, to each of three others."""
    clock = Clock()
    verifier = TokenVerifier([issuer.settings()], issuer.upstream(), clock=clock, monotonic=Clock())
    text = issuer.token()

    async def accepted() -> list[int]:
        await verifier.verify(text)
        found = []
        for place, character in enumerate(text):
            for other in "A7_":
                if other != character and character != ".":
                    try:
                        await verifier.verify(text[:place] + other + text[place + 1 :])
                    except Unauthenticated:
                        continue
                    found.append(place)
        return found

    assert asyncio.run(accepted()) == []
