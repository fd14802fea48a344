"""FakeAnthropic beside chat: counting tokens, models, rate limits, and what is refused there."""

from datetime import UTC, datetime

import pytest

from compatgw_testing import FakeAnthropic, VirtualClock
from compatgw_testing.clock import EPOCH
from tests.testing.anthropic import places
from tests.testing.anthropic.cases import CASES, COUNT, TAKEN, counted
from tests.testing.driver import ask, question
from tests.testing.surfaces import put, refused
from tests.testing.test_strict_anthropic import TOOL, USER, assistant, text, use, user


@pytest.mark.parametrize("rule", CASES)
async def test_refused(rule: str) -> None:
    """A request against the rule is a 400 in Anthropic's envelope, and need not be tried again."""
    reply = await refused(FakeAnthropic(), CASES[rule])

    kind = "authentication_error" if reply.status == 401 else "invalid_request_error"
    assert (reply.json["type"], reply.json["error"]["type"]) == ("error", kind)
    assert reply.headers["x-should-retry"] == "false"
    assert reply.headers["request-id"] == reply.json["request_id"]


@pytest.mark.parametrize("place", places.CASES)
async def test_refused_in_each_place(place: str) -> None:
    """A good request that is changed in one place is refused with words about that place."""
    body, hint = places.CASES[place]

    reply = await ask(places.fake(), body)

    assert reply.status == 400
    assert hint in reply.json["error"]["message"]


async def test_the_good_request_is_taken() -> None:
    """Otherwise the test above would say nothing."""
    reply = await ask(places.fake(), places.GOOD)

    assert reply.status == 200, reply.raw


async def test_too_many_messages() -> None:
    """100 000 are allowed."""
    reply = await ask(FakeAnthropic(), {**question("anthropic"), "messages": [USER] * 100_001})

    assert "messages: List should have at most 100000 items" in reply.json["error"]["message"]


@pytest.mark.parametrize("rule", TAKEN)
async def test_taken(rule: str) -> None:
    """What Anthropic takes, the fake takes."""
    reply = await ask(FakeAnthropic(), TAKEN[rule])

    assert reply.status == 200, reply.raw


async def test_a_count_is_what_a_message_of_the_same_has_read() -> None:
    """System text and tools are counted, too, and nothing is taken from the script."""
    fake = FakeAnthropic().reply("Hi")
    body = counted(system="Be brief.", tools=[TOOL], messages=[USER, assistant(use()), user(result())])

    count = await put(fake, COUNT, body)
    message = await put(fake, "/v1/messages", {**body, "max_tokens": 9})
    less = await put(fake, COUNT, counted())

    assert count.json == {"input_tokens": message.json["usage"]["input_tokens"]}
    assert less.json["input_tokens"] < count.json["input_tokens"]
    assert fake.calls[0].request is not None
    assert (fake.calls[0].request.surface, fake.calls[0].request.tools) == ("tokens", {"f": TOOL["input_schema"]})


def result() -> dict[str, object]:
    """A tool result."""
    return {"type": "tool_result", "tool_use_id": "toolu_a", "content": [text()]}


@pytest.mark.parametrize("member", ["thinking", "signature"])
async def test_altered_thought_is_refused(member: str) -> None:
    """Another text under the same signature, or another signature, also where tokens are counted."""
    fake = FakeAnthropic().reply("a", reasoning="Thought.")
    block = (await ask(fake)).json["content"][0]
    messages = [USER, assistant({**block, member: "QWx0ZXJlZA=="}, text()), USER]

    altered = await ask(fake, {**question("anthropic"), "messages": messages})
    counted_so = await put(fake, COUNT, counted(messages=messages))
    untouched = await put(fake, COUNT, counted(messages=[USER, assistant(block, text()), USER]))

    assert [one.status for one in (altered, counted_so, untouched)] == [400, 400, 200]
    assert "Invalid `signature` in `thinking` block" in altered.json["error"]["message"]


async def test_counting_can_fail_and_has_rules_of_its_own() -> None:
    """A scripted failure happens to any call; a rule for tokens answers no chat."""
    fake = FakeAnthropic(models=["claude-sonnet-4-6"])
    fake.on(surface="tokens", model="claude-sonnet-4-6").fail(529)

    chat = await ask(fake)
    count = await put(fake, COUNT, counted())
    unknown = await put(fake, COUNT, counted(model="claude-none"))

    assert (chat.status, count.status, count.json["error"]["type"]) == (200, 529, "overloaded_error")
    assert (unknown.status, unknown.json["error"]["message"]) == (404, "model: claude-none")


async def test_a_quota_stands_in_the_headers() -> None:
    """Limit, rest and when it is full again, in RFC 3339; then 429 with the time to wait."""
    clock = VirtualClock()
    fake = FakeAnthropic(clock=clock).quota(rpm=2, tpm=9_000)

    first, second, third = [await ask(fake) for _ in range(3)]
    clock.advance(float(third.headers["retry-after"]))
    fourth = await ask(fake)

    prefix = "anthropic-ratelimit-"
    assert [one.headers[f"{prefix}requests-limit"] for one in (first, third)] == ["2", "2"]
    assert [one.headers[f"{prefix}requests-remaining"] for one in (first, second, third)] == ["1", "0", "0"]
    full = datetime.fromtimestamp(EPOCH + 30, UTC)
    assert datetime.fromisoformat(first.headers[f"{prefix}requests-reset"]) == full
    assert int(first.headers[f"{prefix}tokens-remaining"]) < 9_000
    assert [one.status for one in (first, second, third, fourth)] == [200, 200, 429, 200]
    assert third.json["error"]["type"] == "rate_limit_error"
    assert "x-should-retry" not in third.headers


async def test_without_a_quota_limits_are_ample() -> None:
    """All four of them are told."""
    headers = (await ask(FakeAnthropic())).headers

    names = ("requests", "tokens", "input-tokens", "output-tokens")
    assert all(int(headers[f"anthropic-ratelimit-{name}-remaining"]) > 1000 for name in names)


async def test_models_tell_what_they_can() -> None:
    """As far as their names say: thinking, effort, lengths."""
    fake = FakeAnthropic()

    entries = {}
    for name in ("claude-opus-5-5", "claude-haiku-4-5", "claude-3-haiku-20240307", "my-model"):
        entries[name] = (await put(fake, f"/v1/models/{name}", method="GET")).json
    late, small, old, unknown = entries.values()

    assert late["capabilities"]["thinking"]["types"]["disabled"] == {"supported": False}
    assert late["max_input_tokens"] == 1_000_000
    assert small["capabilities"]["effort"]["supported"] is False
    assert small["capabilities"]["thinking"]["types"]["enabled"] == {"supported": True}
    assert (old["capabilities"]["thinking"]["supported"], old["max_tokens"]) == (False, 4096)
    assert set(unknown) == {"type", "id", "display_name", "created_at"}


async def test_models_are_paged_in_both_directions() -> None:
    """By the id before which or after which the page is."""
    fake = FakeAnthropic(models=["a", "b", "c"])

    first = (await put(fake, "/v1/models?limit=2", method="GET")).json
    after = (await put(fake, "/v1/models?limit=2&after_id=b", method="GET")).json
    before = (await put(fake, "/v1/models?before_id=b", method="GET")).json

    assert ([one["id"] for one in first["data"]], first["has_more"], first["last_id"]) == (["a", "b"], True, "b")
    assert ([one["id"] for one in after["data"]], after["has_more"]) == (["c"], False)
    assert [one["id"] for one in before["data"]] == ["a"]


async def test_without_strictness_anything_readable_is_served() -> None:
    """And what cannot be read is a 400."""
    fake = FakeAnthropic(strict=False)

    loose = await put(fake, COUNT, {**question("anthropic"), "stream": True})
    unreadable = await put(fake, COUNT, {"model": "m"})

    assert (loose.status, unreadable.status) == (200, 400)
