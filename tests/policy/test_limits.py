"""Buckets in exact integers, which of them a call touches, and what callers are told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.policy.access import caller_of_key
from compatgw.policy.limits import (
    PLANS,
    Claims,
    corrected,
    duration,
    headers,
    input_tokens,
    judge,
    level_at,
    limits_of,
    narrower,
    price_of,
    refusal,
    reserved_tokens,
    retry_after,
    shown,
    tokens_of,
    wait_for,
)
from compatgw.state.base import Account, Bucket, Identity, Key, Lease, Level, Limits, Plan, Team, Verdict

MINUTE = Bucket("r", "requests", 60, 60_000)


def test_the_plans_that_every_gateway_knows() -> None:
    """Starter 60 and 100,000, Professional 300 and 500,000 a minute, Enterprise by agreement."""
    assert {name: (plan.requests, plan.tokens) for name, plan in PLANS.items()} == {
        "starter": (60, 100_000),
        "professional": (300, 500_000),
        "enterprise": (None, None),
    }


@given(
    limit=st.integers(1, 1_000_000_000),
    period=st.sampled_from([1000, 60_000, 3_600_000]),
    arrivals=st.lists(st.integers(0, 10_000), max_size=200),
)
def test_from_a_full_bucket_exactly_the_burst_and_what_flows_in_are_admitted(
    limit: int, period: int, arrivals: list[int]
) -> None:
    """At any later moment: burst + floor(rate x elapsed), for whoever always takes all that there is."""
    bucket = Bucket("b", "tokens", limit, period)
    level, at, now, admitted = limit * period, 0, 0, 0
    for pause in arrivals:
        now += pause
        level, at = level_at(bucket, level, at, now), now
        whole = level // period
        if whole >= limit:
            # A bucket that runs over loses what does not fit: then the count begins anew.
            now = at = admitted = 0
            level = limit * period
            whole = limit
        level -= whole * period
        admitted += whole

        assert admitted == limit + limit * now // period if admitted else True


@given(
    level=st.integers(-(10**12), 60 * 60_000),
    price=st.integers(0, 60).map(lambda units: units * 60_000),
)
def test_the_wait_that_is_told_is_exact(level: int, price: int) -> None:
    """After it there is enough, a millisecond earlier there is not."""
    wait = wait_for(MINUTE, level, price)

    assert level_at(MINUTE, level, 0, wait) >= price
    assert wait == 0 or level_at(MINUTE, level, 0, wait - 1) < price


def test_a_clock_that_goes_back_adds_nothing() -> None:
    """And the bucket goes on from there, rather than stand still until the clock has caught up."""
    level = level_at(MINUTE, 600, at=1_000_000, now=10)

    assert level == 600
    assert level_at(MINUTE, level, at=10, now=20) == 1200


def test_a_bucket_that_nobody_touched_for_years_is_full_and_no_more() -> None:
    """Numbers stay small whatever the clock says."""
    assert level_at(MINUTE, 0, 0, 10**15) == 60 * 60_000
    assert level_at(MINUTE, -5, 0, 10**15) == 60 * 60_000
    assert level_at(MINUTE, 0, 0, 59_999) == 59_999 * 60


def test_corrections_stay_between_full_and_a_debt_that_can_be_written() -> None:
    """More than was taken cannot come back."""
    assert corrected(MINUTE, 0, -1000) == 60 * 60_000
    assert corrected(MINUTE, 60_000, 3) == -120_000
    assert corrected(MINUTE, 0, 10**15) == -(2**52)


def test_a_limit_of_nothing() -> None:
    """It has a price that nobody can pay, and a wait that is no division by zero."""
    none = Bucket("n", "tokens", 0)

    assert price_of(none, 7) == 60_000
    assert price_of(none, 0) == 0
    assert wait_for(none, 0, 60_000) == 60_000
    assert shown(none, 0) == Level(none, 0, 0)


def test_the_longest_wait_refuses() -> None:
    """Of two empty buckets the slower one; a full lease only where no bucket is in the way."""
    slow = Bucket("s", "tokens", 1, 60_000)
    verdict = judge([(MINUTE, 1), (slow, 1)], [0, 0], Lease("c", 1))
    crowded = judge([(MINUTE, 1)], [60_000], Lease("c", 1))
    good = judge([(MINUTE, 1)], [60_000])

    assert (verdict.refused_by, verdict.retry_after) == (slow, 60_000)
    assert (crowded.refused_by, crowded.retry_after, crowded.levels[0].remaining) == (Lease("c", 1), 0, 1)
    assert (good.admitted, good.levels[0].remaining) == (True, 0)


# --- whose buckets ---


def identity(
    team_plan: Plan | None = None, key_plan: Plan | None = None, team: dict[str, Any] | None = None, **key: Any
) -> Identity:
    """A caller's key."""
    return Identity(
        key=Key(id="k1", team="t1", name="k", hash="", **key),
        account=Account(team=Team(id="t1", name="t", **(team or {})), plan=team_plan),
        plan=key_plan,
    )


def test_a_caller_without_limits_claims_nothing() -> None:
    """Nothing is counted that nobody looks at."""
    assert caller_of_key(identity(), PLANS).claims == Claims("t1", (), (), ())


def test_a_team_has_one_set_of_buckets_and_each_key_its_own() -> None:
    """By the team's plan, and by the narrower of the key's plan and the key itself."""
    found = caller_of_key(
        identity(
            team={"plan": "starter"},
            key_plan=Plan(id="p", requests=10, tokens=1000, concurrency=5),
            requests=20,
            concurrency=2,
        ),
        PLANS,
    ).claims

    assert found.requests == (Bucket("t:t1:r", "requests", 60), Bucket("k:k1:r", "requests", 10))
    assert found.tokens == (Bucket("t:t1:t", "tokens", 100_000), Bucket("k:k1:t", "tokens", 1000))
    assert found.leases == (Lease("k:k1:c", 2),)


def test_a_stored_plan_wins_over_the_one_that_every_gateway_knows() -> None:
    """An unknown name is no limit."""
    assert limits_of(Plan(id="starter", requests=1), "starter") == Limits(requests=1)
    assert limits_of(None, "starter") == Limits(requests=60, tokens=100_000)
    assert limits_of(None, "unknown") == limits_of(None, None) == Limits()


def test_the_narrower_of_two_limits() -> None:
    """None is wider than any number, zero narrower."""
    assert narrower(Limits(requests=5, tokens=0), Limits(requests=7, tokens=3, concurrency=1)) == Limits(
        requests=5, tokens=0, concurrency=1
    )


def test_what_a_call_takes_and_gives_back() -> None:
    """One request, its tokens; a bucket smaller than the reservation gave only what it holds."""
    small, large = Bucket("s", "tokens", 10), Bucket("l", "tokens", 1000)
    found = Claims("t", (MINUTE,), (small, large), ())

    assert found.costs(70) == ((MINUTE, 1), (small, 70), (large, 70))
    assert found.costs(-1) == ((MINUTE, 1), (small, 0), (large, 0))
    assert found.corrections(70, 30) == ((small, 20), (large, -40))
    assert found.corrections(70, 70) == ((small, 60),)


# --- what callers are told ---


def test_headers_tell_of_the_bucket_with_the_least_left() -> None:
    """For each kind; nothing of a kind without limit."""
    wide, narrow = Bucket("w", "requests", 100), Bucket("n", "requests", 5)
    tokens = Bucket("t", "tokens", 1000)

    assert headers([Level(wide, 50, 1000), Level(narrow, 2, 36_000), Level(tokens, 0, 360_000)]) == (
        ("x-ratelimit-limit-requests", "5"),
        ("x-ratelimit-remaining-requests", "2"),
        ("x-ratelimit-reset-requests", "36s"),
        ("x-ratelimit-limit-tokens", "1000"),
        ("x-ratelimit-remaining-tokens", "0"),
        ("x-ratelimit-reset-tokens", "6m0s"),
    )
    assert headers([]) == ()


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (-5, "0s"),
        (0, "0s"),
        (17, "17ms"),
        (999, "999ms"),
        (1000, "1s"),
        (8640, "8.64s"),
        (59_999, "59.999s"),
        (60_000, "1m0s"),
        (61_500, "1m1.5s"),
        (360_000, "6m0s"),
        (3_723_000, "1h2m3s"),
        (3_600_000, "1h0m0s"),
        (90_061_010, "25h1m1.01s"),
    ],
)
def test_times_are_written_as_openai_writes_them(milliseconds: int, text: str) -> None:
    """Clients have parsers for that form."""
    assert duration(milliseconds) == text


@pytest.mark.parametrize(("milliseconds", "seconds"), [(0, 1), (1, 1), (1000, 1), (1001, 2), (59_001, 60)])
def test_retry_after_is_never_too_short(milliseconds: int, seconds: int) -> None:
    """Whole seconds, rounded up."""
    assert retry_after(milliseconds) == seconds


def test_refusals_say_what_and_when() -> None:
    """And what to do about it."""
    assert refusal(Verdict(False, (), MINUTE, 1500)).startswith(
        "The limit of 60 requests a minute is reached. Try again in 1.5s"
    )
    assert refusal(Verdict(False, (), MINUTE, 1500), "tokens").startswith("The limit of 60 tokens")
    assert refusal(Verdict(False, (), Lease("c", 3))).startswith("3 calls are running")
    assert refusal(Verdict(False, ())).startswith("The limit")


# --- estimates ---


def asking(content: Any, **members: Any) -> Any:
    """A request."""
    return {"model": "m", "messages": [{"role": "user", "content": content}], **members}


@pytest.mark.parametrize(
    ("request_", "tokens"),
    [
        (asking(""), 4),
        (asking("x" * 400), 104),
        (asking("x"), 5),
        (asking("日本語"), 7),
        (asking("\ud800"), 5),
        (asking([{"type": "text", "text": "x" * 40}, {"type": "refusal", "refusal": "x" * 8}]), 16),
        (asking([{"type": "image_url", "image_url": {"url": "data:" + "x" * 10**6}}]), 1004),
        (asking([{"type": "file", "file": {}}]), 3004),
        (asking(None), 4),
        (asking("", tools=[{"a": "x" * 100}]), 4 + 27),
        ({"model": "m", "messages": [{"role": "assistant", "tool_calls": [{"a": "x" * 100}]}]}, 4 + 27),
    ],
)
def test_about_how_many_tokens_a_request_has(request_: Any, tokens: int) -> None:
    """Four bytes to a token; an image is no text of its base64."""
    assert input_tokens(request_) == tokens


@pytest.mark.parametrize(
    ("members", "model_output", "expected"),
    [
        ({}, None, 4096),
        ({"max_tokens": 100}, None, 100),
        ({"max_tokens": 100, "max_completion_tokens": 50}, None, 50),
        ({"max_tokens": 10**9}, None, 4096),
        ({"max_tokens": 3000}, 1000, 1000),
        ({"max_tokens": 100, "n": 3}, None, 300),
    ],
)
def test_what_is_reserved_for_the_answer(members: dict[str, Any], model_output: int | None, expected: int) -> None:
    """What was asked for, at most the cap and what the model writes, for each choice."""
    assert reserved_tokens(asking("", **members), 4, 4096, model_output) == 4 + expected


def test_claims_without_limits_are_empty() -> None:
    """Then nobody has to be asked; any bucket or lease changes that."""
    assert Claims("t", (), (), ()).empty
    assert not Claims("t", (MINUTE,), (), ()).empty
    assert not Claims("t", (), (), (Lease("c", 1),)).empty


@given(st.integers(0, 10**9))
def test_an_answers_tokens_are_a_quarter_of_its_characters(characters: int) -> None:
    """Rounded up: what was said is never nothing."""
    assert 0 <= tokens_of(characters) * 4 - characters < 4
