"""Cohere's whole answers and refusals, read; and the parts of reading that streams share.

The upstream's numbers are floats, its arguments may be the text `null`, its content may be
missing, and its errors are flat objects. Nothing it sends is trusted to have its documented
type: a wrong shape is an `UpstreamFailure`, never another exception.

What does not live here: the order of stream events (`stream.py`), requests (`request.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

import orjson

from compatgw.dialects import ids
from compatgw.dialects.base import Answer
from compatgw.dialects.failure import extract, judge, retry_after
from compatgw.errors import Blame, UpstreamFailure, UpstreamRateLimited, UpstreamRejected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Context, Target
    from compatgw.wire.chat import AnswerMessage, AnswerToolCall, ChatCompletion, FinishReason, Usage

FINISH: Mapping[str, FinishReason] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR_TOXIC": "content_filter",
    "ERROR_LIMIT": "length",
}
FAILED = {"ERROR": 500, "TIMEOUT": 504}
# Cohere uses this status for a blocked answer and for a bad token alike; only the text tells.
_BLOCKED = re.compile(r"\b(content|blocked|toxic)", re.IGNORECASE)
_PER_MINUTE = re.compile(r"(/|per)\s*(min|sec)", re.IGNORECASE)


def at(value: Any, *path: str) -> Any:
    """What stands at `path` inside nested objects, None when anything on the way is missing."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def text_at(value: Any, *path: str) -> str:
    """The text at `path`, "" when there is none."""
    found = at(value, *path)
    return found if isinstance(found, str) else ""


def arguments_of(text: str) -> str:
    """Arguments as OpenAI has them: a call without any is `{}`, which Cohere writes as `null` or nothing."""
    return "{}" if text.strip() in ("", "null") else text


def finish_of(word: Any, *, calls: bool, legacy: bool) -> FinishReason:
    """The finish reason; whether there are calls decides over a word that says otherwise."""
    reason = FINISH.get(word, "stop") if isinstance(word, str) else "stop"
    if reason not in ("stop", "tool_calls"):
        return reason
    if not calls:
        return "stop"
    return "function_call" if legacy else "tool_calls"


def failure_of(word: Any, detail: Any, code: str, target: Target) -> UpstreamFailure | None:
    """The failure that an answer's finish reason or `error` member stands for, None when there is none."""
    message = detail if isinstance(detail, str) else text_at(detail, "message")
    status = FAILED.get(word) if isinstance(word, str) else None
    if status is None:
        if not message:
            return None
        status = 500
    return judge(status, message or f"the answer ended with {word}", target, code=code)


def usage_of(value: Any) -> Usage | None:
    """Totals as whole numbers: the model's own tokens, or the billed ones where only those are given."""

    def count(name: str) -> int:
        for holder in ("tokens", "billed_units"):
            number = at(value, holder, name)
            if isinstance(number, int | float):
                return _whole(number)
        return 0

    if not isinstance(at(value, "tokens"), dict) and not isinstance(at(value, "billed_units"), dict):
        return None
    prompt, completion = count("input_tokens"), count("output_tokens")
    usage: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    cached = at(value, "cached_tokens")
    if isinstance(cached, int | float):
        usage["prompt_tokens_details"] = {"cached_tokens": _whole(cached)}
    billed = at(value, "billed_units")
    if isinstance(billed, dict):  # what the vendor charges for, which its token counts are not
        usage["billed_units"] = {k: _whole(v) for k, v in billed.items() if isinstance(v, int | float)}
    return cast("Usage", usage)


def _whole(number: float) -> int:
    # A number beyond what JSON carries exactly is nonsense, and could not be written again.
    return int(min(max(number, 0), 2**53))


def item_of(citation: Any) -> int:
    """Index of the content item that a citation counts its positions in."""
    index = at(citation, "content_index")
    return index if isinstance(index, int) else 0


def annotations_of(citation: Any, offset: int) -> list[dict[str, Any]]:
    """One citation as OpenAI's annotations, one for each source that can be pointed to.

    Args:
        citation: As the vendor gives it; its positions count within one content item.
        offset: Where the text of that item begins in the whole text.
    """
    start, end = at(citation, "start"), at(citation, "end")
    sources = at(citation, "sources")
    if at(citation, "type") in ("THINKING_CONTENT", "PLAN") or not isinstance(sources, list):
        return []
    if not isinstance(start, int) or not isinstance(end, int):
        return []
    found: list[dict[str, Any]] = []
    for source in sources:
        inside = "document" if text_at(source, "type") != "tool" else "tool_output"
        name = text_at(source, "id")
        url = text_at(source, inside, "url")
        if inside == "tool_output" and not url:
            continue  # a tool's result that says no address is only in the raw list
        place = {
            "url": url or f"doc:{name.removeprefix('doc:')}",
            "title": text_at(source, inside, "title") or name,
            "start_index": start + offset,
            "end_index": end + offset,
        }
        found.append({"type": "url_citation", "url_citation": place})
    return found


def logprobs_of(items: Any) -> list[dict[str, Any]]:
    """Log probabilities as OpenAI's entries: one for each piece of text, over all of its tokens."""
    entries: list[dict[str, Any]] = []
    for item in items if isinstance(items, list) else [items]:
        numbers = at(item, "logprobs")
        if isinstance(numbers, list) and numbers and all(isinstance(n, int | float) for n in numbers):
            text = text_at(item, "text")
            encoded = list(text.encode("utf-8", "surrogatepass"))
            entries.append({"token": text, "bytes": encoded, "logprob": float(sum(numbers)), "top_logprobs": []})
    return entries


def decode(body: bytes, context: Context) -> Answer:
    """A whole answer.

    Raises:
        UpstreamFailure: Not an answer, or one that says that it failed.
    """
    target = context.target
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = None
    if isinstance(at(value, "message"), str):  # an error that came with a good status
        raise judge(500, value["message"], target, code=text_at(value, "error_type"))
    message = at(value, "message")
    if not isinstance(message, dict):
        raise UpstreamFailure(
            f"{target.provider} (model '{target.model}') answered with something that is not a chat answer."
        )
    word = value.get("finish_reason")
    if failed := failure_of(word, value.get("error"), text_at(value, "error_type"), target):
        raise failed
    answer, calls = _message(message, context)
    logprobs = logprobs_of(value["logprobs"]) if value.get("logprobs") else []
    given = text_at(value, "id")
    completion: ChatCompletion = {
        "id": f"chatcmpl-{given}" if given else context.id,
        "object": "chat.completion",
        "created": context.created,
        "model": target.model,
        "choices": [
            {
                "index": 0,
                "message": answer,
                "logprobs": {"content": logprobs, "refusal": None} if logprobs else None,
                "finish_reason": finish_of(word, calls=calls, legacy=bool(context.memo.get("legacy"))),
            }
        ],
    }
    if usage := usage_of(value.get("usage")):
        completion["usage"] = usage
    return Answer(completion)


def _message(message: dict[str, Any], context: Context) -> tuple[AnswerMessage, bool]:
    text, thinking, starts = _content(message.get("content"))
    calls, json_text = _calls(message.get("tool_calls"), context)
    text += json_text
    answer: dict[str, Any] = {"role": "assistant", "content": text or (None if calls else ""), "refusal": None}
    if calls and context.memo.get("legacy"):
        answer["function_call"] = calls[0]["function"]
    elif calls:
        answer["tool_calls"] = calls
    reasoning = "\n".join(filter(None, (thinking, text_at(message, "tool_plan"))))
    if reasoning:
        answer["reasoning_content"] = answer["reasoning"] = reasoning
    citations = message.get("citations")
    if isinstance(citations, list) and citations:
        answer["annotations"] = [
            annotation
            for citation in citations
            for annotation in annotations_of(citation, starts.get(item_of(citation), 0))
        ]
        answer["citations"] = citations
    return cast("AnswerMessage", answer), bool(calls)


def _content(content: Any) -> tuple[str, str, dict[int, int]]:
    """Text, thinking, and where the text of each content item begins."""
    if isinstance(content, str):
        return content, "", {}
    text, thinking = "", ""
    starts: dict[int, int] = {}
    for index, part in enumerate(content if isinstance(content, list) else ()):
        starts[index] = len(text)
        text += text_at(part, "text")
        thinking += text_at(part, "thinking")
    return text, thinking, starts


def _calls(value: Any, context: Context) -> tuple[list[AnswerToolCall], str]:
    """The calls for the caller, and the arguments of the tool that stands in for a JSON answer."""
    calls: list[AnswerToolCall] = []
    json_text = ""
    found = [call for call in value if isinstance(call, dict)] if isinstance(value, list) else []
    if context.memo.get("single_call"):
        found = found[:1]
    for index, call in enumerate(found):
        name = text_at(call, "function", "name")
        arguments = arguments_of(text_at(call, "function", "arguments"))
        if name == context.memo.get("json_tool"):
            json_text = json_text or arguments
            continue
        given = text_at(call, "id") or ids.minted(context.id, str(index))
        calls.append({"id": given, "type": "function", "function": {"name": name, "arguments": arguments}})
    return calls, json_text


def error(status: int, headers: Mapping[str, str], body: bytes, target: Target) -> UpstreamFailure:
    """A refusal: `{"message", "id"?, "error_type"?}`, `{"data": text}`, or whatever the edge wrote."""
    message, code, kind, param = extract(body)
    try:
        message = text_at(orjson.loads(body), "data") or message
    except orjson.JSONDecodeError:
        pass
    where = f"{target.provider} (model '{target.model}')"
    if status == 498 and _BLOCKED.search(message):
        return UpstreamRejected(message, blame=Blame.CALLER, upstream_status=status, code="content_blocked")
    if status == 498:  # the other meaning: judged as the refusal of a key that it is
        failure = judge(401, message, target)
        failure.upstream_status = status
        return failure
    if status == 501:
        return UpstreamRejected(message, blame=Blame.CALLER, upstream_status=status, code="unsupported_parameter")
    if status == 429 and _PER_MINUTE.search(message):
        # A trial key has a limit a minute, which passes, beside the one a month, which does not.
        return UpstreamRateLimited(
            f"{where} is limiting requests: {message}",
            blame=Blame.LIMIT,
            upstream_status=status,
            retry_after=retry_after(headers),
        )
    return judge(status, message, target, code=code, kind=kind, param=param, retry_after=retry_after(headers))
