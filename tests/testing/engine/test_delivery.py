"""Every way in which an answer goes wrong, for every dialect: the exact bytes, the end, and what each door makes of it."""

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any, get_args

import httpx
import httpx2
import openai
import pytest

from compatgw_testing import FAULTS, ConnectionCut, Fake, FakeServer, ScriptError, Turn, fault, reply
from compatgw_testing.doors import inprocess
from compatgw_testing.fakes.delivery import cut, spoiled
from compatgw_testing.faults import ConnectionReset, ConnectRefused, FaultKind, FaultWay, ReadTimedOut, faults_of
from compatgw_testing.script import Chunking, Failure, pieces
from tests.testing.doors.sdks import stream_text
from tests.testing.driver import FAKES, MODELS, Reply, credentials, question
from tests.testing.engine.virtual import ask

TEXT = "One two three four"
WIDE = "Ünë 日本 👋 trois"


async def plain_stream(fake: Fake, text: str = TEXT) -> list[bytes]:
    """The events of a stream that nothing happens to."""
    return (await ask(type(fake)(seed=7).reply(text), stream=True)).pieces


async def plain_body(fake: Fake, text: str = TEXT) -> bytes:
    """The body of an answer that nothing happens to."""
    return (await ask(type(fake)(seed=7).reply(text))).raw


async def ending(fake: Fake) -> int:
    """How many events come before those that end the stream."""
    return len((await ask(type(fake)(seed=7).fault(TEXT, truncated=True), stream=True)).pieces)


# Breaks and clean ends, by events.


@pytest.mark.parametrize("after", [0, 1, 3, 99])
@pytest.mark.parametrize(
    ("way", "failure"),
    [
        ("cut_after", ConnectionCut),
        ("reset_after", ConnectionReset),
        ("stall_after", ReadTimedOut),
        ("truncate_after", None),
    ],
)
async def test_a_stream_ends_after_so_many_events(
    fake: Fake, way: str, after: int, failure: type[Exception] | None
) -> None:
    """Whole events, no byte more; a number beyond the stream breaks after all of it, and truncates its last event."""
    whole = await plain_stream(fake)

    answer = await ask(fake.fault(TEXT, **{way: after}), stream=True, read_timeout=5)  # type: ignore[arg-type]

    expected = whole[:after]
    if after == 99 and way == "truncate_after":
        expected = whole[:-1]
    assert answer.pieces == expected
    assert type(answer.failure) is (failure or type(None))
    assert fake.last.sent == len(expected)
    assert fake.last.outcome == ("client_closed" if way == "stall_after" else "faulted")
    assert fake.last.finished == (len(expected) > await ending(fake))


@pytest.mark.parametrize(
    ("way", "failure"),
    [("cut_after_bytes", ConnectionCut), ("reset_after_bytes", ConnectionReset), ("truncate_after_bytes", None)],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_ends_after_so_many_bytes(
    fake: Fake, way: str, failure: type[Exception] | None, stream: bool
) -> None:
    """Exactly: at none, at one, within an event, at its end, at the end of all."""
    whole = await plain_stream(fake) if stream else [await plain_body(fake)]
    everything = b"".join(whole)

    for count in (0, 1, len(whole[0]) - 1, len(whole[0]), len(whole[0]) + 1, len(everything), len(everything) + 9):
        answer = await ask(type(fake)(seed=7).fault(TEXT, **{way: count}), stream=stream)  # type: ignore[arg-type]
        assert answer.raw == everything[:count]
        assert type(answer.failure) is (failure or type(None))
        assert b"" not in answer.pieces


async def test_events_sent_in_part_are_not_counted(fake: Fake) -> None:
    """One that left whole is, though it is the last."""
    first, second = (await plain_stream(fake))[:2]

    for count, sent in ((len(first) - 1, 0), (len(first), 1), (len(first) + 1, 1), (len(first) + len(second), 2)):
        await ask(fake.fault(TEXT, cut_after_bytes=count), stream=True)
        assert fake.last.sent == sent


async def test_truncated_is_before_the_events_that_end_it(fake: Fake) -> None:
    """All of the text, no finish reason, no end mark."""
    whole = await plain_stream(fake)

    answer = await ask(fake.fault(TEXT, truncated=True), stream=True)

    assert answer.pieces == whole[: len(answer.pieces)]
    assert not fake.last.finished
    for word in TEXT.split():
        assert word in answer.raw.decode()
    for mark in (b'"finish_reason":"stop"', b"end_turn", b'"finishReason":"STOP"', b"COMPLETE", b"[DONE]"):
        assert mark not in answer.raw


# Events that are wrong.


@pytest.mark.parametrize("after", [0, 2, 99])
async def test_garbage_is_put_between_good_events(fake: Fake, after: int) -> None:
    """At its place; a number beyond the stream puts it before the end, not nowhere."""
    whole, place = await plain_stream(fake), min(after, await ending(fake))

    answer = await ask(fake.fault(TEXT, garbage_after=after), stream=True)

    assert answer.pieces[:place] + answer.pieces[place + 1 :] == whole
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.pieces[place].decode().partition("data: ")[2])


async def test_garbage_within_the_end(fake: Fake) -> None:
    """Between the finish reason and the end mark, where there is such a place."""
    whole = await plain_stream(fake)

    answer = await ask(fake.fault(TEXT, garbage_after=len(whole) - 1), stream=True)

    assert answer.pieces[:-2] + answer.pieces[-1:] == whole


@pytest.mark.parametrize("after", [0, 3, 99])
async def test_a_byte_that_is_no_utf8(fake: Fake, after: int) -> None:
    """In one event; without the byte it is the event that it was."""
    whole, place = await plain_stream(fake), min(after, await ending(fake))

    answer = await ask(fake.fault(TEXT, bad_utf8_after=after), stream=True)

    assert len(answer.pieces) == len(whole)
    assert [number for number, one in enumerate(answer.pieces) if one != whole[number]] == [place]
    assert answer.pieces[place].replace(b"\xff", b"") == whole[place]
    with pytest.raises(UnicodeDecodeError):
        answer.pieces[place].decode()


@pytest.mark.parametrize("data", [b"", b"{}", b'{"text":"a"}', b'{"a":"b","text":"c","d":"e"}', b"data: [DONE]\n\n"])
def test_any_bytes_can_be_spoiled(data: bytes) -> None:
    """One byte is added, in a text if there is one."""
    broken = spoiled(data)

    assert broken.replace(b"\xff", b"") == data
    assert broken.count(b"\xff") == 1
    if b'"text"' in data:
        assert b'"text":"\xff' in broken


async def test_an_error_ends_the_stream(fake: Fake) -> None:
    """After so many events, in the vendor's form; the rest does not come."""
    whole = await plain_stream(fake)

    for after in (0, 2, 99):
        answer = await ask(type(fake)(seed=7).fault(TEXT, error_after=after, error="overloaded"), stream=True)
        place = min(after, await ending(fake))
        assert answer.pieces[:place] == whole[:place]
        assert 1 <= len(answer.pieces[place:]) <= 2
        assert answer.failure is None
        assert b"overloaded" in answer.raw.lower() or b"unavailable" in answer.raw.lower() or b"ERROR" in answer.raw
        assert answer.status == 200


async def test_marks_of_the_end(fake: Fake) -> None:
    """Missing, or twice; everything else as ever."""
    whole = await plain_stream(fake)

    missing = await ask(fake.fault(TEXT, no_end_mark=True), stream=True)
    fake.reset()
    twice = await ask(fake.fault(TEXT, two_end_marks=True), stream=True)

    assert missing.pieces == whole[:-1]
    assert twice.pieces == [*whole, whole[-1]]


# Whole answers that are not the model's.


@pytest.mark.parametrize("stream", [True, False])
async def test_answers_of_something_in_between(fake: Fake, stream: bool) -> None:
    """A page, nothing, an error under 200, another content type."""
    usual = await ask(type(fake)(seed=7).reply(TEXT), stream=stream)
    error = await ask(type(fake)(seed=7).fail(503), stream=stream)

    page = await ask(type(fake)(seed=7).fault(html=502), stream=stream)
    empty = await ask(type(fake)(seed=7).fault(empty=True), stream=stream)
    hidden = await ask(type(fake)(seed=7).fault(error_200=True, error=503), stream=stream)
    other = await ask(type(fake)(seed=7).fault(TEXT, content_type="text/weird"), stream=stream)

    assert (page.status, page.headers["content-type"]) == (502, "text/html")
    assert (empty.status, empty.raw) == (200, b"")
    assert (hidden.status, hidden.raw) == (200, error.raw)
    assert (other.headers["content-type"], other.pieces) == ("text/weird", usual.pieces)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_refused_connection_has_no_answer(fake: Fake, stream: bool) -> None:
    """No head, no byte, no status; the call is in the journal."""
    answer = await ask(fake.fault(refused=True), stream=stream)

    assert isinstance(answer.failure, ConnectRefused)
    assert (answer.status, answer.pieces) == (0, [])
    assert (fake.last.status, fake.last.outcome, fake.last.answered) == (None, "faulted", None)


async def test_plain_answers_go_wrong_too(fake: Fake) -> None:
    """Cut and reset break what the head has promised; a truncated one and garbage end cleanly, and are no JSON."""
    body = await plain_body(fake)

    for way, failure in (("cut_after", ConnectionCut), ("reset_after", ConnectionReset)):
        answer = await ask(fake.fault(TEXT, **{way: 3}))  # type: ignore[arg-type]
        assert type(answer.failure) is failure
        assert 0 < len(answer.raw) < int(answer.headers["content-length"])
        assert not fake.last.finished
    for way, value in (("truncate_after", 3), ("truncated", True), ("garbage_after", 0)):
        answer = await ask(fake.fault(TEXT, **{way: value}))  # type: ignore[arg-type]
        assert answer.failure is None
        assert len(answer.raw) == int(answer.headers["content-length"]) < len(body)
        with pytest.raises(json.JSONDecodeError):
            json.loads(answer.raw)
    answer = await ask(fake.fault(TEXT, bad_utf8_after=0))
    assert int(answer.headers["content-length"]) == len(answer.raw)
    with pytest.raises(UnicodeDecodeError):
        answer.raw.decode()


# Pieces.


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("chunks", get_args(Chunking))
async def test_chunking_changes_nothing_but_the_pieces(fake: Fake, stream: bool, chunks: Any) -> None:
    """The bytes are those of its events; the text is whole, whatever the cuts."""
    answer = await ask(fake.reply(WIDE, chunks=chunks), stream=stream)
    calm = {"bytes": "words", "torture": "letters"}.get(chunks, chunks)
    same = await ask(type(fake)(seed=7).reply(WIDE, chunks=calm), stream=stream)

    assert answer.raw == same.raw
    assert "".join(pieces(WIDE, chunks)) == WIDE
    if chunks in ("bytes", "torture"):
        assert {len(one) for one in answer.pieces} == {1}
    elif stream:
        texts = [one for one in answer.pieces if any(word.encode() in one for word in pieces(WIDE, chunks))]
        assert len(texts) >= len(pieces(WIDE, chunks))


@pytest.mark.parametrize("chunks", get_args(Chunking))
def test_official_parsers_read_every_chunking(fake: Fake, chunks: Any) -> None:
    """Over an in-process door, where each piece arrives by itself."""
    client = sdk_in_process(fake.reply(WIDE, chunks=chunks))

    assert stream_text(client, fake.dialect) == WIDE


@pytest.mark.parametrize("chunks", ["bytes", "torture"])
def test_official_parsers_read_tortured_tool_calls(chunks: Any) -> None:
    """Arguments in pieces of a byte, with characters of several."""
    arguments = {"city": "Zürich 日本", "note": '"quoted" \\ 👋'}
    fake = FAKES["openai"](seed=7).reply(calls=[("f", arguments), ("g", arguments)], chunks=chunks)
    client = sdk_in_process(fake)
    tools = [{"type": "function", "function": {"name": one, "parameters": {}}} for one in "fg"]

    with client.chat.completions.stream(
        model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], tools=tools
    ) as stream:
        calls = stream.get_final_completion().choices[0].message.tool_calls

    assert [(one.function.name, json.loads(one.function.arguments)) for one in calls] == [
        ("f", arguments),
        ("g", arguments),
    ]


def sdk_in_process(fake: Fake) -> Any:
    """The official SDK of a fake's vendor, in this process, on virtual time."""
    import anthropic
    import cohere
    from google import genai

    key, origin = fake.api_key, inprocess.ORIGIN
    if fake.dialect == "cohere":
        http = inprocess.client(fake, library="httpx", sync=True)
        return cohere.ClientV2(api_key=key, base_url=origin, httpx_client=http)
    client = inprocess.client(fake, sync=True, timeout=5)
    if fake.dialect == "openai":
        return openai.OpenAI(api_key=key, base_url=f"{origin}/v1", http_client=client, max_retries=0)
    if fake.dialect == "anthropic":
        return anthropic.Anthropic(api_key=key, base_url=origin, http_client=client, max_retries=0)
    options = genai.types.HttpOptions(base_url=origin, httpx_client=client)
    return genai.Client(api_key=key, http_options=options)


@pytest.fixture(autouse=True)
def _close(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Clients made here end with their test."""
    made: list[Any] = []
    original = inprocess.client

    def client(*args: Any, **options: Any) -> Any:
        made.append(original(*args, **options))
        return made[-1]

    monkeypatch.setattr(inprocess, "client", client)
    yield
    for one in made:
        if hasattr(one, "close"):
            one.close()


@pytest.mark.parametrize("stream", [True, False])
async def test_pieces_that_end_within_characters(fake: Fake, stream: bool) -> None:
    """Every character of several bytes is torn apart, and nothing is lost."""
    usual = await ask(type(fake)(seed=7).reply(WIDE), stream=stream)

    answer = await ask(fake.fault(WIDE, split_utf8=True), stream=stream)

    assert answer.raw == usual.raw
    assert len(answer.pieces) == len(usual.pieces) + sum(one > "\x7f" for one in WIDE)
    torn = 0
    for one in answer.pieces:
        try:
            one.decode()
        except UnicodeDecodeError:
            torn += 1
    assert torn >= 4


@pytest.mark.parametrize("stream", [True, False])
async def test_a_made_up_answer_gets_characters_to_tear(fake: Fake, stream: bool) -> None:
    """Otherwise the fault would be none."""
    answer = await ask(fake.fault(split_utf8=True), stream=stream)

    with pytest.raises(UnicodeDecodeError):
        _ = [one.decode() for one in answer.pieces]
    assert "日本" in answer.raw.decode()


def test_an_answer_without_such_characters_is_a_mistake(fake: Fake) -> None:
    """It is named where it is written."""
    with pytest.raises(ScriptError, match="split_utf8 cuts within characters, and this answer is all ASCII"):
        fake.fault(TEXT, split_utf8=True)
    with pytest.raises(ScriptError, match="all ASCII"):
        fake.on(user="Hi").fault(Turn(text="a", reasoning="b"), split_utf8=True)
    fake.fault(Turn(text="a", reasoning="é"), split_utf8=True)


@pytest.mark.parametrize("size", [None, 1, 2, 7, 1000])
def test_every_cut_joins_to_the_whole(size: int | None) -> None:
    """No empty piece, none too large."""
    for data in (b"", b"a", WIDE.encode(), WIDE.encode() * 9):
        found = list(cut(data, size))
        assert b"".join(found) == data
        assert all(0 < len(one) <= (size or len(data)) for one in found)
        assert b"".join(cut(data, size, split=True)) == data


async def test_a_fault_counts_bytes_over_small_pieces(fake: Fake) -> None:
    """Torture and a byte count together."""
    whole = (await ask(type(fake)(seed=7).reply(TEXT, chunks="letters"), stream=True)).raw
    turn = reply(TEXT, chunks="torture")

    answer = await ask(fake.fault(turn, cut_after_bytes=37), stream=True)

    assert answer.pieces == [whole[at : at + 1] for at in range(37)]


# The table of faults.

WAYS: dict[FaultKind, FaultWay] = {
    "refuse": {"refused": True},
    "slow": {"slow": 0.01},
    "stall": {"stall_after": 2},
    "dribble": {"dribble": 0.0},
    "cut": {"cut_after": 2},
    "reset": {"reset_after": 2},
    "truncate": {"truncate_after": 2},
    "garbage": {"garbage_after": 2},
    "bad_utf8": {"bad_utf8_after": 2},
    "split_utf8": {"split_utf8": True},
    "content_type": {"content_type": "text/weird"},
    "html": {"html": 502},
    "empty": {"empty": True},
    "error_200": {"error_200": True},
    "error_event": {"error_after": 2},
    "no_end_mark": {"no_end_mark": True},
    "two_end_marks": {"two_end_marks": True},
}


def test_every_kind_has_a_row_and_every_way_a_kind() -> None:
    """The table, the vocabulary and these tests name the same faults."""
    assert set(FAULTS) == set(get_args(FaultKind)) == set(WAYS)
    for kind, row in FAULTS.items():
        assert row.what.endswith(".")
        assert row.in_process or row.socket, kind
        assert fault(WIDE, **WAYS[kind]).fault is not None
        assert fault(WIDE, **WAYS[kind]).fault.kind == kind  # type: ignore[union-attr]
    measures = [name for name in FaultWay.__annotations__ if name != "error"]
    for name in measures:
        way: Any = {name: "a/b" if name == "content_type" else 1}
        assert len(faults_of(way, Failure(status=500))) == 1, name


def by_hand(client: Any, url: str, fake: Fake) -> tuple[str | None, bytes, float]:
    """One streamed call with a plain HTTP client: the class of what it raised, the bytes, and the seconds."""
    raw = b""
    try:
        with client.stream("POST", url, json=body_of(fake), headers=credentials(fake)) as answer:
            for piece in answer.iter_raw():
                raw += piece
    except (httpx.HTTPError, httpx2.HTTPError) as error:
        return type(error).__name__, raw, 0.0
    return None, raw, 0.0


def path_of(fake: Fake) -> str:
    """Where a streamed chat request goes."""
    return {
        "openai": "/v1/chat/completions",
        "anthropic": "/v1/messages",
        "gemini": f"/v1beta/models/{MODELS['gemini']}:streamGenerateContent?alt=sse",
        "cohere": "/v2/chat",
    }[fake.dialect]


def body_of(fake: Fake) -> dict[str, Any]:
    """A streamed chat request."""
    return question(fake.dialect, "Hi", **({} if fake.dialect == "gemini" else {"stream": True}))


# On a socket: what a plain client raises. Of a refusal of one call the table says that it cannot be.
ON_A_SOCKET: dict[str, tuple[str | None, ...]] = {
    "cut": ("RemoteProtocolError",),
    "reset": ("ReadError",),
    "stall": ("ReadTimeout",),
    "refuse": ("ReadError", "RemoteProtocolError"),
}


@pytest.mark.parametrize(
    ("kind", "library"),
    [*((kind, "httpx2") for kind in sorted(WAYS)), *((kind, "httpx") for kind in ("cut", "refuse", "reset", "stall"))],
)
def test_the_claims_of_the_table(fake: Fake, server: FakeServer, kind: FaultKind, library: Any) -> None:
    """In process the errors that it names, on a port those of a real connection, and the same bytes through both."""
    row, module = FAULTS[kind], {"httpx": httpx, "httpx2": httpx2}[library]
    twin = type(fake)(seed=7)
    for one in (fake, twin):
        one.fault(WIDE, **WAYS[kind])
    origin = server.mount(f"claims{id(fake)}", twin)

    inside = inprocess.client(fake, library=library, sync=True, timeout=0.3)
    error, raw, _ = by_hand(inside, path_of(fake), fake)
    with module.Client(timeout=0.3) as outside:
        other_error, other_raw, _ = by_hand(outside, origin + path_of(twin), twin)
    server.unmount(f"claims{id(fake)}")

    named = re.search(r"the library's (\w+)", row.in_process or "")
    assert error == (named[1] if named else None)
    assert other_error in ON_A_SOCKET.get(kind, (None,))
    if kind in ("reset", "refuse", "stall"):
        assert raw.startswith(other_raw)
    else:
        assert raw == other_raw
    assert fake.last.response_headers == twin.last.response_headers
    if "virtual" in (row.in_process or ""):
        assert fake.last.virtual
        assert not twin.last.virtual
        assert "real time" in (row.socket or "")
    if "same" in (row.in_process or ""):
        assert [one for _, one in fake.last.pieces] == [one for _, one in twin.last.pieces]


async def test_byte_identical_journals(fake: Fake) -> None:
    """The same seed, all faults after each other, twice in process on virtual time: not a byte is otherwise."""
    dumps: list[bytes] = []
    for one in (type(fake)(seed="s"), type(fake)(seed="s")):
        one.chaos(0.3, fault(cut_after=1), fault(html=502), seed=5)
        for kind in WAYS:
            one.fault(WIDE, **WAYS[kind])
        one.always("the end")
        replies: list[Reply] = [
            await ask(one, stream=number % 3 != 0, read_timeout=2) for number in range(len(WAYS) + 10)
        ]
        dumps.append(repr([one.calls.dump(), [(reply.headers, reply.pieces) for reply in replies]]).encode())

    assert dumps[0] == dumps[1]


async def test_a_cancelled_answer_leaves_no_task(fake: Fake) -> None:
    """A server that drops a call gets everything back."""
    before = asyncio.all_tasks()
    waiting = asyncio.create_task(ask(fake.reply(TEXT, rate=1), stream=True))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("way", ["cut_after", "garbage_after", "truncate_after"])
async def test_a_pace_is_kept_under_faults(fake: Fake, way: str) -> None:
    """Each event that is sent was waited for, those of the fault too."""
    numbers: list[int] = []

    async def pace(number: int) -> None:
        numbers.append(number)

    fake.pace = pace
    answer = await ask(fake.fault(TEXT, **{way: 2}), stream=True)  # type: ignore[arg-type]

    assert numbers == list(range(len(answer.pieces)))


def test_what_a_client_got_is_what_was_noted(origin: Callable[[Fake], str], fake: Fake) -> None:
    """Of a stream that ends too early, on a port."""
    fake.fault(WIDE, truncate_after=2)

    with httpx2.Client(timeout=5) as client:
        error, raw, _ = by_hand(client, origin(fake) + path_of(fake), fake)

    assert error is None
    assert raw == fake.last.written
