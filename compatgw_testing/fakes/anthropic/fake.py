"""The fake server: routes, keys, errors and models of Anthropic.

What does not live here: request rules (`rules.py`, `turns.py`), answers (`answers.py`).
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from compatgw_testing.fakes.answer import Answer, Headers, Json, Problem, Refused
from compatgw_testing.fakes.anthropic.answers import AnthropicChat
from compatgw_testing.fakes.anthropic.models import limits_of
from compatgw_testing.fakes.anthropic.rules import check_request, check_version
from compatgw_testing.fakes.anthropic.turns import Thoughts
from compatgw_testing.fakes.base import Fake, Route

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw_testing.fakes.delivery import Pace
    from compatgw_testing.journal import Call
    from compatgw_testing.script import Failure

_STATUSES: Mapping[int, Problem] = {
    one.status: one
    for one in (
        Problem(status=400, message="The request is not valid.", type="invalid_request_error"),
        Problem(status=401, message="invalid x-api-key", type="authentication_error"),
        Problem(status=402, message="Your credit balance is too low.", type="billing_error"),
        Problem(status=403, message="Your API key may not do that.", type="permission_error"),
        Problem(status=404, message="Not found", type="not_found_error"),
        Problem(status=408, message="The request took too long.", type="timeout_error"),
        Problem(status=409, message="The resource is in use.", type="conflict_error"),
        Problem(status=413, message="Request exceeds the maximum size", type="request_too_large"),
        Problem(status=429, message="This request would exceed your rate limit.", type="rate_limit_error"),
        Problem(status=500, message="Internal server error", type="api_error"),
        Problem(status=503, message="Service unavailable", type="api_error"),
        Problem(status=504, message="The request timed out", type="timeout_error"),
        Problem(status=529, message="Overloaded", type="overloaded_error"),
    )
}
_NAMES: Mapping[str, Problem] = {
    "context_length": replace(_STATUSES[400], message="prompt is too long: 210000 tokens > 200000 maximum"),
    "quota": _STATUSES[402],
    "key": _STATUSES[401],
    "model": replace(_STATUSES[404], message="model: unknown"),
    "rate_limit": _STATUSES[429],
    "overloaded": _STATUSES[529],
    "server": _STATUSES[500],
}


class FakeAnthropic(Fake):
    """A fake of Anthropic's API; arguments as in `Fake`."""

    dialect: ClassVar[str] = "anthropic"
    base_path = "/v1"
    default_key: ClassVar[str] = "sk-ant-fake"
    default_models: ClassVar[tuple[str, ...]] = ("claude-sonnet-5", "claude-opus-4-8", "claude-haiku-4-5")
    failures: ClassVar[Mapping[str, Problem]] = _NAMES
    routes: ClassVar[tuple[Route, ...]] = (
        Route("POST", "/messages", "_messages"),
        Route("GET", "/models", "_list"),
        Route("GET", "/models/(.+)", "_retrieve"),
    )

    def __init__(
        self,
        key: str | None = None,
        *,
        seed: int | str = 0,
        strict: bool = True,
        models: Sequence[str] | None = None,
        pace: Pace | None = None,
    ) -> None:
        super().__init__(key, seed=seed, strict=strict, models=models, pace=pace)
        self.thoughts = Thoughts()

    def authorize(self, call: Call) -> None:
        """The key in `x-api-key` or as a bearer token; then the version."""
        given = call.headers.get("x-api-key")
        if given is None and "authorization" in call.headers:
            given = call.headers["authorization"].removeprefix("Bearer ")
        if given is None:
            raise Refused(replace(_STATUSES[401], message="x-api-key header is required"))
        if not secrets.compare_digest(given.encode(), self.api_key.encode()):
            raise Refused(_STATUSES[401])
        if self.strict:
            check_version(call.headers.get("anthropic-version"))

    def problem(self, failure: Failure) -> Problem:
        """What Anthropic means by a scripted failure."""
        known = _NAMES[failure.name] if failure.name is not None else _STATUSES.get(failure.status or 500)
        if known is None:
            kind = "invalid_request_error" if (failure.status or 500) < 500 else "api_error"
            known = Problem(status=failure.status or 500, message="An error occurred.", type=kind)
        return replace(known, message=failure.message or known.message, headers=self.retry_headers(failure))

    def no_route(self, call: Call, *, method: bool) -> Problem:
        """Anthropic's answer to an unknown path or method."""
        if method:
            return Problem(status=405, message="Method Not Allowed", type="invalid_request_error")
        return _STATUSES[404]

    def no_model(self, call: Call, model: str) -> Problem:
        """Anthropic's answer to an unknown model."""
        return replace(_STATUSES[404], message=f"model: {model}")

    def bad_json(self, call: Call) -> Problem:
        """Anthropic's answer to a body that is no JSON."""
        return replace(_STATUSES[400], message="The request body is not valid JSON")

    def envelope(self, call: Call, problem: Problem) -> Json:
        """The body of an error answer."""
        error = {"type": problem.type, "message": problem.message}
        return {"type": "error", "error": error, "request_id": self._request_id(call)}

    def _request_id(self, call: Call) -> str:
        return f"req_011{self.ids(call).alnum('request', 21)}"

    def headers(self, call: Call) -> Headers:
        """Request id and rate limits."""
        reset = datetime.fromtimestamp(self.now(call), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        headers: Headers = [
            ("request-id", self._request_id(call)),
            ("anthropic-organization-id", "00000000-0000-4000-a000-000000000000"),
        ]
        for name, limit in (("requests", 4000), ("tokens", 4_800_000), ("input-tokens", 4_000_000)):
            headers += [
                (f"anthropic-ratelimit-{name}-limit", str(limit)),
                (f"anthropic-ratelimit-{name}-remaining", str(limit - call.ordinal)),
                (f"anthropic-ratelimit-{name}-reset", reset),
            ]
        return headers

    # Routes.

    def _messages(self, call: Call) -> Answer:
        if self.strict:
            check_request(call.body, call.headers["anthropic-version"], self.thoughts)
        ids = self.ids(call)
        chat = self.read(lambda: AnthropicChat(call, ids, self.thoughts, lambda problem: self.envelope(call, problem)))
        self.require_model(call, chat.model)
        return self.play(call, chat)

    def _list(self, call: Call) -> Answer:
        names = list(self.models)
        if (after := call.query.get("after_id")) in names:
            names = names[names.index(str(after)) + 1 :]
        if (before := call.query.get("before_id")) in names:
            names = names[: names.index(str(before))]
        limit = int(call.query.get("limit", "20"))
        page = names[:limit]
        return self.json_answer(
            call,
            {
                "data": [_entry(name) for name in page],
                "has_more": len(names) > len(page),
                "first_id": page[0] if page else None,
                "last_id": page[-1] if page else None,
            },
        )

    def _retrieve(self, call: Call, model: str) -> Answer:
        self.require_model(call, model)
        return self.json_answer(call, _entry(model))


def _entry(name: str) -> Json:
    entry: Json = {
        "type": "model",
        "id": name,
        "display_name": name.replace("-", " ").title(),
        "created_at": "2026-01-01T00:00:00Z",
    }
    most = limits_of(name).max_output
    return entry if most is None else {**entry, "max_tokens": most, "max_input_tokens": 200_000}
