"""The fake server: routes, keys, errors and models of Bedrock's Converse.

What does not live here: request rules (`rules.py`), answers (`answers.py`).
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

from compatgw_testing.fakes.answer import Answer, Headers, Json, Problem, Refused
from compatgw_testing.fakes.base import Fake, Options, Route
from compatgw_testing.fakes.bedrock.answers import BedrockChat
from compatgw_testing.fakes.bedrock.rules import Thoughts, check_request
from compatgw_testing.fakes.bedrock.signature import fault

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Unpack

    from compatgw_testing.journal import Call
    from compatgw_testing.script import Failure


def _problem(status: int, type: str, message: str) -> Problem:
    return Problem(status=status, message=message, type=type)


_STATUSES: Mapping[int, Problem] = {
    one.status: one
    for one in (
        _problem(400, "ValidationException", "The provided request is not valid"),
        _problem(403, "AccessDeniedException", "You don't have access to the model with the specified model ID."),
        _problem(404, "ResourceNotFoundException", "Could not resolve the foundation model from the model identifier."),
        _problem(408, "ModelTimeoutException", "Model has timed out in processing the request."),
        _problem(413, "ValidationException", "Input is too long for requested model."),
        _problem(424, "ModelErrorException", "The system encountered an unexpected error during processing."),
        _problem(429, "ThrottlingException", "Too many tokens, please wait before trying again."),
        _problem(500, "InternalServerException", "The system encountered an unexpected error during processing."),
        _problem(503, "ServiceUnavailableException", "Bedrock is unable to process your request."),
    )
}
_NAMES: Mapping[str, Problem] = {
    "context_length": _problem(400, "ValidationException", "Input is too long for requested model."),
    "quota": _problem(400, "ServiceQuotaExceededException", "Too many requests: the account's quota is exceeded."),
    "content": _problem(400, "ValidationException", "Output blocked by content filtering policy"),
    "key": _problem(403, "UnrecognizedClientException", "The security token included in the request is invalid."),
    "model": _problem(400, "ValidationException", "The provided model identifier is invalid."),
    "rate_limit": _STATUSES[429],
    "overloaded": _STATUSES[503],
    "server": _STATUSES[500],
}


class FakeBedrock(Fake):
    """A fake of Bedrock's Converse; arguments as in `Fake`.

    The key is `ID:SECRET`, with which requests must be signed, or a Bedrock API key, which is sent as a bearer token.
    """

    dialect: ClassVar[str] = "bedrock"
    default_key: ClassVar[str] = "AKIDFAKE00000000FAKE:fake/secret+access+key+of+forty+letters0"
    default_models: ClassVar[tuple[str, ...]] = (
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "us.amazon.nova-lite-v1:0",
    )
    failures: ClassVar[Mapping[str, Problem]] = _NAMES
    routes: ClassVar[tuple[Route, ...]] = (
        Route("POST", "/model/(.+)/converse", "_converse"),
        Route("POST", "/model/(.+)/converse-stream", "_stream"),
    )

    def __init__(self, key: str | None = None, **options: Unpack[Options]) -> None:
        super().__init__(key, **options)
        self.thoughts = Thoughts()

    def authorize(self, call: Call) -> None:
        """A signature with the access key, or the API key as a bearer token."""
        id, colon, secret = self.api_key.partition(":")
        given = call.headers.get("authorization")
        if given is None:
            raise Refused(_problem(403, "MissingAuthenticationTokenException", "Missing Authentication Token"))
        if not colon:
            if not secrets.compare_digest(self.bearer(given).encode(), self.api_key.encode()):
                message = "Authentication failed: Please make sure your API Key is valid."
                raise Refused(_problem(403, "AccessDeniedException", message))
            return
        # Servers decode paths; a model's id is the only thing in this one that was encoded.
        _, folder, rest = call.path.split("/", 2)
        model, _, method = rest.rpartition("/")
        path = f"/{folder}/{quote(model, safe='')}/{method}"
        found = fault((id, secret), call.method, path, call.query, call.headers, call.raw)
        if found is not None:
            raise Refused(_problem(403, *found))

    def problem(self, failure: Failure) -> Problem:
        """What Bedrock means by a scripted failure."""
        known = _NAMES[failure.name] if failure.name is not None else _STATUSES.get(failure.status or 500)
        if known is None:
            known = _problem(failure.status or 500, "InternalServerException", "An error occurred.")
        return replace(known, message=failure.message or known.message, headers=self.retry_headers(failure))

    def no_route(self, call: Call, *, method: bool) -> Problem:
        """Bedrock's answer to an unknown path or method."""
        return _problem(404, "UnknownOperationException", "The operation is not known.")

    def no_model(self, call: Call, model: str) -> Problem:
        """Bedrock's answer to an unknown model."""
        return _NAMES["model"]

    def bad_json(self, call: Call) -> Problem:
        """Bedrock's answer to a body that is no JSON."""
        return _problem(400, "SerializationException", "The body is not valid JSON.")

    def error(self, call: Call, problem: Problem) -> Answer:
        """An error answer: its class stands in a header."""
        kind = f"{problem.type}:http://internal.amazon.com/coral/com.amazon.bedrock/"
        return super().error(call, replace(problem, headers={"x-amzn-errortype": kind, **problem.headers}))

    def envelope(self, call: Call, problem: Problem) -> Json:
        """The body of an error answer."""
        return {"message": problem.message}

    def headers(self, call: Call) -> Headers:
        """The id of the request."""
        return [("x-amzn-requestid", self.ids(call).uuid("request"))]

    def stream_headers(self) -> Headers:
        """Headers of an event stream."""
        return [("content-type", "application/vnd.amazon.eventstream")]

    # Routes.

    def _converse(self, call: Call, model: str) -> Answer:
        return self._asked(call, model, stream=False)

    def _stream(self, call: Call, model: str) -> Answer:
        return self._asked(call, model, stream=True)

    def _asked(self, call: Call, model: str, *, stream: bool) -> Answer:
        self.require_model(call, model)
        if self.strict:
            check_request(call.body, model, self.thoughts)
        chat = self.read(lambda: BedrockChat(call, self.ids(call), model, self.thoughts, stream=stream))
        return self.play(call, chat)
