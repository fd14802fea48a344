"""What comes after a failed attempt, and which failure a client sees in the end."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from compatgw.dialects import failure as judging
from compatgw.dialects.base import Target
from compatgw.errors import (
    Blame,
    GatewayError,
    InvalidRequest,
    StreamInterrupted,
    UpstreamFailure,
    UpstreamModelMissing,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from compatgw.policy.retry import DEFAULT, Decision, Move, Rules, decide, passes, report

TARGET = Target("groq", "llama-3.3-70b")


def refused(status: int, message: str = "no", **more: Any) -> UpstreamFailure:
    """What the dialects make of an upstream's answer."""
    return judging.judge(status, message, TARGET, **more)


def after(failure: GatewayError, **changed: Any) -> Decision:
    """The decision after a first attempt with two retries, a minute and one more target."""
    given = {"tries": 1, "retries": 2, "left": 60.0, "others": 1, "random": lambda: 0.5, **changed}
    return decide(failure, **given)


PASSING = [
    pytest.param(UpstreamUnavailable("no connection"), id="connect"),
    pytest.param(UpstreamTimeout("no first byte"), id="first byte"),
    pytest.param(StreamInterrupted("cut"), id="stream cut"),
    pytest.param(UpstreamFailure("garbled", upstream_status=200), id="garbled success"),
    *[pytest.param(refused(status), id=str(status)) for status in (408, 409, 425, 429, 498, 500, 502, 503, 504, 529)],
]


@pytest.mark.parametrize("failure", PASSING)
def test_what_passes_is_tried_again_after_a_pause_of_our_own(failure: UpstreamFailure) -> None:
    """Half of the first range at a draw of a half; the next ranges are twice as wide, up to the cap."""
    assert passes(failure)
    assert after(failure) == Decision(Move.AGAIN, "backoff", 0.25)
    assert after(failure, tries=2) == Decision(Move.AGAIN, "backoff", 0.5)
    assert after(failure, tries=5, retries=5) == Decision(Move.AGAIN, "backoff", 4.0)
    assert after(failure, tries=2000, retries=5000) == Decision(Move.AGAIN, "backoff", 4.0)


@pytest.mark.parametrize("failure", PASSING)
def test_after_the_retries_comes_the_next_target_and_then_the_end(failure: UpstreamFailure) -> None:
    """One try and two retries; the third failure is the last at this target."""
    assert after(failure, tries=3) == Decision(Move.NEXT, "retries_spent")
    assert after(failure, tries=3, others=0) == Decision(Move.GIVE_UP, "retries_spent")
    assert after(failure, retries=0) == Decision(Move.NEXT, "retries_spent")


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (refused(401), "credential"),
        (refused(403), "credential"),
        (refused(402), "account"),
        (refused(429, "You exceeded your current quota", code="insufficient_quota"), "account"),
        (refused(404), "model"),
        (refused(400, "maximum context length is 8192 tokens"), "context"),
        (refused(424), "permanent"),
        (UpstreamFailure("redirected", upstream_status=302), "permanent"),
    ],
)
def test_what_does_not_pass_goes_to_the_next_target_at_once(failure: UpstreamFailure, reason: str) -> None:
    """Our key, our money, an unknown model, a prompt too long: never the same target again, and no pause."""
    assert not passes(failure)
    decision = after(failure)
    assert (decision.move, decision.reason, decision.pause) == (Move.NEXT, reason, 0.0)
    last = after(failure, others=0)
    assert (last.move, last.reason, last.pause) == (Move.GIVE_UP, reason, 0.0)


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_the_callers_own_fault_ends_it_at_once(status: int) -> None:
    """No other target would take the request either, however many there are."""
    assert after(refused(status), others=5) == Decision(Move.GIVE_UP, "caller")


def test_failures_of_the_gateway_itself_are_no_reason_to_ask_another_upstream() -> None:
    """A request that cannot be written is the caller's, all else ours."""
    assert after(InvalidRequest("no")) == Decision(Move.GIVE_UP, "caller")
    assert after(GatewayError("oops")) == Decision(Move.GIVE_UP, "ours")
    assert not passes(GatewayError("oops"))


def test_an_upstream_that_forbids_a_retry_is_obeyed() -> None:
    """`x-should-retry: false` on what would pass otherwise means the next target."""
    assert after(refused(503)).move is Move.AGAIN
    failure = UpstreamUnavailable("no", upstream_status=503, should_retry=False)
    assert after(failure) == Decision(Move.NEXT, "permanent")


@pytest.mark.parametrize(
    ("headers", "least"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "Fri, 20 Nov 2026 10:00:03 GMT", "date": "Fri, 20 Nov 2026 10:00:00 GMT"}, 3.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
    ],
)
def test_every_form_of_retry_after_is_obeyed(headers: dict[str, str], least: float) -> None:
    """Seconds, an HTTP date and milliseconds: never earlier than asked, and a little after it, not all at once."""
    failure = judging.from_body(429, headers, b"", TARGET)
    assert after(failure, random=lambda: 0.0) == Decision(Move.AGAIN, "retry_after", least)
    later = after(failure, random=lambda: 0.9)
    assert least < later.pause <= least + DEFAULT.base


def test_a_retry_after_of_nothing_still_backs_off() -> None:
    """`Retry-After: 0` from an overloaded upstream does not bring every client back in the same moment."""
    failure = refused(429, retry_after=0.0)
    assert after(failure, tries=2) == Decision(Move.AGAIN, "retry_after", 0.5)


def test_a_retry_after_over_the_cap_is_not_waited_for() -> None:
    """The next target at once; without one the client is told how long."""
    failure = refused(429, retry_after=20.5)
    assert after(failure) == Decision(Move.NEXT, "retry_after_too_long")
    assert after(failure, others=0) == Decision(Move.GIVE_UP, "retry_after_too_long", 0.0, 20.5)
    assert after(failure, rules=Rules(longest_wait=30)).move is Move.AGAIN
    assert after(refused(503, retry_after=float("inf"))).reason == "retry_after_too_long"


def test_a_pause_that_would_end_after_the_deadline_is_not_begun() -> None:
    """With time left the next target is tried instead; when the deadline is over, nothing is."""
    failure = refused(503, retry_after=5.0)
    assert after(failure, left=6.0).move is Move.AGAIN
    assert after(failure, left=5.0) == Decision(Move.NEXT, "deadline")
    assert after(failure, left=5.0, others=0) == Decision(Move.GIVE_UP, "deadline", 0.0, 5.0)
    assert after(failure, left=0.0, others=3) == Decision(Move.GIVE_UP, "deadline", 0.0, 5.0)
    assert after(refused(401), left=-1.0) == Decision(Move.GIVE_UP, "deadline")
    assert after(refused(401), left=0.001) == Decision(Move.NEXT, "credential")


def test_pauses_are_spread_evenly_over_their_range() -> None:
    """Full jitter: over 10,000 draws each tenth of the range has its share (chi-square, 9 degrees, p = 0.001)."""
    random = Random(5).random
    counts = [0] * 10
    for _ in range(10_000):
        counts[int(after(refused(503), tries=3, retries=3, random=random).pause / 2.0 * 10)] += 1
    assert sum((count - 1000) ** 2 / 1000 for count in counts) < 27.88


# --- what the client sees --------------------------------------------------------------------

CALLER = UpstreamRejected("no such role", blame=Blame.CALLER, upstream_status=422)
LIMITED = refused(429, retry_after=30.0)
DOWN = refused(503)
BROKEN = refused(502)
REDIRECTED = UpstreamFailure("redirected", upstream_status=302)
TOO_LONG = refused(400, "prompt is too long")
BROKE = refused(402)
BAD_KEY = refused(401)
UNKNOWN = refused(404)


def test_the_most_telling_failure_is_reported_wherever_it_stood() -> None:
    """The caller's fault, a limit, what passes, a broken upstream, the prompt, our account, our key, the model."""
    telling = [CALLER, LIMITED, BROKEN, REDIRECTED, TOO_LONG, BROKE, BAD_KEY, UNKNOWN]
    for place, failure in enumerate(telling):
        rest = telling[place:]
        assert report(rest).failure is failure
        assert report(rest[::-1]).failure is failure
    assert report([BROKEN, GatewayError("oops")]).failure.code == "internal_error"


def test_among_equals_the_soonest_to_return_is_reported_and_then_the_first() -> None:
    """The first target's model is the one that the caller asked for."""
    late, soon = refused(429, retry_after=30.0), refused(429, retry_after=3.0)
    assert report([late, soon]).failure is soon
    assert report([DOWN, refused(503, retry_after=9.0)]).retry_after == 9.0
    assert report([BROKEN, UpstreamTimeout("late")]).failure is BROKEN
    assert report([UNKNOWN, refused(404)]).failure is UNKNOWN


def test_retry_after_is_the_soonest_that_any_target_gave() -> None:
    """A limit for a minute at one target, and five seconds at another that is down: come back in five seconds."""
    told = report([refused(429, retry_after=60.0), refused(503, retry_after=5.0)])
    assert (told.failure.status, told.retry_after) == (429, 5.0)


def test_a_limit_always_has_a_retry_after_and_a_broken_upstream_only_its_own() -> None:
    """429 and 503 promise the header; 502 and 504 pass on what there was."""
    assert report([refused(429)]).retry_after == 1.0
    assert report([DOWN], unsaid=2.5).retry_after == 2.5
    assert report([BROKEN]).retry_after is None
    assert report([UpstreamTimeout("late")]).retry_after is None


def test_what_does_not_pass_keeps_the_retry_after_of_its_own() -> None:
    """Our account's quota may come back at a known time; the wait of another failure is not lent to it."""
    assert report([refused(402, retry_after=3600.0), UNKNOWN]).retry_after == 3600.0
    assert report([TOO_LONG, UNKNOWN]).retry_after is None


# --- what users of other gateways met --------------------------------------------------------


@pytest.mark.parametrize(
    "failure",
    [StreamInterrupted("cut after 40 tokens"), UpstreamTimeout("stalled"), UpstreamFailure("a line was no JSON")],
)
def test_litellm_40404_cut_stall_and_garbage_reach_the_fallback_before_content_and_never_after(
    failure: UpstreamFailure,
) -> None:
    """Each of the three is tried again, then elsewhere; once the client has content, it is the end."""
    assert after(failure).move is Move.AGAIN
    assert after(failure, tries=3).move is Move.NEXT
    assert after(failure, committed=True) == Decision(Move.GIVE_UP, "committed")


def test_bifrost_5395_and_2917_a_stream_that_has_sent_no_content_is_retried_and_falls_back() -> None:
    """What counts is what the client was sent, not that a first event came: the planner is told only that."""
    early = StreamInterrupted("ended after its role", upstream_status=200)
    assert after(early, committed=False).move is Move.AGAIN
    assert after(early, committed=False, tries=3).move is Move.NEXT


def test_litellm_29808_retries_count_for_streams_as_for_plain_answers() -> None:
    """The same planner with the same number: a stream's failure is decided like a status."""
    for tries in (1, 2, 3):
        assert after(StreamInterrupted("cut"), tries=tries) == after(refused(502), tries=tries)


def test_litellm_19077_without_fallbacks_no_failure_leads_to_another_target() -> None:
    """Not in a stream either."""
    for failure in (StreamInterrupted("cut"), LIMITED, DOWN, BAD_KEY, BROKE, UNKNOWN, TOO_LONG, CALLER):
        for tries in (1, 3):
            assert after(failure, others=0, tries=tries).move is not Move.NEXT


def test_litellm_38610_the_fallbacks_own_failure_before_content_is_planned_like_the_first() -> None:
    """The second target is retried too, and its end without content is a failure with a status, not a 200."""
    assert after(DOWN, tries=3, others=1).move is Move.NEXT
    assert after(StreamInterrupted("cut"), tries=1, others=0).move is Move.AGAIN
    assert after(StreamInterrupted("cut"), tries=3, others=0).move is Move.GIVE_UP
    assert report([DOWN, StreamInterrupted("cut")]).failure.status == 503


def test_litellm_6957_an_overload_told_inside_a_200_stream_is_retried() -> None:
    """Anthropic's `overloaded_error` event is its 529."""
    failure = judging.from_value({"type": "error", "error": {"type": "overloaded_error", "message": "Over"}}, TARGET)
    assert failure.upstream_status == 529
    assert after(failure) == Decision(Move.AGAIN, "backoff", 0.25)


def test_aider_3550_an_error_inside_a_200_counts_as_what_it_says() -> None:
    """OpenRouter's `{"error": {"code": 429}}` with status 200 is a limit; with 401 it is our key."""
    limited = judging.from_value({"error": {"message": "slow down", "code": 429}}, TARGET)
    assert after(limited).move is Move.AGAIN
    refusal = judging.from_value({"error": {"message": "No auth credentials found", "code": 401}}, TARGET)
    assert after(refusal) == Decision(Move.NEXT, "credential")


@pytest.mark.parametrize("status", [400, 413, 422])
def test_otari_58_and_546_falling_back_is_for_what_others_may_answer(status: int) -> None:
    """Our credential falls back; a caller's own 4xx never does."""
    assert after(refused(401)).move is Move.NEXT
    assert after(refused(status)).move is Move.GIVE_UP


def test_litellm_3617_a_retry_after_is_waited_for_instead_of_failing() -> None:
    """Alone and limited for five seconds: wait them, if the deadline allows."""
    assert after(refused(429, retry_after=5.0), others=0, random=lambda: 0.0) == Decision(
        Move.AGAIN, "retry_after", 5.0
    )


def test_litellm_16092_an_empty_account_said_with_400_is_not_the_callers_fault() -> None:
    """The next target at once; and alone it is 503, not the caller's 400 or 402."""
    failure = refused(400, "Your credit balance is too low to access the API.")
    assert after(failure) == Decision(Move.NEXT, "account")
    told = report([failure]).failure
    assert (told.status, told.code, told.should_retry) == (503, "upstream_unavailable", False)


def test_litellm_40718_when_nothing_is_left_the_client_learns_when_to_return() -> None:
    """Limited targets end as 429 with Retry-After; resting ones are the plan's, which has 503 `circuit_open`."""
    told = report([refused(429, retry_after=40.0), refused(429, retry_after=25.0)])
    assert (told.failure.status, told.failure.code, told.retry_after) == (429, "upstream_rate_limited", 25.0)


def test_litellm_16286_retry_after_is_kept_on_502_503_and_504() -> None:
    """Whatever the upstream's status, what it said of a return is passed on."""
    for status in (500, 502, 503, 504, 529):
        assert report([refused(status, retry_after=17.0)]).retry_after == 17.0


def test_tensorzero_2907_one_model_falls_back_to_another_after_its_own_retries() -> None:
    """Retries belong to a target, fallback to the call; both work for a model-to-model list."""
    moves = [after(DOWN, tries=tries, others=2).move for tries in (1, 2, 3)]
    assert moves == [Move.AGAIN, Move.AGAIN, Move.NEXT]


def test_portkey_185_no_retries_means_none() -> None:
    """A caller who sets 0 gets one attempt at each target."""
    for failure in (DOWN, LIMITED, UpstreamTimeout("late"), StreamInterrupted("cut")):
        assert after(failure, retries=0, others=0).move is Move.GIVE_UP


def test_portkey_165_the_statuses_that_are_retried_are_the_ones_that_were_set() -> None:
    """A list of the operator's own replaces ours, in both directions."""
    rules = Rules(transient=frozenset({418, 503}))
    odd = UpstreamFailure("teapot", upstream_status=418)
    assert after(odd, rules=rules).move is Move.AGAIN
    assert after(odd).move is Move.NEXT
    assert after(refused(500), rules=rules) == Decision(Move.NEXT, "permanent")
    assert after(refused(503), rules=rules).move is Move.AGAIN
    limited = refused(429, retry_after=3.0)
    assert after(limited, rules=rules) == Decision(Move.NEXT, "permanent")
    assert report([limited, odd]).retry_after == 3.0


def test_the_upstreams_limit_after_retries_is_429_with_its_retry_after() -> None:
    """Contract section 3, whichever class the failure has."""
    told = report([UpstreamRateLimited("slow", blame=Blame.LIMIT, upstream_status=429, retry_after=12.0)])
    assert (told.failure.status, told.failure.type, told.retry_after) == (429, "rate_limit_error", 12.0)


def test_an_unknown_model_is_404_only_where_nobody_knows_it() -> None:
    """While our own key was refused elsewhere, the caller's name is not to blame."""
    missing = UpstreamModelMissing("unknown", blame=Blame.MODEL, upstream_status=404)
    assert report([missing, BAD_KEY]).failure.status == 502
    assert report([missing, missing]).failure.status == 404
