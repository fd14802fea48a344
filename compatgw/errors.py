"""Every failure that a caller can meet, and its one rendering as OpenAI's error envelope.

    GatewayError                 500 server_error / internal_error
    +-- InvalidRequest           400 invalid_request_error / invalid_value, invalid_type, ...
    |   +-- UnsupportedParameter 400 ... / unsupported_parameter
    +-- Unauthenticated          401 authentication_error / invalid_api_key, missing_api_key
    +-- InsufficientQuota        402 insufficient_quota / insufficient_balance
    +-- Forbidden                403 permission_error / model_not_allowed, insufficient_scope, ...
    +-- NotFound                 404 not_found_error / model_not_found, unknown_endpoint
    +-- MethodNotAllowed         405 invalid_request_error / method_not_allowed
    +-- Conflict                 409 invalid_request_error / idempotency_conflict, changed, duplicate
    +-- PreconditionFailed       412 invalid_request_error / changed
    +-- RequestTooLarge          413 invalid_request_error / request_too_large
    +-- UnsupportedMediaType     415 invalid_request_error / unsupported_media_type
    +-- RateLimited              429 requests, tokens / rate_limit_exceeded
    +-- Overloaded               503 upstream_error / overloaded
    +-- StreamingDisabled        501 not_implemented_error / streaming_disabled
    +-- UpstreamFailure          502 upstream_error / upstream_error
        +-- UpstreamRejected     4xx of the upstream about the caller's own request
        +-- UpstreamRateLimited  429 rate_limit_error / upstream_rate_limited
        +-- UpstreamUnavailable  503 upstream_error / upstream_unavailable
        +-- UpstreamTimeout      504 upstream_error / upstream_timeout
        +-- StreamInterrupted    502 upstream_error / upstream_stream_interrupted

What does not live here: how an upstream's answer is judged (`dialects/failure.py`) and
how an envelope travels over HTTP (`web/respond.py`). Messages never hold a secret.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

from typing_extensions import TypedDict


class ErrorBody(TypedDict):
    """The inside of the envelope; all four members are always present."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorEnvelope(TypedDict):
    """What a client receives as the body of every failed call."""

    error: ErrorBody


class GatewayError(Exception):
    """A failure with a status, a type, a code, and one sentence that says how to mend it.

    Args:
        message: What failed, where, and how to mend it. Shown to the caller.
        param: Path of the request member at fault, such as `messages[0].content`.
        code: Overrides the class's code.
        retry_after: Seconds until a retry is worth while; becomes the `Retry-After` header.
        should_retry: Sent as `x-should-retry` when not None, which official SDKs obey.

    Attributes:
        headers: Further headers of the answer.
    """

    status: int = 500
    type: str = "server_error"
    headers: tuple[tuple[str, str], ...] = ()
    default_code: ClassVar[str] = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        should_retry: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code or self.default_code
        self.retry_after = retry_after
        self.should_retry = should_retry

    def envelope(self) -> ErrorEnvelope:
        """The OpenAI error envelope of this failure."""
        param = None if self.param is None else _sound(self.param)
        return {"error": {"message": _sound(self.message), "type": self.type, "param": param, "code": self.code}}


def _sound(text: str) -> str:
    """`text` as JSON can hold it: half a character in what a caller sent must not break the answer about it."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


class InvalidRequest(GatewayError):
    """The request itself is at fault: 400."""

    status = 400
    type = "invalid_request_error"
    default_code = "invalid_value"


class UnsupportedParameter(InvalidRequest):
    """The chosen model cannot carry a member that changes what the caller gets: 400."""

    default_code = "unsupported_parameter"


class Unauthenticated(GatewayError):
    """No key, or one that is not known: 401."""

    status = 401
    type = "authentication_error"
    default_code = "invalid_api_key"


class InsufficientQuota(GatewayError):
    """The team's wallet or the key's budget is spent: 402. Trying again does not help."""

    status = 402
    type = "insufficient_quota"
    default_code = "insufficient_balance"


class Forbidden(GatewayError):
    """The key is good, but not for this: 403."""

    status = 403
    type = "permission_error"
    default_code = "model_not_allowed"


class NotFound(GatewayError):
    """No such model or path: 404."""

    status = 404
    type = "not_found_error"
    default_code = "model_not_found"


class MethodNotAllowed(GatewayError):
    """The path exists, the method does not: 405."""

    status = 405
    type = "invalid_request_error"
    default_code = "method_not_allowed"


class Conflict(GatewayError):
    """What is there does not allow it: 409."""

    status = 409
    type = "invalid_request_error"
    default_code = "idempotency_conflict"


class PreconditionFailed(GatewayError):
    """The record is not the version that `If-Match` names: 412."""

    status = 412
    type = "invalid_request_error"
    default_code = "changed"


class RequestTooLarge(GatewayError):
    """The body is over the configured limit: 413."""

    status = 413
    type = "invalid_request_error"
    default_code = "request_too_large"


class UnsupportedMediaType(GatewayError):
    """The body is not JSON by its own Content-Type: 415."""

    status = 415
    type = "invalid_request_error"
    default_code = "unsupported_media_type"


class StreamingDisabled(GatewayError):
    """Streaming was asked where the operator switched it off: 501."""

    status = 501
    type = "not_implemented_error"
    default_code = "streaming_disabled"


class RateLimited(GatewayError):
    """A limit of the caller's own is reached: 429.

    Args:
        kind: Which: `requests` (calls at one time count as such) or `tokens`.
        headers: The `x-ratelimit-*` family.
    """

    status = 429
    type = "requests"
    default_code = "rate_limit_exceeded"

    def __init__(
        self, message: str, *, kind: str, retry_after: float, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.type = kind
        self.headers = headers


class Overloaded(GatewayError):
    """Too many calls in flight here, or what they need does not answer: 503, shed at once rather than queued."""

    status = 503
    type = "upstream_error"
    default_code = "overloaded"


class Blame(Enum):
    """Whose failure an upstream's answer is; decides what a planner may try next."""

    CALLER = "caller"  # the request: nobody else would take it either
    CREDENTIAL = "credential"  # our key at this upstream
    ACCOUNT = "account"  # our money or quota at this upstream
    MODEL = "model"  # this upstream does not serve that model
    CONTEXT = "context"  # the prompt does not fit this model
    LIMIT = "limit"  # the upstream's rate limit
    UPSTREAM = "upstream"  # the upstream itself: broken, overloaded, unreachable


class UpstreamFailure(GatewayError):
    """An upstream did not deliver: 502 unless a subclass says otherwise.

    Args:
        blame: Whose failure it is.
        upstream_status: HTTP status that the upstream answered, None when it did not answer.
        status: Overrides the class's status, for the upstream's own 4xx.
    """

    status = 502
    type = "upstream_error"
    default_code = "upstream_error"

    def __init__(
        self,
        message: str,
        *,
        blame: Blame = Blame.UPSTREAM,
        upstream_status: int | None = None,
        status: int | None = None,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        should_retry: bool | None = None,
    ) -> None:
        super().__init__(message, param=param, code=code, retry_after=retry_after, should_retry=should_retry)
        self.blame = blame
        self.upstream_status = upstream_status
        if status is not None:
            self.status = status


class UpstreamRejected(UpstreamFailure):
    """The upstream refused the caller's own request; its 4xx and message are the caller's."""

    status = 400
    type = "invalid_request_error"
    default_code = "invalid_value"


class UpstreamModelMissing(UpstreamFailure):
    """The upstream does not know the model: 404."""

    status = 404
    type = "not_found_error"
    default_code = "model_not_found"


class UpstreamRateLimited(UpstreamFailure):
    """The upstream's limit, after whatever retries were made: 429."""

    status = 429
    type = "rate_limit_error"
    default_code = "upstream_rate_limited"


class UpstreamUnavailable(UpstreamFailure):
    """The upstream is down, overloaded, or will not serve our account: 503."""

    status = 503
    default_code = "upstream_unavailable"


class UpstreamTimeout(UpstreamFailure):
    """The upstream did not connect, answer or go on in time: 504."""

    status = 504
    default_code = "upstream_timeout"


class StreamInterrupted(UpstreamFailure):
    """A stream ended before its protocol says that it may."""

    default_code = "upstream_stream_interrupted"
