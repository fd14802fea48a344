"""Laws of retries, breakers, balancing and keys: what holds for every failure, history, draw and request."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import orjson
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from compatgw.errors import Blame, GatewayError, UpstreamFailure
from compatgw.policy import breaker, retry
from compatgw.policy.balance import NEW, Average, cost, least_latency, round_robin, seen, weighted
from compatgw.policy.breaker import Breaker, Phase
from compatgw.policy.cachekey import TOLD, TRIED, bypass, fingerprint, key
from compatgw.policy.retry import Move

DRAWS = st.floats(0, 1, exclude_max=True)
WAITS = st.none() | st.floats(0, 1e6)


@st.composite
def failures(draw: st.DrawFn) -> GatewayError:
    """Any failure that an attempt may end with."""
    if draw(st.integers(0, 9)) == 0:
        return GatewayError("ours", retry_after=draw(WAITS))
    return UpstreamFailure(
        "theirs",
        blame=draw(st.sampled_from(Blame)),
        upstream_status=draw(st.none() | st.integers(200, 599)),
        status=draw(st.sampled_from([400, 404, 429, 502, 503, 504])),
        retry_after=draw(WAITS),
        should_retry=draw(st.sampled_from([None, None, True, False])),
    )


# --- retries ---------------------------------------------------------------------------------


@given(
    failure=failures(),
    tries=st.integers(1, 8),
    retries=st.integers(0, 5),
    left=st.floats(-5, 300),
    others=st.integers(0, 4),
    drawn=DRAWS,
    committed=st.booleans(),
)
def test_every_decision_keeps_its_promises(
    failure: GatewayError, tries: int, retries: int, left: float, others: int, drawn: float, committed: bool
) -> None:
    """No pause beyond the deadline or before Retry-After, no retry too many, no target that is not there."""
    found = retry.decide(
        failure, tries=tries, retries=retries, left=left, others=others, random=lambda: drawn, committed=committed
    )
    assert found.pause >= 0
    if found.move is Move.AGAIN:
        assert isinstance(failure, UpstreamFailure)
        assert failure.blame in (Blame.LIMIT, Blame.UPSTREAM)
        assert failure.should_retry is not False
        assert tries <= retries
        assert found.pause < left
        assert (failure.retry_after or 0) <= found.pause
        assert (failure.retry_after or 0) <= retry.DEFAULT.longest_wait
        assert found.pause <= max((failure.retry_after or 0) + retry.DEFAULT.base, retry.DEFAULT.cap)
    else:
        assert found.pause == 0
    if found.move is Move.NEXT:
        assert others > 0
        assert left > 0
        assert isinstance(failure, UpstreamFailure)
        assert failure.blame is not Blame.CALLER
    if found.move is Move.GIVE_UP:
        assert found.retry_after == failure.retry_after
        ended = committed or left <= 0 or not isinstance(failure, UpstreamFailure) or failure.blame is Blame.CALLER
        assert ended or others == 0
    else:
        assert not committed


@given(
    outcome=st.lists(failures(), min_size=1, max_size=40),
    retries=st.integers(0, 5),
    targets=st.integers(1, 5),
    drawn=DRAWS,
)
def test_every_call_ends(outcome: list[GatewayError], retries: int, targets: int, drawn: float) -> None:
    """Whatever happens, at most (retries + 1) attempts at each target, and no more time than there is."""
    left, tries, others, attempts = 60.0, 0, targets - 1, 0
    while True:
        failure = outcome[attempts % len(outcome)]
        attempts += 1
        tries += 1
        found = retry.decide(failure, tries=tries, retries=retries, left=left, others=others, random=lambda: drawn)
        left -= found.pause
        if found.move is Move.GIVE_UP:
            break
        if found.move is Move.NEXT:
            tries, others = 0, others - 1
    assert attempts <= targets * (retries + 1)
    assert left > 0


@given(happened=st.lists(failures(), min_size=1, max_size=8), data=st.data())
def test_what_is_reported_happened_and_does_not_hang_on_the_order(
    happened: list[GatewayError], data: st.DataObject
) -> None:
    """One of the failures, the same kind in every order; a caller's fault is never hidden, and 429 says when."""
    told = retry.report(happened)
    assert any(told.failure is failure for failure in happened)
    other = retry.report(data.draw(st.permutations(happened)))
    assert (_blame(other.failure), other.failure.retry_after) == (_blame(told.failure), told.failure.retry_after)
    if any(_blame(failure) is Blame.CALLER for failure in happened):
        assert _blame(told.failure) is Blame.CALLER
    elif any(map(retry.passes, happened)):
        assert retry.passes(told.failure)
        said = [f.retry_after for f in happened if retry.passes(f) and f.retry_after is not None]
        if said:
            assert told.retry_after == min(said)
        elif told.failure.status in (429, 503):
            assert told.retry_after is not None


def _blame(failure: GatewayError) -> Blame:
    """Whose it was; one of the gateway's own ends a call like a caller's."""
    return failure.blame if isinstance(failure, UpstreamFailure) else Blame.CALLER


# --- breakers --------------------------------------------------------------------------------

RULES = breaker.Rules(least_calls=5, streak=3, probes=2)
Step = Callable[[Breaker, float], Breaker]


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """One thing that happens to a deployment."""
    what = draw(st.sampled_from(["succeeded", "failed", "failed", "probe", "released"]))
    if what == "succeeded":
        return lambda state, now: breaker.succeeded(state, now, RULES)
    if what == "probe":
        return lambda state, now: breaker.probe(state, now, RULES)
    if what == "released":
        return lambda state, now: breaker.released(state, now, RULES)
    blame, wait = draw(st.sampled_from(Blame)), draw(st.none() | st.floats(0, 5000))
    return lambda state, now: breaker.failed(state, now, blame, wait, RULES)


HISTORIES = st.lists(st.tuples(steps(), st.floats(0, 40)), max_size=25)


def lived(history: list[tuple[Step, float]], start: float = 1000.0, state: Breaker = breaker.NEW) -> Breaker:
    """The state after a history, each step some seconds after the one before."""
    now = start
    for step, pause in history:
        now += pause
        state = step(state, now)
    return state


def end_of(history: list[tuple[Step, float]], start: float = 1000.0) -> float:
    """The moment of its last step, added up as `lived` does, to the last bit."""
    for _, pause in history:
        start += pause
    return start


STATES = st.builds(lived, HISTORIES, st.floats(0, 2000))


@given(one=STATES, two=STATES, three=STATES)
def test_merging_is_commutative_associative_and_idempotent(one: Breaker, two: Breaker, three: Breaker) -> None:
    """Processes may exchange states in any order and as often as they like."""
    merge = breaker.merge
    both = merge(one, two)
    assert both == merge(two, one)
    assert merge(both, three) == merge(one, merge(two, three))
    assert merge(both, both) == both == merge(both, one) == merge(two, both)
    assert merge(one, breaker.NEW) == one == merge(breaker.NEW, one)


MOMENTS = st.floats(0, 1e12)
SMALL = st.integers(0, 65_535)
COUNTS = st.tuples(*[SMALL] * breaker.BUCKETS)
# Not only those that a history leads to.
ANY_STATE = st.builds(
    Breaker, MOMENTS, MOMENTS, SMALL, MOMENTS, MOMENTS, SMALL, MOMENTS, SMALL, st.integers(0, 2**60), COUNTS, COUNTS
)


@given(one=ANY_STATE, two=ANY_STATE, three=ANY_STATE, apart=st.integers(0, 8))
def test_merging_keeps_its_laws_for_every_state_that_can_be_written(
    one: Breaker, two: Breaker, three: Breaker, apart: int
) -> None:
    """Other processes may run other rules for a while; windows near each other overlap."""
    two = two._replace(newest=one.newest + apart)
    merge = breaker.merge
    assert merge(one, two) == merge(two, one)
    assert merge(merge(one, two), three) == merge(one, merge(two, three))
    assert merge(merge(one, two), two) == merge(one, two)
    assert breaker.loads(breaker.dumps(one)) == one


@given(state=STATES)
def test_a_state_survives_being_written(state: Breaker) -> None:
    """In 79 bytes."""
    data = breaker.dumps(state)
    assert len(data) == 79
    assert breaker.loads(data) == state


@given(data=st.binary(max_size=100) | st.binary(max_size=78).map(lambda rest: b"\x01" + rest.ljust(78, b"\xff")))
def test_any_bytes_are_read_as_some_state(data: bytes) -> None:
    """Never an error, and what is read can be used and written again."""
    state = breaker.loads(data)
    assert breaker.loads(breaker.dumps(state)) == state


@given(history=HISTORIES, step=steps(), pause=st.floats(0, 40))
def test_nothing_that_happens_shortens_a_wait(history: list[tuple[Step, float]], step: Step, pause: float) -> None:
    """Neither a failure nor a success moves a moment that was promised; and nothing is changed in place."""
    before = lived(history)
    kept = copy.copy(before)
    now = end_of(history) + pause
    after = step(before, now)
    assert before == kept
    assert after.until >= before.until
    assert after.rests >= before.rests
    if breaker.phase(before, now) is Phase.OPEN or before.rests > now:
        assert breaker.back(after, now, RULES) >= breaker.back(before, now, RULES)
        assert not breaker.admits(after, now, RULES)


@given(one=STATES, two=STATES, now=st.floats(1000, 4000))
def test_merging_never_lets_calls_through_that_an_open_breaker_or_a_rest_would_hold_back(
    one: Breaker, two: Breaker, now: float
) -> None:
    """What one of them was asked to wait for, both wait for; unless the other healed it since."""
    both = breaker.merge(one, two)
    assert both.rests == max(one.rests, two.rests)
    if breaker.phase(one, now) is Phase.OPEN and two.healed < one.until:
        assert breaker.phase(both, now) is Phase.OPEN


@given(history=HISTORIES)
def test_what_holds_calls_back_ends(history: list[tuple[Step, float]]) -> None:
    """At the moment that it says, and within the longest that the rules allow; then a success closes it."""
    state = lived(history)
    now = end_of(history)
    back = breaker.back(state, now, RULES)
    assert back <= now + max(RULES.longest, RULES.longest_rest, RULES.probe_for)
    later = max(now, back)
    assert breaker.admits(state, later, RULES)
    healed = breaker.succeeded(breaker.probe(state, later, RULES), later, RULES)
    assert breaker.phase(healed, later) is Phase.CLOSED


# Few histories lead there, and that is no fault of the test.
@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(history=HISTORIES)
def test_a_half_open_breaker_has_a_bounded_number_of_probes(history: list[tuple[Step, float]]) -> None:
    """Whatever went before, no more than the rules allow are let through in one moment."""
    state = lived(history)
    now = max(state.until, state.rests, end_of(history))
    assume(breaker.phase(state, now) is Phase.HALF_OPEN)
    begun = 0
    while breaker.admits(state, now, RULES):
        state = breaker.probe(state, now, RULES)
        begun += 1
        assert begun <= RULES.probes


@given(
    states=st.dictionaries(st.text("abcdef", min_size=1, max_size=2), STATES, max_size=6),
    now=st.floats(1000, 4000),
    most=st.floats(0, 1),
    data=st.data(),
)
def test_outliers_never_take_everything(
    states: dict[str, Breaker], now: float, most: float, data: st.DataObject
) -> None:
    """No more than the share, only closed ones, never the last that admits, and the same in every order."""
    out = breaker.outliers(states, now, RULES, most=most)
    assert len(out) <= most * len(states)
    assert all(breaker.phase(states[name], now) is Phase.CLOSED for name in out)
    if any(breaker.admits(states[name], now, RULES) for name in out):
        assert any(breaker.admits(states[name], now, RULES) for name in states.keys() - out)
    turned = dict(data.draw(st.permutations(list(states.items()))))
    assert breaker.outliers(turned, now, RULES, most=most) == out


# --- balancing -------------------------------------------------------------------------------


@given(weights=st.lists(st.floats(0, 1e9), min_size=1, max_size=8), draws=st.lists(DRAWS, min_size=8, max_size=8))
def test_weighted_gives_each_target_with_a_weight_once(weights: list[float], draws: list[float]) -> None:
    """Every draw is an order of exactly those."""
    assume(any(weight > 0 for weight in weights))
    assert sorted(weighted(weights, iter(draws).__next__)) == [i for i, weight in enumerate(weights) if weight > 0]


@given(count=st.integers(0, 20), turn=st.integers())
def test_round_robin_gives_each_target_once(count: int, turn: int) -> None:
    """For any turn, even of a counter that ran over."""
    order = round_robin(count, turn)
    assert sorted(order) == list(range(count))
    assert not order or order[0] == turn % count


AVERAGES = st.just(NEW) | st.builds(Average, st.floats(0, 300), st.floats(0, 1e6))


@given(
    targets=st.lists(st.tuples(AVERAGES, st.integers(0, 1000)), max_size=8),
    now=st.floats(0, 1e6),
    draws=st.tuples(DRAWS, DRAWS),
)
def test_least_latency_gives_each_target_once_and_never_the_worst_first(
    targets: list[tuple[Average, int]], now: float, draws: tuple[float, float]
) -> None:
    """The one that costs most comes first only where another costs as much."""
    averages, busy = [average for average, _ in targets], [calls for _, calls in targets]
    order = least_latency(averages, busy, now, iter(draws).__next__)
    assert sorted(order) == list(range(len(targets)))
    costs = [cost(average, calls, now) for average, calls in targets]
    if len(order) > 1:
        assert any(costs[other] >= costs[order[0]] for other in order[1:])
        assert [costs[index] for index in order[1:]] == sorted(costs[index] for index in order[1:])


@given(average=AVERAGES, seconds=st.floats(0, 300), now=st.floats(0, 1e6))
def test_an_average_lies_between_what_it_was_and_what_was_seen(average: Average, seconds: float, now: float) -> None:
    """And it never goes back in time."""
    after = seen(average, seconds, now)
    assert after.seconds is not None
    assert after.at == max(average.at, now)
    old = seconds if average.seconds is None else average.seconds
    assert min(old, seconds) - 1e-9 <= after.seconds <= max(old, seconds) + 1e-9


# --- keys ------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["model", "messages", "tools", "response_format", "seed", "stop", "user", "text", "functions"]
) | st.text(max_size=6)
REQUESTS = st.dictionaries(NAMES.filter(lambda name: name not in TOLD), JSON, max_size=5)


def key_of(request: dict[str, Any], own: dict[str, Any] | None = None, tenant: str = "t", version: str = "v") -> str:
    """A key in one place."""
    return key("chat", request, tenant=tenant, scope=None, version=version, own=own)


def ordered(value: Any) -> bytes:
    """A value as JSON, whatever the order of its members."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


@given(one=REQUESTS, two=REQUESTS)
def test_different_requests_have_different_keys(one: dict[str, Any], two: dict[str, Any]) -> None:
    """As JSON writes them; what is the same bytes has the same key."""
    if ordered(one) != ordered(two):
        assert key_of(one) != key_of(two)
        assert fingerprint("chat", one) != fingerprint("chat", two)
    assert key_of(one) == key_of(orjson.loads(orjson.dumps(one)))


@given(request=REQUESTS, name=NAMES, value=JSON)
def test_any_changed_added_or_missing_member_changes_the_key(request: dict[str, Any], name: str, value: Any) -> None:
    """Known or not; but for those that say how an answer is told."""
    changed = {**request, name: value}
    assume(ordered(changed) != ordered(request))
    assert (key_of(changed) == key_of(request)) is (name in TOLD)
    assert fingerprint("chat", changed) != fingerprint("chat", request)


@given(request=REQUESTS, told=st.dictionaries(st.sampled_from(sorted(TOLD)), JSON))
def test_how_an_answer_is_told_never_changes_the_key(request: dict[str, Any], told: dict[str, Any]) -> None:
    """Whatever the values are."""
    assert key_of({**request, **told}) == key_of(request)


@given(
    request=REQUESTS,
    own=st.dictionaries(st.sampled_from(["fallback", "guardrails", "speed"]), JSON),
    tried=st.dictionaries(st.sampled_from(sorted(TRIED)), JSON),
    name=st.sampled_from(["fallback", "guardrails", "speed", "trust_level"]),
    value=JSON,
)
def test_the_gateways_members_change_the_key_unless_they_say_how_hard_to_try(
    request: dict[str, Any], own: dict[str, Any], tried: dict[str, Any], name: str, value: Any
) -> None:
    """For every request and every value."""
    assert key_of(request, {**own, **tried}) == key_of(request, own)
    changed = {**own, name: value}
    assume(ordered(changed) != ordered(own))
    assert key_of(request, changed) != key_of(request, own)


@given(request=REQUESTS, one=st.tuples(st.text(), st.text()), two=st.tuples(st.text(), st.text()))
def test_what_belongs_to_two_tenants_or_versions_never_meets(
    request: dict[str, Any], one: tuple[str, str], two: tuple[str, str]
) -> None:
    """No text of a tenant reaches over into its neighbour's."""
    keys = key_of(request, tenant=one[0], version=one[1]), key_of(request, tenant=two[0], version=two[1])
    assert (keys[0] == keys[1]) is (one == two)


def turned(value: Any) -> Any:
    """A value with all its members the other way round, but for those of schemas."""
    if isinstance(value, list):
        return [turned(item) for item in value]
    if isinstance(value, dict):
        schemas = ("parameters", "schema", "input_schema")
        return {name: member if name in schemas else turned(member) for name, member in reversed(value.items())}
    return value


@given(request=REQUESTS)
def test_the_order_of_members_changes_no_key(request: dict[str, Any]) -> None:
    """Of no request, at no level, outside of schemas; and nothing is changed in place."""
    kept = copy.deepcopy(request)
    assert key_of(turned(request)) == key_of(request)
    assert fingerprint("chat", turned(request)) == fingerprint("chat", request)
    assert request == kept


@given(
    request=REQUESTS,
    more=st.sampled_from(
        [{"store": True}, {"background": True}, {"previous_response_id": "r"}, {"plugins": []}, {"audio": {}}]
    ),
    asked=st.booleans(),
)
def test_no_member_brings_back_to_the_cache_what_must_not_be_kept(
    request: dict[str, Any], more: dict[str, Any], asked: bool
) -> None:
    """Whatever else is in the request, and whoever asks."""
    assume(isinstance(request.get("tools") or [], list))
    assert bypass({**request, **more}, asked=asked) is not None
