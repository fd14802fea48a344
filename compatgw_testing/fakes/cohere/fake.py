"""The fake server: routes, keys, errors and models of Cohere.

What does not live here: request rules (`rules.py`), answers (`answers.py`).
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from compatgw_testing.fakes.answer import Answer, Headers, Json, Problem, Refused
from compatgw_testing.fakes.base import Fake, Route
from compatgw_testing.fakes.cohere.answers import CohereChat
from compatgw_testing.fakes.cohere.catalogue import entry_of, page_of
from compatgw_testing.fakes.cohere.embeddings import answer_of, check_embed, read_embed, tokens_of
from compatgw_testing.fakes.cohere.rerank import check_rerank, ranked, read_rerank
from compatgw_testing.fakes.cohere.rules import check_request
from compatgw_testing.fakes.cohere.tokens import check_tokenize, read_tokenize, tokens_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw_testing.journal import Call
    from compatgw_testing.script import Failure, Turn

_STATUSES: Mapping[int, Problem] = {
    one.status: one
    for one in (
        Problem(status=400, message="invalid request"),
        Problem(status=401, message="Incorrect API key provided."),
        Problem(status=402, message="the billing limit is reached"),
        Problem(status=403, message="this API key may not do that"),
        Problem(status=404, message="not found"),
        Problem(status=413, message="the request is too large"),
        Problem(status=422, message="invalid value"),
        Problem(status=429, message="too many requests, please wait and try again later"),
        Problem(status=498, message="the output was blocked because of its content"),
        Problem(status=499, message="request cancelled"),
        Problem(status=500, message="internal server error"),
        Problem(status=501, message="not implemented"),
        Problem(status=503, message="service unavailable"),
        Problem(status=504, message="the request timed out"),
    )
}
_NAMES: Mapping[str, Problem] = {
    "context_length": Problem(
        status=400,
        message="too many tokens: size limit exceeded by 25836 tokens. The limit for this model is 288000 tokens.",
        type="TOO_MANY_TOKENS",
    ),
    "quota": Problem(
        status=429,
        message="You are using a Trial key, which is limited to 1000 API calls / month.",
    ),
    "content": _STATUSES[498],
    "key": _STATUSES[401],
    "model": Problem(status=404, message="model 'unknown' not found, make sure the correct model ID was used"),
    "rate_limit": _STATUSES[429],
    "overloaded": _STATUSES[503],
    "server": _STATUSES[500],
}


class FakeCohere(Fake):
    """A fake of Cohere's API; arguments as in `Fake`."""

    dialect: ClassVar[str] = "cohere"
    default_key: ClassVar[str] = "co-fake-key"
    default_models: ClassVar[tuple[str, ...]] = (
        "command-a-03-2025",
        "command-a-reasoning-08-2025",
        "command-a-vision-07-2025",
        "command-r7b-12-2024",
        "embed-v4.0",
        "embed-english-v3.0",
        "rerank-v3.5",
    )
    failures: ClassVar[Mapping[str, Problem]] = _NAMES
    routes: ClassVar[tuple[Route, ...]] = (
        Route("POST", "/v2/chat", "_chat"),
        Route("POST", "/v2/embed", "_embed"),
        Route("POST", "/v2/rerank", "_rerank"),
        Route("POST", "/v1/tokenize", "_tokenize"),
        Route("POST", "/v1/check-api-key", "_check_key", "none"),
        Route("GET", "/v1/models", "_list"),
        Route("GET", "/v1/models/(.+)", "_retrieve"),
    )

    def authorize(self, call: Call) -> None:
        """The key as a bearer token."""
        given = call.headers.get("authorization")
        if given is None:
            raise Refused(replace(_STATUSES[401], message="no api key supplied"))
        if not secrets.compare_digest(self.bearer(given).encode(), self.api_key.encode()):
            raise Refused(_STATUSES[401])

    def problem(self, failure: Failure) -> Problem:
        """What Cohere means by a scripted failure."""
        known = _NAMES[failure.name] if failure.name is not None else _STATUSES.get(failure.status or 500)
        if known is None:
            known = Problem(status=failure.status or 500, message="an error occurred")
        return replace(known, message=failure.message or known.message, headers=self.retry_headers(failure))

    def no_route(self, call: Call, *, method: bool) -> Problem:
        """Cohere's answer to an unknown path or method."""
        if method:
            return Problem(status=405, message=f"method {call.method} not allowed")
        return Problem(status=404, message=f"path {call.path} not found")

    def no_model(self, call: Call, model: str) -> Problem:
        """Cohere's answer to an unknown model."""
        message = (
            f"model '{model}' not found, make sure the correct model ID was used and that you have access to the model."
        )
        return Problem(status=404, message=message)

    def bad_json(self, call: Call) -> Problem:
        """Cohere's answer to a body that is no JSON."""
        return replace(_STATUSES[400], message="invalid request: the body is not valid JSON")

    def envelope(self, call: Call, problem: Problem) -> Json:
        """The body of an error answer: flat, with an id."""
        body: Json = {"id": self.ids(call).uuid("error"), "message": problem.message}
        return body if problem.type is None else {**body, "error_type": problem.type}

    def headers(self, call: Call) -> Headers:
        """The trace id; of a key with a quota, as trial keys are, what is left of its calls."""
        trace = ("x-debug-trace-id", self.ids(call).hex("trace", 32))
        if self.limits is None or self.limits.requests is None:
            return [trace]
        room = self.limits.requests.room
        return [
            trace,
            ("x-endpoint-monthly-call-limit", "1000"),
            ("x-trial-endpoint-call-limit", str(room.limit)),
            ("x-trial-endpoint-call-remaining", str(room.remaining)),
        ]

    def stream_headers(self) -> Headers:
        """Headers of an event stream."""
        return [("content-type", "text/event-stream"), ("cache-control", "no-cache, no-store, no-transform")]

    # Routes.

    def _chat(self, call: Call) -> Answer:
        if self.strict:
            check_request(call.body)
        chat = self.read(lambda: CohereChat(call, self.ids(call)))
        self.require_model(call, chat.model)
        return self.play(call, chat)

    def _embed(self, call: Call) -> Answer:
        if self.strict:
            check_embed(call.body)
        request = self.read(lambda: read_embed(call.body))
        self.require_model(call, request.model)
        dimensions = request.settings["dimensions"]
        assert isinstance(dimensions, int)

        def make(_: Turn | None) -> Answer:
            tokens = sum(tokens_of(one) for one in request.inputs)
            if self.limits is not None:
                self.limits.spend(tokens)
            vectors = [self.vectors.embed(one, dimensions) for one in request.inputs]
            body = self.read(lambda: answer_of(call.body, vectors, self.ids(call).uuid("id")))
            answer = self.json_answer(call, body)
            answer.headers += [("num_chars", str(sum(map(len, request.inputs)))), ("num_tokens", str(tokens))]
            return answer

        return self.serve(call, request, make)

    def _rerank(self, call: Call) -> Answer:
        if self.strict:
            check_rerank(call.body)
        request = self.read(lambda: read_rerank(call.body))
        self.require_model(call, request.model)
        identity = self.ids(call).uuid("id")
        return self.serve(call, request, lambda _: self.json_answer(call, ranked(self.vectors, request, identity)))

    def _tokenize(self, call: Call) -> Answer:
        if self.strict:
            check_tokenize(call.body)
        request = self.read(lambda: read_tokenize(call.body))
        self.require_model(call, request.model)
        return self.serve(call, request, lambda _: self.json_answer(call, tokens_in(request)))

    def _check_key(self, call: Call) -> Answer:
        ids = self.ids(call)
        owner = {"organization_id": ids.uuid("organization"), "owner_id": ids.uuid("owner")}
        return self.json_answer(call, {"valid": True, **owner})

    def _list(self, call: Call) -> Answer:
        return self.json_answer(call, page_of(self.models, call.query))

    def _retrieve(self, call: Call, model: str) -> Answer:
        self.require_model(call, model)
        return self.json_answer(call, entry_of(model))
