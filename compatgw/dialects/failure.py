"""An upstream's refusal, judged once for every dialect: whose fault it is and what the caller hears.

A dialect takes message, code and type out of its own envelope and hands them to `judge`;
`extract` does so for the many envelopes of OpenAI-like servers. The rules:

* 401, 403 (but for flagged input), and a 400 about the key: our credential, 502, and never a word about the key.
* 402, "credit balance", exhausted quota: our account, 503.
* 404, or a text that says the model is unknown: the model, 404.
* 429, and a 413 that speaks of a rate: the upstream's limit, 429 with its Retry-After.
* other 4xx: the caller's own request, same status, the upstream's own message.
* 408, 504: 504. 498 (Groq's flex tier), 503, 529: 503. All else: 502.

What does not live here: retrying, and the redaction of secrets (`upstream/client.py`).
"""

from __future__ import annotations

import email.utils
import math
import re
from datetime import UTC
from typing import TYPE_CHECKING, Any

import orjson

from compatgw.errors import (
    Blame,
    UpstreamFailure,
    UpstreamModelMissing,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Target

_CONTEXT = re.compile(
    r"maximum context length|context_length_exceeded|too many tokens|prompt is too long|prompt too long"
    r"|too_many_prompt_tokens|input tokens exceeded|input is too long|exceeds the available context size"
    r"|exceed_context_size|input token count|tokens_limit_reached|context window|reduce the length of the messages"
    r"|total length of all messages is too long|too_many_tokens",
    re.IGNORECASE,
)
_ACCOUNT = re.compile(
    r"credit balance|insufficient.?(quota|balance|funds|credit)|exceeded_current_quota|billing|check your plan"
    r"|payment required|out of credits|credits? (has|have) been (used|exhausted)|spend(ing)? limit|trial key"
    r"|arrearage",
    re.IGNORECASE,
)
# In a 400 the caller's own words may come back: what is quoted does not count, and no word alone does.
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
_BILLING = re.compile(
    r"(?<!enable )(?<!activate )(?<!your )billing"
    r"(?! ?(account|details|hard|is|not|has|to be|.{0,20}(enabl|disabl|inactive)))",
    re.IGNORECASE,
)
_CREDENTIAL = re.compile(
    r"api[ _-]?key (not valid|expired|is invalid|not found)|api_key_invalid|invalid[ _-]api[ _-]?(key|token)"
    r"|incorrect api key|invalid_authentication|unauthorized|no auth credentials",
    re.IGNORECASE,
)
_MODEL = re.compile(
    r"model[^.]{0,120}(not found|does not exist|doesn't exist|not exist|is invalid|not available|no longer available"
    r"|not a valid model)|unknown model|model_not_found|invalid model|no such model|no endpoints found for"
    r"|is not a valid model",
    re.IGNORECASE,
)
_BLOCKED = re.compile(
    r"content.?(filter|policy|management)|responsibleai|data_inspection_failed|safety (system|policy)|content_blocked"
    r"|input was flagged",
    re.IGNORECASE,
)
# Z.ai numbers its refusals: an empty balance, and its content filter.
_ACCOUNT_CODE = "1113"
_BLOCKED_CODE = "1301"
_RATE = re.compile(r"rate.?limit|tokens per (minute|day)|too many requests", re.IGNORECASE)
_TAGS = re.compile(r"<[^>]{0,512}>")
_TEXT_LIMIT = 300
# Seconds: a week. Longer waits are no times that anybody keeps.
_LONGEST = 604_800.0


def judge(
    status: int,
    message: str,
    target: Target,
    *,
    code: str = "",
    kind: str = "",
    param: str | None = None,
    retry_after: float | None = None,
) -> UpstreamFailure:
    """The failure that a caller meets for an upstream's answer of `status`.

    Args:
        status: The HTTP status, or the one that an in-stream error stands for.
        message: The upstream's own sentence.
        target: Names model and provider in the message.
        code: The upstream's own code, in whatever spelling.
        kind: The upstream's own type.
        param: The member that the upstream blames.
        retry_after: Seconds, when the upstream said so.
    """
    text = f"{message} {code} {kind}"
    if status == 413 and _RATE.search(text) and not _CONTEXT.search(text):
        status = 429
    common: dict[str, Any] = {"upstream_status": status}
    blocked = code == _BLOCKED_CODE or bool(_BLOCKED.search(text))
    where = f"{target.provider} (model '{target.model}')"
    if not (status == 403 and blocked) and (found := _operators(status, text, code, where, retry_after)) is not None:
        return found
    if status in (400, 413, 422, 429, 500) and _CONTEXT.search(text):
        return UpstreamRejected(
            message, blame=Blame.CONTEXT, status=400, param="messages", code="context_length_exceeded", **common
        )
    if status == 404 or (status in (400, 422) and _MODEL.search(text)):
        return UpstreamModelMissing(
            f"{where} does not serve this model: {message}", blame=Blame.MODEL, param="model", **common
        )
    if status == 429:
        return UpstreamRateLimited(
            f"{where} is limiting requests: {message}", blame=Blame.LIMIT, retry_after=retry_after, **common
        )
    if 400 <= status < 500 and status not in (408, 409, 424, 425, 498, 499):
        own = 400 if blocked or status == 422 else status
        word = "content_blocked" if blocked else _caller_code(status, text)
        return UpstreamRejected(message, blame=Blame.CALLER, status=own, param=param, code=word, **common)
    if status in (408, 504):
        return UpstreamTimeout(f"{where} timed out: {message}", retry_after=retry_after, **common)
    if status in (498, 503, 529):
        return UpstreamUnavailable(f"{where} is overloaded or down: {message}", retry_after=retry_after, **common)
    return UpstreamFailure(f"{where} failed: {message}", retry_after=retry_after, **common)


def _operators(status: int, text: str, code: str, where: str, retry_after: float | None) -> UpstreamFailure | None:
    """The failure of what the operator brought along, key or money; None when it is another's."""
    if status in (401, 403) or (status in (400, 498) and _CREDENTIAL.search(text)):
        return UpstreamFailure(
            f"{where} refused this gateway's own credential. Its operator has to check the key of that provider.",
            blame=Blame.CREDENTIAL,
            should_retry=False,
            upstream_status=status,
        )
    if status == 400:
        text = _BILLING.sub("", _QUOTED.sub("", text))
    if status == 402 or (status in (400, 429) and (code == _ACCOUNT_CODE or _ACCOUNT.search(text))):
        return UpstreamUnavailable(
            f"{where} is not serving this gateway's account at the moment: its quota or balance is used up.",
            blame=Blame.ACCOUNT,
            retry_after=retry_after,
            should_retry=False,
            upstream_status=status,
        )
    return None


def _caller_code(status: int, text: str) -> str:
    if status == 413:
        return "request_too_large"
    if re.search(r"unsupported.{0,3}(parameter|value)|is not supported|does not support|not permitted", text, re.I):
        return "unsupported_parameter"
    return "invalid_value"


def extract(body: bytes) -> tuple[str, str, str, str | None]:
    """Message, code, type and param out of any of the error bodies that upstreams write.

    Never raises: HTML, plain text, an empty body and truncated JSON all give a message.
    """
    try:
        value: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _plain(body), "", "", None
    return extract_value(value) or (_plain(body), "", "", None)


def extract_value(value: Any) -> tuple[str, str, str, str | None] | None:
    """`extract` for a body that is parsed already; None when it holds no sentence at all."""
    if isinstance(value, list):
        value = value[0] if value else {}
    if not isinstance(value, dict):
        return None
    inner = value.get("error")
    if not inner or not isinstance(inner, (str, dict)):
        errors = value.get("errors")
        inner = errors[0] if isinstance(errors, list) and errors else value
    if isinstance(inner, str):
        return inner[:4000], str(value.get("code") or ""), str(value.get("type") or ""), None
    if not isinstance(inner, dict):
        return None
    message = _sentence(inner)
    if not message:
        return None
    param = inner.get("param")
    raw = inner.get("metadata")
    if isinstance(raw, dict) and isinstance(raw.get("raw"), str):  # OpenRouter's real cause
        message = f"{message}: {extract(raw['raw'].encode())[0][:_TEXT_LIMIT]}"
    code = next((str(inner[k]) for k in ("code", "status_code", "status", "reason", "error_type") if inner.get(k)), "")
    return message, code, str(inner.get("type") or ""), param if isinstance(param, str) else _location(inner)


def _location(value: dict[str, Any]) -> str | None:
    """The path that the first entry of a pydantic validation error blames."""
    for key in ("detail", "message"):
        entries = value.get(key)
        if isinstance(entries, dict):
            entries = entries.get("detail")
        if isinstance(entries, list) and entries and isinstance(entries[0], dict):
            path = ""
            for part in entries[0].get("loc") or ():
                if isinstance(part, int):
                    path += f"[{part}]"
                elif part != "body":
                    path += f".{part}" if path else str(part)
            return path or None
    return None


def _sentence(value: Any) -> str:
    """The first sentence that an error object holds, wherever its author put it."""
    if isinstance(value, str):
        return value[:4000]
    if isinstance(value, list):
        return "; ".join(filter(None, map(_sentence, value[:5])))
    if not isinstance(value, dict):
        return ""
    if isinstance(value.get("msg"), str):  # one entry of a pydantic validation error
        place = ".".join(str(x) for x in value.get("loc") or ())
        return f"{place}: {value['msg']}" if place else str(value["msg"])
    for key in ("message", "Message", "detail", "error", "title", "reason"):
        if found := _sentence(value.get(key)):
            return found
    return ""


def _plain(body: bytes) -> str:
    text = " ".join(_TAGS.sub(" ", body[:8192].decode("utf-8", "replace")).split())
    return text[:_TEXT_LIMIT] or "the answer was empty"


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds that an upstream asks to wait: `retry-after-ms`, or `retry-after` in either form.

    Args:
        headers: The answer's, names in lower case.
        now: Seconds since 1970 for the HTTP date form; without it the answer's own `Date` is used.
    """
    milliseconds = _seconds(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after", "")
    if (seconds := _seconds(value)) is not None:
        return seconds
    until, base = _moment(value), now if now is not None else _moment(headers.get("date", ""))
    return max(0.0, until - base) if until is not None and base is not None else None


def _seconds(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    # `nan` is a float, too, and no time.
    return None if math.isnan(number) else min(max(0.0, number), _LONGEST)


def _moment(date: str) -> float | None:
    try:
        moment = email.utils.parsedate_to_datetime(date)
    except ValueError:
        return None
    # A date without a zone ("-0000") is in universal time, wherever this machine stands.
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def from_body(status: int, headers: Mapping[str, str], body: bytes, target: Target) -> UpstreamFailure:
    """`judge` over `extract`: the whole of it for OpenAI-like and flat envelopes."""
    message, code, kind, param = extract(body)
    return judge(status, message, target, code=code, kind=kind, param=param, retry_after=retry_after(headers))


def from_value(value: Any, target: Target, *words: object) -> UpstreamFailure:
    """The failure that a parsed error inside a 200 or inside a stream stands for.

    Args:
        value: The object that holds the error, in any envelope.
        target: Names model and provider in the message.
        words: More codes or types than the envelope holds, such as an HTTP status.
    """
    found = extract_value(value)
    message, code, kind, param = found or ("it gave no reason", "", "", None)
    status = status_of(*words, code, kind)
    if status == 502 and _CONTEXT.search(f"{message} {code} {kind}"):
        status = 400
    return judge(status, message, target, code=code, kind=kind, param=param)


_STATUS_OF = {
    "invalid_request_error": 400, "invalid_argument": 400, "context_length_exceeded": 400, "bad_request": 400,
    "badrequesterror": 400, "exceed_context_size_error": 400, "invalid_value": 400, "tool_use_failed": 400,
    "authentication_error": 401, "invalid_api_key": 401, "unauthorized": 401, "permission_error": 403,
    "permission_denied": 403, "not_found_error": 404, "not_found": 404, "model_not_found": 404, "notfounderror": 404,
    "request_too_large": 413, "rate_limit_error": 429, "rate_limit_exceeded": 429, "resource_exhausted": 429,
    "too_many_requests": 429, "too_many_requests_error": 429, "rate_limit_reached_error": 429,
    "insufficient_quota": 402, "billing_error": 402, "timeout_error": 504, "deadline_exceeded": 504,
    "overloaded_error": 529, "engine_overloaded_error": 529, "unavailable": 503, "unavailable_error": 503,
    "service_unavailable": 503, "api_error": 500, "server_error": 500, "internal": 500, "internal_server_error": 500,
    "internalservererror": 500,
}  # fmt: skip


def status_of(*words: object) -> int:
    """The HTTP status that an in-stream error's code or type stands for, 502 when none does."""
    for word in words:
        if isinstance(word, int) and 400 <= word < 600:
            return word
        if isinstance(word, str):
            if word.isdigit() and 400 <= int(word) < 600:
                return int(word)
            if found := _STATUS_OF.get(word.lower()):
                return found
    return 502
