"""Documents and shapes as functions: what is shown is what is stored, and no amount is ever a float."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.admin import documents, rules, shapes
from compatgw.errors import GatewayError, InvalidRequest
from compatgw.policy.access import SCOPES
from compatgw.state.base import AuditEntry, Entry, Key, Plan, ProviderSecret, Team, UsageRow, UsageTotal, Wallet
from tests.state.making import key as a_key
from tests.state.making import used

AMOUNTS = st.decimals(min_value=-(10**9), max_value=10**9, places=9)
TIMES = st.floats(min_value=0, max_value=rules.LAST_INSTANT).map(lambda value: round(value, 6))
NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=200).filter(str.strip)
IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
LIMITS = st.none() | st.integers(0, 10**9)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=10,
)
METADATA = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), JSON, max_size=4)
GLOBS = st.lists(NAMES, min_size=1, max_size=5, unique=True)
SOME_SCOPES = st.lists(st.sampled_from(sorted(SCOPES - {"admin"})), min_size=1, unique=True) | st.just(["admin"])


def leaves(value: Any) -> Iterator[Any]:
    """Everything in a document that holds nothing itself."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


@given(TIMES)
def test_a_time_is_read_as_it_is_written(value: float) -> None:
    """To the microsecond, for every time that can be stored; all have one length, so that texts sort as times do."""
    text = documents.instant(value)

    assert len(text) == len("2026-11-18T11:06:40.000000Z")
    assert shapes.moment(text, "t") == value
    assert shapes.moment(value, "t") == value
    assert datetime.fromisoformat(text).tzinfo == UTC


@given(AMOUNTS)
def test_an_amount_is_read_as_it_is_written(value: Decimal) -> None:
    """Exactly, without an exponent, with at least two decimals."""
    entry = Entry(id="e", team="t", kind="topup", amount=value, balance=value, at=0.0)

    shown = documents.of_entry(entry)["amount"]

    assert rules.amount(shown, "amount") == value
    assert "E" not in shown.upper()
    assert len(shown.partition(".")[2]) >= 2


@given(
    st.one_of(st.floats(), st.booleans(), st.none(), st.lists(st.text()), st.text(max_size=30), st.integers(), AMOUNTS)
)
def test_what_is_taken_for_an_amount_is_exact(value: Any) -> None:
    """A float never is; anything else is an amount to the last decimal, or is refused by name."""
    try:
        found = rules.amount(value, "amount")
    except InvalidRequest as refusal:
        assert refusal.param == "amount"
        return
    assert type(value) in (str, int, Decimal)
    assert found == Decimal(value)
    assert -found.as_tuple().exponent <= 9  # type: ignore[operator]


@given(
    st.fixed_dictionaries(
        {"name": NAMES},
        optional={
            "id": IDS,
            "active": st.booleans(),
            "models": GLOBS,
            "plan": st.none() | NAMES,
            "byok_fallback": st.booleans(),
            "metadata": METADATA,
        },
    )
)
def test_a_team_comes_back_as_its_body(body: dict[str, Any]) -> None:
    """Through JSON, the shape, the rules and the document."""
    read = dict(shapes.body(shapes.NewTeam, orjson.dumps(body)))
    id = rules.id(read.pop("id", "made"), "id")
    values: dict[str, Any] = rules.of_changes(read, rules.TEAM)

    shown = orjson.loads(documents.text_of(documents.of_team(Team(id=id, created=1.5, **values))))

    assert {name: shown[name] for name in body} == body


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "name": NAMES,
            "scopes": SOME_SCOPES,
            "models": GLOBS,
            "plan": st.none() | NAMES,
            "requests": LIMITS,
            "tokens": LIMITS,
            "concurrency": LIMITS,
            "budget": st.none() | st.decimals(min_value=0, max_value=10**9, places=9).map(lambda d: f"{d:f}"),
            "period": st.sampled_from(["total", "day", "month"]),
            "expires": st.none() | TIMES.map(documents.instant),
            "metadata": METADATA,
        },
    ),
    TIMES,
)
def test_a_key_comes_back_as_its_body(body: dict[str, Any], now: float) -> None:
    """Every member that can be changed, and never a hash."""
    read = shapes.values_of(shapes.body(shapes.KeyChanges, orjson.dumps(body)))
    values: dict[str, Any] = rules.of_changes(read, rules.KEY)
    key = replace(a_key(hash="$argon2id$planted", old_hash="$argon2id$old", old_until=5.0), **values)

    shown = orjson.loads(documents.text_of(documents.of_key(key, now)))

    given_budget, shown_budget = body.get("budget"), shown.pop("budget")
    if given_budget is not None:
        assert Decimal(shown_budget) == Decimal(given_budget)
    assert {name: shown[name] for name in body if name != "budget"} == {
        name: value for name, value in body.items() if name != "budget"
    }
    assert "planted" not in str(shown)
    assert shown["status"] == key.standing(now)


def test_no_document_has_a_float_for_money() -> None:
    """The only floats are times that a call took, and metadata's own."""
    one = Decimal("1.5")
    shown: list[Any] = [
        documents.of_team(Team(id="t", name="t")),
        documents.of_key(a_key(budget=one), 0.0),
        documents.of_plan(Plan(id="p"), "ledger"),
        documents.of_wallet(Wallet(team="t", currency="USD", balance=one, reserved=one)),
        documents.of_entry(Entry(id="e", team="t", kind="charge", amount=-one, balance=one, at=1.0)),
        documents.of_provider_key(ProviderSecret(id="s", team="t", provider="p", ring="r", sealed=b"")),
        documents.of_total(
            UsageTotal(group=("d",), calls=1, failed=0, input=1, cached=0, output=1, reasoning=0, cost=one, charge=one),
            ["day"],
        ),
        documents.of_audit(AuditEntry(id="a", at=1.0, by="b", action="x.y", kind="x", subject="s", before='{"a": 1}')),
    ]
    usage = dict(documents.of_usage(used(cost=one, charge=one, latency=1.5, first_token=0.5)))
    assert (usage.pop("latency"), usage.pop("first_token")) == (1.5, 0.5)

    found = [leaf for document in [*shown, usage] for leaf in leaves(document)]

    assert not [leaf for leaf in found if isinstance(leaf, (float, Decimal))]
    assert found.count("1.50") == 8


def test_documents_leave_nothing_out_but_secrets() -> None:
    """Every field of a record is a member of its document, or is on this list with its reason."""
    secrets = {Key: {"hash", "old_hash"}, ProviderSecret: {"sealed"}}
    # Told in other words: a grace as `previous_until`, an idempotency key by its whole name. A sealed key's id
    # is nobody's business, its team and provider name it.
    others = {Key: {"old_until"}, Entry: {"idempotency"}, ProviderSecret: {"id"}}
    for kind, document in [
        (Team, documents.TeamDocument),
        (Key, documents.KeyDocument),
        (Plan, documents.PlanDocument),
        (Entry, documents.EntryDocument),
        (ProviderSecret, documents.ProviderKeyDocument),
        (UsageRow, documents.UsageDocument),
        (UsageTotal, documents.UsageTotalDocument),
        (AuditEntry, documents.AuditDocument),
    ]:
        fields = set(kind.__dataclass_fields__)  # type: ignore[attr-defined]
        hidden = fields - set(document.__annotations__)
        assert hidden == secrets.get(kind, set()) | others.get(kind, set()), kind


@given(st.binary(max_size=60) | JSON.map(orjson.dumps) | METADATA.map(orjson.dumps))
@pytest.mark.parametrize("shape", [shapes.NewTeam, shapes.NewKey, shapes.Movement, shapes.PlanBody, shapes.SecretBody])
def test_any_bytes_are_read_or_refused(shape: Any, data: bytes) -> None:
    """Nothing but a refusal with status 400 comes out of a body."""
    try:
        shapes.body(shape, data)
    except GatewayError as refusal:
        assert refusal.status == 400


@given(st.dictionaries(st.sampled_from(["since", "until", "limit", "cursor", "team", "x"]), st.text(max_size=30)))
def test_any_query_is_read_or_refused(query: dict[str, str]) -> None:
    """With the parameter at fault, and what is read is within bounds."""
    try:
        found = shapes.listing(query, {"team": shapes.text, **shapes.SPAN})
    except InvalidRequest as refusal:
        assert refusal.param in query
        return
    assert 1 <= found.limit <= 1000
    assert set(found.where) <= {"team", "since", "until"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-18", 1_794_960_000.0),
        ("2026-11-18T11:06:40Z", 1_795_000_000.0),
        ("2026-11-18T13:06:40+02:00", 1_795_000_000.0),
        ("2026-11-18T13:06:40 02:00", 1_795_000_000.0),
        ("2026-11-18 11:06:40Z", 1_795_000_000.0),
        ("2026-11-18T11:06:40.000001Z", 1_795_000_000.000001),
        ("1795000000", 1_795_000_000.0),
        ("1795000000.5", 1_795_000_000.5),
        ("0", 0.0),
    ],
)
def test_a_time_has_these_forms(text: str, seconds: float) -> None:
    """Dates are the beginning of a day in UTC."""
    assert shapes.moment(text, "t") == seconds


@pytest.mark.parametrize(
    "text",
    ["", " ", "now", "2026-11-18T11:06:40", "2026-13-01", "1e9", "-1", "１", "0001-01-01T00:00:00+05:00", "9" * 12],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    """Also a time that says no offset: nobody knows when that is."""
    with pytest.raises(InvalidRequest):
        shapes.moment(text, "t")


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (rules.name, None),
        (rules.flag, 1),
        (rules.globs, {"a": 1}),
        (rules.scopes, ["chat", 5]),
        (rules.limit, "1"),
        (rules.limit, False),
        (rules.budget, 1.0),
        (rules.period, None),
        (rules.period, ["day"]),
        (rules.instant, "2026-11-18"),
        (rules.instant, float("nan")),
        (rules.instant, float("inf")),
        (rules.grace, float("nan")),
        (rules.grace, "1"),
        (rules.metadata, []),
        (rules.metadata, {"a": object()}),
        (rules.metadata, {1: "a"}),
        (rules.metadata, {"a": "\ud800"}),
        (rules.name, "\ud800"),
        (rules.secret, b"bytes"),
        (rules.optional_id, 7),
        (rules.note, "\x1b[31m"),
    ],
)
def test_a_rule_refuses_what_is_of_another_kind(rule: rules.Rule, value: object) -> None:
    """With 400 and the member, whoever calls: a command line has no shapes before it."""
    with pytest.raises(InvalidRequest) as caught:
        rule(value, "member")

    assert (caught.value.param or "").startswith("member")


def test_a_change_names_what_can_be_changed() -> None:
    """An unknown member is refused by name, cut where it is long."""
    with pytest.raises(InvalidRequest, match="name, active, models") as caught:
        rules.of_changes({"x" * 10_000: 1}, rules.TEAM)

    assert caught.value.param == "x" * 40


def test_the_same_word_twice_is_one() -> None:
    """In the order in which they came."""
    assert rules.globs(["b", "a", "b"], "m") == ("b", "a")
