"""Bedrock's whole answers and refusals, read; and the parts of reading that streams share.

What the vendor's own tools did is not the caller's: only text, reasoning, images and calls of the caller's
tools are taken out of an answer. Nothing is trusted to have its documented type: a wrong shape is an
`UpstreamFailure`, never another exception.

What does not live here: the order of stream events (`stream.py`), requests (`request.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson

from compatgw.dialects import failure, ids
from compatgw.dialects.base import Answer
from compatgw.dialects.bedrock import reasoning
from compatgw.dialects.fence import Fence
from compatgw.errors import Blame, UpstreamFailure, UpstreamRateLimited, UpstreamUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Context, Target
    from compatgw.wire.chat import ChatCompletion, FinishReason, Usage

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


def text_at(value: Any, *names: str) -> str:
    """The text at a path of members, "" when there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def broken(what: str, target: Target) -> UpstreamFailure:
    """The failure of an answer that cannot be read."""
    return UpstreamFailure(f"{target.provider} (model '{target.model}') sent an answer that cannot be read: {what}.")


def compact(value: Any, target: Target) -> str:
    """`value` as JSON without spaces.

    Raises:
        UpstreamFailure: It nests deeper than can be written.
    """
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        raise broken("a tool's input nests too deep", target) from None


def finish_of(word: Any, *, called: bool, legacy: bool) -> FinishReason:
    """The finish reason; whether there are calls decides over a word that says otherwise."""
    reason = FINISH.get(word, "stop") if isinstance(word, str) else "stop"
    if reason not in ("stop", "tool_calls"):
        return reason
    if not called:
        return "stop"
    return "function_call" if legacy else "tool_calls"


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
    read, written = _count(value.get("cacheReadInputTokens")), _count(value.get("cacheWriteInputTokens"))
    prompt = _count(value.get("inputTokens")) + read + written
    completion = _count(value.get("outputTokens"))
    usage: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
    }
    details = value.get("cacheDetails")
    creation: dict[str, int] = {}  # writes are priced by how long they last
    for entry in details if isinstance(details, list) else ():
        if (name := _TTLS.get(text_at(entry, "ttl"))) and (count := _count(entry.get("inputTokens"))):
            creation[name] = creation.get(name, 0) + count
    if creation:
        usage["cache_creation"] = creation
    return cast("Usage", usage)


def _count(value: Any) -> int:
    # A number beyond what JSON carries exactly is nonsense, and could not be written again.
    return int(min(max(value, 0), 2**53)) if isinstance(value, int | float) else 0


def tier_of(value: Any) -> str | None:
    """The tier that served, as OpenAI names it."""
    found = text_at(value, "serviceTier", "type")
    return found if found in TIERS else None


def custom_input(value: Any, target: Target) -> str:
    """What a custom tool was called with: the one argument of the function that stands for it."""
    given = value.get("input") if isinstance(value, dict) and len(value) == 1 else None
    return given if isinstance(given, str) else compact(value, target)


def ours(use: Any) -> dict[str, Any] | None:
    """A call of the caller's tools; None for one of the vendor's own, which it runs itself."""
    return use if isinstance(use, dict) and use.get("type") != "server_tool_use" else None


def annotations_of(citations: list[Any], start: int, end: int) -> list[dict[str, Any]]:
    """Citations with an address as OpenAI's annotations of the text between two places."""
    out: list[dict[str, Any]] = []
    for citation in citations:
        url = text_at(citation, "location", "web", "url") or text_at(citation, "source")
        if url.startswith(("https://", "http://")):
            title = text_at(citation, "title") or url
            place = {"start_index": start, "end_index": end, "title": title, "url": url}
            out.append({"type": "url_citation", "url_citation": place})
    return out


def image_of(block: Any, index: int) -> dict[str, Any] | None:
    """A picture of the answer as an entry of `images`."""
    kind, data = text_at(block, "format"), text_at(block, "source", "bytes")
    if kind not in _IMAGES or not data:
        return None
    return {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{data}"}, "index": index}


def identity(context: Context) -> str:
    """The id of an answer: the service gives none in its bodies."""
    return context.id


# --- a whole answer --------------------------------------------------------------------------


def decode(body: bytes, context: Context) -> Answer:
    """The completion that an answer is.

    Raises:
        UpstreamFailure: Not a message, an error in the place of one, or one that the model failed to write.
    """
    target = context.target
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise broken("it is not JSON", target) from None
    output = value.get("output") if isinstance(value, dict) else None
    message = output.get("message") if isinstance(output, dict) else None
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        if isinstance(value, dict) and (text_at(value, "message") or text_at(value, "Message")):
            said = text_at(value, "message") or text_at(value, "Message")
            raise failed(502, said, text_at(value, "__type"), target)
        raise broken("it is no message", target)
    if (found := malformed(value.get("stopReason"), target)) is not None:
        raise found
    reading = _Reading(context)
    for block in message["content"]:
        if isinstance(block, dict):
            reading.take(block)
    legacy = bool(context.memo.get("legacy"))
    completion: dict[str, Any] = {
        "id": identity(context),
        "object": "chat.completion",
        "created": context.created,
        "model": target.model,
        "choices": [
            {
                "index": 0,
                "message": reading.message(),
                "logprobs": None,
                "finish_reason": finish_of(value.get("stopReason"), called=bool(reading.calls), legacy=legacy),
            }
        ],
    }
    if usage := usage_of(value.get("usage")):
        completion["usage"] = usage
    if tier := tier_of(value):
        completion["service_tier"] = tier
    return Answer(cast("ChatCompletion", completion))


class _Reading:
    """Collects what the blocks of one answer say."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._memo = context.memo
        self._text = ""
        self._json: str | None = None
        self._thought = ""
        self._blocks: list[dict[str, Any]] = []
        self._details: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._images: list[dict[str, Any]] = []
        self.calls: list[dict[str, Any]] = []

    def take(self, block: Mapping[str, Any]) -> None:
        """One block of the answer; those of other kinds are the vendor's own business."""
        self._text += text_at(block, "text")
        if (use := ours(block.get("toolUse"))) is not None:
            self._call(use)
        if isinstance(found := block.get("reasoningContent"), dict):
            self._reason(found)
        if isinstance(cited := block.get("citationsContent"), dict):
            self._cited(cited)
        if (image := image_of(block.get("image"), len(self._images))) is not None:
            self._images.append(image)

    def _cited(self, block: Mapping[str, Any]) -> None:
        start = len(self._text)
        content, citations = block.get("content"), block.get("citations")
        self._text += "".join(text_at(piece, "text") for piece in (content if isinstance(content, list) else ()))
        if isinstance(citations, list):
            self._annotations += annotations_of(citations, start, len(self._text))

    def _reason(self, block: Mapping[str, Any]) -> None:
        shown = "" if self._memo.get("hidden") else text_at(block, "reasoningText", "text")
        self._thought += shown
        if data := text_at(block, "redactedContent"):
            self._think({"data": data})
        signature = text_at(block, "reasoningText", "signature")
        if shown or signature:
            self._think({"text": shown, "signature": signature})

    def _think(self, block: dict[str, Any]) -> None:
        self._details.append(reasoning.detail(block, len(self._details), self._context.target))
        self._blocks.append(reasoning.native(block))

    def _call(self, use: Mapping[str, Any]) -> None:
        name, value, target = text_at(use, "name"), use.get("input"), self._context.target
        value = value if isinstance(value, dict) else {}
        if name and name == self._memo.get("json_tool"):
            self._json = compact(value, target) if self._json is None else self._json
            return
        if self.calls and self._memo.get("single_call"):
            return
        given = text_at(use, "toolUseId") or ids.minted(self._context.id, str(len(self.calls)))
        given = self._memo.get("ids", {}).get(given, given)
        kind = "custom" if name in self._memo.get("custom", ()) else "function"
        written = custom_input(value, target) if kind == "custom" else compact(value, target)
        shown = self._memo.get("names", {}).get(name, name)
        inner = {"name": shown, "input" if kind == "custom" else "arguments": written}
        self.calls.append({"id": given, "type": kind, kind: inner})

    def message(self) -> dict[str, Any]:
        """The message of the answer."""
        text = self._text if self._json is None else self._json
        if self._memo.get("json_object"):
            fence = Fence()
            text = fence.feed(text) + fence.finish()
        message: dict[str, Any] = {"role": "assistant", "content": text or None, "refusal": None}
        if self.calls and self._memo.get("legacy"):
            message["function_call"] = self.calls[0]["function"]
        elif self.calls:
            message["tool_calls"] = self.calls
        if self._annotations and self._json is None:
            message["annotations"] = self._annotations
        if self._images:
            message["images"] = self._images
        if self._thought:
            message["reasoning_content"] = message["reasoning"] = self._thought
        if self._details:
            message["reasoning_details"] = self._details
            message["thinking_blocks"] = self._blocks
        return message


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
