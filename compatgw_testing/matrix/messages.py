"""The client surface of Anthropic's Messages: writes requests, reads plain answers, notes what breaks its protocol.

What does not live here: the grammar of its streams (`messages_stream.py`), sending (`case.py`).
"""

from __future__ import annotations

import re
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from compatgw_testing.matrix.asked import SeenCall
from compatgw_testing.matrix.messages_stream import (
    Stream,
    check_block,
    check_end,
    check_head,
    error_of,
    said_in,
    usage_of,
)
from compatgw_testing.matrix.reading import check_call, failed, whole_object
from compatgw_testing.script import dump

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compatgw_testing.matrix.asked import Asked, Entry, Mode, Seen
    from compatgw_testing.matrix.reading import Json

# Which type of error goes with which status; another 4xx is an invalid request, any 5xx may be an API error.
_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_CHOICES = {"auto": "auto", "none": "none", "required": "any"}
# Most tokens to write where a scenario says none; the member is required.
_LIMIT = 4096
_BUDGETS = {"low": 1024, "medium": 2048, "high": 3072}


class Messages:
    """`POST /messages`."""

    path = "/messages"
    # No JSON without a schema, no developers; a conversation begins with the user, and every block of text says
    # something.
    cannot = frozenset({"json", "kept", "developer", "assistant_first", "silence"})

    def headers(self, key: str) -> dict[str, str]:
        """What a client sends beside its body."""
        return {"x-api-key": key, "anthropic-version": "2023-06-01"}

    # Requests.

    def write(self, asked: Asked, model: str, mode: Mode, more: Sequence[Json] = (), after: str = "") -> Json:
        """The body of the request; `more` follows the conversation, which the server never keeps."""
        body: Json = {"model": model, "max_tokens": asked.limit or _LIMIT}
        systems = list(takewhile(lambda one: one.role == "system", asked.entries))
        if systems:
            body["system"] = [{"type": "text", "text": one.text} for one in systems]
        body["messages"] = [*_conversation(asked.entries[len(systems) :]), *more]
        if mode == "stream":
            body["stream"] = True
        if asked.tools:
            body["tools"] = [_tool(one.name, one.parameters) for one in asked.tools]
        if asked.choice in _CHOICES:
            body["tool_choice"] = {"type": _CHOICES[asked.choice]}
        elif asked.choice is not None:
            body["tool_choice"] = {"type": "tool", "name": asked.choice}
        if asked.schema is not None:
            body["output_config"] = {"format": {"type": "json_schema", "schema": dict(asked.schema)}}
        if asked.effort is not None:
            body["thinking"] = {"type": "enabled", "budget_tokens": _BUDGETS[asked.effort]}
        if asked.temperature is not None:
            body["temperature"] = asked.temperature
        if asked.stop:
            body["stop_sequences"] = list(asked.stop)
        return body

    def answered(self, asked: Asked, seen: Seen, results: Sequence[str], user: str) -> list[Json]:
        """The message that was seen, and one of the user: a result for each of its calls, and what is said next."""
        called = zip(seen.calls, results, strict=False)
        blocks = [{"type": "tool_result", "tool_use_id": one.id, "content": text} for one, text in called]
        blocks += [{"type": "text", "text": user}] if user else []
        return [*seen.kept, {"role": "user", "content": blocks}]

    # Answers.

    def read(self, seen: Seen, mode: Mode) -> Seen:
        """Fills in `seen` from its status, headers and raw body."""
        if seen.status != 0 and not re.fullmatch(r"[\x21-\x7e]+", seen.headers.get("request-id", "")):
            seen.problems.append("the answer has no header request-id")
        if seen.status != 200:
            self._refused(seen)
        elif mode == "stream":
            Stream(seen).read()
        else:
            self._plain(seen)
        return seen

    @staticmethod
    def _refused(seen: Seen) -> None:
        value = failed(seen)
        if value is None:
            return
        seen.error = error_of(value, seen)
        wanted = {_TYPES.get(seen.status, "api_error" if seen.status >= 500 else "invalid_request_error")}
        if seen.status in (500, 502, 503):
            wanted.add("api_error")
        if seen.error.type not in wanted:
            seen.problems.append(f"an error of status {seen.status} has the type {seen.error.type!r}")

    @staticmethod
    def _plain(seen: Seen) -> None:
        value = whole_object(seen)
        if value is None:
            return
        if value.get("type") == "error":
            seen.problems.append("an error came under status 200")
            seen.ended, seen.error = "error", error_of(value, seen)
            return
        check_head(value, seen)
        content = value.get("content")
        if not isinstance(content, list):
            seen.problems.append(f"content is {content!r}")
            return
        for block in content:
            check_block(block, seen)
            if block.get("type") == "tool_use":
                call = SeenCall(
                    id=str(block.get("id")), name=str(block.get("name")), arguments=dump(block.get("input"))
                )
                seen.calls.append(call)
                check_call(call, seen)
        said_in(content, seen)
        seen.kept = [{"role": "assistant", "content": content}]
        check_end(value, seen)
        usage = value.get("usage")
        usage_of(usage if isinstance(usage, dict) else {}, seen)
        seen.ended = "whole"


def _conversation(entries: Sequence[Entry]) -> list[Json]:
    """Messages of blocks; the results of one turn stand in one message, before what the user says then."""
    messages: list[Json] = []
    for entry in entries:
        role = "user" if entry.role == "tool" else entry.role
        last = messages[-1]["content"] if messages else []
        if entry.role == "tool" and last and last[0]["type"] == "tool_result":
            last += _blocks(entry)
        else:
            messages.append({"role": role, "content": _blocks(entry)})
    return messages


def _blocks(entry: Entry) -> list[Json]:
    if entry.answers is not None:
        said: Json = {"content": entry.text} if entry.text else {}
        if entry.image is not None:
            said = {"content": [{"type": "text", "text": entry.text}, _picture(entry.image)]}
        return [{"type": "tool_result", "tool_use_id": entry.answers, **said}]
    blocks: list[Json] = []
    if entry.image is not None:
        blocks.append(_picture(entry.image))
    if entry.document is not None:
        source: Json = {"type": "base64", "media_type": "application/pdf", "data": entry.document}
        blocks.append({"type": "document", "source": source, "title": "report.pdf"})
    texts = entry.pieces or ((entry.text,) if entry.text else ())
    blocks += [{"type": "text", "text": text} for text in texts]
    blocks += [
        {"type": "tool_use", "id": one.id, "name": one.name, "input": dict(_arguments(one.arguments))}
        for one in entry.calls
    ]
    return blocks


def _picture(data: str) -> Json:
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


def _arguments(given: Any) -> Json:
    if isinstance(given, str):
        raise TypeError(f"Anthropic's clients keep the arguments of a call as an object, not as {given!r}")
    return dict(given)


def _tool(name: str, parameters: object) -> Json:
    schema = {"type": "object", "properties": {}} if parameters is None else parameters
    return {"name": name, "description": f"The tool {name}.", "input_schema": schema}
