"""The cache: whole answers, told plain or as a stream; never a wrong one, and never in the way of a call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, cast
from uuid import uuid4

import orjson
import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion as SdkCompletion
from openai.types.chat import ChatCompletionChunk as SdkChunk
from openai.types.chat import ChatCompletionMessage as SdkMessage

from compatgw.dialects.assemble import chunks
from compatgw.dialects.base import Answer, Piece
from compatgw.errors import InvalidRequest
from compatgw.flow.cache import (
    Cache,
    Recording,
    Stored,
    Wish,
    headers_of,
    tenant_of,
    weight,
    whole,
    wish,
)
from compatgw.policy.access import Caller, Principal, caller_of_principal
from compatgw.sections import CacheSettings
from compatgw.state.base import Counters
from compatgw.state.loss import GuardedCounters
from compatgw.state.memory import MemoryCounters
from compatgw.state.redis import RedisCounters
from compatgw.surfaces import chat
from compatgw.wire import stored
from tests.canned import completion
from tests.state.making import Clock

KEY = "0" * 64
CALL: dict[str, Any] = {"id": "call_1", "type": "function", "function": {"name": "now", "arguments": '{"tz":"UTC"}'}}


def answer(*, raw: bool = False, **members: Any) -> Answer:
    """An answer as a dialect gives it, with the upstream's own bytes if they need no change."""
    body = completion(**members)
    return Answer(orjson.loads(body), body if raw else None)


def choice(number: int = 0, finish: str | None = "stop", **message: Any) -> dict[str, Any]:
    """A choice."""
    said = {"role": "assistant", "content": "Hello", "refusal": None, **message}
    return {"index": number, "message": said, "logprobs": None, "finish_reason": finish}


@pytest.fixture(params=["memory", "redis"])
async def counters(request: pytest.FixtureRequest) -> AsyncIterator[Counters]:
    """Empty counters on each back end."""
    if request.param == "memory":
        yield MemoryCounters()
        return
    shared = RedisCounters(request.getfixturevalue("redis_url"), prefix=f"cache-{uuid4().hex}")
    yield shared
    await shared.aclose()


NewCache = Callable[..., Cache]


@pytest.fixture
def new_cache(clock: Clock) -> NewCache:
    """Makes a cache of counters, with settings."""

    def make(counters: Counters, **settings: Any) -> Cache:
        return Cache(counters, CacheSettings(enabled=True, **settings), clock)

    return make


async def put(cache: Cache, kept: Answer, **options: Any) -> bool:
    """Keeps an answer."""
    return await cache.keep(KEY, kept, **{"provider": "up", "target": "real-1", **options})


# --- keeping ---


@pytest.mark.parametrize("raw", [True, False])
async def test_a_kept_answer_comes_back_whole(counters: Counters, new_cache: NewCache, raw: bool, clock: Clock) -> None:
    """With its usage, who gave it, when, and what else was told of it."""
    first = answer(raw=raw, service_tier="default", x_unknown={"a": [1, 2.5]})
    about = (("X-Dropped-Params", "seed"), ("X-Request-ID", "r1"), ("X-Cost", "1"), ("x-ratelimit-limit-requests", "3"))
    kept = await put(new_cache(counters), first, headers=about)
    # Another process.
    found = await new_cache(counters).look(KEY)

    assert kept
    assert found is not None
    assert whole_of(found).completion == first.completion
    assert (found.provider, found.target, found.made) == ("up", "real-1", clock.now)
    assert found.headers == (("X-Dropped-Params", "seed"),)
    assert chat.render(whole_of(found)) == chat.render(first)


async def test_nothing_is_found_under_another_key(counters: Counters, new_cache: NewCache) -> None:
    """One digit apart is apart."""
    cache = new_cache(counters)
    await put(cache, answer())

    assert await cache.look("1" + KEY[1:]) is None


async def test_the_last_answer_stands(counters: Counters, new_cache: NewCache) -> None:
    """`no-cache` asks for a new one, which takes the place of the old."""
    cache = new_cache(counters)
    await put(cache, answer(id="first"))
    await put(cache, answer(id="second"))
    found = await cache.look(KEY)

    assert found is not None
    assert whole_of(found).completion["id"] == "second"


@pytest.mark.parametrize(
    "choices",
    [
        [],
        [choice(finish=None)],
        [choice(finish="")],
        [choice(finish="content_filter")],
        [choice(), choice(1, finish=None)],
    ],
)
async def test_an_answer_that_is_not_whole_is_not_kept(new_cache: NewCache, choices: list[Any]) -> None:
    """A choice without an end, none at all, or one that a filter cut."""
    cache = new_cache(MemoryCounters())

    assert not await put(cache, answer(choices=choices))
    assert await cache.look(KEY) is None


@pytest.mark.parametrize("finish", ["stop", "length", "tool_calls", "function_call"])
def test_every_other_end_is_one(finish: str) -> None:
    """Also the caller's own limit: it is a part of the key."""
    assert whole(answer(choices=[choice(finish=finish)]).completion)


async def test_an_answer_over_the_limit_is_not_kept(counters: Counters, new_cache: NewCache) -> None:
    """The limit is of all that is kept, to the byte."""
    kept = answer(choices=[choice(content="é" * 500)])
    size = len(await _packed(kept))

    assert not await put(new_cache(counters, max_entry=size - 1), kept)
    assert await put(new_cache(counters, max_entry=size), kept)


async def _packed(kept: Answer) -> bytes:
    counters = MemoryCounters()
    await put(Cache(counters, CacheSettings(), Clock()), kept)
    found = await counters.get(f"answer:{KEY}")
    assert found is not None
    return found


@pytest.mark.parametrize("odd", ["\ud800", "nested"])
async def test_an_answer_that_cannot_be_written_is_not_kept(new_cache: NewCache, odd: str) -> None:
    """No call fails because of it."""
    value: Any = odd
    if odd == "nested":
        for _ in range(300):
            value = [value]
    broken = answer()
    cast("dict[str, Any]", broken.completion)["x"] = value

    assert not await put(new_cache(MemoryCounters()), broken)


async def test_memory_is_bounded_by_bytes(new_cache: NewCache) -> None:
    """The answer that was not asked for longest goes first."""
    cache = new_cache(MemoryCounters(max_bytes=20_000))
    for number in range(100):
        await cache.keep(f"{number:064}", answer(), provider="up", target="m")
        assert await cache.look("0" * 64) is not None
    found = [number for number in range(100) if await cache.look(f"{number:064}") is not None]

    assert 10 < len(found) < 50
    assert found == [0, *range(101 - len(found), 100)]


# --- time ---


async def test_an_answer_ends_with_its_time(new_cache: NewCache, clock: Clock) -> None:
    """An hour by default, or what the caller said."""
    cache = new_cache(MemoryCounters(clock=clock))
    await put(cache, answer())
    clock.now += 3599
    before = await cache.look(KEY)
    clock.now += 1
    after = await cache.look(KEY)
    await put(cache, answer(), ttl=60)
    clock.now += 59
    short = await cache.look(KEY)
    clock.now += 1

    assert (before is not None, after, short is not None, await cache.look(KEY)) == (True, None, True, None)


@pytest.mark.parametrize(("ttl", "seconds"), [(None, 3600), (86_400, 86_400)])
async def test_redis_is_told_the_time(redis_url: str, new_cache: NewCache, ttl: int | None, seconds: int) -> None:
    """So that it forgets by itself."""
    shared = RedisCounters(redis_url, prefix=f"ttl-{uuid4().hex}")
    await put(new_cache(shared), answer(), ttl=ttl)
    left = await (await shared._client()).redis.pttl(shared._name(f"answer:{KEY}"))
    await shared.aclose()

    assert (seconds - 60) * 1000 < left <= seconds * 1000


async def test_age_counts_whole_seconds_and_never_back(new_cache: NewCache, clock: Clock) -> None:
    """Where another machine's clock goes ahead of ours, an answer is new."""
    cache = new_cache(MemoryCounters())
    await put(cache, answer())
    found = await cache.look(KEY)

    assert found is not None
    assert [found.age(clock.now + late) for late in (0, 0.9, 1, 61.5, -5)] == [0, 0, 1, 61, 0]


async def test_who_says_how_long_wants_no_older_one(counters: Counters, new_cache: NewCache, clock: Clock) -> None:
    """`X-Cache-TTL: 60` beside an answer that is kept for a day and two minutes old."""
    cache = new_cache(counters)
    await put(cache, answer(), ttl=86_400)
    clock.now += 120

    assert [await cache.look(KEY, oldest=oldest) is not None for oldest in (None, 119, 120, 121)] == [
        True,
        False,
        True,
        True,
    ]


# --- what is damaged, and what is lost ---


@pytest.mark.parametrize(
    "harm",
    [
        lambda data: data[:-1],
        lambda data: data[:10],
        lambda _: b"",
        lambda _: b"17",
        lambda data: data.replace(b"Hello", b"Hallo"),
        lambda data: data.replace(b"cgw1", b"cgw0"),
        lambda _: stored.pack("idem", {}, b"{}"),
        lambda _: stored.pack("answer", {}, b"{}"),
        lambda _: stored.pack("answer", {"made": 1, "provider": "", "target": "", "headers": []}, b"{"),
        lambda _: stored.pack("answer", {"made": None, "provider": "", "target": "", "headers": [1]}, b"{}"),
    ],
)
async def test_a_damaged_or_foreign_entry_is_a_miss_and_goes(
    counters: Counters, new_cache: NewCache, harm: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once; nothing of what was in it is."""
    cache = new_cache(counters)
    await counters.put(f"answer:{KEY}", harm(await _packed(answer())), 60)

    assert [await cache.look(KEY), await cache.look(KEY)] == [None, None]
    assert await counters.get(f"answer:{KEY}") is None
    assert len(caplog.records) == 1
    assert "Hallo" not in caplog.text


async def test_a_lost_cache_is_a_miss(new_cache: NewCache, caplog: pytest.LogCaptureFixture) -> None:
    """Neither looking nor keeping raises, and it is said once for all calls."""
    lost = RedisCounters("redis://127.0.0.1:1/0", timeout=0.2)
    cache = new_cache(lost)

    assert [await cache.look(KEY), await put(cache, answer()), await cache.look(KEY)] == [None, False, None]
    assert len(caplog.records) == 1
    await lost.aclose()


@pytest.mark.parametrize(("on_loss", "found"), [("local", True), ("refuse", False)])
async def test_no_setting_for_lost_counters_fails_a_call(new_cache: NewCache, on_loss: Any, found: bool) -> None:
    """`local` keeps answers in this process meanwhile; `refuse` is about limits, and here a miss."""
    lost = GuardedCounters(RedisCounters("redis://127.0.0.1:1/0", timeout=0.2), on_loss)
    cache = new_cache(lost)

    assert await put(cache, answer()) is found
    assert (await cache.look(KEY) is not None) is found
    await lost.aclose()


# --- streams ---

ANSWERS: dict[str, Any] = {
    "text": [choice()],
    "tools": [choice(content=None, tool_calls=[CALL, {**CALL, "id": "call_2"}], finish="tool_calls")],
    "reasoning": [choice(reasoning_content="I think")],
    "two": [choice(), choice(1, content="Bye", finish="length")],
    "refusal": [choice(content=None, refusal="No")],
}


def whole_of(found: Stored) -> Answer:
    """The chat answer that was kept."""
    assert isinstance(found.answer, Answer)
    return found.answer


def called(message: SdkMessage) -> list[tuple[str, str, str]]:
    """The tools that a message calls."""
    calls = message.tool_calls or ()
    return [(one.id, one.function.name, one.function.arguments) for one in calls if one.type == "function"]


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_kept_answer_is_told_as_a_stream(new_cache: NewCache, name: str) -> None:
    """The official SDK puts the chunks together to the answer that it reads from the plain one."""
    cache = new_cache(MemoryCounters())
    await put(cache, answer(choices=ANSWERS[name]))
    found = await cache.look(KEY)
    assert found is not None
    replay = found.replay()
    told = [SdkChunk.model_validate_json(chat.render_chunk(piece) or b"") for piece in replay]
    state: Any = ChatCompletionStreamState()
    for one in told:
        state.handle_chunk(one)
    plain = SdkCompletion.model_validate_json(chat.render(whole_of(found)))
    # Not the final one: the SDK raises there when a choice has reached its limit.
    streamed = state.current_completion_snapshot

    for ours, theirs in zip(plain.choices, streamed.choices, strict=True):
        assert (ours.message.content or None) == (theirs.message.content or None)
        assert ours.message.refusal == theirs.message.refusal
        assert ours.finish_reason == theirs.finish_reason
        assert called(ours.message) == called(theirs.message)
    assert streamed.usage == plain.usage
    assert (streamed.id, streamed.created, streamed.model) == (plain.id, plain.created, plain.model)


async def test_a_told_stream_has_the_order_of_a_live_one(new_cache: NewCache) -> None:
    """Role, words, finish reason, and at last the chunk with usage alone, which only goes to who asked for it."""
    cache = new_cache(MemoryCounters())
    await put(cache, answer())
    found = await cache.look(KEY)
    assert found is not None
    told = [piece.chunk for piece in found.replay()]

    assert [(c["choices"][0]["delta"], c["choices"][0]["finish_reason"]) for c in told[:-1]] == [
        ({"role": "assistant", "content": ""}, None),
        ({"content": "Hello"}, None),
        ({}, "stop"),
    ]
    assert (told[-1]["choices"], told[-1].get("usage")) == ([], answer().completion["usage"])
    assert {(c["id"], c["created"], c["model"], c["object"]) for c in told} == {
        ("chatcmpl-up", 7, "real-1", "chat.completion.chunk")
    }


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_stream_is_kept_as_the_answer_that_it_was(counters: Counters, new_cache: NewCache, name: str) -> None:
    """Recorded chunk by chunk, kept, and found as if it had been asked for plain."""
    plain = answer(choices=ANSWERS[name])
    recording = Recording(10_000)
    for piece in chunks(plain.completion):
        recording.add([piece])
    got = recording.answer()
    assert got is not None
    cache = new_cache(counters)
    await put(cache, got)
    found = await cache.look(KEY)

    assert found is not None
    assert whole_of(found).completion == plain.completion


@pytest.mark.parametrize("seen", [0, 1, 2])
def test_a_stream_that_was_cut_is_no_answer(seen: int) -> None:
    """Before its finish reason it is not whole, wherever it ends."""
    recording = Recording(10_000)
    recording.add(chunks(answer().completion)[:seen])

    assert recording.answer() is None


def test_of_several_choices_each_has_to_end() -> None:
    """One that is still open makes it no answer."""
    recording = Recording(10_000)
    recording.add(chunks(answer(choices=[choice(), choice(1)]).completion)[:-2])

    assert recording.answer() is None


@pytest.mark.parametrize(
    "message",
    [
        {"content": "x" * 200},
        {"reasoning_content": "x" * 200},
        {"tool_calls": [{**CALL, "function": {"name": "n", "arguments": "x" * 200}}]},
        {"annotations": [{"url": "x" * 200}]},
        {"logprobs": {"content": [{"token": "x" * 200, "logprob": -0.1, "bytes": None}]}},
    ],
)
def test_a_stream_that_grows_too_large_is_let_go(message: dict[str, Any]) -> None:
    """At once, whatever it grew by; what follows is not put together any more."""
    logprobs = message.pop("logprobs", None)
    told = chunks(answer(choices=[{**choice(**message), "logprobs": logprobs}]).completion)
    small, large = Recording(180), Recording(1000)
    for piece in told:
        small.add([piece])
        large.add([piece])

    assert (small.answer(), small._assembler) == (None, None)
    assert large.answer() is not None


def test_many_small_words_are_counted_by_what_they_add() -> None:
    """The envelope of each chunk is no part of the answer."""
    words = [f"{number} " for number in range(1000)]
    head, text, *tail = chunks(answer().completion)
    recording = Recording(6_000)
    recording.add([head])
    for word in words:
        row = {**text.chunk["choices"][0], "delta": {"content": word}}
        recording.add([Piece(cast("Any", {**text.chunk, "choices": [row]}))])
    recording.add(tail)
    got = recording.answer()

    assert got is not None
    assert got.completion["choices"][0]["message"]["content"] == "".join(words)


def test_the_weight_of_a_chunk_grows_with_what_it_says() -> None:
    """Whether its own bytes are there or not."""
    short, long = (chunks(answer(choices=[choice(content=text)]).completion)[1] for text in ("x", "x" * 5000))

    assert weight(long) - weight(short) >= 4999
    assert weight(Piece(short.chunk, b"x" * 5000)) - weight(Piece(short.chunk, b"x")) >= 4999


# --- what the caller wants ---


@pytest.mark.parametrize(
    ("cache", "ttl", "wanted"),
    [
        (None, None, Wish()),
        ("", None, Wish()),
        ("no-cache", None, Wish(look=False)),
        (" No-Cache ", None, Wish(look=False)),
        ("no-store", None, Wish(keep=False)),
        ("no-cache, no-store", None, Wish(look=False, keep=False)),
        (None, "1", Wish(ttl=1)),
        (None, " 86400 ", Wish(ttl=86_400)),
        (None, "00060", Wish(ttl=60)),
        ("no-cache", "60", Wish(look=False, ttl=60)),
    ],
)
def test_what_the_headers_say(cache: str | None, ttl: str | None, wanted: Wish) -> None:
    """Both are optional, and hold for this request alone."""
    assert wish(cache, ttl) == wanted
    assert wish(cache, ttl).asked == (ttl is not None)


@pytest.mark.parametrize("cache", ["yes", "no-cache, force", "max-age=3", "HIT"])
def test_another_word_for_the_cache_is_refused(cache: str) -> None:
    """A wish that is not understood is not passed over."""
    with pytest.raises(InvalidRequest) as found:
        wish(cache, None)

    assert (found.value.status, found.value.code, found.value.param) == (400, "invalid_value", "X-Cache")


@pytest.mark.parametrize("ttl", ["0", "86401", "-1", "1.5", "", "1e3", "٣", "9" * 5000, "60s", "+60"])
def test_a_time_out_of_range_is_refused(ttl: str) -> None:
    """From one second to a day, in digits."""
    with pytest.raises(InvalidRequest) as found:
        wish(None, ttl)

    assert (found.value.status, found.value.code, found.value.param) == (400, "invalid_value", "X-Cache-TTL")


def test_what_the_answer_says() -> None:
    """`Age` belongs to a hit alone."""
    assert headers_of("HIT", 61) == (("X-Cache", "HIT"), ("Age", "61"))
    assert (headers_of("MISS"), headers_of("BYPASS")) == ((("X-Cache", "MISS"),), (("X-Cache", "BYPASS"),))


def test_a_team_shares_its_answers_and_nobody_else_does() -> None:
    """A team that is called as a caller without one is still another."""

    def caller(name: str, team: str | None = None) -> Caller:
        return caller_of_principal(Principal(name=name, team=team), None, {})

    assert tenant_of(caller("a", "t")) == tenant_of(caller("b", "t"))
    assert len({tenant_of(caller(*who)) for who in [("a", "t"), ("a", "u"), ("a",), ("t",), ("team t",)]}) == 5
