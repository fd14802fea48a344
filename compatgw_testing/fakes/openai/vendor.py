"""What all surfaces of OpenAI, and of vendors with its protocol, share: keys, errors, headers, which paths exist.

What does not live here: any one surface (`fake.py` has the list), habits (`habits.py`).
"""

from __future__ import annotations

import re
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Unpack

from compatgw_testing.fakes.answer import Headers, Json, Problem, Refused
from compatgw_testing.fakes.base import Fake, Options, Route
from compatgw_testing.fakes.openai.errors import written
from compatgw_testing.fakes.openai.habit import Habit, filled
from compatgw_testing.fakes.openai.habits import HABITS
from compatgw_testing.fakes.openai.limits import limit_headers, rooms
from compatgw_testing.script import ScriptError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw_testing.fakes.openai.habit import Surface
    from compatgw_testing.journal import Call
    from compatgw_testing.script import Failure

_BAD = "invalid_request_error"
_STATUSES: Mapping[int, Problem] = {
    one.status: one
    for one in (
        Problem(status=400, message="The request is not valid.", type=_BAD),
        Problem(status=401, message="Incorrect API key provided.", type=_BAD, code="invalid_api_key"),
        Problem(status=402, message="The account has no credit left.", type=_BAD, code="insufficient_quota"),
        Problem(status=403, message="This key may not do that.", type=_BAD, code="insufficient_permissions"),
        Problem(status=404, message="There is no such model.", type=_BAD, code="model_not_found"),
        Problem(status=408, message="The request took too long.", type="server_error", code="request_timeout"),
        Problem(status=409, message="The resource is in use.", type=_BAD, code="conflict"),
        Problem(status=413, message="The request is too large.", type=_BAD, code="request_too_large"),
        Problem(status=422, message="The request cannot be processed.", type=_BAD),
        Problem(status=429, message="Rate limit reached.", type="requests", code="rate_limit_exceeded"),
        Problem(status=500, message="The server had an error.", type="server_error"),
        Problem(status=502, message="Bad gateway.", type="server_error"),
        Problem(status=503, message="The engine is overloaded.", type="server_error", code="overloaded"),
        Problem(status=504, message="Gateway timeout.", type="server_error"),
        Problem(status=529, message="The site is overloaded.", type="server_error", code="overloaded"),
    )
}
_NAMES: Mapping[str, Problem] = {
    "context_length": Problem(
        status=400,
        message="This model's maximum context length is 128000 tokens, but your messages have 190000 tokens.",
        type=_BAD,
        param="messages",
        code="context_length_exceeded",
    ),
    "quota": Problem(
        status=429,
        message="You exceeded your current quota, please check your plan and billing details.",
        type="insufficient_quota",
        code="insufficient_quota",
    ),
    "content": Problem(
        status=400, message="The prompt was blocked by our policy.", type=_BAD, code="content_policy_violation"
    ),
    "key": _STATUSES[401],
    "model": _STATUSES[404],
    "rate_limit": _STATUSES[429],
    "overloaded": _STATUSES[503],
    "server": _STATUSES[500],
}


class Vendor(Fake):
    """A fake of OpenAI's API, or of a vendor that speaks it.

    Args:
        key: The one key that is accepted.
        habit: A name in `HABITS` (`groq`, `mistral`, `deepseek`, `openrouter`, `azure`, `perplexity`), or a row.
        options: As in `Fake`.

    Raises:
        ScriptError: There is no habit of this name.
    """

    dialect: ClassVar[str] = "openai"
    default_key: ClassVar[str] = "sk-fake-openai"
    default_models: ClassVar[tuple[str, ...]] = ("gpt-4o", "gpt-4o-mini", "gpt-5", "gpt-5-mini", "o3")
    failures: ClassVar[Mapping[str, Problem]] = _NAMES
    surfaces: ClassVar[Mapping[Surface, tuple[Route, ...]]] = {}

    def __init__(self, key: str | None = None, *, habit: str | Habit = "openai", **options: Unpack[Options]) -> None:
        super().__init__(key, **options)
        if isinstance(habit, str) and habit not in HABITS:
            known = ", ".join(sorted(HABITS))
            raise ScriptError(f"no vendor {habit!r} speaks OpenAI's protocol here; there are {known}")
        self.habit = habit if isinstance(habit, Habit) else HABITS[habit]
        self.base_path = self.habit.base
        closed = [routes for name, routes in self.surfaces.items() if name not in self.habit.surfaces]
        self._closed = frozenset(route.handler for routes in closed for route in routes)

    @property
    def sdk_path(self) -> str:  # type: ignore[override]
        """What the official SDK's base URL has after the origin."""
        return self.base_path

    def prefixes(self) -> tuple[str, ...]:
        """Patterns of what may stand before a route."""
        return self.habit.paths

    def authorize(self, call: Call) -> None:
        """The key as a bearer token, or in the header of the habit."""
        given = None
        for name in self.habit.auth:
            value = call.headers.get(name)
            if value is not None:
                given = self.bearer(value) if name == "authorization" else value
                break
        if given is None:
            raise Refused(replace(_STATUSES[401], message="You didn't provide an API key.", code=None))
        if not secrets.compare_digest(given.encode(), self.api_key.encode()):
            masked = f"{given[:3]}***{given[-3:]}" if len(given) > 12 else "***"
            raise Refused(replace(_STATUSES[401], message=f"Incorrect API key provided: {masked}."))

    def problem(self, failure: Failure) -> Problem:
        """What OpenAI means by a scripted failure."""
        known = _NAMES[failure.name] if failure.name is not None else _STATUSES.get(failure.status or 500)
        if known is None:
            known = Problem(status=failure.status or 500, message="An error.", type=_BAD)
        return replace(known, message=failure.message or known.message, headers=self.retry_headers(failure))

    def retry_headers(self, failure: Failure) -> dict[str, str]:
        """The headers of a failure, how long to wait in the vendor's form."""
        return super().retry_headers(replace(failure, retry_form=failure.retry_form or self.habit.retry))

    def no_route(self, call: Call, *, method: bool) -> Problem:
        """OpenAI's answer to an unknown URL or method."""
        if method:
            message, code = f"Not allowed to {call.method} on {call.path}.", "method_not_supported"
            return Problem(status=405, message=message, type=_BAD, code=code)
        return Problem(status=404, message=f"Invalid URL ({call.method} {call.path})", type=_BAD)

    def no_model(self, call: Call, model: str) -> Problem:
        """OpenAI's answer to an unknown model."""
        if self.habit.errors == "str_code":
            message, code = "The API deployment for this resource does not exist.", "DeploymentNotFound"
            return replace(_STATUSES[404], message=message, code=code)
        message = f"The model `{model}` does not exist or you do not have access to it."
        return replace(_STATUSES[404], message=message)

    def bad_json(self, call: Call) -> Problem:
        """OpenAI's answer to a body that is no JSON."""
        return Problem(status=400, message="The body of your request is not valid JSON.", type=_BAD)

    def envelope(self, call: Call, problem: Problem) -> object:
        """The body of an error answer, in the habit's form."""
        return written(self.habit.errors, problem, self.ids(call))

    def headers(self, call: Call) -> Headers:
        """Request id, processing time and rate limits, as the vendor sends them."""
        ids, habit = self.ids(call), self.habit
        found: Headers = []
        if habit.request_header:
            found.append((habit.request_header, filled(habit.request_form, ids, "request")))
        found.extend(habit.headers.items())
        found.extend(limit_headers(habit.limits, rooms(self.limits, call.ordinal), self.clock.now()))
        return found

    def entry(self, name: str) -> Json:
        """A model as the list endpoint shows it."""
        shown = {"id": name, "object": "model", "created": 1_767_225_600, "owned_by": "system"}
        kept = {member: value for member, value in shown.items() if member not in self.habit.model_without}
        more = {member: name if value == "{model}" else value for member, value in self.habit.model_extra.items()}
        return {**kept, **more}

    def _find(self, call: Call) -> tuple[Route, re.Match[str]]:
        route, match = super()._find(call)
        if route.handler in self._closed:
            raise Refused(self.no_route(call, method=False))
        return route, match
