"""`/docs`: how to call this gateway, from the address to the first answer and past the first error.

What does not live here: the snippets (`snippets/`), applications (`setups.py`), errors (`failures.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compatgw.openapi.headers import LIMITS, REQUEST, RESPONSE
from compatgw.pages import models, snippets, status
from compatgw.pages.failures import failures
from compatgw.pages.render import page, view_of
from compatgw.pages.setups import SETUPS
from compatgw.policy.limits import PLANS
from compatgw.sections import MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compatgw.pages.models import Row
    from compatgw.web.site import Site
    from compatgw.web.visit import Visit

KINDS = ("chat", "embedding", "image")
"""Kinds of models that snippets name."""
# What snippets name where nothing of the kind can be called.
_ELSE = {"chat": "provider/model", "embedding": "provider/embedding-model", "image": "provider/image-model"}


async def answer(site: Site, visit: Visit) -> None:
    """The page; `?chat=`, `?embedding=` and `?image=` choose the models of its snippets."""
    rows, query = models.rows(site, visit), visit.query()
    names = {kind: [row.id for row in rows if row.kind == kind] for kind in KINDS}
    chosen = {kind: query[kind] if query.get(kind) in names[kind] else _first(rows, kind) for kind in KINDS}
    home = view_of(visit, site.house.settings.docs.base_url).home
    values = {**chosen, "base": home + "/v1", "home": home}
    await page(
        site,
        visit,
        "docs.html",
        **status.health(site, visit),
        **_limits(site),
        models=names,
        chosen=chosen,
        query=query,
        tasks=_tasks(values),
        tools=snippets.TOOLS,
        setups=[(each, snippets.shown(each.text, values, each.spelling)) for each in SETUPS],
        failures=failures(),
        request_headers=tuple(REQUEST),
        response_headers=(*RESPONSE, *LIMITS, "Retry-After"),
        values=values,
        slug=str.lower,
    )


def _first(rows: Sequence[Row], kind: str) -> str:
    """The model that snippets begin with: of chat models one that sees images and PDFs and calls tools, if there is."""
    found = [row for row in rows if row.kind == kind]
    able = [row for row in found if row.vision and row.pdf and row.tools]
    return (able or found)[0].id if found else _ELSE[kind]


def _tasks(values: dict[str, str]) -> list[tuple[str, list[tuple[str, snippets.Tool, Any]]]]:
    return [
        (
            task,
            [
                (id, tool, snippets.shown(tool.texts[task], values, tool.spelling))
                for id, tool in snippets.TOOLS.items()
            ],
        )
        for task in snippets.TASKS
    ]


def _limits(site: Site) -> dict[str, Any]:
    own = site.house.settings.plans
    plans = {name: (plan.requests, plan.tokens, plan.concurrency) for name, plan in PLANS.items()}
    plans |= {name: (plan.requests, plan.tokens, plan.concurrency) for name, plan in own.items()}
    return {
        "plans": plans,
        "max_body": _mib(site.house.settings.max_body),
        "max_upload": _mib(site.house.settings.max_upload),
    }


def _mib(size: int) -> float:
    exact = round(size / MIB, 1)
    return int(exact) if exact == int(exact) else exact
