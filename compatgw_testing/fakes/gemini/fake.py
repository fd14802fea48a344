"""The fake server: routes, keys, errors and models of Gemini.

What does not live here: request rules (`rules.py`, `turns.py`), answers (`answers.py`).
"""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from compatgw_testing.fakes.answer import Answer, Headers, Json, Problem, Refused
from compatgw_testing.fakes.base import MIB, Fake, Route
from compatgw_testing.fakes.gemini.answers import BLOCKED, GeminiChat
from compatgw_testing.fakes.gemini.rules import canonical, check_request
from compatgw_testing.fakes.gemini.turns import Signatures
from compatgw_testing.script import Turn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from compatgw_testing.fakes.delivery import Pace
    from compatgw_testing.journal import Call
    from compatgw_testing.script import Failure

_RPC = "type.googleapis.com/google.rpc."
_NO_KEY = {
    "@type": f"{_RPC}ErrorInfo",
    "reason": "API_KEY_INVALID",
    "domain": "googleapis.com",
    "metadata": {"service": "generativelanguage.googleapis.com"},
}
_STATUSES: Mapping[int, Problem] = {
    one.status: one
    for one in (
        Problem(status=400, message="Request contains an invalid argument.", type="INVALID_ARGUMENT"),
        Problem(status=401, message="Request had invalid authentication credentials.", type="UNAUTHENTICATED"),
        Problem(status=403, message="The caller does not have permission.", type="PERMISSION_DENIED"),
        Problem(status=404, message="Requested entity was not found.", type="NOT_FOUND"),
        Problem(status=409, message="The operation was aborted.", type="ABORTED"),
        Problem(status=413, message="Request payload size exceeds the limit.", type="INVALID_ARGUMENT"),
        Problem(status=429, message="You exceeded your current quota.", type="RESOURCE_EXHAUSTED"),
        Problem(status=499, message="The operation was cancelled.", type="CANCELLED"),
        Problem(status=500, message="An internal error has occurred.", type="INTERNAL"),
        Problem(status=503, message="The model is overloaded. Please try again later.", type="UNAVAILABLE"),
        Problem(status=504, message="Deadline expired before operation could complete.", type="DEADLINE_EXCEEDED"),
    )
}
_KEY = replace(_STATUSES[400], message="API key not valid. Please pass a valid API key.", details=(_NO_KEY,))
_NAMES: Mapping[str, Problem] = {
    "context_length": replace(
        _STATUSES[400],
        message="The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    ),
    "quota": replace(
        _STATUSES[429],
        details=(
            {
                "@type": f"{_RPC}QuotaFailure",
                "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}],
            },
        ),
    ),
    "region": replace(
        _STATUSES[400], message="User location is not supported for the API use.", type="FAILED_PRECONDITION"
    ),
    "key": _KEY,
    "model": _STATUSES[404],
    "rate_limit": _STATUSES[429],
    "overloaded": _STATUSES[503],
    "server": _STATUSES[500],
}


class FakeGemini(Fake):
    """A fake of the Gemini API, under `v1`, `v1beta` and `v1alpha`; arguments as in `Fake`."""

    dialect: ClassVar[str] = "gemini"
    base_path = "/v1beta"
    default_key: ClassVar[str] = "AIza-fake-gemini"
    default_models: ClassVar[tuple[str, ...]] = ("gemini-2.5-flash", "gemini-2.5-pro", "gemini-3-pro-preview")
    max_body: ClassVar[int] = 100 * MIB
    failures: ClassVar[Mapping[str, Problem]] = _NAMES
    routes: ClassVar[tuple[Route, ...]] = (
        Route("POST", "/models/(.+):generateContent", "_generate"),
        Route("POST", "/models/(.+):streamGenerateContent", "_stream"),
        Route("GET", "/models", "_list"),
        Route("GET", "/models/([^:]+)", "_retrieve"),
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
        self.signatures = Signatures()

    def block(self, reason: str = "SAFETY") -> Self:
        """Answers a call by blocking its prompt: `promptFeedback` and no candidates."""
        return self.enqueue(Turn(finish=f"{BLOCKED}{reason}"))

    def prefixes(self) -> tuple[str, ...]:
        """Patterns of what may stand before a route."""
        return ("/v1(?:beta|alpha)?",)

    def authorize(self, call: Call) -> None:
        """The key in `x-goog-api-key` or in the query; a wrong one is a 400."""
        given = call.headers.get("x-goog-api-key") or call.query.get("key")
        if not given:
            message = (
                "Method doesn't allow unregistered callers. Please use API Key or other form of API consumer identity."
            )
            raise Refused(replace(_STATUSES[403], message=message))
        if not secrets.compare_digest(given.encode(), self.api_key.encode()):
            raise Refused(_KEY)

    def problem(self, failure: Failure) -> Problem:
        """What Gemini means by a scripted failure; how long to wait stands in the details."""
        known = _NAMES[failure.name] if failure.name is not None else _STATUSES.get(failure.status or 500)
        if known is None:
            known = Problem(status=failure.status or 500, message="An error occurred.", type="UNKNOWN")
        details, headers = known.details, self.retry_headers(replace(failure, retry_after=None))
        if failure.retry_after is not None and failure.retry_form is not None:
            headers = self.retry_headers(failure)
        elif failure.retry_after is not None:
            if known.status == 429 and not details:
                quota = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
                details = ({"@type": f"{_RPC}QuotaFailure", "violations": [{"quotaId": quota}]},)
            details = (*details, {"@type": f"{_RPC}RetryInfo", "retryDelay": f"{failure.retry_after:g}s"})
        return replace(known, message=failure.message or known.message, details=details, headers=headers)

    def no_route(self, call: Call, *, method: bool) -> Problem:
        """Google's front end answers unknown paths itself; `error` writes its page."""
        return Problem(status=404, message="Not Found", type=None)

    def no_model(self, call: Call, model: str) -> Problem:
        """Gemini's answer to an unknown model."""
        version, _, _ = call.path.lstrip("/").partition("/")
        method = "generateContent" if call.method == "POST" else "getModel"
        return replace(
            _STATUSES[404],
            message=f"models/{model} is not found for API version {version}, or is not supported for {method}. Call "
            "ListModels to see the list of available models and their supported methods.",
        )

    def bad_json(self, call: Call) -> Problem:
        """Gemini's answer to a body that is no JSON."""
        return replace(_STATUSES[400], message="Invalid JSON payload received. Unexpected token.")

    def envelope(self, call: Call, problem: Problem) -> Json:
        """The body of an error answer."""
        error: Json = {"code": problem.status, "message": problem.message, "status": problem.type}
        if problem.details:
            error["details"] = list(problem.details)
        return {"error": error}

    def error(self, call: Call, problem: Problem) -> Answer:
        """An error answer: a page for unknown paths, a list for streams that are arrays."""
        if problem.type is None:
            page = b"<!DOCTYPE html><title>Error 404 (Not Found)!!1</title><p>The requested URL was not found."
            return Answer(status=problem.status, headers=[("content-type", "text/html; charset=UTF-8")], body=page)
        body: object = self.envelope(call, problem)
        sse = call.query.get("alt") == "sse"
        if call.path.endswith(":streamGenerateContent") and not sse:
            body = [body]
        kind = "text/event-stream" if sse else "application/json; charset=UTF-8"
        text = json.dumps(body, ensure_ascii=False, indent=2) + "\n"
        headers = [("content-type", kind), *self.headers(call), *problem.headers.items()]
        return Answer(status=problem.status, headers=headers, body=text.encode())

    def headers(self, call: Call) -> Headers:
        """Service tier and timing; Gemini sends no request id."""
        return [("x-gemini-service-tier", "standard"), ("server-timing", "gfet4t7; dur=12")]

    def stream_headers(self) -> Headers:
        """Headers of an event stream."""
        return [("content-type", "text/event-stream"), ("content-disposition", "attachment")]

    # Routes.

    def _generate(self, call: Call, model: str) -> Answer:
        return self._play(call, model, streamed=False)

    def _stream(self, call: Call, model: str) -> Answer:
        answer = self._play(call, model, streamed=True)
        if answer.frames is not None and call.query.get("alt") != "sse" and answer.status == 200:
            answer.headers = [
                (name, "application/json; charset=UTF-8" if name == "content-type" else value)
                for name, value in answer.headers
            ]
        return answer

    def _play(self, call: Call, model: str, *, streamed: bool) -> Answer:
        self.require_model(call, model)
        body = canonical(call.body)
        if self.strict:
            check_request(body, model, self.signatures)
        chat = self.read(
            lambda: GeminiChat(
                call,
                self.ids(call),
                body=body,
                model=model,
                streamed=streamed,
                sse=call.query.get("alt") == "sse",
                signatures=self.signatures,
                envelope=lambda problem: self.envelope(call, problem),
            )
        )
        return self.play(call, chat)

    def _list(self, call: Call) -> Answer:
        size = int(call.query.get("pageSize") or 50)
        start = int(call.query.get("pageToken") or 0)
        page: Json = {"models": [_entry(name) for name in self.models[start : start + size]]}
        if start + size < len(self.models):
            page["nextPageToken"] = str(start + size)
        return self.json_answer(call, page)

    def _retrieve(self, call: Call, model: str) -> Answer:
        self.require_model(call, model)
        return self.json_answer(call, _entry(model))


def _entry(name: str) -> Json:
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name.replace("-", " ").title(),
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        "temperature": 1,
        "maxTemperature": 2,
        "topP": 0.95,
        "topK": 64,
        "thinking": not name.startswith("gemini-2.0"),
    }
