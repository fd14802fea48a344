"""Models and providers: how each is at this moment, what can be called there, and a button that tries it.

A try is a real call of a few tokens, of the operator's own.

What does not live here: how providers are (`web/status.py`), what is known of models (`pages/models.py`), the call
(`trying.py`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import orjson

from compatgw.admin.documents import instant
from compatgw.errors import InvalidRequest
from compatgw.pages import models
from compatgw.pages.console import figures
from compatgw.pages.console.trying import whole
from compatgw.pages.models import title_of
from compatgw.pages.render import redirect
from compatgw.surfaces.table import SURFACES
from compatgw.web.status import data_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw.pages.console.desk import Desk
    from compatgw.pages.models import Row
    from compatgw.web.status import UpstreamStatus

_ROWS = 50
# The worst first.
_STATES = ("open", "half_open", "resting", "failing", "up", "unknown")
_WORDS = "Reply with the word OK."
_TRIES = {"chat": "/chat/completions", "embedding": "/embeddings"}
"""Kinds of models that can be tried for next to nothing, and by which call."""
_LEFT = "try"
_SHOWN = 500


async def show(desk: Desk) -> None:
    """`GET /console/models`."""
    site = desk.site
    house, every = site.house, models.every(site, desk.visit)
    sightings = data_of(site, named=True).get("upstreams", [])
    found = _found(every, desk.query("q"), desk.query("provider"))
    number = desk.query("page")
    start = (int(number) - 1) * _ROWS if number.isascii() and number.isdigit() and 0 < int(number) < 10_000 else 0
    rest = {name: value for name in ("q", "provider") if (value := desk.query(name))}
    await desk.page(
        "console/models.html",
        providers=[_provider(desk, name, every, sightings) for name in house.directory.deployments],
        deployments=[_deployment(desk.language, each) for each in sightings if "breaker" in each],
        rows=found[start : start + _ROWS],
        count=len(found),
        page=start // _ROWS + 1,
        pages=-(-len(found) // _ROWS),
        query=rest,
        titles={name: title_of(name) for name in house.directory.deployments},
        tried_out=desk.left.get(_LEFT),
        can_try=tuple(_TRIES),
    )


def _found(every: Sequence[Row], words: str, provider: str) -> list[Row]:
    """The models that have all words, at a provider or at any."""
    wanted = words.lower().split()
    return [
        row
        for row in every
        if (not provider or provider in row.providers) and all(word in row.id.lower() for word in wanted)
    ]


def _provider(desk: Desk, name: str, every: Sequence[Row], sightings: Sequence[UpstreamStatus]) -> dict[str, Any]:
    house = desk.site.house
    endpoint = house.keys.first(name)
    own = [each for each in sightings if each["name"] == name]
    mine = [row for row in every if name in row.providers]
    latencies = [latency for each in own if (latency := each.get("latency_ms")) is not None]
    return {
        "name": name,
        "title": title_of(name),
        "state": next((state for state in _STATES if any(each["state"] == state for each in own)), "unknown"),
        # An address may hold what is nobody's business; where it leads is enough.
        "host": "" if endpoint.app is not None else urlsplit(endpoint.base_url).netloc.rpartition("@")[2],
        "dialect": house.directory.deployments[name].dialect.name,
        "keys": house.keys.count(name),
        "models": len(mine),
        "calls": sum(each.get("calls", 0) for each in own),
        "errors": sum(each.get("errors", 0) for each in own),
        "in_flight": sum(each.get("in_flight", 0) for each in own),
        "latency": figures.duration(desk.language, min(latencies)) if latencies else "",
        "model": cheapest(name, mine, house.directory.deployments[name].models),
    }


def cheapest(provider: str, rows: Sequence[Row], listed: Sequence[str] = ()) -> str:
    """The model of a provider that a try is likely to cost the least at, "" where none is known."""
    own = [row for row in rows if row.id.startswith(f"{provider}/") and row.kind in _TRIES]
    # What chats tells more than what embeds; what has no price may cost anything, but it is all there is.
    dear = Decimal("Infinity")
    own.sort(
        key=lambda row: (row.kind != "chat", dear if row.output is None else (row.input or 0) + row.output, row.id)
    )
    if own:
        return own[0].id
    return f"{provider}/{listed[0]}" if listed else ""


def _deployment(language: str, seen: UpstreamStatus) -> dict[str, Any]:
    """What is called somewhere, as the table shows it."""
    back, latency = seen.get("back_in_s") or 0.0, seen.get("latency_ms")
    at = seen.get("last_error_time")
    return {
        **seen,
        "back": figures.duration(language, round(back * 1000)) if back else "",
        "latency": figures.duration(language, latency) if latency is not None else "",
        "last_error_at": instant(at) if at is not None else "",
    }


async def test(desk: Desk) -> None:
    """`POST /console/models/test`: calls a model for a word, and tells what came of it on the page.

    Raises:
        InvalidRequest: It is of a kind that cannot be tried for next to nothing.
        NotFound: Nobody serves it.
    """
    name = desk.form.text("model")
    kind = next((row.kind for row in models.every(desk.site, desk.visit) if row.id == name), "chat")
    if kind not in _TRIES:
        raise InvalidRequest(f"'{name[:80]}' is not tried: a call of its kind costs too much.", param="model")
    path = _TRIES[kind]
    request: dict[str, Any] = {"model": name, "retries": 0, "timeout": 30_000}
    if kind == "chat":
        request |= {"messages": [{"role": "user", "content": _WORDS}], "max_completion_tokens": 16}
    else:
        request["input"] = _WORDS
    outcome = await whole(desk, SURFACES[path], await desk.caller(), orjson.dumps(request))
    told = {
        "model": name,
        "ok": outcome.ok,
        "status": outcome.status,
        "code": outcome.code,
        "error": outcome.error[:_SHOWN],
        "target": outcome.target,
        "text": _said(outcome.answer)[:_SHOWN],
        "took": figures.duration(desk.language, outcome.milliseconds),
        "cost": figures.amount(desk.language, outcome.cost) if outcome.cost is not None else "",
        "request": desk.visit.id,
    }
    await desk.sessions.leave(desk.operator.session, {_LEFT: told})
    rest = {each: value for each in ("q", "provider") if (value := desk.form.text(each))}
    await redirect(
        desk.visit, f"/console/models?{urlencode({**rest, 'done': '1'})}#tried", (("X-Robots-Tag", "noindex"),)
    )


def _said(answer: Any) -> str:
    """What a chat was answered, "" for anything else."""
    choices: Sequence[Mapping[str, Any]] = (answer or {}).get("choices") or ()
    return next(((each.get("message") or {}).get("content") or "" for each in choices), "")
