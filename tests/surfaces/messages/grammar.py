"""The order of a stream's events as Anthropic documents it, and the message that the SDK puts together of them.

What does not live here: tests.
"""

from __future__ import annotations

from typing import Any

import anthropic
import httpx2

DELTAS = {"text_delta": "text", "input_json_delta": "tool_use", "thinking_delta": "thinking"}


def check(events: list[dict[str, Any]], *, failed: bool = False) -> None:
    """`message_start`; blocks one after the other, from 0; one `message_delta`; `message_stop`.

    Args:
        events: By their data.
        failed: An `error` ends it instead, wherever it has come to.
    """
    told = [event for event in events if event["type"] != "ping"]
    if failed:
        assert told.pop()["type"] == "error"
        assert all(event["type"] not in ("message_stop", "error") for event in told)
    first, *rest = told
    assert first["type"] == "message_start"
    message = first["message"]
    assert message["content"] == []
    assert message["stop_reason"] is None
    assert {"input_tokens", "output_tokens"} <= message["usage"].keys()
    number, block, signed = 0, None, False
    for place, event in enumerate(rest):
        match event["type"]:
            case "content_block_start":
                assert block is None, "a block ends before the next begins"
                assert event["index"] == number
                block, signed = event["content_block"]["type"], False
            case "content_block_delta":
                assert event["index"] == number
                kind = event["delta"]["type"]
                assert not signed, "a signature comes last in its block"
                signed = kind == "signature_delta"
                assert block == ("thinking" if signed else DELTAS[kind])
            case "content_block_stop":
                assert block is not None
                assert event["index"] == number
                number, block = number + 1, None
            case "message_delta":
                assert block is None
                assert event["delta"]["stop_reason"]
                assert [e["type"] for e in rest[place + 1 :]] == ([] if failed else ["message_stop"])
            case kind:
                assert kind == "message_stop"
                assert place == len(rest) - 1
    if not failed:
        assert [e["type"] for e in rest[-2:]] == ["message_delta", "message_stop"]


def accumulated(stream: bytes, status: int = 200) -> dict[str, Any]:
    """The final message of the SDK's own accumulator."""

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers={"content-type": "text/event-stream"}, content=stream)

    with (
        httpx2.Client(transport=httpx2.MockTransport(answer)) as http,
        anthropic.Anthropic(api_key="k", base_url="http://gateway.test", http_client=http, max_retries=0) as client,
        client.messages.stream(model="m", max_tokens=8, messages=[{"role": "user", "content": "hi"}]) as events,
    ):
        return events.get_final_message().to_dict(exclude_unset=False, warnings=False)
