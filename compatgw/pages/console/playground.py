"""The playground: a chat request from a form, where it would go and why, and its answer.

With script the answer comes bit by bit (`run`), and the plan before it (`plan`); without, the page comes back with
both (`send`). All three read the same form and make the same call of it, in the operator's name or as a team.

What does not live here: the way of a call (`flow/run.py`), planning (`policy/plan.py`).
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, InvalidOperation
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

import orjson

from compatgw.errors import GatewayError, InvalidRequest
from compatgw.flow.admit import asked
from compatgw.flow.prompts import prompted
from compatgw.pages import models
from compatgw.pages.console import figures
from compatgw.pages.console.desk import HEADERS
from compatgw.pages.console.forms import Tried
from compatgw.pages.console.models import cheapest
from compatgw.pages.console.trying import whole
from compatgw.pages.render import GUARDS
from compatgw.policy.explaining import explain
from compatgw.policy.plan import survey
from compatgw.surfaces.table import SURFACES
from compatgw.web.endpoints import call_of, called

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.pages.console.desk import Desk
    from compatgw.pages.console.forms import Form
    from compatgw.pages.console.trying import Outcome
    from compatgw.policy.access import Caller
    from compatgw.policy.explaining import Explained
    from compatgw.surfaces.base import Surface

NAME = "ask"
"""Of the form."""
_FIELDS = frozenset({"model", "system", "prompt", "temperature", "max_completion_tokens", "extra", "team"})
# Where an error of the API has another name for a field.
_NAMES = {"messages": "prompt"}
_MOST_NAMES = 400
_LONGEST = 200_000


async def show(desk: Desk) -> None:
    """`GET /console/playground`."""
    await _page(desk)


async def send(desk: Desk) -> None:
    """`POST /console/playground`: the page, with the plan and the whole answer."""
    form = desk.form
    # What was sent stays in its fields.
    desk = replace(desk, tried=Tried(NAME, form))
    try:
        caller = await desk.caller(form.optional("team"))
        body = orjson.dumps(request_of(form, stream=False))
        plan = await _planned(desk, caller, body)
    except GatewayError as error:
        await _page(_wrong(desk, error.param or "", str(error), error.status))
        return
    outcome = None if form.ticked("only_plan") else await whole(desk, _chat(), caller, body)
    if outcome is not None and outcome.param:
        desk = _wrong(desk, outcome.param, outcome.error, outcome.status)
    await _page(desk, plan=plan, outcome=outcome, request=body)


async def plan(desk: Desk) -> None:
    """`POST /console/playground/plan`: the parts of the page that show the request, and its plan; for our script.

    Raises:
        GatewayError: The request cannot be sent.
    """
    caller = await desk.caller(desk.form.optional("team"))
    request = request_of(desk.form, stream=desk.form.ticked("stream"))
    found = await _planned(desk, caller, orjson.dumps(request))
    await desk.page("console/planned.html", plan=found, request=_indented(request))


async def run(desk: Desk) -> None:
    """`POST /console/playground/run`: the answer as a client of the API gets it.

    Raises:
        GatewayError: The call failed before anything was sent.
    """
    _guarded(desk)
    site, visit, surface = desk.site, desk.visit, _chat()
    visit.envelope = surface.envelope
    caller = await desk.caller(desk.form.optional("team"))
    with site.capacity:
        started = site.house.monotonic()
        body = orjson.dumps(request_of(desk.form, stream=desk.form.ticked("stream")))
        await called(site, visit, call_of(site, visit, surface, surface.parse(body), caller, started, body))


def request_of(form: Form, *, stream: bool) -> dict[str, Any]:
    """The chat request that a form asks for; members of `extra` win over its fields.

    Raises:
        InvalidRequest: A field that cannot be read.
    """
    messages = [{"role": "system", "content": system}] if (system := form.text("system")) else []
    messages.append({"role": "user", "content": form.raw("prompt")})
    if not form.text("model"):
        raise InvalidRequest("'model' is missing.", param="model", code="missing_parameter")
    request: dict[str, Any] = {"model": form.text("model"), "messages": messages}
    if temperature := form.text("temperature"):
        request["temperature"] = _number(temperature, "temperature")
    if (most := form.number("max_completion_tokens")) is not None:
        request["max_completion_tokens"] = most
    request |= _extra(form.raw("extra"))
    request["stream"] = stream
    if stream:
        request["stream_options"] = {"include_usage": True}
    else:
        request.pop("stream_options", None)
    return request


def _number(text: str, name: str) -> float:
    try:
        found = float(Decimal(text.replace(",", ".")))
    except InvalidOperation:
        found = nan
    if not isfinite(found):
        raise InvalidRequest(f"'{name}' must be a number.", param=name, code="invalid_type")
    return found


def _extra(text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"'extra' is no JSON: {error}.", param="extra", code="invalid_json") from None
    if not isinstance(found, dict):
        raise InvalidRequest("'extra' must be a JSON object.", param="extra", code="invalid_type")
    return found


async def _planned(desk: Desk, caller: Caller, body: bytes) -> Explained:
    """Where the request would go; nobody is asked, and nothing is taken of any limit."""
    site, surface = desk.site, _chat()
    call = call_of(site, desk.visit, surface, surface.parse(body), caller, site.house.monotonic(), body)
    await prompted(call, site.house)
    return explain(survey(*asked(call, site.house)), hidden=True)


def _chat() -> Surface:
    return SURFACES["/chat/completions"]


def _guarded(desk: Desk) -> None:
    """Gives an answer that is no page the headers of one."""
    desk.visit.extra += [(name.lower().encode(), value.encode()) for name, value in (*GUARDS, *HEADERS)]


def _wrong(desk: Desk, param: str, text: str, status: int) -> Desk:
    """The desk with a form that was refused."""
    at = param.partition("[")[0].partition(".")[0]
    at = _NAMES.get(at, at)
    return replace(desk, tried=Tried(NAME, desk.form, at if at in _FIELDS else "", text, status))


async def _page(
    desk: Desk, *, plan: Explained | None = None, outcome: Outcome | None = None, request: bytes = b""
) -> None:
    every = models.every(desk.site, desk.visit)
    names = [row.id for row in every if row.kind == "chat"]
    cheap = [cheapest(name, every) for name in desk.site.house.directory.deployments]
    first = next((found for found in cheap if found in names), "")
    await desk.page(
        "console/playground.html",
        names=names[:_MOST_NAMES],
        model=desk.query("model") or first,
        plan=plan,
        outcome=_told(desk.language, outcome) if outcome is not None else None,
        request=_indented(orjson.loads(request)) if request else "",
    )


def _told(language: str, outcome: Outcome) -> dict[str, Any]:
    """An outcome as the page shows it."""
    answer: Mapping[str, Any] = outcome.answer if isinstance(outcome.answer, dict) else {}
    usage: Mapping[str, Any] = answer.get("usage") or {}
    message: Mapping[str, Any] = next((each.get("message") or {} for each in answer.get("choices") or ()), {})
    return {
        "ok": outcome.ok,
        "status": outcome.status,
        "code": outcome.code,
        "error": outcome.error,
        "text": message.get("content") or "",
        "reasoning": message.get("reasoning_content") or "",
        "headers": sorted(outcome.headers),
        "target": outcome.target,
        "cost": figures.amount(language, outcome.cost) if outcome.cost is not None else "",
        "input": figures.whole(language, usage.get("prompt_tokens") or 0) if usage else "",
        "output": figures.whole(language, usage.get("completion_tokens") or 0) if usage else "",
        "took": figures.duration(language, outcome.milliseconds),
        "raw": _indented(answer)[:_LONGEST] if answer else "",
    }


def _indented(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
