"""What a gateway may lose of OpenAI's Responses: the matrix has to notice.

What does not live here: the other surfaces (`test_lossy_chat.py`, `test_lossy_messages.py`).
"""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from compatgw_testing.matrix import MatrixFailure, cases
from tests.testing.check.broken import Bend, Json, Said, answers, head
from tests.testing.matrix.bending import doubled, dropped, each, plain, stream, tail
from tests.testing.matrix.gateways import forgetful, found, lossy, ours, without

ENDS = ("response.completed", "response.incomplete")


def _items(kind: str, change: Callable[[Json], Any]) -> Bend:
    """Changes the items of one kind in plain answers."""
    return plain(lambda value: [change(one) for one in value["output"] if one["type"] == kind])


def _only_first_call(value: Json) -> None:
    calls = [one for one in value["output"] if one["type"] == "function_call"]
    value["output"] = [one for one in value["output"] if one not in calls[1:]]


def _swallowed_error(events: list[Json]) -> list[Json] | None:
    """An error in a stream becomes a good end."""
    if events[-1]["type"] not in ("error", "response.failed"):
        return None
    kept = [one for one in events if one["type"] not in ("error", "response.failed")]
    done = [one["item"] for one in kept if one["type"] == "response.output_item.done"]
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    response = {**kept[0]["response"], "status": "completed", "output": done, "usage": usage}
    return [*kept, {"type": "response.completed", "sequence_number": len(kept), "response": response}]


def _without_arguments(events: list[Json]) -> list[Json]:
    """A stream that keeps its grammar, and has no arguments."""
    kept = [one for one in events if one["type"] != "response.function_call_arguments.delta"]
    for number, one in enumerate(kept):
        one["sequence_number"] = number
        if one["type"] == "response.function_call_arguments.done":
            one["arguments"] = ""
        for item in (one.get("item"), *(one.get("response") or {}).get("output", ())):
            if item is not None and item["type"] == "function_call":
                item["arguments"] = ""
    return kept


def _no_thought(events: list[Json]) -> list[Json]:
    """A stream that keeps its grammar, and shows no thought."""
    thoughts = {one["output_index"] for one in events if one.get("item", {}).get("type") == "reasoning"}
    kept = [one for one in events if one.get("output_index") not in thoughts]
    for number, one in enumerate(kept):
        one["sequence_number"] = number
        if "output_index" in one:
            one["output_index"] -= len(thoughts)
        if "response" in one:
            output = one["response"]["output"]
            one["response"]["output"] = [item for item in output if item["type"] != "reasoning"]
    return kept


def _complete(value: Json) -> None:
    value.update(status="completed", incomplete_details=None)


def _completed(one: Json) -> None:
    _complete(one["response"])
    one["type"] = "response.completed"


def _good_status(said: Said) -> None:
    if said.status >= 400:
        said.status = 200


def _retry_lost(said: Said) -> None:
    for name in ("retry-after", "retry-after-ms"):
        said.headers.pop(name, None)


def _ascii(said: Said) -> None:
    said.body = said.body.decode().encode("ascii", "replace")


LOSSES: dict[str, tuple[Bend, tuple[str, ...]]] = {
    "arguments": (
        _items("function_call", lambda one: one.update(arguments="")),
        ("openai-tool_call-plain", "anthropic-tool_call-plain", "gemini-tool_nested-plain"),
    ),
    "streamed arguments": (
        stream(_without_arguments),
        ("openai-tool_call-stream", "anthropic-tool_call-stream", "cohere-tool_call-stream"),
    ),
    "the error in a stream": (
        stream(_swallowed_error),
        (
            "openai-error_mid_stream-stream",
            "openai-truncated_at_the_end-stream",
            "anthropic-overloaded_mid_stream-stream",
            "gemini-cut-stream",
            "cohere-truncated-stream",
            "bedrock-garbage-stream",
        ),
    ),
    "all calls but one": (plain(_only_first_call), ("openai-tool_parallel-plain", "cohere-tool_three-plain")),
    "why it finished": (
        each(_completed, "response.incomplete"),
        ("openai-length-stream", "gemini-length-stream", "anthropic-filtered-stream"),
    ),
    "why it finished, in a plain answer": (
        plain(_complete),
        ("openai-length-plain", "bedrock-length-plain", "anthropic-filtered-plain"),
    ),
    "that it is cut": (
        plain(lambda value: value.update(status="completed")),
        ("openai-length-plain", "cohere-length-plain"),
    ),
    "thought": (
        plain(lambda value: value.update(output=[one for one in value["output"] if one["type"] != "reasoning"])),
        ("anthropic-reasoning-plain", "bedrock-reasoning-plain", "gemini-thinking_text_tool-plain"),
    ),
    "streamed thought": (stream(_no_thought), ("anthropic-reasoning-stream", "cohere-reasoning_tool-stream")),
    "what was cached": (
        plain(lambda value: value["usage"]["input_tokens_details"].update(cached_tokens=0)),
        ("anthropic-usage_cached-plain", "gemini-usage_cached-plain", "openai-usage_cached-plain"),
    ),
    "usage": (
        each(lambda one: one["response"].update(usage=None), *ENDS),
        ("openai-usage-stream", "anthropic-text-stream"),
    ),
    "usage of a plain answer": (
        plain(lambda value: value.update(usage=None)),
        ("openai-usage-plain", "cohere-text-plain"),
    ),
    "that it failed": (
        _good_status,
        ("openai-server_error-plain", "anthropic-overloaded-plain", "gemini-model_missing-plain"),
    ),
    "which failure": (
        answers(lambda said: said.status >= 400, 500, {"error": {"message": "no"}}),
        ("openai-context_length-plain", "anthropic-rate_limited-plain"),
    ),
    "how long to wait": (_retry_lost, ("openai-rate_limited-plain", "anthropic-rate_limited-stream")),
    "letters": (_ascii, ("anthropic-unicode-plain", "openai-unicode-stream", "gemini-unicode-stream")),
    "the refusal": (
        _items("message", lambda one: one.update(content=[])),
        ("openai-refusal-plain", "anthropic-refusal-plain"),
    ),
    "the object's name": (
        plain(lambda value: value.update(object="chat.completion")),
        ("openai-text-plain", "cohere-text-plain"),
    ),
    "required members": (plain(lambda value: value.pop("tools")), ("openai-text-plain", "gemini-text-plain")),
    "the status": (plain(lambda value: value.update(status="in_progress")), ("anthropic-text-plain",)),
    "annotations": (
        _items("message", lambda one: one["content"][0].pop("annotations")),
        ("openai-text-plain", "bedrock-text-plain"),
    ),
    "the name of a call": (
        _items("function_call", lambda one: one.update(name="")),
        ("openai-tool_call-plain", "cohere-tool_call-plain"),
    ),
}


@pytest.mark.parametrize("loss", list(LOSSES))
async def test_a_lossy_gateway_is_noticed(loss: str) -> None:
    """Each named case fails."""
    bend, ids = LOSSES[loss]
    for id in ids:
        with pytest.raises(MatrixFailure, match=f"responses-{id}"):
            await found(f"responses-{id}").run(lossy(bend))


def _second(events: list[Json]) -> None:
    """The second item has another place in the output."""
    for one in events:
        if one.get("output_index") == 1:
            one["output_index"] = 2


def _twice_ended(events: list[Json]) -> list[Json]:
    return [*events, {**events[-1], "sequence_number": len(events)}]


def _items_done_late(events: list[Json]) -> list[Json]:
    done = [one for one in events if one["type"] == "response.output_item.done"]
    kept = [one for one in events if one not in done]
    return _numbered([*kept[:-1], *done, kept[-1]])


def _numbered(events: list[Json]) -> list[Json]:
    for number, one in enumerate(events):
        one["sequence_number"] = number
    return events


def _lost(*types: str) -> Bend:
    """Leaves out events, and numbers the others so that it does not show there."""
    return stream(lambda events: _numbered([one for one in events if one["type"] not in types]))


def _ids_change(events: list[Json]) -> None:
    for one in events:
        if one["type"] == "response.output_item.done":
            one["item"]["id"] += "x"


def _in_item(kind: str, type: str, **members: Any) -> Bend:
    """Changes the item in the events of one type."""
    return each(lambda one: one["item"].update(members) if one["item"]["type"] == kind else None, type)


# Streams whose words are all there, and which the protocol does not allow: how they are bent, what is said of them.
GRAMMAR: dict[str, tuple[Bend, str]] = {
    "no numbers": (each(lambda one: one.pop("sequence_number")), "has the number None, not 0"),
    "numbers from one": (each(lambda one: one.update(sequence_number=one["sequence_number"] + 1)), "not 0"),
    "a number left out": (dropped("response.in_progress"), "has the number 2, not 1"),
    "no beginning": (_lost("response.created"), "is event 1|came before response.created"),
    "no progress": (_lost("response.in_progress"), "came before response.created and response.in_progress"),
    "no end": (_lost(*ENDS), "came 200 open"),
    "two ends": (stream(_twice_ended), "after response.completed came response.completed"),
    "an error after the end": (
        stream(lambda events: [*events, {"type": "error", "sequence_number": len(events), "message": "late"}]),
        "after response.completed came error",
    ),
    "an end without its output": (
        each(lambda one: one["response"].update(output=[]), *ENDS),
        "response.completed has the output",
    ),
    "an end with another status": (
        each(lambda one: one["response"].update(status="in_progress"), *ENDS),
        "response.completed has the status 'in_progress'",
    ),
    "another id at the end": (
        each(lambda one: one["response"].update(id="resp_x"), *ENDS),
        "the id of the response changes",
    ),
    "output at the beginning": (
        each(lambda one: one["response"].update(output=[{"type": "message"}]), "response.created"),
        "response.created has the output",
    ),
    "items in other places": (stream(_second), "item 1 has the index 2"),
    "items that are never done": (_lost("response.output_item.done"), "begins before the one before it is done"),
    "items that are done late": (stream(_items_done_late), "begins before the one before it is done"),
    "items that never began": (_lost("response.output_item.added"), "which is not open"),
    "items whose ids change": (stream(_ids_change), "id of an item changes"),
    "items that begin as done": (
        _in_item("message", "response.output_item.added", status="completed"),
        "an item begins with the status 'completed'",
    ),
    "a message that begins with its words": (
        _in_item("message", "response.output_item.added", content=[{"type": "output_text", "text": "I"}]),
        "an item begins with content",
    ),
    "a call that begins with its arguments": (
        _in_item("function_call", "response.output_item.added", arguments="{}"),
        "an item begins with arguments",
    ),
    "another call": (
        _in_item("function_call", "response.output_item.done", call_id="call_x"),
        "call_id of an item changes",
    ),
    "parts that never began": (_lost("response.content_part.added"), "which is not open"),
    "parts that are never done": (_lost("response.content_part.done"), "is done before its part 0"),
    "words that are never done": (_lost("response.output_text.done"), "a part is done before its text"),
    "words that are done as others": (
        each(lambda one: one.update(text="Other."), "response.output_text.done"),
        "response.output_text.done says 'Other.'",
    ),
    "a part that is done with other words": (
        each(
            lambda one: one["part"].update(text="Other.") if one["part"]["type"] == "output_text" else None,
            "response.content_part.done",
        ),
        "a part is done as",
    ),
    "words without logprobs": (
        each(lambda one: one.pop("logprobs"), "response.output_text.delta"),
        "has logprobs None",
    ),
    "words for another item": (
        each(lambda one: one.update(item_id="msg_x"), "response.output_text.delta"),
        "has item_id 'msg_x'",
    ),
    "words for another part": (
        each(lambda one: one.update(content_index=1), "response.output_text.delta"),
        "is for part 1, which is not open",
    ),
    "arguments that are done as others": (
        each(lambda one: one.update(arguments="{}"), "response.function_call_arguments.done"),
        "arguments are done as '{}'",
    ),
    "a name that is not that of the event": (each(lambda one: one.update(event="ping")), "the event 'ping' says"),
    "events without names": (each(lambda one: one.update(event="")), "the event '' says"),
    "an event that does not exist": (
        each(lambda one: one.update(type="response.words", event="response.words"), "response.output_text.done"),
        "there is no event 'response.words'",
    ),
    "an end mark in the middle": (
        lambda said: setattr(
            said, "body", said.body.replace(b"event: response.in", b"data: [DONE]\n\nevent: response.in")
        ),
        "an event is no JSON object: '\\[DONE\\]'",
    ),
    "two end marks": (tail(b"data: [DONE]\n\ndata: [DONE]\n\n"), "an event is no JSON object: '\\[DONE\\]'"),
    "a usage that does not add up": (
        each(lambda one: one["response"]["usage"].update(total_tokens=1), *ENDS),
        "usage does not add up",
    ),
    "no type": (head("content-type", "text/plain"), "the content type is 'text/plain'"),
}


@pytest.mark.parametrize("upstream", ["openai", "gemini"])
@pytest.mark.parametrize("mistake", list(GRAMMAR))
async def test_the_grammar_is_held(mistake: str, upstream: str) -> None:
    """A stream of words and a call that breaks a rule is noticed, and so is the rule."""
    case = found(f"responses-{upstream}-tool_after_text-stream")
    bend, said = GRAMMAR[mistake]

    await case.run(ours())
    with pytest.raises(MatrixFailure, match=said):
        await case.run(lossy(bend))


@pytest.mark.parametrize("part", ["added", "done"])
async def test_the_grammar_of_thought_is_held(part: str) -> None:
    """A summary without its beginning or its end is noticed."""
    case = found("responses-anthropic-reasoning-stream")

    await case.run(ours())
    for kind in ("response.reasoning_summary_part", "response.content_part"):
        bend = _lost(f"{kind}.{part}")
        with pytest.raises(MatrixFailure, match=r"not open|is done before its part"):
            await case.run(lossy(bend))


@pytest.mark.parametrize("mark", [b"", b"data: [DONE]\n\n"])
async def test_an_end_mark_is_let_pass(mark: bytes) -> None:
    """Some servers write `[DONE]` behind the last event; clients do not mind."""
    await found("responses-openai-text-stream").run(lossy(tail(mark)))
    with pytest.raises(MatrixFailure, match=r"after response\.completed"):
        await found("responses-openai-text-stream").run(lossy(doubled("response.completed")))


def _entries(keep: Callable[[Json], bool]) -> Callable[[bytes], bytes]:
    def change(raw: bytes) -> bytes:
        body = json.loads(raw)
        body["input"] = [one for one in body["input"] if keep(one)]
        return json.dumps(body).encode()

    return change


def _no_system(raw: bytes) -> bytes:
    body = json.loads(_entries(lambda one: one.get("role") != "system")(raw))
    body.pop("instructions", None)
    return json.dumps(body).encode()


def _results_swapped(raw: bytes) -> bytes:
    body = json.loads(raw)
    results = [one for one in body["input"] if one["type"] == "function_call_output"]
    texts = [one["output"] for one in results]
    for one, text in zip(results, reversed(texts), strict=True):
        one["output"] = text
    return json.dumps(body).encode()


def _without_media(raw: bytes) -> bytes:
    body = json.loads(raw)
    for one in body["input"]:
        one["content"] = [part for part in one["content"] if part["type"] == "input_text"]
    return json.dumps(body).encode()


FORGOTTEN: dict[str, tuple[Callable[[bytes], bytes], tuple[str, ...]]] = {
    "the system": (_no_system, ("system", "two_systems")),
    "instructions": (without("instructions"), ("system", "two_systems")),
    "the history": (_entries(lambda one: one.get("role") != "assistant"), ("history",)),
    "tools": (without("tools"), ("tool_offered",)),
    "the choice": (without("tool_choice"), ("tool_required",)),
    "the schema": (without("text"), ("schema_in",)),
    "the limit": (without("max_output_tokens"), ("limit",)),
    "the temperature": (without("temperature"), ("temperature",)),
    "pictures": (_without_media, ("image", "document")),
    "which result is whose": (_results_swapped, ("tool_results",)),
    "letters": (lambda raw: re.sub(rb"\\u[0-9a-f]{4}", b"?", json.dumps(json.loads(raw)).encode()), ("unicode_in",)),
}


@pytest.mark.parametrize("upstream", ["openai", "anthropic", "gemini", "bedrock"])
@pytest.mark.parametrize("forgotten", list(FORGOTTEN))
async def test_a_forgetful_gateway_is_noticed(forgotten: str, upstream: str) -> None:
    """What the upstream was not told is named."""
    change, names = FORGOTTEN[forgotten]
    chosen = cases(["responses"], [upstream], names)
    assert len(chosen) == 2 * len(names)
    for case in chosen:
        with pytest.raises(MatrixFailure, match="was not told"):
            await case.run(forgetful(change))
