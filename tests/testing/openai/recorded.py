"""Recorded answers of OpenAI and its family as turns of a script, and recorded requests put to the vendor's fake.

What does not live here: reading and comparing (`exchanges.py`), exceptions (`odd.py`).
"""

import json
from dataclasses import replace
from typing import Any

from compatgw_testing import FakeOpenAI, reply
from compatgw_testing.fakes.openai import HABITS
from compatgw_testing.script import ToolCall, Turn, Usage
from tests.testing.driver import Reply, credentials, request
from tests.testing.exchanges import Record

PATHS = {
    "chat": "/chat/completions",
    "error": "/chat/completions",
    "responses": "/responses",
    "embeddings": "/embeddings",
    "images": "/images/generations",
    "moderations": "/moderations",
    "audio": "/audio/speech",
    "completions": "/completions",
    "models": "/models",
}


def habit_of(record: Record) -> str:
    """The habit of the vendor whose recording this is."""
    return f"{record.vendor}-openai" if record.vendor in ("gemini", "anthropic") else record.vendor


def asked(record: Record) -> Record:
    """The exchange; with the smallest request that fits if none was recorded."""
    habit = HABITS[habit_of(record)]
    record = replace(record, path=record.path or habit.base + PATHS[record.kind])
    if record.body is not None or record.method == "GET":
        return record
    body: dict[str, Any] = {"model": "m"}
    body |= {"input": "Hi"} if record.kind == "responses" else {"messages": [{"role": "user", "content": "Hi"}]}
    if record.streamed:
        body["stream"] = True
        asks = record.kind == "chat" and "stream_options" not in habit.refuses
        if asks and any(event.get("usage") for event in record.said):
            body["stream_options"] = {"include_usage": True}
    return replace(record, body=body, method="POST")


async def answered(record: Record, *, key: str | None = None, models: list[str] | None = None) -> Reply:
    """What the fake answers to a recorded request, told to say what the vendor said."""
    fake = FakeOpenAI(habit=habit_of(record), models=models)
    if record.status == 200 and record.method == "POST" and record.kind in ("chat", "responses", "completions"):
        fake.enqueue(turn_of(record))
        if before := record.body.get("previous_response_id"):
            fake.stored.trust(before)
    headers = credentials(fake) if key is None else dict.fromkeys(credentials(fake), f"Bearer {key}")
    return await request(fake, record.path, record.body, method=record.method, headers=headers)


def turn_of(record: Record) -> Turn:
    """A turn that says what the recorded answer says."""
    if record.kind == "responses":
        return _response(record)
    if record.kind == "completions":
        return reply("".join(one["choices"][0].get("text") or "" for one in record.said))
    return _completed(record) if record.streamed else _chat(record.answer["choices"][0], record.answer.get("usage"))


def _chat(choice: Any, usage: Any) -> Turn:
    message = choice["message"]
    text, thought = _content(message.get("content"))
    details = [one.get("text") or "" for one in message.get("reasoning_details") or ()]
    thought = thought or message.get("reasoning_content") or message.get("reasoning") or "".join(details)
    calls = tuple(
        ToolCall(one["function"]["name"], one["function"].get("arguments") or "{}", one["id"])
        for one in message.get("tool_calls") or ()
    )
    finish = choice.get("finish_reason")
    return Turn(
        text=text,
        reasoning=thought or None,
        calls=calls,
        refusal=message.get("refusal") or None,
        finish=finish,
        usage=_usage(usage),
    )


def _content(content: Any) -> tuple[str | None, str]:
    if isinstance(content, dict):
        return json.dumps(content), ""
    if not isinstance(content, list):
        return content, ""
    texts = [one["text"] for one in content if one["type"] == "text"]
    thoughts = [part.get("text", "") for one in content if one["type"] == "thinking" for part in one["thinking"]]
    return "".join(texts), "".join(thoughts)


def _completed(record: Record) -> Turn:
    """The whole of a stream of chunks."""
    text: str | None = None
    message: dict[str, Any] = {"reasoning": "", "refusal": ""}
    calls: dict[Any, dict[str, Any]] = {}
    finish = usage = None
    for event in record.said:
        usage = event.get("usage") or usage
        for choice in event.get("choices") or ():
            delta = choice.get("delta") or {}
            finish = choice.get("finish_reason") or finish
            said, thought = _content(delta.get("content"))
            if said:
                text = (text or "") + said
            details = "".join(one.get("text") or "" for one in delta.get("reasoning_details") or ())
            message["reasoning"] += thought or delta.get("reasoning_content") or delta.get("reasoning") or details
            message["refusal"] += delta.get("refusal") or ""
            for one in delta.get("tool_calls") or ():
                call = calls.setdefault(one.get("index", one.get("id")), {"id": "", "name": "", "arguments": ""})
                call["id"] = one.get("id") or call["id"]
                call["name"] = (one.get("function") or {}).get("name") or call["name"]
                call["arguments"] += (one.get("function") or {}).get("arguments") or ""
    message["tool_calls"] = [
        {"id": one["id"], "function": {"name": one["name"], "arguments": one["arguments"]}} for one in calls.values()
    ]
    return _chat({"message": {**message, "content": text}, "finish_reason": finish}, usage)


def _response(record: Record) -> Turn:
    answer = record.said[-1]["response"] if record.streamed else record.answer
    text = refusal = None
    thought = ""
    calls: list[ToolCall] = []
    for item in answer["output"]:
        if item["type"] == "message":
            for part in item["content"]:
                text = (text or "") + part["text"] if part["type"] == "output_text" else text
                refusal = part["refusal"] if part["type"] == "refusal" else refusal
        elif item["type"] == "function_call":
            calls.append(ToolCall(item["name"], item["arguments"], item["call_id"]))
        elif item["type"] == "reasoning":
            parts = [*(item.get("summary") or ()), *(item.get("content") or ())]
            thought += "".join(one["text"] for one in parts) or "Hm."
    usage = answer.get("usage") or {}
    finish = "length" if answer["status"] == "incomplete" else None
    told = {
        "prompt_tokens": usage.get("input_tokens"),
        "completion_tokens": usage.get("output_tokens"),
        "prompt_tokens_details": usage.get("input_tokens_details"),
    }
    return Turn(
        text=text,
        refusal=refusal,
        reasoning=thought or None,
        calls=tuple(calls),
        finish=finish,
        usage=_usage(told),
    )


def _usage(usage: Any) -> Usage | None:
    if not usage or usage.get("prompt_tokens") is None or usage.get("completion_tokens") is None:
        return None
    read, written = usage["prompt_tokens"], usage["completion_tokens"]
    details = usage.get("prompt_tokens_details") or {}
    cached = min(read, details.get("cached_tokens") or 0)
    kept = min(read - cached, details.get("cache_write_tokens") or 0)
    thought = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    return Usage(read, written, cached=cached, cache_write=kept, reasoning=min(thought, written))
