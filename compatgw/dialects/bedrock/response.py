"""Bedrock's whole answers and refusals, read; and the parts of reading that streams share.

What the vendor's own tools did is not the caller's: only text, reasoning, images and calls of the caller's
tools are taken out of an answer. Nothing is trusted to have its documented type: a wrong shape is an
`UpstreamFailure`, never another exception.

What does not live here: the completion itself (`blocks/answers.py`), the order of stream events (`stream.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson

from compatgw.dialects import failure
from compatgw.dialects.blocks.answers import (
    Reading,
    annotation,
    count,
    load,
    text_at,
    text_under,
    totals,
)
from compatgw.dialects.events import broken
from compatgw.errors import Blame, UpstreamFailure, UpstreamRateLimited, UpstreamUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Answer, Context, Target
    from compatgw.wire.chat import FinishReason, Usage

FINISH: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "refusal": "content_filter",
}
# The model wrote what nobody can read: the same question may get a better answer.
_MALFORMED = frozenset({"malformed_model_output", "malformed_tool_use"})
_IMAGES = frozenset({"png", "jpeg", "gif", "webp"})
_TTLS = {"5m": "ephemeral_5m_input_tokens", "1h": "ephemeral_1h_input_tokens"}
TIERS = frozenset({"default", "flex", "priority"})


def reason_of(word: Any) -> FinishReason:
    """The finish reason that a stop reason stands for."""
    return FINISH.get(word, "stop") if isinstance(word, str) else "stop"


def malformed(word: Any, target: Target) -> UpstreamFailure | None:
    """The failure that a stop reason stands for, None for one that ends an answer."""
    if not isinstance(word, str) or word not in _MALFORMED:
        return None
    return UpstreamFailure(
        f"{target.provider} (model '{target.model}') could not make an answer of what the model wrote ({word}). "
        "Send the request again."
    )


def usage_of(value: Any) -> Usage | None:
    """Totals: the vendor counts what came from and went to its cache apart, OpenAI counts it in."""
    if not isinstance(value, dict):
        return None
    usage: dict[str, Any] = {
        **totals(
            value.get("inputTokens"),
            value.get("cacheReadInputTokens"),
            value.get("cacheWriteInputTokens"),
            value.get("outputTokens"),
        )
    }
    details = value.get("cacheDetails")
    creation: dict[str, int] = {}  # writes are priced by how long they last
    for entry in details if isinstance(details, list) else ():
        if (name := _TTLS.get(text_at(entry, "ttl"))) and (tokens := count(entry.get("inputTokens"))):
            creation[name] = creation.get(name, 0) + tokens
    if creation:
        usage["cache_creation"] = creation
    return cast("Usage", usage)


def tier_of(value: Any) -> str | None:
    """The tier that served, as OpenAI names it."""
    found = text_under(value, "serviceTier", "type")
    return found if found in TIERS else None


def ours(use: Any) -> dict[str, Any] | None:
    """A call of the caller's tools; None for one of the vendor's own, which it runs itself."""
    return use if isinstance(use, dict) and use.get("type") != "server_tool_use" else None


def annotations_of(citations: list[Any], start: int, end: int) -> list[dict[str, Any]]:
    """Citations with an address as OpenAI's annotations of the text between two places."""
    out: list[dict[str, Any]] = []
    for citation in citations:
        url = text_under(citation, "location", "web", "url") or text_at(citation, "source")
        out += annotation(url, text_at(citation, "title"), start, end)
    return out


def image_of(block: Any, index: int) -> dict[str, Any] | None:
    """A picture of the answer as an entry of `images`."""
    kind, data = text_at(block, "format"), text_under(block, "source", "bytes")
    if kind not in _IMAGES or not data:
        return None
    return {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{data}"}, "index": index}


# --- a whole answer --------------------------------------------------------------------------


def decode(body: bytes, context: Context) -> Answer:
    """The completion that an answer is.

    Raises:
        UpstreamFailure: Not a message, an error in the place of one, or one that the model failed to write.
    """
    target = context.target
    value = load(body, target)
    output = value.get("output") if isinstance(value, dict) else None
    message = output.get("message") if isinstance(output, dict) else None
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        if isinstance(value, dict) and (text_at(value, "message") or text_at(value, "Message")):
            said = text_at(value, "message") or text_at(value, "Message")
            raise failed(502, said, text_at(value, "__type"), target)
        raise broken("it is no message", target)
    if (found := malformed(value.get("stopReason"), target)) is not None:
        raise found
    reading = Reading(context)
    for block in message["content"]:
        if isinstance(block, dict):
            _take(reading, block)
    return reading.answer(reason_of(value.get("stopReason")), usage_of(value.get("usage")), tier_of(value))


def _take(reading: Reading, block: Mapping[str, Any]) -> None:
    """One block of the answer; those of other kinds are the vendor's own business."""
    reading.text += text_at(block, "text")
    if (use := ours(block.get("toolUse"))) is not None:
        reading.call(text_at(use, "toolUseId"), text_at(use, "name"), use.get("input"))
    if isinstance(found := block.get("reasoningContent"), dict):
        reading.sealed(text_at(found, "redactedContent"))
        said = found.get("reasoningText")
        reading.thought(text_at(said, "text"), text_at(said, "signature"))
    if isinstance(cited := block.get("citationsContent"), dict):
        _cited(reading, cited)
    if (image := image_of(block.get("image"), len(reading.images))) is not None:
        reading.images.append(image)


def _cited(reading: Reading, block: Mapping[str, Any]) -> None:
    start = len(reading.text)
    content, citations = block.get("content"), block.get("citations")
    reading.text += "".join(text_at(piece, "text") for piece in (content if isinstance(content, list) else ()))
    if isinstance(citations, list):
        reading.annotations += annotations_of(citations, start, len(reading.text))


# --- refusals --------------------------------------------------------------------------------

# Exception, in lower case, to the status that it comes with, or should have come with.
STATUS_OF: Mapping[str, int] = {
    "accessdeniedexception": 403, "expiredtokenexception": 403, "incompletesignatureexception": 403,
    "internalserverexception": 500, "invalidsignatureexception": 403, "missingauthenticationtokenexception": 403,
    "modelerrorexception": 424, "modelnotreadyexception": 503, "modelstreamerrorexception": 424,
    "modeltimeoutexception": 408, "notauthorized": 403, "optinrequired": 403, "requestexpired": 403,
    "resourcenotfoundexception": 404, "servicequotaexceededexception": 429, "serviceunavailableexception": 503,
    "signaturedoesnotmatch": 403, "throttlingexception": 429, "toomanyrequestsexception": 429,
    "unrecognizedclientexception": 403, "validationexception": 400,
}  # fmt: skip


def error(status: int, headers: Mapping[str, str], body: bytes, target: Target) -> UpstreamFailure:
    """A refusal: `{"message"}` with its kind in `x-amzn-errortype` or `__type`, or whatever the edge wrote."""
    message = failure.extract(body)[0]
    kind = headers.get("x-amzn-errortype", "")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = None
    if isinstance(value, dict):
        message = text_at(value, "message") or text_at(value, "Message") or message
        kind = kind or text_at(value, "__type")
    return failed(status, message, kind, target, failure.retry_after(headers))


def failed(status: int, message: str, kind: str, target: Target, retry_after: float | None = None) -> UpstreamFailure:
    """The failure that an exception of the service is.

    Args:
        status: The answer's own, where the exception says none.
        message: Its sentence.
        kind: Its name, perhaps with a namespace before `#` or an address behind `:`.
        target: Names model and provider in the message.
        retry_after: Seconds, when the service said so.
    """
    name = kind.partition(":")[0].rpartition("#")[2]
    known = STATUS_OF.get(name.lower(), status)
    where = f"{target.provider} (model '{target.model}')"
    message = message or name or "it gave no reason"
    if known == 429:
        # "Too many tokens, please wait" is about a rate here, whatever it means elsewhere.
        return UpstreamRateLimited(
            f"{where} is limiting requests: {message}",
            blame=Blame.LIMIT,
            upstream_status=status,
            retry_after=retry_after,
        )
    if name.lower() == "modelnotreadyexception":
        return UpstreamUnavailable(
            f"{where} is not ready yet: {message}", upstream_status=status, retry_after=retry_after
        )
    if known == 400 and "on-demand throughput" in message:
        known = 404  # only an inference profile of the model may be called: another id of the operator's to set
    return failure.judge(known, message, target, kind=name, retry_after=retry_after)
