"""What no cassette may have is taken out, or the cassette is refused."""

import base64
import json
import random
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw_testing.cassettes import secrets
from compatgw_testing.cassettes.format import Cassette, Chunk, End, Head, Interaction, Provenance, compact, dumps
from compatgw_testing.cassettes.scrub import LiveKeyFound, Scrubber
from tests.testing.cassettes.upstreams import HI, answered, asked

# Made up, in the shapes that vendors give.
TAIL = "0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX2yZ3"
PRIVATE = "PRIVATE" + " KEY-----"
KEYS = [
    f"sk-{TAIL}",
    f"sk-proj-{TAIL}",
    f"sk-ant-api03-{TAIL}",
    f"sk-or-v1-{TAIL}",
    f"AIza{TAIL}",
    f"hf_{TAIL}",
    f"gsk_{TAIL}",
    f"xai-{TAIL}",
    f"pplx-{TAIL}",
    f"csk-{TAIL}",
    f"co-{TAIL}",
    f"nvapi-{TAIL}",
    f"r8_{TAIL}",
    f"tgp_v1_{TAIL}",
    f"fw_{TAIL}",
    f"ghp_{TAIL}",
    f"github_pat_{TAIL}",
    f"glpat-{TAIL}",
    f"ya29.{TAIL}",
    "AKIA" + "ABCDEFGH12345678",
    f"eyJ{TAIL}.eyJ{TAIL}.{TAIL}",
    f"org-{TAIL[:24]}",
    f"proj_{TAIL[:24]}",
    f"Bearer {TAIL}",
    f"-----BEGIN {PRIVATE}\\n{TAIL}\\n-----END {PRIVATE}",
]
LIVE = "q7!w8-e9_r0.t1"


def everywhere(secret: str) -> Interaction:
    """An exchange that has a secret wherever one may stand."""
    body = json.dumps({**HI, "note": f"line\n{secret}", "api_key": secret}).encode()
    request = asked(
        body,
        path=f"/v1/{quote(secret, safe='')}",
        query=(("key", secret), ("other", secret)),
        headers=(("Authorization", secret), ("X-Mine", secret), ("content-type", f"application/json; {secret}")),
    )
    answer = json.dumps({"error": {"message": f"wrong key: {secret}."}}).encode()
    head = Head(200, (("content-type", "application/json"), ("openai-organization", secret), ("x-request-id", secret)))
    return Interaction(request, head, (Chunk(1.0, answer),), End("cut", f"lost {secret}", 2.0))


@pytest.mark.parametrize("secret", KEYS)
def test_known_shapes_are_taken_out_everywhere(secret: str) -> None:
    """In headers, path, query, body, answer and error; what stands around them stays."""
    clean = Scrubber().interaction(everywhere(secret))

    written = dumps(Cassette(Provenance(), (clean,))).decode()
    core = secret.removeprefix("Bearer ").removeprefix("-----BEGIN ").removesuffix(" PRIVATE KEY-----")
    assert core not in written
    assert TAIL not in written
    assert '"content": "Hi"' in written
    assert "wrong key: " in written


def test_headers_are_kept_by_a_list() -> None:
    """What nobody has thought of is not written down, whatever it says; one may add to the list."""
    request = asked(HI, headers=(("Content-Type", "application/json"), ("x-company", "Example"), ("cookie", "a=b")))
    head = Head(200, (("Retry-After", "2"), ("x-ratelimit-limit-requests", "9"), ("set-cookie", "a"), ("x-c", "1")))

    plain = Scrubber().interaction(Interaction(request, head))
    wider = Scrubber(request_headers=frozenset({"x-company"}), response_headers=frozenset({"x-c"})).interaction(
        Interaction(request, head)
    )

    assert plain.head is not None
    assert wider.head is not None
    assert plain.request.headers == (("content-type", "application/json"),)
    assert plain.head.headers == (("retry-after", "2"), ("x-ratelimit-limit-requests", "9"))
    assert ("x-company", "Example") in wider.request.headers
    assert ("x-c", "1") in wider.head.headers


@given(st.data())
def test_a_secret_over_several_chunks_is_found(data: st.DataObject) -> None:
    """Wherever chunks are cut; they stay cut where they were, and so does the length."""
    secret = data.draw(st.sampled_from(KEYS))
    body = f'data: {{"text":"see {secret} there \u2615"}}\n\n'.encode()
    cuts = sorted(data.draw(st.sets(st.integers(1, len(body) - 1), max_size=12)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]

    clean = Scrubber().interaction(answered(asked(), *pieces))

    assert TAIL.encode() not in clean.body
    assert [len(chunk.data) for chunk in clean.chunks] == [len(piece) for piece in pieces]
    assert json.loads(clean.body.removeprefix(b"data: "))["text"].startswith("see ")


@given(st.sampled_from(KEYS), st.text(max_size=20), st.text(max_size=20))
def test_scrubbing_twice_is_scrubbing_once(secret: str, before: str, after: str) -> None:
    """What a mark stands for is not found again."""
    once = secrets.hidden(f"{before} {secret} {after}".encode("utf-8", "replace"))

    assert secrets.hidden(once) == once


def test_ordinary_text_stays() -> None:
    """Words that only begin like a key, ids of answers, and prose."""
    text = (
        "A task-oriented risk-averse desk-sharing-policy-for-all-teams; co-ordinated; user-friendly; chatcmpl-"
        f"{TAIL}; call_{TAIL}; msg_{TAIL}; Bearer of news; the organization org-wide; basic things; hf_hub"
    ).encode()

    assert secrets.hidden(text) == text


SPELLED = {
    "plain": LIVE,
    "in JSON": json.dumps(LIVE)[1:-1],
    "percent": quote(LIVE, safe=""),
    "every byte": "".join(f"%{byte:02x}" for byte in LIVE.encode()),
    "base64": base64.b64encode(LIVE.encode()).decode(),
    "base64, shifted": base64.b64encode(b"user:" + LIVE.encode() + b"\n").decode(),
    "base64, for URLs": base64.urlsafe_b64encode(b"ab" + LIVE.encode()).decode(),
    "hex": LIVE.encode().hex(),
}


@pytest.mark.parametrize("spelled", list(SPELLED.values()), ids=list(SPELLED))
@pytest.mark.parametrize("place", ["path", "query", "body", "answer", "chunks", "error", "header", "note"])
def test_a_live_key_is_refused_in_every_spelling(place: str, spelled: str) -> None:
    """Wherever it stands; the error says where and whose, and not what."""
    one = answered(asked(), b"{}")
    note = ""
    if place == "path":
        one = answered(asked(path=f"/v1/{spelled}"), b"{}")
    elif place == "query":
        one = answered(asked(query=(("q", spelled),)), b"{}")
    elif place == "body":
        one = answered(asked({"a": f"x {spelled} y"}), b"{}")
    elif place == "answer":
        one = answered(asked(), f"before {spelled} after".encode())
    elif place == "chunks":
        one = answered(asked(), f"before {spelled[:5]}".encode(), f"{spelled[5:]} after".encode())
    elif place == "error":
        one = answered(asked(), b"", end=End("cut", f"lost {spelled}", 1.0))
    elif place == "header":
        one = answered(asked(headers=(("accept", spelled),)), b"{}")
    else:
        note = spelled
    scrubber = Scrubber.of({"MY_API_KEY": LIVE})
    cassette = scrubber.cassette(Cassette(Provenance(note=note), (one,)))

    with pytest.raises(LiveKeyFound, match="the value of MY_API_KEY stands in") as refused:
        scrubber.check(cassette)
    assert LIVE not in str(refused.value)
    assert spelled not in str(refused.value)


def test_a_live_key_is_found_where_json_escapes_it() -> None:
    """Every letter written as a number, and in a string of JSON within JSON."""
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in LIVE)
    inner = json.dumps({"arguments": json.dumps({"key": f'"{LIVE}"'})})
    scrubber = Scrubber.of({"MY_API_KEY": LIVE})

    for body in (f'{{"a":"{escaped}"}}', f'data: {{"a":"{escaped}"}}\n\ndata: {{}}\n\n', inner):
        with pytest.raises(LiveKeyFound):
            scrubber.check(Cassette(Provenance(), (answered(asked(), body.encode()),)))


def test_a_live_key_is_found_over_the_events_of_a_stream() -> None:
    """A model that says it says it in pieces, each in an event of its own."""
    events = [f'data: {{"delta":{{"text":"{LIVE[at : at + 3]}"}}}}\n\n'.encode() for at in range(0, len(LIVE), 3)]
    scrubber = Scrubber.of({}, values=[LIVE])

    with pytest.raises(LiveKeyFound, match="over several events"):
        scrubber.check(Cassette(Provenance(), (answered(asked(), *events),)))


def test_which_variables_have_keys() -> None:
    """By their names; not what is too short to be a key, and not paths, addresses or sentences."""
    environment = {
        "OPENAI_API_KEY": "a1b2c3d4e5",
        "HF_TOKEN": "t0k3n-t0k3n",
        "AWS_SECRET_ACCESS_KEY": "abcdefghij",
        "DB_PASSWORD": "hunter2hunter2",
        "KEYBOARD": "qwertzuiop",
        "MONKEY": "abcdefghij",
        "SHORT_KEY": "abc",
        "SSL_KEY": "/etc/ssl/private",
        "TOKEN_URL": "https://example.com/",
        "NOTE_SECRET": "a whole sentence",
    }

    assert set(secrets.live_values(environment)) == {
        "OPENAI_API_KEY",
        "HF_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "DB_PASSWORD",
    }
    assert "a1b2c3d4e5" not in repr(Scrubber.of(environment))


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40), st.randoms())
def test_base64_hides_nothing(value: str, chance: random.Random) -> None:
    """Whatever stands before and after it in the encoded text."""
    coded = base64.b64encode(chance.randbytes(chance.randint(0, 9)) + value.encode() + chance.randbytes(4))

    assert any(spelled in coded for how, spelled in secrets.spellings(value) if how == "in base64")


def test_bodies_are_kept_in_one_spelling() -> None:
    """JSON that was sent with spaces is kept without, so that the file has it as JSON."""
    clean = Scrubber().request(asked(json.dumps(HI, indent=2).encode()))

    assert clean.body == compact(HI)
