"""Gemini's errors: what each status and each named failure says.

What does not live here: which requests are refused (`rules.py`, `turns.py`), the envelope (`fake.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from compatgw_testing.fakes.answer import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from compatgw_testing.script import Failure

_RPC = "type.googleapis.com/google.rpc."
_NO_KEY = {
    "@type": f"{_RPC}ErrorInfo",
    "reason": "API_KEY_INVALID",
    "domain": "googleapis.com",
    "metadata": {"service": "generativelanguage.googleapis.com"},
}
STATUSES: Mapping[int, Problem] = {
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
_KEY_SAYS = "API key not valid. Please pass a valid API key."
KEY = replace(
    STATUSES[400],
    message=_KEY_SAYS,
    details=(_NO_KEY, {"@type": f"{_RPC}LocalizedMessage", "locale": "en-US", "message": _KEY_SAYS}),
)
NAMES: Mapping[str, Problem] = {
    "context_length": replace(
        STATUSES[400],
        message="The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    ),
    "quota": replace(
        STATUSES[429],
        details=(
            {
                "@type": f"{_RPC}QuotaFailure",
                "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}],
            },
        ),
    ),
    "region": replace(
        STATUSES[400], message="User location is not supported for the API use.", type="FAILED_PRECONDITION"
    ),
    "key": KEY,
    "model": STATUSES[404],
    "rate_limit": STATUSES[429],
    "overloaded": STATUSES[503],
    "server": STATUSES[500],
}
# On Vertex, where keys are tokens of an account.
TOKEN = replace(
    STATUSES[401],
    message="Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other "
    "valid authentication credential.",
    details=(
        {
            "@type": f"{_RPC}ErrorInfo",
            "reason": "ACCESS_TOKEN_TYPE_UNSUPPORTED",
            "domain": "googleapis.com",
            "metadata": {"service": "aiplatform.googleapis.com"},
        },
    ),
)


def problem_of(failure: Failure, headers_of: Callable[[Failure], dict[str, str]]) -> Problem:
    """What Gemini means by a scripted failure; how long to wait stands in the details.

    Args:
        failure: The failure.
        headers_of: Its headers, for a failure that wants its wait in them.
    """
    known = NAMES[failure.name] if failure.name is not None else STATUSES.get(failure.status or 500)
    if known is None:
        known = Problem(status=failure.status or 500, message="An error occurred.", type="UNKNOWN")
    details, headers = known.details, headers_of(replace(failure, retry_after=None))
    if failure.retry_after is not None and failure.retry_form is not None:
        headers = headers_of(failure)
    elif failure.retry_after is not None:
        if known.status == 429 and not details:
            quota = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
            details = ({"@type": f"{_RPC}QuotaFailure", "violations": [{"quotaId": quota}]},)
        details = (*details, {"@type": f"{_RPC}RetryInfo", "retryDelay": f"{failure.retry_after:g}s"})
    return replace(known, message=failure.message or known.message, details=details, headers=headers)
