"""The table of broken servers for the groups on good answers: models to vision.

What does not live here: how answers are bent (`broken.py`), servers that are broken elsewhere
(`mutations_http.py`).
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from compatgw_testing.check import asks
from tests.testing.check.broken import (
    DONE,
    Bend,
    Json,
    Said,
    answers,
    at,
    call,
    choice,
    chunk,
    counted,
    crashes,
    fragment,
    head,
    lenient,
    message,
    plain,
    setting,
    stream,
    text,
    without,
)

MODELS = "/v1/models"


class Mutation(NamedTuple):
    """A way to be broken, and the ids of the assertions that have to notice."""

    bend: Bend
    fails: tuple[str, ...]


def m(bend: Bend, *fails: str) -> Mutation:
    """A row of the table."""
    return Mutation(bend, fails)


def rows(change: Callable[[Json], Any]) -> Bend:
    """Changes each listed model."""
    return at(MODELS, lambda value: [change(one) for one in value["data"]])


def asks_for(name: str, value: object = ...) -> Callable[[Said], bool]:
    """Chat requests with a member, or with this value of it."""
    return lambda said: said.chat and name in said.asked and (value is ... or said.asked[name] == value)


def has_message(fits: Callable[[Json], bool]) -> Callable[[Said], bool]:
    """Chat requests with such a message."""

    def when(said: Said) -> bool:
        messages = said.asked.get("messages")
        rows = messages if isinstance(messages, list) else []
        return said.chat and any(fits(one) for one in rows if isinstance(one, dict))

    return when


def body(change: Callable[[bytes], bytes], streamed: bool = False) -> Bend:
    """Changes the bytes of good plain answers, or of streams."""

    def bend(said: Said) -> None:
        if said.chat and said.status == 200 and said.streamed == streamed:
            said.body = change(said.body)

    return bend


def is_plain(said: Said) -> bool:
    """A good plain chat answer."""
    return said.chat and said.status == 200 and not said.streamed


def is_stream(said: Said) -> bool:
    """A good stream."""
    return said.streamed


def numbered(name: str) -> Bend:
    """A member that is another in each chunk."""
    return stream(lambda events: [one.update({name: at}) for at, one in enumerate(events) if one != DONE] and None)


def first(change: Callable[[Json], Any]) -> Callable[[Json], Any]:
    """A change of the first choice of an answer."""
    return lambda value: change(value["choices"][0])


def finishing(reason: str, other: str) -> Callable[[Json], None]:
    """A change of one finish reason into another."""

    def change(one: Json) -> None:
        if one.get("finish_reason") == reason:
            one["finish_reason"] = other

    return change


def _merged(events: list[Any]) -> list[Any]:
    whole = "".join(one["choices"][0]["delta"].get("content") or "" for one in events if one != DONE and one["choices"])
    kept = [one for one in events if one == DONE or not one["choices"] or not one["choices"][0]["delta"].get("content")]
    kept[0]["choices"][0]["delta"]["content"] = whole
    return kept


def _chunk_after_done(events: list[Any]) -> list[Any]:
    return [*events, events[0]]


def _finish_twice(events: list[Any]) -> list[Any]:
    last = next(one for one in events if one != DONE and one["choices"] and one["choices"][0]["finish_reason"])
    return [*events[:-1], last, events[-1]]


def _words_after_finish(events: list[Any]) -> list[Any]:
    words = json.loads(json.dumps(events[1]))
    words["choices"] = [{"index": 0, "delta": {"content": "more"}, "finish_reason": None}]
    return [*events[:-1], words, events[-1]]


def _usage_first(events: list[Any]) -> list[Any]:
    used = [one for one in events if one != DONE and one.get("usage")]
    return [*used, *(one for one in events if one not in used)]


def _no_usage(events: list[Any]) -> list[Any]:
    return [one for one in events if one == DONE or not one.get("usage")]


def _usage_unasked(events: list[Any]) -> None:
    events[-2]["usage"] = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


def _no_role_of_second(one: Json) -> None:
    if one["index"] == 1:
        one["delta"].pop("role", None)


def _constant_prompt(value: Json) -> None:
    value["usage"]["prompt_tokens"] = 7
    value["usage"]["total_tokens"] = 7 + value["usage"]["completion_tokens"]


def _more_prompt(value: Json) -> None:
    value["usage"]["prompt_tokens"] += 5
    value["usage"]["total_tokens"] += 5


ON_MODELS = (
    m(crashes(lambda said: said.path == MODELS), "models.status"),
    m(head("content-type", "text/plain", lambda said: said.path == MODELS), "models.content_type"),
    m(at(MODELS, setting("object", "models")), "models.list"),
    m(at(MODELS, setting("data", [])), "models.nonempty"),
    m(rows(setting("id", 7)), "models.entry_id"),
    m(rows(setting("object", "engine")), "models.entry_object"),
    m(rows(setting("created", "today")), "models.entry_created"),
    m(rows(without("owned_by")), "models.entry_owner"),
    m(at(MODELS, lambda value: value["data"].extend(value["data"][:1])), "models.unique"),
    m(rows(setting("id", "other")), "models.asked_is_listed"),
    m(answers(lambda said: said.path.startswith(MODELS + "/"), 404, {"error": {}}), "models.retrieve"),
    m(answers(lambda said: "no-such" in said.path, 200, {"id": "x"}), "models.retrieve_unknown"),
)
ON_CHAT = (
    m(crashes(lambda said: said.chat), "chat.status"),
    m(head("content-type", "text/plain", is_plain), "chat.content_type"),
    m(body(lambda raw: raw + b"}"), "chat.json"),
    m(plain(setting("object", "completion")), "chat.object"),
    m(plain(setting("id", "")), "chat.id"),
    m(plain(setting("id", "chatcmpl-same")), "chat.id_new"),
    m(plain(setting("created", 1_780_272_000_000)), "chat.created"),
    m(plain(without("model")), "chat.model"),
    m(plain(lambda value: value["choices"].extend(value["choices"])), "chat.choices"),
    m(message(setting("role", "bot")), "chat.role", "chat.system"),
    m(message(setting("content", None)), "chat.content", "vision.answer"),
    m(plain(first(setting("finish_reason", "done"))), "chat.finish"),
    m(plain(first(setting("delta", {}))), "chat.no_delta"),
    m(plain(setting("error", {"message": "no"})), "chat.no_error"),
    m(message(setting("tool_calls", [])), "chat.no_tool_calls"),
    m(crashes(asks_for("stream", False)), "chat.stream_false"),
    m(crashes(has_message(lambda one: one.get("role") == "system")), "chat.system", "chat.parts_system"),
    m(crashes(has_message(lambda one: one.get("role") == "developer")), "chat.developer"),
    m(crashes(has_message(lambda one: one.get("role") == "assistant")), "chat.history", "tools.result"),
    m(crashes(has_message(lambda one: isinstance(one.get("content"), list))), "chat.parts", "chat.parts_system"),
    m(crashes(has_message(lambda one: "name" in one)), "chat.name"),
    m(plain(first(finishing("length", "stop"))), "chat.max_tokens", "chat.max_completion_tokens"),
    m(plain(lambda value: value["usage"].update(completion_tokens=50)), "chat.limit_counts"),
    m(plain(lambda value: value.update(choices=value["choices"][:1])), "chat.n"),
)
ON_STREAMS = (
    m(crashes(asks_for("stream", True)), "stream.status"),
    m(lambda said: setattr(said, "cut", said.streamed), "stream.whole"),
    m(head("content-type", "text/plain", is_stream), "stream.content_type"),
    m(head("content-type", "text/event-stream; charset=latin-1", is_stream), "stream.charset"),
    m(lambda said: said.headers.update({"content-length": str(len(said.body))}), "stream.no_length"),
    m(head("cache-control", None), "stream.no_cache"),
    m(body(lambda raw: b": \xff\n\n" + raw, streamed=True), "stream.utf8"),
    m(body(lambda raw: b"\xef\xbb\xbf" + raw, streamed=True), "stream.utf8"),
    m(text(lambda raw: "hello\n" + raw), "stream.lines"),
    m(text(lambda raw: raw.rstrip("\n") + "\n"), "stream.blank_line"),
    m(text(lambda raw: raw.replace("data: ", "data:")), "stream.space"),
    m(text(lambda raw: "data: hello\n\n" + raw), "stream.json"),
    m(text(lambda raw: raw.replace('"choices"', '\ndata: "choices"')), "stream.one_line"),
    m(text(lambda raw: raw.replace("data:", "event: chunk\ndata:")), "stream.no_names"),
    m(stream(lambda events: events[:-1]), "stream.done_last", "usage.done_after", "tools.stream_done"),
    m(stream(lambda events: [*events, DONE]), "stream.done_once"),
    m(stream(_chunk_after_done), "stream.nothing_after"),
    m(stream(_merged), "stream.several"),
)
ON_CONTENT = (
    m(chunk(setting("object", "chat.completion")), "content.object"),
    m(numbered("id"), "content.id", "concurrent.streams"),
    m(numbered("created"), "content.created"),
    m(numbered("model"), "content.model"),
    m(chunk(setting("model", "another")), "content.model_as_plain"),
    m(chunk(setting("id", "chatcmpl-same")), "content.id_new"),
    m(chunk(without("choices")), "content.choices"),
    m(choice(setting("index", 1)), "content.index"),
    m(choice(lambda one: one.update(message=one.pop("delta"))), "content.delta"),
    m(choice(lambda one: one["delta"].pop("role", None)), "content.role_first", "tools.stream_role"),
    m(choice(lambda one: one["delta"].update(role="assistant")), "content.role_once"),
    m(choice(lambda one: one["delta"].update(content=["a"])), "content.strings"),
    m(choice(lambda one: one["delta"].update(content="")), "content.text"),
    m(stream(_finish_twice), "content.finish_once", "tools.stream_finish", "parallel.stream_finish", "vision.stream"),
    m(choice(finishing("stop", "eos")), "content.finish_known"),
    m(stream(_words_after_finish), "content.finish_last"),
    m(choice(lambda one: one.pop("finish_reason") or one.update(finish_reason=one.get("f"))), "content.finish_once"),
    m(choice(lambda one: None if one["finish_reason"] else one.pop("finish_reason")), "content.finish_null"),
    m(choice(finishing("length", "stop")), "content.length"),
    m(chunk(setting("error", {"message": "no"})), "content.no_error"),
    m(choice(_no_role_of_second), "content.n"),
)
ON_USAGE = (
    m(plain(without("usage")), "usage.plain"),
    m(plain(lambda value: value["usage"].update(total_tokens=1)), "usage.adds_up"),
    m(
        plain(lambda value: value.update(usage={"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0})),
        "usage.counts",
    ),
    m(plain(lambda value: value["usage"].update(prompt_tokens_details={"cached_tokens": 10**6})), "usage.details"),
    m(plain(_constant_prompt), "usage.grows"),
    m(stream(_usage_unasked), "usage.not_asked", "usage.off"),
    m(stream(_no_usage), "usage.asked"),
    m(counted(setting("choices", [{"index": 0, "delta": {}, "finish_reason": None}])), "usage.empty_choices"),
    m(stream(_usage_first), "usage.last"),
    m(counted(setting("id", "chatcmpl-other")), "usage.head"),
    m(counted(lambda value: value["usage"].update(total_tokens=1)), "usage.stream_counts"),
    m(counted(_more_prompt), "usage.stream_as_plain"),
)


def _other_name(one: Json) -> None:
    if one["function"].get("name"):
        one["function"]["name"] = "get_nothing"


def _arguments(value: object) -> Callable[[Json], None]:
    return lambda one: one["function"].update(arguments=value)


def _not_first(change: Callable[[Json], Any]) -> Callable[[Json], Any]:
    return lambda one: None if one.get("id") else change(one)


def _if_first(change: Callable[[Json], Any]) -> Callable[[Json], Any]:
    return lambda one: change(one) if one.get("id") else None


def _text_for_calls(one: Json) -> None:
    if one.pop("tool_calls", None):
        one["content"] = "I would call a tool."


def _no_fragments(events: list[Any]) -> list[Any]:
    return [one for one in events if one == DONE or '"tool_calls": [' not in json.dumps(one)]


def _interleaved(events: list[Any]) -> list[Any]:
    held = [one for one in events if one != DONE and one["choices"] and one["choices"][0]["delta"].get("tool_calls")]
    order = sorted(held, key=lambda one: -one["choices"][0]["delta"]["tool_calls"][0]["index"])
    starts = [one for one in held if one["choices"][0]["delta"]["tool_calls"][0].get("id")]
    again = iter([*starts, *(one for one in order if one not in starts)])
    return [next(again) if one in held else one for one in events]


def _both_calls(said: Said) -> None:
    if is_plain(said) and said.asked.get("tools"):
        value = said.value
        calls = value["choices"][0]["message"].get("tool_calls") or []
        value["choices"][0]["message"]["tool_calls"] = [*calls, *calls]
        said.value = value


def _calls_always(said: Said) -> None:
    """Calls a tool whatever the choice is."""
    if is_plain(said) and said.asked.get("tools"):
        value = said.value
        value["choices"][0]["message"] |= {"content": None, "tool_calls": [asks.called("call_x", "Paris")]}
        said.value = value
    elif said.streamed and said.asked.get("tools"):
        events = said.events
        given = {**asks.called("call_x", "Paris"), "index": 0}
        events[0]["choices"][0]["delta"]["tool_calls"] = [given]
        said.events = events


ON_TOOLS = (
    m(crashes(asks_for("tools")), "tools.status", "choice.auto", "choice.named", "unicode.tool", "parallel.results"),
    m(message(_text_for_calls), "tools.called", "choice.named", "tools.bare"),
    m(plain(first(finishing("tool_calls", "stop"))), "tools.finish"),
    m(call(setting("id", "")), "tools.id", "parallel.ids"),
    m(call(setting("id", "call_same")), "tools.id_new", "parallel.ids"),
    m(call(setting("type", "tool")), "tools.type"),
    m(call(_other_name), "tools.name", "choice.named"),
    m(call(_arguments({"city": "Paris"})), "tools.arguments"),
    m(call(_arguments('{"city": ')), "tools.arguments", "parallel.arguments", "tools.bare"),
    m(call(_arguments("{}")), "tools.schema"),
    m(message(lambda one: one.pop("content") if one.get("tool_calls") else None), "tools.content"),
    m(call(setting("index", 0)), "tools.no_index"),
    m(message(setting("function_call", {"name": "x"})), "tools.no_function_call"),
    m(stream(_no_fragments), "tools.stream_called", "choice.named_stream"),
    m(fragment(without("index")), "tools.stream_index"),
    m(fragment(lambda one: one.update(index=one["index"] + 1)), "tools.stream_from_zero", "parallel.stream_indices"),
    m(fragment(without("id")), "tools.stream_first"),
    m(fragment(without("type")), "tools.stream_type"),
    m(fragment(_not_first(setting("id", "call_other"))), "tools.stream_same_id"),
    m(fragment(_not_first(lambda one: one["function"].update(name="get_weather"))), "tools.stream_same_id"),
    m(fragment(_not_first(_arguments(""))), "tools.stream_arguments", "parallel.stream_arguments"),
    m(fragment(_not_first(_arguments({"a": 1}))), "tools.stream_strings"),
    m(choice(finishing("tool_calls", "stop")), "tools.stream_finish", "parallel.stream_finish"),
    m(crashes(has_message(lambda one: one.get("role") == "tool")), "tools.result", "parallel.results"),
    m(
        stream(lambda events: [one for one in events if one == DONE or 'finish_reason": "' not in json.dumps(one)]),
        "tools.result_stream",
        "content.finish_once",
    ),
    m(
        crashes(has_message(lambda one: one.get("role") == "tool" and isinstance(one["content"], list))),
        "tools.result_parts",
    ),
    m(lenient, "tools.orphan", "choice.unknown_name", "choice.no_tools", "choice.bad_word", "choice.no_name"),
    m(fragment(_if_first(setting("id", "call_same"))), "parallel.stream_ids"),
    m(stream(_interleaved), "parallel.stream_in_turn"),
    m(_both_calls, "parallel.off"),
    m(_calls_always, "choice.none", "choice.none_stream", "choice.auto"),
    m(plain(first(setting("finish_reason", "length"))), "choice.named_finish"),
)


def _content(change: Callable[[Json], Any]) -> Bend:
    def bend(one: Json) -> None:
        try:
            value = json.loads(one["content"] or "")
        except ValueError:
            return
        change(value)
        one["content"] = json.dumps(value)

    return message(bend)


def _wrapped(one: Json) -> None:
    one["content"] = f"Here it is: {one['content']}"


ON_FORMATS = (
    m(crashes(asks_for("response_format", {"type": "text"})), "format.text"),
    m(message(_wrapped), "format.json_object", "format.schema_json"),
    m(_content(setting("age", "36")), "format.schema_required"),
    m(_content(setting("colour", "pink")), "format.schema_enum"),
    m(_content(setting("extra", 1)), "format.schema_closed"),
    m(choice(lambda one: one["delta"].update(content="no")), "format.schema_stream"),
    m(lenient, "format.bad_type", "format.no_schema"),
)


def _sees(said: Said) -> bool:
    return said.chat and b"image_url" in said.raw


ON_VISION = (
    m(crashes(_sees), "vision.refusal"),
    m(crashes(lambda said: _sees(said) and b'"detail"' in said.raw), "vision.detail"),
    m(lenient, "vision.broken"),
    m(plain(_constant_prompt), "vision.counted"),
)
ON_ANSWERS = (
    *ON_MODELS,
    *ON_CHAT,
    *ON_STREAMS,
    *ON_CONTENT,
    *ON_USAGE,
    *ON_TOOLS,
    *ON_FORMATS,
    *ON_VISION,
)
