"""The fake server: routes, keys, errors and models of Anthropic.

What does not live here: request rules (`rules.py`, `turns.py`), answers (`answers.py`).
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Unpack

from compatgw_testing.fakes.answer import Answer, Headers, Json, Problem, Refused
from compatgw_testing.fakes.anthropic.answers import AnthropicChat
from compatgw_testing.fakes.anthropic.catalogue import entry_of
from compatgw_testing.fakes.anthropic.limits import limit_headers
from compatgw_testing.fakes.anthropic.reading import read_messages
from compatgw_testing.fakes.anthropic.rules import check_count, check_page, check_request, check_version
from compatgw_testing.fakes.anthropic.turns import Thoughts
from compatgw_testing.fakes.base import Fake, Options, Route
from compatgw_testing.script import dump

if TYPE_CHECKING:
    from collections.abc import Mapping

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
# Trying again would not help.
_FINAL = (400, 401, 402, 403, 404, 405, 413)
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
        Route("POST", "/messages/count_tokens", "_count"),
        Route("GET", "/models", "_list"),
        Route("GET", "/models/(.+)", "_retrieve"),
    )

    def __init__(self, key: str | None = None, **options: Unpack[Options]) -> None:
        super().__init__(key, **options)
        self.thoughts = Thoughts()

    def authorize(self, call: Call) -> None:
        """The key in `x-api-key` or as a bearer token; then the version."""
        given = call.headers.get("x-api-key")
        if given is None and "authorization" in call.headers:
            given = self.bearer(call.headers["authorization"])
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
        now = self.now(call) if self.limits is None else self.clock.now()
        return [
            ("request-id", self._request_id(call)),
            ("anthropic-organization-id", "00000000-0000-4000-a000-000000000000"),
            *limit_headers(self.limits, call.ordinal, now),
        ]

    def error(self, call: Call, problem: Problem) -> Answer:
        """An error answer; of one that would come again, the header says so."""
        answer = super().error(call, problem)
        if problem.status in _FINAL and "x-should-retry" not in problem.headers:
            answer.headers.append(("x-should-retry", "false"))
        return answer

    # Routes.

    def _messages(self, call: Call) -> Answer:
        if self.strict:
            check_request(call.body, call.headers["anthropic-version"], self.thoughts)
        ids = self.ids(call)
        chat = self.read(lambda: AnthropicChat(call, ids, self.thoughts, lambda problem: self.envelope(call, problem)))
        self.require_model(call, chat.model)
        return self.play(call, chat)

    def _count(self, call: Call) -> Answer:
        if self.strict:
            check_count(call.body, call.headers["anthropic-version"], self.thoughts)
        request = self.read(lambda: read_messages(call.body, surface="tokens"))
        self.require_model(call, request.model)
        # As many as a message of the same content is said to have read.
        tokens = len(dump(request.prompt)) // 4 + 1
        return self.serve(call, request, lambda _: self.json_answer(call, {"input_tokens": tokens}))

    def _list(self, call: Call) -> Answer:
        check_page(call.query)
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
                "data": [entry_of(name) for name in page],
                "has_more": len(names) > len(page),
                "first_id": page[0] if page else None,
                "last_id": page[-1] if page else None,
            },
        )

    def _retrieve(self, call: Call, model: str) -> Answer:
        self.require_model(call, model)
        return self.json_answer(call, entry_of(model))
