"""Cohere's recorded answers as turns of a script, and recorded requests put to the fake.

What does not live here: reading and comparing (`exchanges.py`), exceptions (`odd.py`).
"""

from dataclasses import replace
from typing import Any

from compatgw_testing import FakeCohere
from compatgw_testing.script import ToolCall, Turn, Usage
from tests.testing.driver import Reply, request
from tests.testing.exchanges import Record

_FINISH = {"COMPLETE": "stop", "MAX_TOKENS": "length", "TOOL_CALL": "tool_calls"}


def asked(record: Record) -> Record:
    """The exchange; with the smallest request that fits if none was recorded."""
    if record.body is not None or record.method == "GET":
        return record
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": record.streamed}
    if thought_in(record):
        body["thinking"] = {"type": "enabled"}
    return replace(record, body=body, path="/v2/chat")


def thought_in(record: Record) -> str:
    """What was thought, apart from a tool plan."""
    if record.streamed:
        deltas = [one["delta"]["message"]["content"] for one in record.said if one["type"] == "content-delta"]
        return "".join(one.get("thinking", "") for one in deltas)
    return "".join(one.get("thinking", "") for one in record.answer["message"].get("content") or ())


async def answered(record: Record, *, key: str | None = None, models: list[str] | None = None) -> Reply:
    """What the fake answers to a recorded request, told to say what the vendor said."""
    fake = FakeCohere(models=models)
    if record.kind == "chat-v2" and record.status == 200:
        fake.enqueue(turn_of(record))
    headers = {"authorization": f"Bearer {key or fake.api_key}"}
    return await request(fake, record.path, record.body, method=record.method, headers=headers)


def turn_of(record: Record) -> Turn:
    """A turn that says what the recorded answer says, as far as a script can."""
    message, finish, usage = _whole(record) if record.streamed else _plain(record.answer)
    calls = tuple(
        ToolCall(one["function"]["name"], one["function"]["arguments"], one["id"])
        for one in message.get("tool_calls") or ()
    )
    text = "".join(one.get("text", "") for one in message.get("content") or ()) or message.get("tool_plan")
    told = usage.get("tokens") or usage.get("billed_units")
    return Turn(
        text=text or None,
        reasoning=thought_in(record) or None,
        calls=calls,
        finish=_FINISH.get(finish, finish),
        usage=told and Usage(int(told["input_tokens"]), int(told["output_tokens"])),
    )


def _plain(answer: Any) -> tuple[Any, str, Any]:
    return answer["message"], answer["finish_reason"], answer["usage"]


def _whole(record: Record) -> tuple[Any, str, Any]:
    """Message, finish and usage that a stream makes."""
    text = plan = finish = ""
    calls: list[Any] = []
    usage: Any = {}
    for event in record.said:
        message = (event.get("delta") or {}).get("message") or {}
        if event["type"] == "content-delta":
            text += message["content"].get("text", "")
        elif event["type"] == "tool-plan-delta":
            plan += message["tool_plan"]
        elif event["type"] == "tool-call-start":
            calls.append(message["tool_calls"])
        elif event["type"] == "tool-call-delta":
            calls[-1]["function"]["arguments"] += message["tool_calls"]["function"]["arguments"]
        elif event["type"] == "message-end":
            finish, usage = event["delta"]["finish_reason"], event["delta"]["usage"]
    return {"content": [{"text": text}], "tool_plan": plan, "tool_calls": calls}, finish, usage
