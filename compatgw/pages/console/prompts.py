"""`/console/prompts`: templates with their versions and labels, and what is different between two versions.

What does not live here: using them (`flow/prompts.py`).
"""

from __future__ import annotations

import asyncio
import difflib
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from compatgw.admin import documents, shapes
from compatgw.state.base import Prompt
from compatgw.wire.prompts import LATEST, PRODUCTION, ROLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from compatgw.admin.documents import PromptDocument, PromptRow
    from compatgw.pages.console.desk import Desk
    from compatgw.pages.console.forms import Form

_ROWS = 100
_VERSIONS = 50
# Comparing takes time that grows with the square of what is different.
_MOST_LINES = 4_000
_AROUND = 3
_BLANKS = 2
_FIELDS = frozenset({"name", "messages", "labels"})


class Line(NamedTuple):
    """A line of a comparison; `kind` is `same`, `new`, `old` or `gap`."""

    kind: str
    text: str


async def show(desk: Desk) -> None:
    """`GET /console/prompts`: each prompt with its newest version, those that changed last first."""
    cursor = desk.query("cursor") or None
    page = await desk.ledger.page(Prompt, where={"removed": False}, cursor=cursor, limit=_ROWS)
    named: dict[str, list[PromptRow]] = {}
    for prompt in page.items:
        named.setdefault(prompt.name, []).append(documents.of_prompt_row(prompt))
    if cursor is not None:
        # A prompt with a newer version stands on a page before.
        newest = await asyncio.gather(*[desk.ledger.prompt(name, label=LATEST) for name in named])
        current = {prompt.name: prompt.number for prompt in newest if prompt is not None}
        named = {name: rows for name, rows in named.items() if rows[0]["number"] == current.get(name)}
    await desk.page(
        "console/prompts.html",
        prompts=[
            {**rows[0], "all_labels": [(label, row["number"]) for row in rows for label in row["labels"]]}
            for rows in named.values()
        ],
        cursor=page.cursor,
        more=cursor is not None,
        configured=sorted(desk.site.house.settings.prompts),
        messages=_blocks(desk, "prompt", ()),
        roles=ROLES,
    )


def _blocks(desk: Desk, form: str, kept: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Role and text of the messages that a form shows, and some empty ones behind them."""
    sent = list(_sent(desk.form)) if desk.tried.name == form else list(kept)
    return [*sent, *[("user" if sent else "system", "")] * (1 if sent else _BLANKS)]


def _sent(form: Form) -> Iterator[tuple[str, str]]:
    """The messages that were filled in."""
    texts = form.all("content")
    for role, text in zip(form.all("role"), texts, strict=False):
        if text.strip():
            yield role, text


async def add(desk: Desk) -> None:
    """`POST /console/prompts`: a prompt, or a further version of one."""
    form = desk.form
    again = show if not form.text("of") else _again

    async def act() -> None:
        prompt = await desk.office.prompts.add(
            form.text("of") or form.text("name"),
            messages=[{"role": role, "content": text} for role, text in _sent(form)],
            labels=form.words("labels"),
            by=desk.by,
        )
        await desk.go(f"/console/prompts/{prompt.name}", "prompt-added", name=prompt.name, number=str(prompt.number))

    await desk.submitted("prompt", _FIELDS, act, again)


async def _again(desk: Desk) -> None:
    await _one(desk, desk.form.text("of"))


async def one(desk: Desk) -> None:
    """`GET /console/prompts/{name}`: `?version=`, the newest without it, beside `?against=`, the one before it."""
    await _one(desk, desk.args[0])


async def _one(desk: Desk, name: str) -> None:
    page = await desk.ledger.page(
        Prompt, where={"name": name, "removed": False}, cursor=desk.query("cursor") or None, limit=_VERSIONS
    )
    versions = page.items
    chosen = await desk.office.prompts.find(name, desk.query("version") or LATEST)
    against = await _against(desk, chosen, versions)
    shown = documents.of_prompt(chosen)
    await desk.page(
        "console/prompt.html",
        prompt=shown,
        versions=[documents.of_prompt_row(each) for each in versions],
        cursor=page.cursor,
        against=against.number if against is not None else None,
        lines=await _compared(against, chosen) if against is not None else [],
        messages=_blocks(desk, "prompt", [(each["role"], each["content"]) for each in shown["messages"]]),
        roles=ROLES,
        production=PRODUCTION,
        use=_use(shown),
    )


async def _against(desk: Desk, chosen: Prompt, versions: Sequence[Prompt]) -> Prompt | None:
    """The version that one is compared with: the one that is asked for, else the one before it."""
    if wanted := desk.query("against"):
        found = await desk.office.prompts.find(chosen.name, wanted)
        return found if found.number != chosen.number else None
    return max((each for each in versions if each.number < chosen.number), key=lambda each: each.number, default=None)


def _use(prompt: PromptDocument) -> str:
    """Members of a request that takes this version."""
    members: dict[str, Any] = {"prompt_id": prompt["name"]}
    if PRODUCTION not in prompt["labels"]:
        members["prompt_version"] = prompt["number"]
    if prompt["variables"]:
        members["prompt_variables"] = dict.fromkeys(prompt["variables"], "...")
    return orjson.dumps(members, option=orjson.OPT_INDENT_2).decode()


async def _compared(before: Prompt, after: Prompt) -> list[Line] | None:
    """What is different, with some lines around it; None where they are too long to compare."""
    old, new = _lines(documents.of_prompt(before)), _lines(documents.of_prompt(after))
    if max(len(old), len(new)) > _MOST_LINES:
        return None
    return await asyncio.to_thread(_different, old, new)


def _lines(prompt: PromptDocument) -> list[str]:
    found: list[str] = []
    for message in prompt["messages"]:
        found += [f"[{message['role']}]", *message["content"].split("\n")]
    return found


def _different(old: Sequence[str], new: Sequence[str]) -> list[Line]:
    found: list[Line] = []
    for group in difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(_AROUND):
        if found:
            found.append(Line("gap", ""))
        for kind, first, last, new_first, new_last in group:
            if kind == "equal":
                found += [Line("same", text) for text in old[first:last]]
            else:
                found += [Line("old", text) for text in old[first:last]]
                found += [Line("new", text) for text in new[new_first:new_last]]
    return found


# --- labels ------------------------------------------------------------------------------------


async def label(desk: Desk) -> None:
    """`POST /console/prompts/{name}/labels`: gives a label to a version, or takes it off."""
    form, name = desk.form, desk.args[0]

    async def act() -> None:
        mark = form.text("label")
        if form.ticked("off"):
            prompt = await desk.office.prompts.unlabel(name, mark, by=desk.by)
            notice = "label-off"
        else:
            number = shapes.number(form.text("number"), "number")
            prompt = await desk.office.prompts.label(name, mark, number, by=desk.by)
            notice = "label-on"
        path = f"/console/prompts/{name}?version={prompt.number}"
        await desk.go(path, notice, label=mark, number=str(prompt.number))

    await desk.submitted("label", frozenset({"label"}), act, one)


# --- removing ----------------------------------------------------------------------------------


async def ask_removal(desk: Desk) -> None:
    """`GET /console/prompts/{name}/remove` and `.../{number}/remove`: the question."""
    name, number = desk.args[0], (desk.args[1] if len(desk.args) > 1 else "")
    prompt = await desk.office.prompts.find(name, number or "latest")
    await desk.page(
        "console/prompt-remove.html", prompt=documents.of_prompt_row(prompt), number=prompt.number if number else None
    )


async def remove(desk: Desk) -> None:
    """`POST` of both."""

    async def act() -> None:
        name = desk.args[0]
        if len(desk.args) == 1:
            await desk.office.prompts.remove_all(name, by=desk.by)
            await desk.go("/console/prompts", "prompt-removed", name=name)
            return
        number = shapes.number(desk.args[1], "number")
        await desk.office.prompts.remove(name, number, by=desk.by)
        left: Any = await desk.ledger.page(Prompt, where={"name": name, "removed": False}, limit=1)
        path = f"/console/prompts/{name}" if left.items else "/console/prompts"
        await desk.go(path, "version-removed", name=name, number=str(number))

    form = "version" if len(desk.args) > 1 else "remove"
    await desk.submitted(form, frozenset(), act, ask_removal)
