"""A request whose signatures an upstream refuses is sent once more without them, by translation or as it came."""

from __future__ import annotations

from typing import Any

import orjson

from compatgw import Gateway
from tests.canned import Canned
from tests.flow.upstreams import Turns, several

REFUSED = orjson.dumps(
    {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "messages.1.content.0: Invalid `signature` in `thinking` block",
        },
    }
)
ANSWER = orjson.dumps(
        {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
            "stop_sequence": None, "content": [{"type": "text", "text": "Hello"}],
            "usage": {"input_tokens": 3, "output_tokens": 2},
        }
)  # fmt: skip
MESSAGES: list[dict[str, Any]] = [
    {"role": "user", "content": "hi"},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "c2lnbmVkIGJ5IHNvbWVib2R5IGVsc2U="},
            {"type": "text", "text": "Hi."},
        ],
    },
    {"role": "user", "content": "and now?"},
]


def house(up: Any) -> Gateway:
    """One upstream that speaks Anthropic's protocol."""
    return several({"one": {"app": up, "dialect": "anthropic"}})


async def ask(app: Gateway) -> Any:
    """By Anthropic's own surface."""
    body = {"model": "one/m", "max_tokens": 50, "messages": MESSAGES}
    async with app.client(api_key="k") as client:
        return await client.post("/v1/messages", json=body)


async def test_a_refused_signature_is_left_out_and_the_request_sent_once_more() -> None:
    """It is still the client's own request: only the thinking is gone."""
    refused, answer = Canned(REFUSED, 400), Canned(ANSWER)
    up = Turns(refused, answer)
    got = await ask(house(up))
    first, second = refused.asked[0], answer.asked[0]

    assert (got.status_code, got.json()["content"]) == (200, [{"type": "text", "text": "Hello"}])
    assert up.calls == 2
    assert [block["type"] for block in first["messages"][1]["content"]] == ["thinking", "text"]
    assert [block["type"] for block in second["messages"][1]["content"]] == ["text"]


async def test_it_is_sent_once_more_and_no_oftener() -> None:
    """An upstream that goes on refusing has the last word."""
    up = Turns(Canned(REFUSED, 400))
    got = await ask(house(up))

    assert (got.status_code, up.calls) == (400, 2)
    assert "signature" in got.json()["error"]["message"]
