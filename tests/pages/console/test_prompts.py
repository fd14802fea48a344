"""The pages of prompts: versions that stay, labels that move, and what is different."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.pages.console import prompts as module
from compatgw.state.base import Prompt
from tests.pages.console.operating import Console, form_in
from tests.pages.visiting import Page


@pytest.fixture
async def greet(console: Console) -> Console:
    """A console with a prompt of two versions."""
    await console.office.prompts.add("greet", text="Hello {{name}}.\nBe kind.", labels=("production",), by="anna")
    await console.office.prompts.add(
        "greet",
        messages=[{"role": "system", "content": "Hello {{name}}.\nBe short."}, {"role": "user", "content": "Hi"}],
        labels=("staging",),
        by="ben",
    )
    return console


def lines(page: Page) -> list[str]:
    """What a page says is different."""
    return [tag for tag, _ in page.elements if tag in ("ins", "del")]


async def test_a_prompt_is_written(console: Console) -> None:
    """Messages that are filled in are kept in order, with their line breaks; the others are not."""
    assert "No prompts yet" in (await console.page("/console/prompts")).text
    path, page = await console.done(
        "/console/prompts",
        "prompt",
        {
            "name": "greet",
            "role": ["system", "user"],
            "content": ["Be kind.\r\n\r\n  {{name}} <b>", "Hi"],
            "labels": "production, staging",
        },
    )
    assert path == "/console/prompts/greet"
    assert "Version 1 of greet is saved." in page.text
    (prompt,) = (await console.ledger.page(Prompt)).items
    assert prompt.labels == ("production", "staging")
    assert orjson.loads(prompt.body) == [
        {"role": "system", "content": "Be kind.\n\n  {{name}} <b>"},
        {"role": "user", "content": "Hi"},
    ]
    assert prompt.by == "ops"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": "a b", "content": ["x", ""]}, "prompt-name-wrong"),
        ({"name": "ok", "content": ["", " "]}, "prompt-messages-wrong"),
        ({"name": "ok", "content": ["x" * 150_001, ""]}, "prompt-messages-wrong"),
        ({"name": "ok", "content": ["x", ""], "role": ["nobody", "user"]}, "prompt-messages-wrong"),
        ({"name": "ok", "content": ["x", ""], "labels": "latest"}, "prompt-labels-wrong"),
        ({"name": "ok", "content": ["x", ""], "labels": "a b"}, "prompt-labels-wrong"),
    ],
)
async def test_what_is_wrong_is_said_next_to_its_field(console: Console, values: dict[str, Any], field: str) -> None:
    """The messages stay as they were typed, and nothing is stored."""
    answer = await console.send("/console/prompts", "prompt", values)
    assert answer.status_code == 400
    page = Page(answer.text)
    assert field in page.values("id")
    texts = [value for name, value in form_in(answer, "prompt").fields if name == "content"]
    assert texts[: len([text for text in values["content"] if text.strip()])] == [
        text for text in values["content"] if text.strip()
    ]
    assert not (await console.ledger.page(Prompt)).items


async def test_a_further_version_begins_with_the_one_that_is_shown(greet: Console) -> None:
    """Its form holds the messages of the version on the page; one that is refused stays on that page."""
    form = await greet.form("/console/prompts/greet?version=1", "prompt")
    assert [value for name, value in form.fields if name == "content"] == ["Hello {{name}}.\nBe kind.", ""]
    answer = await greet.post(form, {"labels": "latest"})
    assert answer.status_code == 400
    again = form_in(answer, "prompt")
    assert ("of", "greet") in again.fields
    answer = await greet.post(again, {"labels": ""})
    assert answer.headers["location"].startswith("/console/prompts/greet")
    newest = await greet.office.prompts.find("greet", "latest")
    assert (newest.number, newest.labels) == (3, ())
    assert orjson.loads(newest.body) == [{"role": "system", "content": "Hello {{name}}.\nBe kind."}]


async def test_a_prompt_is_read(greet: Console) -> None:
    """The newest version unless another is asked for, with its variables and how calls use it."""
    page = await greet.page("/console/prompts/greet")
    assert "Version 2" in page.text
    assert '"prompt_version": 2' in page.text
    assert '"name": "..."' in page.text
    first = await greet.page("/console/prompts/greet?version=1")
    assert "Be kind." in first.text
    assert "prompt_version" not in first.text
    listed = await greet.page("/console/prompts")
    assert "production → 1" in listed.text
    assert "staging → 2" in listed.text
    for query in ("version=9", "against=9", "version=x", "version=-1", "against=none"):
        assert (await greet.get(f"/console/prompts/greet?{query}")).status_code == 404
    assert (await greet.get("/console/prompts/greet?cursor=x")).status_code == 400
    # A label leads to its version.
    assert "Be kind." in (await greet.page("/console/prompts/greet?version=production")).text
    assert (await greet.get("/console/prompts/nope")).status_code == 404


async def test_many_prompts_and_versions_go_on_over_pages(console: Console) -> None:
    """Each prompt stands once, where its newest version does; older versions are reached, and read by their number."""
    await console.office.prompts.add("first", text="number 1", by="test")
    for number in range(60):
        await console.office.prompts.add("busy", text=f"text {number}", by="test")
    for number in range(60):
        await console.office.prompts.add(f"p{number}", text="x", by="test")
    await console.office.prompts.add("first", text="number 2", by="test")
    page = await console.page("/console/prompts")
    rows = {href for href in page.values("href") if href.startswith("/console/prompts/")}
    assert {"/console/prompts/first", "/console/prompts/busy", "/console/prompts/p0"} <= rows
    (older,) = [href for href in page.values("href") if "cursor=" in href]
    page = await console.page(older)
    assert not [href for href in page.values("href") if href.startswith("/console/prompts/")]
    assert "No prompts yet" not in page.text
    page = await console.page("/console/prompts/busy")
    assert "text 59" in page.text
    (older,) = [href for href in page.values("href") if "cursor=" in href]
    assert "/console/prompts/busy?version=1" in (await console.page(older)).values("href")
    assert "text 0" in (await console.page("/console/prompts/busy?version=1")).text


async def test_versions_are_compared(greet: Console) -> None:
    """With the one before, or with whichever is asked for."""
    page = await greet.page("/console/prompts/greet")
    assert "From version 1 to version 2" in page.text
    assert lines(page) == ["del", "ins", "ins", "ins"]
    assert lines(await greet.page("/console/prompts/greet?version=1")) == []
    back = await greet.page("/console/prompts/greet?version=1&against=2")
    assert lines(back) == ["del", "del", "del", "ins"]
    await greet.office.prompts.add("greet", text="Hello {{name}}.\nBe kind.", by="anna")
    assert "They are the same." in (await greet.page("/console/prompts/greet?version=3&against=1")).text
    await greet.office.prompts.add("greet", text="x\n" * 5000, by="anna")
    assert "too long to compare" in (await greet.page("/console/prompts/greet")).text


async def test_labels_move(greet: Console) -> None:
    """A label that is given to a version leaves the other; it can be taken off; names that are none are refused."""
    _, page = await greet.done("/console/prompts/greet?version=2", "label", {"label": "production"})
    assert "Version 2 has the label production now." in page.text
    assert (await greet.office.prompts.find("greet", "production")).number == 2
    token = page.values("data-csrf")[0]
    off = {"csrf": token, "label": "production", "off": "yes"}
    assert (await greet.http.post("/console/prompts/greet/labels", data=off)).status_code == 303
    assert (await greet.http.post("/console/prompts/greet/labels", data=off)).status_code == 404
    answer = await greet.send("/console/prompts/greet", "label", {"label": "latest"})
    assert answer.status_code == 400
    assert "label-label-wrong" in Page(answer.text).values("id")


async def test_versions_and_prompts_are_removed_after_a_question(greet: Console) -> None:
    """A version with a label stays; one without goes; a whole prompt goes with all of them."""
    status, page = await greet.refused("/console/prompts/greet/1/remove", "version")
    assert status == 409
    assert "It has a label, and calls would miss it" in page.text
    await greet.office.prompts.unlabel("greet", "production", by="test")
    path, page = await greet.done("/console/prompts/greet/1/remove", "version")
    assert path == "/console/prompts/greet"
    assert "Version 1 of greet is removed." in page.text
    path, page = await greet.done("/console/prompts/greet/remove", "remove")
    assert path == "/console/prompts"
    assert "The prompt greet is removed." in page.text
    for gone in ("greet", "greet/remove", "greet/2/remove"):
        assert (await greet.get(f"/console/prompts/{gone}")).status_code == 404


async def test_the_last_version_leads_back_to_all_prompts(console: Console) -> None:
    """Where no version is left there is no page to go back to."""
    await console.office.prompts.add("one", text="x", by="test")
    path, _ = await console.done("/console/prompts/one/1/remove", "version")
    assert path == "/console/prompts"


async def test_prompts_of_the_configuration_are_named(open_console: Any) -> None:
    """What is changed elsewhere is listed, without a form."""
    console = open_console(prompts={"from-file": {"text": "Hi"}})
    await console.login()
    page = await console.page("/console/prompts")
    assert "from-file" in page.text
    assert "/console/prompts/from-file" not in page.values("href")


TEXT = st.lists(st.sampled_from(["a", "b", "c", "", "d d"]), max_size=12)


@given(TEXT, TEXT)
def test_differences_lead_from_one_to_the_other(old: list[str], new: list[str]) -> None:
    """Every line that is taken out was in the old one, every new one is in the new one, and as many as differ."""
    found = module._different(old, new)
    assert (not found) == (old == new)
    gone = [line.text for line in found if line.kind == "old"]
    came = [line.text for line in found if line.kind == "new"]
    assert len(new) - len(old) == len(came) - len(gone)
    for kind, whole, part in (("old", old, gone), ("new", new, came)):
        shown = [line.text for line in found if line.kind in (kind, "same")]
        assert all(text in whole for text in shown)
        assert len(part) <= len(whole)
