"""Prompts over the management API: versions, labels, what is written down, and what calls have of it at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from compatgw.state.base import Prompt
from tests.admin.desk import Desk
from tests.canned import Canned, ask, completion

HELLO = {"name": "greet", "text": "Hello {{name}}, it is {{ day }}."}
TALK = [{"role": "system", "content": "Be {{mood}}."}, {"role": "user", "content": "Who are you?"}]


async def add(desk: Desk, text: str = "x", name: str = "greet", **members: Any) -> Any:
    """A new version."""
    return await desk.done("POST", "prompts", {"name": name, "text": text, **members})


async def labels(desk: Desk, name: str = "greet") -> dict[int, list[str]]:
    """The labels of each version."""
    return {row["number"]: row["labels"] for row in await desk.rows(f"prompts/{name}")}


async def test_a_version_is_stored_and_shown(desk: Desk) -> None:
    """With its number, its variables, who made it, and where it is."""
    answer = await desk.ask("POST", "prompts", {**HELLO, "labels": ["production", "first", "first"]})

    assert (answer.status_code, answer.headers["etag"]) == (201, '"1"')
    assert answer.headers["location"] == "/api/admin/prompts/greet/1"
    document = answer.json()
    id, created = document.pop("id"), document.pop("created")
    assert id.startswith("prompt-")
    assert created.endswith("Z")
    assert document == {
        "object": "prompt",
        "name": "greet",
        "number": 1,
        "labels": ["production", "first"],
        "variables": ["name", "day"],
        "by": "ops",
        "changed": None,
        "changed_by": "",
        "removed": False,
        "version": 1,
        "messages": [{"role": "system", "content": "Hello {{name}}, it is {{ day }}."}],
    }
    for which in ("1", "production", "first", "latest"):
        assert await desk.done("GET", f"prompts/greet/{which}") == answer.json()


async def test_versions_are_counted_and_listed_without_their_text(desk: Desk) -> None:
    """The newest first; of one prompt or of all, in pages."""
    await add(desk, "one")
    await add(desk, "other", name="other")
    talk = await desk.done("POST", "prompts", {"name": "greet", "messages": TALK})
    assert (talk["number"], talk["messages"]) == (2, TALK)

    rows = await desk.rows("prompts")
    assert [(row["name"], row["number"]) for row in rows] == [("greet", 2), ("other", 1), ("greet", 1)]
    assert not any("messages" in row for row in rows)
    assert await desk.rows("prompts/greet") == [rows[0], rows[2]] == await desk.rows("prompts", name="greet")
    assert await desk.rows("prompts", by="nobody") == []
    for limit in (1, 2):
        assert await desk.pages("prompts", limit=limit) == rows
        assert await desk.pages("prompts/greet", limit=limit) == [rows[0], rows[2]]


async def test_a_label_moves_at_once(desk: Desk) -> None:
    """To whichever version it is put, and only one has it."""
    await add(desk, "one", labels=["production"])
    await add(desk, "two", labels=["next"])
    desk.clock.now += 9
    moved = await desk.ask("PUT", "prompts/greet/labels/production", {"number": 2})

    assert (moved.status_code, moved.headers["etag"]) == (200, '"2"')
    assert (moved.json()["labels"], moved.json()["changed_by"]) == (["next", "production"], "ops")
    assert moved.json()["changed"] > moved.json()["created"]
    assert await labels(desk) == {1: [], 2: ["next", "production"]}
    again = await desk.done("PUT", "prompts/greet/labels/production", {"number": 2})
    assert again == moved.json()
    await desk.done("PUT", "prompts/greet/labels/production", {"number": 1})
    assert await labels(desk) == {1: ["production"], 2: ["next"]}
    assert (await desk.done("DELETE", "prompts/greet/labels/next"))["labels"] == []
    assert await desk.refused("DELETE", "prompts/greet/labels/next") == (404, "not_found", None)
    assert await desk.refused("PUT", "prompts/greet/labels/next", {"number": 3}) == (404, "not_found", None)


async def test_a_version_with_a_label_is_not_removed_one_without_is(desk: Desk) -> None:
    """Its number is not given out again; all of a prompt goes whatever its labels."""
    await add(desk, "one", labels=["production"])
    await add(desk, "two")
    assert await desk.refused("DELETE", "prompts/greet/1") == (409, "in_use", None)
    gone = await desk.done("DELETE", "prompts/greet/2")
    assert gone == {"object": "prompt.deleted", "id": "greet/2", "deleted": True}
    assert await desk.refused("DELETE", "prompts/greet/2") == (404, "not_found", None)
    assert await desk.refused("GET", "prompts/greet/2") == (404, "not_found", None)
    assert (await add(desk, "three"))["number"] == 3
    gone = await desk.done("DELETE", "prompts/greet")
    assert gone == {"object": "prompt.deleted", "id": "greet", "deleted": True}
    assert await desk.rows("prompts") == []
    for method in ("GET", "DELETE"):
        assert await desk.refused(method, "prompts/greet") == (404, "not_found", None)
    assert await desk.refused("GET", "prompts/greet/production") == (404, "not_found", None)
    assert (await add(desk, "four"))["number"] == 4
    kept = (await desk.ledger.page(Prompt, limit=10)).items
    assert [(each.number, each.removed, each.labels) for each in kept] == [
        (4, False, ()),
        (3, True, ()),
        (2, True, ()),
        (1, True, ()),
    ]


async def test_a_large_prompt_is_removed_whole(local: Desk) -> None:
    """However many versions it has."""
    for number in range(230):
        await local.office.prompts.add("greet", text=f"t{number}", by="test")
    await local.done("DELETE", "prompts/greet")
    assert await local.rows("prompts") == []


async def test_versions_that_are_added_at_the_same_time_have_numbers_of_their_own(desk: Desk) -> None:
    """Without gaps, and the label is at one of them."""
    made = await asyncio.gather(*[add(desk, f"t{n}", labels=["production"]) for n in range(8)])
    assert sorted(each["number"] for each in made) == list(range(1, 9))
    assert sum("production" in own for own in (await labels(desk)).values()) == 1


async def test_labels_that_are_moved_at_the_same_time_all_arrive(desk: Desk) -> None:
    """Each request succeeds, and each label ends at one version."""
    await add(desk)
    await add(desk)
    moves = [
        desk.ask("PUT", f"prompts/greet/labels/{label}", {"number": number})
        for label in ("a", "b", "c")
        for number in (1, 2)
    ]
    answers = await asyncio.gather(*moves)
    assert {answer.status_code for answer in answers} == {200}
    now = await labels(desk)
    assert sorted(now[1] + now[2]) == ["a", "b", "c"]


async def test_every_change_is_written_down(desk: Desk) -> None:
    """Who, what, and the labels before and after; the text is in the version itself."""
    await add(desk, "one", labels=["production"])
    await add(desk, "two")
    await desk.done("PUT", "prompts/greet/labels/production", {"number": 2})
    await desk.done("PUT", "prompts/greet/labels/production", {"number": 2})
    await desk.done("DELETE", "prompts/greet/labels/production")
    await desk.done("DELETE", "prompts/greet/1")

    rows = await desk.rows("audit", kind="prompt")

    assert [(row["action"], row["subject"], row["by"]) for row in reversed(rows)] == [
        ("prompt.create", "greet/1", "ops"),
        ("prompt.create", "greet/2", "ops"),
        ("prompt.label", "greet/2", "ops"),
        ("prompt.unlabel", "greet/2", "ops"),
        ("prompt.remove", "greet/1", "ops"),
    ]
    created, moved, removed = rows[4], rows[2], rows[0]
    assert (created["before"], created["after"]["labels"]) == (None, ["production"])
    assert (moved["before"]["labels"], moved["after"]["labels"]) == ([], ["production"])
    assert (moved["before"]["version"], moved["after"]["version"]) == (1, 2)
    assert (removed["before"]["removed"], removed["after"]["removed"]) == (False, True)
    # Of what is shown all is true: the record as it is now is the last that was written down.
    stored = (await desk.rows("prompts/greet"))[0]
    assert stored == rows[1]["after"]


HUGE = "x" * 150_001


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"text": "x"}, "missing_parameter", "name"),
        ({"name": "greet"}, "missing_parameter", "text"),
        ({"name": "greet", "text": "x", "messages": TALK}, "missing_parameter", "text"),
        ({"name": "greet", "text": ""}, "invalid_value", "text"),
        ({"name": "greet", "text": 5}, "invalid_type", "text"),
        ({"name": "greet", "text": None}, "invalid_type", "text"),
        ({"name": "greet", "text": HUGE}, "invalid_value", "text"),
        ({"name": "greet", "text": "a\0b"}, "invalid_value", "text"),
        ({"name": "greet", "messages": []}, "invalid_value", "messages"),
        ({"name": "greet", "messages": [TALK[0]] * 101}, "invalid_value", "messages"),
        ({"name": "greet", "messages": ["x"]}, "invalid_type", "messages[0]"),
        ({"name": "greet", "messages": [{"role": "user"}]}, "invalid_type", "messages[0].content"),
        ({"name": "greet", "messages": [{"role": "tool", "content": "x"}]}, "invalid_value", "messages[0].role"),
        ({"name": "greet", "messages": [{"role": ["user"], "content": "x"}]}, "invalid_value", "messages[0].role"),
        ({"name": "greet", "messages": [{"role": "user", "content": [{}]}]}, "invalid_type", "messages[0].content"),
        (
            {"name": "greet", "messages": [*TALK, {"role": "user", "content": ""}]},
            "invalid_value",
            "messages[2].content",
        ),
        ({"name": "greet", "messages": [{**TALK[0], "name": "x"}]}, "invalid_value", "messages[0].name"),
        ({"name": "greet", "messages": [{"role": "user", "content": HUGE[:80_000]}] * 2}, "invalid_value", "messages"),
        ({**HELLO, "labels": "production"}, "invalid_type", "labels"),
        ({**HELLO, "labels": ["ok", 5]}, "invalid_type", "labels[1]"),
        ({**HELLO, "labels": ["1"]}, "invalid_value", "labels[0]"),
        ({**HELLO, "labels": ["latest"]}, "invalid_value", "labels[0]"),
        ({**HELLO, "labels": ["a b"]}, "invalid_value", "labels[0]"),
        ({**HELLO, "labels": ["a/b"]}, "invalid_value", "labels[0]"),
        ({**HELLO, "labels": [""]}, "invalid_value", "labels[0]"),
        ({**HELLO, "labels": [f"l{n}" for n in range(51)]}, "invalid_value", "labels"),
        ({**HELLO, "number": 7}, "invalid_value", "number"),
        *[
            ({**HELLO, "name": name}, "invalid_value", "name")
            for name in ("", "a/b", "../b", ".b", "a b", "grüße", "a\0", "a\n", "x" * 65, "{{a}}")
        ],
        ({**HELLO, "name": 5}, "invalid_type", "name"),
        ([], "invalid_type", None),
    ],
)
async def test_a_prompt_that_cannot_be_is_refused(local: Desk, body: Any, code: str, param: str | None) -> None:
    """With the member at fault, and nothing is stored."""
    status, found, where = await local.refused("POST", "prompts", body)
    assert (status, found) == (400, code)
    assert param is None or where == param
    assert await local.rows("prompts") == []
    assert await local.rows("audit") == []


@pytest.mark.parametrize(
    ("method", "path", "body", "refusal"),
    [
        ("PUT", "prompts/greet/labels/1", {"number": 1}, (400, "invalid_value", "label")),
        ("PUT", "prompts/greet/labels/latest", {"number": 1}, (400, "invalid_value", "label")),
        ("PUT", "prompts/greet/labels/a%20b", {"number": 1}, (400, "invalid_value", "label")),
        ("PUT", "prompts/greet/labels/a%00", {"number": 1}, (400, "invalid_value", "label")),
        ("PUT", "prompts/greet/labels/ok", {}, (400, "missing_parameter", "number")),
        ("PUT", "prompts/greet/labels/ok", {"number": "1"}, (400, "invalid_type", "number")),
        ("PUT", "prompts/greet/labels/ok", {"number": True}, (400, "invalid_type", "number")),
        ("PUT", "prompts/greet/labels/ok", {"number": 0}, (404, "not_found", None)),
        ("PUT", "prompts/greet/labels/ok", {"number": -1}, (404, "not_found", None)),
        ("PUT", "prompts/greet/labels/ok", {"number": 2**40}, (404, "not_found", None)),
        ("PUT", "prompts/nobody/labels/ok", {"number": 1}, (404, "not_found", None)),
        ("DELETE", "prompts/greet/labels/latest", None, (400, "invalid_value", "label")),
        ("DELETE", "prompts/greet/production", None, (400, "invalid_value", "number")),
        ("DELETE", "prompts/greet/99999999999999999999", None, (400, "invalid_value", "number")),
        ("GET", "prompts/greet/99999999999999999999", None, (404, "not_found", None)),
        ("GET", "prompts/greet/2147483648", None, (404, "not_found", None)),
        ("GET", "prompts/greet/gone", None, (404, "not_found", None)),
        ("GET", "prompts/a%00b/1", None, (404, "not_found", None)),
        ("GET", "prompts/greet%2F1", None, (200, "", None)),
        ("GET", "prompts/greet/1/2", None, (404, "unknown_endpoint", None)),
    ],
)
async def test_what_is_not_there_is_told(
    local: Desk, method: str, path: str, body: Any, refusal: tuple[int, str, str | None]
) -> None:
    """And nothing changes."""
    made = await add(local, "one", labels=["production"])
    if refusal[0] == 200:
        assert await local.done(method, path) == made
    else:
        assert await local.refused(method, path, body) == refusal
    assert await local.done("GET", "prompts/greet/1") == made


async def test_a_condition_that_could_not_be_kept_is_refused(local: Desk) -> None:
    """A label moves whatever was changed meanwhile."""
    await add(local)
    for method, path in [
        ("PUT", "prompts/greet/labels/x"),
        ("DELETE", "prompts/greet"),
        ("DELETE", "prompts/greet/1"),
        ("POST", "prompts"),
    ]:
        refused = await local.refused(method, path, {"number": 1}, headers={"If-Match": '"1"'})
        assert refused == (400, "invalid_value", "If-Match")
    assert len(await local.rows("prompts")) == 1


async def test_the_largest_template_is_stored(desk: Desk) -> None:
    """Also where each of its characters has six in JSON."""
    text = "\x01" * 150_000
    made = await add(desk, text)
    assert (await desk.done("GET", "prompts/greet/1"))["messages"][0]["content"] == text
    assert made["variables"] == []


def upstream() -> Canned:
    """Answers every call."""
    return Canned(completion())


async def called(desk: Desk, **members: Any) -> int:
    """The status of one call of a model, by a key of the settings."""
    answer = await desk.http.post(
        "/v1/chat/completions",
        content=orjson.dumps(ask(model="openai/gpt-4o", **members)),
        headers={"Authorization": "Bearer plain", "Content-Type": "application/json"},
    )
    return answer.status_code


async def test_calls_have_what_was_changed_here_at_once(open_desk: Callable[..., Desk], ledger_url: str) -> None:
    """A new version, a label that moves back, a removal; and the ledger comes before the settings."""
    model = upstream()
    settings = {"greet": {"text": "of the settings"}}
    desk = open_desk(ledger_url, providers={"openai": {"app": model, "api_key": "x"}}, prompts=settings)

    async def said(**members: Any) -> str:
        assert await called(desk, prompt_id="greet", **members) == 200
        return str(model.asked[-1]["messages"][0]["content"])

    assert await said() == "of the settings"
    await add(desk, "one")
    assert await said() == "of the settings"
    assert await said(prompt_version="latest") == "one"
    await desk.done("PUT", "prompts/greet/labels/production", {"number": 1})
    assert await said() == "one"
    await add(desk, "two {{a}}", labels=["production"])
    assert await said(prompt_variables={"a": "b"}) == "two b"
    assert await said(prompt_version=1) == "one"
    assert await called(desk, prompt_id="greet") == 400
    await desk.done("PUT", "prompts/greet/labels/production", {"number": 1})
    assert await said() == "one"
    await desk.done("DELETE", "prompts/greet")
    assert await said() == "of the settings"
    assert await called(desk, prompt_id="greet", prompt_version=2) == 404


async def test_calls_of_another_process_have_it_within_seconds(
    open_desk: Callable[..., Desk], empty_ledger: Callable[[str], str]
) -> None:
    """Its watch looks every other second; the key that calls is none of the ledger's."""
    url, model = empty_ledger("sqlite"), upstream()
    here = open_desk(url)
    there = open_desk(url, providers={"openai": {"app": model, "api_key": "x"}})
    records = there.gateway._standing.records
    assert records is not None
    steady = {"now": 0.0}
    records.watch._monotonic = lambda: steady["now"]
    await add(here, "one", labels=["production"])
    assert await called(there, prompt_id="greet") == 200
    await add(here, "two", labels=["production"])
    assert await called(there, prompt_id="greet") == 200
    steady["now"] += 2.1
    assert await called(there, prompt_id="greet") == 200
    assert [sent["messages"][0]["content"] for sent in model.asked] == ["one", "one", "two"]
