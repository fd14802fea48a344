"""The table of broken servers for the groups on refusals, keys, headers, odd requests and traffic.

What does not live here: how answers are bent (`broken.py`), servers whose good answers are
broken (`mutations.py`).
"""

import json
from collections.abc import Callable
from typing import Any

from compatgw_testing import FakeOpenAI
from tests.testing.check.broken import (
    Bend,
    Json,
    Said,
    answers,
    at,
    choice,
    crashes,
    error,
    head,
    lenient,
    message,
    plain,
    refusals,
    setting,
    stream,
    without,
)
from tests.testing.check.mutations import asks_for, is_plain, is_stream, m

KEY = FakeOpenAI.default_key
EMBED = "/v1/embeddings"
RESPOND = "/v1/responses"


def _keyed(said: Said) -> bool:
    return said.request_headers.get("authorization") == f"Bearer {KEY}"


def _text_envelope(said: Said) -> None:
    said.body = json.dumps({"detail": "no"}).encode()


def _echoes(said: Said) -> None:
    said.body = json.dumps({"error": {"message": said.request_headers.get("authorization", "")}}).encode()


def _in_stream(said: Said) -> None:
    """A refusal of a stream is told inside of a stream under 200."""
    if said.chat and said.asked.get("stream") and said.status >= 400:
        said.body = b"data: " + said.body + b"\n\ndata: [DONE]\n\n"
        said.status, said.headers = 200, {"content-type": "text/event-stream"}


def _stack(one: Json) -> None:
    one["message"] = 'Traceback (most recent call last):\n  File "/srv/app.py", line 1'


ON_ERRORS = (
    m(refusals(_text_envelope), "errors.envelope", "auth.envelope", "robust.envelope"),
    m(error(without("code")), "errors.members"),
    m(error(setting("code", 400)), "errors.types"),
    m(error(setting("type", "oops")), "errors.type_word"),
    m(head("content-type", "text/html", lambda said: said.status >= 400), "errors.content_type", "auth.envelope"),
    m(error(_stack), "errors.no_trace"),
    m(refusals(_echoes), "errors.no_key", "auth.not_repeated"),
    m(
        lenient,
        *("errors.unknown_model", "errors.no_model", "errors.no_messages", "errors.empty_messages"),
        *("errors.messages_text", "errors.bad_json", "errors.empty_body", "errors.list_body", "errors.bad_role"),
        *("errors.bad_part", "errors.no_content", "errors.temperature_type", "errors.temperature_range"),
        *("errors.limit_range", "errors.stream_type", "errors.before_stream"),
    ),
    m(error(setting("code", "nope")), "errors.unknown_model_code"),
    m(error(setting("param", None)), "errors.param", "errors.param_inner"),
    m(_in_stream, "errors.before_stream"),
    m(answers(lambda said: "no/such" in said.path, 200, {}), "errors.unknown_path"),
    m(answers(lambda said: said.method == "GET" and "chat" in said.path, 200, {}), "errors.method"),
)
ON_KEYS = (
    m(
        lenient,
        *("auth.missing", "auth.wrong", "auth.empty", "auth.longer", "auth.scheme", "auth.before_body"),
        *("auth.stream", "auth.long_key", "auth.odd_key"),
    ),
    m(answers(lambda said: said.path == "/v1/models", 200, {"data": []}), "auth.models"),
    m(answers(lambda said: said.request_headers.get("authorization", "").startswith("bearer"), 401, {}), "auth.case"),
)


def _broken_gzip(said: Said) -> None:
    if said.chat and "gzip" in said.request_headers.get("accept-encoding", ""):
        said.headers["content-encoding"] = "gzip"


def _bodied(said: Said) -> None:
    if said.method == "HEAD":
        said.status, said.body = 500, b""


def _fails_later() -> Bend:
    """Works until it has refused something, then no more: a connection that is not cleaned up."""
    seen: list[Said] = []

    def bend(said: Said) -> None:
        if seen:
            crashes(lambda _: True)(said)
        elif said.chat and said.status == 400:
            seen.append(said)

    return bend


def _after_streams(count: int) -> Bend:
    """Answers no plain question any more after so many streams."""
    seen: list[Said] = []

    def bend(said: Said) -> None:
        if said.streamed:
            seen.append(said)
        elif said.chat and len(seen) >= count:
            crashes(lambda _: True)(said)

    return bend


ON_HEADERS = (
    m(
        head("x-request-id", None),
        *("headers.request_id", "headers.request_id_stream", "headers.request_id_error"),
    ),
    m(head("x-request-id", "req_same"), "headers.request_id_new"),
    m(_fails_later(), "headers.keep_alive_stream"),
    m(crashes(lambda said: "x-stainless-lang" in said.request_headers), "headers.sdk"),
    m(
        head("content-type", "application/json", lambda said: said.request_headers.get("accept") == "application/json"),
        "headers.accept_json",
    ),
    m(crashes(lambda said: "charset" in said.request_headers.get("content-type", "")), "headers.charset"),
    m(_broken_gzip, "headers.compression"),
    m(_bodied, "headers.head"),
    m(crashes(lambda said: said.method == "OPTIONS"), "headers.options"),
    m(crashes(lambda said: bool(said.query)), "headers.query"),
    m(crashes(lambda said: said.path.endswith("/")), "headers.slash"),
    m(head("x-you-sent", KEY), "headers.safe"),
    m(head("content-length", None, is_plain), "headers.length"),
)
_TAKEN = {
    "temperature": ("params.temperature", "params.temperature_zero"),
    "top_p": ("params.top_p",),
    "stop": ("params.stop", "params.stop_list", "params.null"),
    "seed": ("params.seed",),
    "presence_penalty": ("params.penalties",),
    "user": ("params.user",),
    "metadata": ("params.metadata",),
    "reasoning_effort": ("params.effort",),
    "logit_bias": ("params.logit_bias",),
    "logprobs": ("params.logprobs",),
    "tools": ("params.no_tools",),
    "stream": ("params.null_stream",),
}


def _no_logprobs(value: Json) -> None:
    for one in value["choices"]:
        one["logprobs"] = None


ON_PARAMS = (
    *(m(crashes(asks_for(name)), *ids) for name, ids in _TAKEN.items()),
    m(answers(asks_for("seed"), 400, {"error": {"message": "no"}}), "params.seed"),
    m(message(setting("content", "One two three four five")), "params.stop_cuts"),
    m(plain(_no_logprobs), "params.logprobs"),
)


def _raw(part: bytes) -> Callable[[Said], bool]:
    return lambda said: said.chat and part in said.raw


def _hostile(said: Said) -> bool:
    """Requests that a careless server falls over."""
    if not said.chat:
        return False
    raw, kind = said.raw, said.request_headers.get("content-type")
    odd = (b"5f1c", b"\\u0000", b"\xff\xfe", b"\xef\xbb\xbf", b"[" * 200, b'"temperature": 0.1', b"9" * 400, b"NaN")
    return (
        any(part in raw for part in odd)
        or b"\x00" in raw
        or b"\\ud83d" in raw
        or len(raw) > 9_000
        or kind != "application/json"
        or b"..%2F" in raw
        or b'"messages":[null]' in raw
    )


ON_ROBUST = (
    m(
        crashes(_hostile),
        *("robust.unknown_member", "robust.unknown_in_message", "robust.nul", "robust.surrogate", "robust.bad_utf8"),
        *("robust.bom", "robust.deep", "robust.deep_open", "robust.duplicate", "robust.huge", "robust.many"),
        *("robust.big_number", "robust.nan", "robust.content_type", "robust.no_content_type", "robust.form"),
        *("robust.odd_model", "robust.long_model", "robust.wrong_types"),
    ),
    m(lenient, "robust.deep_open", "robust.form", "robust.wrong_types"),
    m(crashes(lambda said: said.chat and said.status == 200), "robust.alive"),
)
ON_TRAFFIC = (
    m(_after_streams(1), "cancel.stream"),
    m(_after_streams(4), "cancel.often"),
    m(_after_streams(4), "cancel.at_once"),
    m(plain(setting("id", "chatcmpl-same")), "concurrent.plain"),
    m(stream(lambda events: [one for one in events if one != "[DONE]"]), "concurrent.streams"),
    m(head("content-type", "text/plain", is_stream), "concurrent.mixed"),
)


def _lost(one: Json) -> None:
    if isinstance(one.get("content"), str):
        one["content"] += "\ufffd"


def _half(one: Json) -> None:
    if isinstance(one.get("content"), str):
        one["content"] += "\ud83d"


def _escaped_counts(said: Said) -> None:
    if is_plain(said) and b"\\ud83e" in said.raw:
        value = said.value
        value["usage"]["prompt_tokens"] += 9
        said.value = value


def _latin(said: Said) -> None:
    if said.status >= 400:
        said.body = said.body + b" \xff"


ON_LETTERS = (
    m(crashes(lambda said: said.chat and not said.raw.isascii()), "unicode.taken", "unicode.tool"),
    m(_escaped_counts, "unicode.escaped"),
    m(crashes(_raw(b"\\ud83e")), "unicode.escaped"),
    m(message(_half), "unicode.answer"),
    m(choice(lambda one: _half(one["delta"])), "unicode.stream"),
    m(message(_lost), "unicode.nothing_lost"),
    m(choice(lambda one: _lost(one["delta"])), "unicode.nothing_lost"),
    m(_latin, "unicode.error"),
)


def _rows(change: Callable[[Json], Any]) -> Bend:
    return at(EMBED, lambda value: [change(one) for one in value["data"]])


def _unequal(value: Json) -> None:
    value["data"][0]["embedding"] = [1.0]


ON_EMBEDDINGS = (
    m(crashes(lambda said: said.path == EMBED), "embeddings.status"),
    m(_rows(setting("object", "vector")), "embeddings.vector"),
    m(_rows(setting("index", 0)), "embeddings.order"),
    m(at(EMBED, _unequal), "embeddings.same_length"),
    m(_rows(setting("embedding", [1.0, 2.0])), "embeddings.differ", "embeddings.base64"),
    m(at(EMBED, without("usage")), "embeddings.usage"),
    m(answers(lambda said: said.path == EMBED and not said.asked["input"], 200, {"data": []}), "embeddings.empty"),
)


def _responded(change: Callable[[str], str]) -> Bend:
    def bend(said: Said) -> None:
        if said.path == RESPOND and "stream" in said.headers["content-type"]:
            said.body = change(said.body.decode()).encode()

    return bend


def _cut_event(number: int) -> Bend:
    def change(raw: str) -> str:
        events = raw.split("\n\n")[:-1]
        del events[number]
        return "\n\n".join(events) + "\n\n"

    return _responded(change)


ON_RESPONSES = (
    m(crashes(lambda said: said.path == RESPOND), "responses.status"),
    m(at(RESPOND, setting("output", [])), "responses.output"),
    m(at(RESPOND, setting("status", "done")), "responses.head"),
    m(at(RESPOND, setting("usage", {})), "responses.usage"),
    m(head("content-type", "text/plain", lambda said: said.path == RESPOND), "responses.content_type"),
    m(_cut_event(0), "responses.first", "responses.numbers"),
    m(_cut_event(-1), "responses.last"),
    m(_cut_event(1), "responses.text", "responses.numbers"),
    m(_responded(lambda raw: raw.replace("event: ", "event: x.")), "responses.names"),
)
ON_HTTP = (
    *ON_ERRORS,
    *ON_KEYS,
    *ON_HEADERS,
    *ON_PARAMS,
    *ON_ROBUST,
    *ON_TRAFFIC,
    *ON_LETTERS,
    *ON_EMBEDDINGS,
    *ON_RESPONSES,
)
