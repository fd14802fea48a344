"""The page of plans: those of the ledger before those of the settings."""

from __future__ import annotations

from typing import Any

import pytest

from compatgw.state.base import Plan
from tests.pages.console.operating import Console, form_in, wrong_fields
from tests.pages.visiting import Page


async def test_all_plans_are_listed_with_where_they_come_from(console: Console) -> None:
    """The built-in ones, those of the configuration, those of the ledger; one of the ledger hides one by its name."""
    await console.office.put_plan("gold", requests=1200, by="test")
    await console.office.put_plan("starter", requests=61, by="test")
    page = await console.page("/console/plans")
    for words in ("built in", "the configuration", "the ledger", "house", "gold", "1,200", "61", "no limit"):
        assert words in page.text
    removable = [href for href in page.values("href") if href.endswith("/remove")]
    assert removable == ["/console/plans/gold/remove", "/console/plans/starter/remove"]


async def test_a_plan_is_made_and_changed(console: Console) -> None:
    """The form makes a new one, and filled in with one that is there changes that one."""
    _, page = await console.done("/console/plans", "plan", {"id": "gold", "requests": "1,200", "tokens": ""})
    assert "The plan gold is saved." in page.text
    edit = await console.form("/console/plans?edit=gold", "plan")
    assert dict(edit.fields)["requests"] == "1200"
    await console.done("/console/plans?edit=gold", "plan", {"tokens": "5"})
    plan = await console.ledger.find(Plan, "gold")
    assert plan is not None
    assert (plan.requests, plan.tokens, plan.concurrency) == (1200, 5, None)
    stale = await console.post(edit, {"tokens": "6"})
    assert stale.status_code == 412
    assert dict(form_in(stale, "plan").fields)["tokens"] == "6"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"id": ""}, "id"),
        ({"id": "a/b"}, "id"),
        ({"id": "g", "requests": "x"}, "requests"),
        ({"id": "g", "tokens": "9" * 12}, "tokens"),
    ],
)
async def test_what_is_wrong_is_said_next_to_its_field(console: Console, values: dict[str, Any], field: str) -> None:
    """And nothing is stored."""
    status, page = await console.refused("/console/plans", "plan", values)
    assert (status, wrong_fields(page)) == (400, [field])
    assert not (await console.ledger.page(Plan)).items


async def test_a_plan_is_removed_after_a_question(console: Console) -> None:
    """One that somebody has stays; one of the settings by its name holds again."""
    await console.office.put_plan("gold", requests=1, by="test")
    await console.office.put_plan("house", requests=1, by="test")
    await console.office.add_team("acme", "Acme", plan="gold", by="test")
    status, page = await console.refused("/console/plans/gold/remove", "remove")
    assert status == 409
    assert "A team or a key still has it" in page.text
    await console.office.change_team("acme", {"plan": "house"}, by="test")
    _, page = await console.done("/console/plans/gold/remove", "remove")
    assert "The plan gold is removed." in page.text
    assert "holds again" in (await console.page("/console/plans/house/remove")).text
    await console.done("/console/plans/house/remove", "remove")
    assert "house" in (await console.page("/console/plans")).text
    for name in ("gold", "starter", "none"):
        assert (await console.get(f"/console/plans/{name}/remove")).status_code == 404


async def test_a_plan_of_the_settings_can_be_covered(console: Console) -> None:
    """Changing one of them stores one of its name."""
    answer = await console.send("/console/plans?edit=house", "plan", {"requests": "8"})
    assert answer.status_code == 303, Page(answer.text).text
    plan = await console.ledger.find(Plan, "house")
    assert plan is not None
    assert plan.requests == 8
