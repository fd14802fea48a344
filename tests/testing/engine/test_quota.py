"""Quotas by the minute: buckets, refusals in every dialect, and how long a client is told to wait."""

import math
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw_testing import Fake, FakeOpenAI, ScriptError
from compatgw_testing.attempts import told
from compatgw_testing.clock import VirtualClock, WallClock
from compatgw_testing.fakes.quota import Bucket, Quota, Room
from compatgw_testing.script import dump
from tests.testing.doors.sdks import stream_text
from tests.testing.driver import FAKES, ask
from tests.testing.engine.asking import say


class SettableClock:
    """A clock that may be set back, as a machine's is."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        """The time."""
        return self.time


async def statuses(fake: Fake, count: int) -> list[int]:
    """Of so many calls, one after the other."""
    return [(await ask(fake)).status for _ in range(count)]


def test_a_bucket_refills_by_its_limit_a_minute() -> None:
    """Full at first, never more than full."""
    clock = VirtualClock()
    bucket = Bucket(60, clock)

    bucket.take(60)
    assert bucket.room == Room(60, 0, 60.0)
    assert bucket.wait_for(1) == 1.0
    clock.advance(1)
    assert bucket.wait_for(1) == 0.0
    assert bucket.room == Room(60, 1, 59.0)
    clock.advance(3600)
    assert bucket.room == Room(60, 60, 0.0)


def test_a_bucket_may_be_overdrawn() -> None:
    """What was used and not there is refilled first."""
    clock = VirtualClock()
    bucket = Bucket(60, clock)

    bucket.take(90)

    assert bucket.room == Room(60, 0, 90.0)
    assert bucket.wait_for(1) == 31.0


def test_more_than_a_bucket_holds_waits_until_it_is_full() -> None:
    """A request larger than the quota is served some time."""
    clock = VirtualClock()
    bucket = Bucket(60, clock)

    assert bucket.wait_for(1000) == 0.0
    bucket.take(30)
    assert bucket.wait_for(1000) == 30.0


def test_a_clock_that_is_set_back_gives_and_takes_nothing() -> None:
    """Time that passed twice counts once."""
    clock = SettableClock()
    bucket = Bucket(60, clock)
    bucket.take(60)

    clock.time -= 100
    assert bucket.wait_for(1) == 1.0
    clock.time += 100
    assert bucket.wait_for(1) == 1.0
    clock.time += 1
    assert bucket.wait_for(1) == 0.0


@pytest.mark.parametrize("limit", [1, 3, 7, 60, 500, 10_000, 30_000_000])
def test_who_waits_as_long_as_told_is_served(limit: int) -> None:
    """Floats of 1970 are coarse; nobody is refused again for a millionth of a second."""
    clock = VirtualClock(1_780_272_000.123)
    quota = Quota(clock, rpm=limit)
    for _ in range(min(limit, 2000)):
        assert quota.refuse(1) is None
    for _ in range(50):
        wait = quota.refuse(1)
        if wait is None:
            continue
        clock.advance(math.ceil(wait * 1000) / 1000)
        assert quota.refuse(1) is None


@given(
    limit=st.integers(1, 1000),
    steps=st.lists(st.tuples(st.floats(0, 90), st.integers(1, 50)), min_size=1, max_size=30),
)
@settings(max_examples=60, deadline=None)
def test_no_window_lets_more_through_than_the_quota(limit: int, steps: list[tuple[float, int]]) -> None:
    """In any stretch of time: one full bucket, and what has run in since."""
    clock = VirtualClock(0)
    quota = Quota(clock, rpm=limit)
    served: list[float] = []
    for seconds, count in steps:
        clock.advance(seconds)
        served += [clock.now() for _ in range(count) if quota.refuse(1) is None][:50]

    for start in range(len(served)):
        for end in range(start, len(served)):
            assert end - start + 1 <= limit + (served[end] - served[start]) * limit / 60 + 0.1


@pytest.mark.parametrize("limits", [{"rpm": 0}, {"tpm": 0}, {"rpm": -1}])
def test_a_quota_is_above_zero(fake: Fake, limits: dict[str, int]) -> None:
    """Nothing at all is no quota."""
    with pytest.raises(ScriptError, match="a quota is a number above 0 by the minute"):
        fake.quota(**limits)


async def test_requests_a_minute(fake: Fake) -> None:
    """So many at once, then one whenever enough time has passed."""
    fake.quota(rpm=3)

    assert await statuses(fake, 5) == [200, 200, 200, 429, 429]
    fake.clock.advance(20)  # type: ignore[attr-defined]
    assert await statuses(fake, 2) == [200, 429]
    fake.clock.advance(60)  # type: ignore[attr-defined]
    assert await statuses(fake, 4) == [200, 200, 200, 429]
    assert [one.outcome for one in fake.calls[:4]] == ["completed"] * 3 + ["failed"]


async def test_tokens_a_minute(fake: Fake) -> None:
    """What was used counts, read and written; what a request reads must be there."""
    fake.quota(tpm=600)
    fake.always("ok").reply("much", usage=(400, 150)).reply("more", usage=(20, 70))

    assert await statuses(fake, 3) == [200, 200, 429]
    fake.clock.advance(12)  # type: ignore[attr-defined]

    assert await statuses(fake, 1) == [200]


async def test_a_refusal_takes_nothing_from_the_script(fake: Fake) -> None:
    """The answer waits for the retry, and nothing is unused at the end."""
    fake.quota(rpm=1).reply("one").reply("two")

    assert await statuses(fake, 2) == [200, 429]
    fake.clock.advance(60)  # type: ignore[attr-defined]
    assert await statuses(fake, 1) == [200]
    assert b"two" in fake.last.written
    fake.verify()


async def test_a_refusal_says_how_long_to_wait(fake: Fake) -> None:
    """In the vendor's own way; who waits so long is served."""
    fake.quota(rpm=40)
    assert set(await statuses(fake, 40)) == {200}

    await ask(fake)
    wait = told(fake.last)

    assert wait.seconds == 1.5
    fake.clock.advance(1.499)  # type: ignore[attr-defined]
    assert await statuses(fake, 1) == [429]
    fake.clock.advance(0.001)  # type: ignore[attr-defined]
    assert await statuses(fake, 1) == [200]


async def test_a_quota_can_be_lifted(fake: Fake) -> None:
    """By another one, or by a reset."""
    fake.quota(rpm=1)
    assert await statuses(fake, 2) == [200, 429]
    fake.quota(rpm=2)
    assert await statuses(fake, 3) == [200, 200, 429]
    fake.reset()
    assert fake.limits is None
    assert set(await statuses(fake, 3)) == {200}


async def test_streams_count_too(fake: Fake) -> None:
    """Their tokens when they begin."""
    fake.quota(rpm=2, tpm=1000).always("a b c d")

    streamed = [(await ask(fake, stream=True)).status for _ in range(3)]

    assert streamed == [200, 200, 429]
    assert fake.limits is not None
    assert fake.limits.tokens is not None
    assert fake.limits.tokens.room.remaining < 1000


async def test_a_request_that_is_refused_otherwise_costs_nothing(fake: Fake) -> None:
    """A bad key, a bad body."""
    fake.quota(rpm=1)

    await ask(fake, b"no json")
    await ask(fake, {"nothing": 1})

    assert await statuses(fake, 1) == [200]


def _room(fake: Fake) -> Room:
    assert fake.limits is not None
    assert fake.limits.requests is not None
    return fake.limits.requests.room


async def test_openai_says_what_is_left() -> None:
    """Limits, what remains, and when it is full again."""
    fake = FakeOpenAI().quota(rpm=60, tpm=6000).always("Hi")

    headers = (await ask(fake)).headers

    assert headers["x-ratelimit-limit-requests"] == "60"
    assert headers["x-ratelimit-remaining-requests"] == "59"
    assert headers["x-ratelimit-reset-requests"] == "1s"
    assert headers["x-ratelimit-limit-tokens"] == "6000"
    assert 5900 < int(headers["x-ratelimit-remaining-tokens"]) < 6000


async def test_anthropic_says_what_is_left() -> None:
    """The same under its names; the reset is a moment."""
    fake = FAKES["anthropic"]().quota(rpm=60, tpm=6000).always("Hi")

    headers = (await ask(fake)).headers

    assert headers["anthropic-ratelimit-requests-limit"] == "60"
    assert headers["anthropic-ratelimit-requests-remaining"] == "59"
    assert headers["anthropic-ratelimit-tokens-limit"] == "6000"
    assert headers["anthropic-ratelimit-requests-reset"].startswith("2026-06-01T00:00:0")


# How long to wait, and whether to try again at all.


@pytest.mark.parametrize("dialect", sorted(FAKES))
@pytest.mark.parametrize(
    ("form", "names"),
    [
        ("seconds", {"retry-after": "0.25"}),
        ("ms", {"retry-after-ms": "250"}),
        ("both", {"retry-after": "0.25", "retry-after-ms": "250"}),
    ],
)
async def test_forms_of_retry_after(dialect: str, form: Any, names: dict[str, str]) -> None:
    """Exactly the headers of the form, whatever the vendor's own is."""
    fake = FAKES[dialect]().fail(429, retry_after=0.25, retry_form=form)

    headers = (await ask(fake)).headers

    assert {name: headers[name] for name in headers if name.startswith("retry-after")} == names


async def test_retry_after_as_a_date(fake: Fake) -> None:
    """Counted from the fake's clock."""
    answer = await ask(fake.fail(503, retry_after=90, retry_form="date"))

    moment = parsedate_to_datetime(answer.headers["retry-after"]).timestamp()

    assert moment == fake.clock.now() + 90


@pytest.mark.parametrize(("given", "header"), [(True, "true"), (False, "false"), (None, None)])
async def test_whether_to_retry(fake: Fake, given: bool | None, header: str | None) -> None:
    """Said in a header that some SDKs obey."""
    ways: dict[str, Any] = {} if given is None else {"should_retry": given}

    assert (await ask(fake.fail(500, **ways))).headers.get("x-should-retry") == header


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_sdks_obey_whether_to_retry(dialect: str, sdk: Callable[..., Any]) -> None:
    """No second attempt where the fake says so, one where it says so though the status would not."""
    fake = (
        FAKES[dialect]().fail(503, should_retry=False).fail(400, should_retry=True, retry_after=0.01, retry_form="ms")
    )
    fake.reply("Fine")
    client = sdk(fake, retries=2)

    with pytest.raises(Exception, match=r"overloaded|unavailable"):
        stream_text(client, dialect)
    assert len(fake.calls) == 1
    assert stream_text(client, dialect) == "Fine"
    assert len(fake.calls) == 3


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_sdks_wait_as_a_quota_says(dialect: str, sdk: Callable[..., Any]) -> None:
    """On the machine's clock, a real bucket: the second call is refused once, waits, and is served."""
    fake = FAKES[dialect](clock=WallClock()).quota(rpm=1200).always("Fine")
    client = sdk(fake, retries=9)
    assert fake.limits is not None
    assert fake.limits.requests is not None
    fake.limits.requests.take(1200)

    assert stream_text(client, dialect) == "Fine"

    assert fake.calls[0].status == 429
    assert fake.last.status == 200
    assert "retry_after_ignored" not in fake.grade().kinds


async def test_a_date_is_obeyed_on_the_machines_clock(fake: Fake) -> None:
    """An SDK holds it against its own clock, so the fake has to use the same."""
    fake = FAKES[fake.dialect](clock=WallClock()).fail(429, retry_after=2, retry_form="date")

    await ask(fake)
    seconds = told(fake.last).seconds

    assert seconds is not None
    assert 1 <= seconds <= 3


async def test_quotas_are_each_fakes_own(fake: Fake) -> None:
    """One empty bucket does not empty another."""
    other = type(fake)().quota(rpm=1)
    fake.quota(rpm=1)
    await ask(fake)

    assert (await ask(other)).status == 200
    assert _room(fake).remaining == _room(other).remaining == 0


async def test_a_long_prompt_is_refused_before_it_is_answered(fake: Fake) -> None:
    """Its own tokens are too many for what is left."""
    fake.quota(tpm=400).always("ok")
    await say(fake, ("user", "x " * 500))

    answer = await say(fake, ("user", "y " * 500))

    assert answer.status == 429
    assert len(dump(answer.json)) < 2000


async def test_cohere_says_what_is_left_of_a_trial() -> None:
    """Only a key with a quota is told."""
    fake = FAKES["cohere"]().always("Hi")
    free = (await ask(fake)).headers

    told_so = (await ask(fake.quota(rpm=20))).headers

    assert not [name for name in free if "limit" in name]
    assert (told_so["x-trial-endpoint-call-limit"], told_so["x-trial-endpoint-call-remaining"]) == ("20", "19")


async def test_gemini_says_nothing_until_it_refuses() -> None:
    """It has no such headers; the refusal names the quota in its details."""
    fake = FAKES["gemini"]().always("Hi").quota(rpm=1)
    fine = await ask(fake)

    refused = await ask(fake)

    assert not [name for name in (*fine.headers, *refused.headers) if "limit" in name or name == "retry-after"]
    details = {one["@type"].rpartition(".")[2]: one for one in refused.json["error"]["details"]}
    assert details["RetryInfo"]["retryDelay"] == "60s"
    assert "PerMinute" in details["QuotaFailure"]["violations"][0]["quotaId"]
