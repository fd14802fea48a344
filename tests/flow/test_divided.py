"""Requests of more than an upstream takes in one call: several calls, one answer."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from compatgw import Gateway
from tests.canned import Canned
from tests.flow.upstreams import error_of


class Vectors:
    """Embeds each text as its own number, and fails calls as it is told.

    Attributes:
        calls: Inputs of each call. busy: Calls that are refused at first.
    """

    def __init__(self, model: str, busy: int = 0, fails_on: str = "") -> None:
        self.model = model
        self.calls: list[list[str]] = []
        self.busy = busy
        self.fails_on = fails_on

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The application."""
        inputs = orjson.loads((await receive())["body"])["input"]
        self.calls.append(inputs)
        if self.busy or self.fails_on in inputs:
            self.busy = max(0, self.busy - 1)
            body, status = b'{"error": {"message": "busy"}}', 503
        else:
            data = [
                {"object": "embedding", "index": place, "embedding": [float(text)]} for place, text in enumerate(inputs)
            ]
            usage = {"prompt_tokens": len(inputs), "total_tokens": len(inputs)}
            body = orjson.dumps({"object": "list", "model": self.model, "data": data, "usage": usage})
            status = 200
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]}
        )
        await send({"type": "http.response.body", "body": body})


def house(**upstreams: Any) -> Gateway:
    """These providers, each of which takes two texts a call."""
    return Gateway(
        providers={
            name: {
                "app": app, "base_url": "http://up/v1", "api_key": "x", "models": ["m"],
                "quirks": {"embeddings": {"most": 2}},
            }
            for name, app in upstreams.items()
        },
        keys=["k"],
        environ={},
        retries={"most": 1, "base": 0.0},
        breaker={"streak": 0},
    )  # fmt: skip


async def embed(app: Gateway, count: int, **members: Any) -> Any:
    """So many texts."""
    body = {"model": "one/m", "input": [str(number) for number in range(count)], "encoding_format": "float", **members}
    async with app.client(api_key="k") as client:
        return await client.post("/v1/embeddings", json=body)


@pytest.mark.parametrize("count", [1, 2, 3, 9])
async def test_however_many_there_are_they_come_in_order(count: int) -> None:
    """With indices of the whole, and usage added up."""
    up = Vectors("m")
    got = (await embed(house(one=up), count)).json()

    assert [row["embedding"] for row in got["data"]] == [[float(number)] for number in range(count)]
    assert [row["index"] for row in got["data"]] == list(range(count))
    assert got["usage"]["prompt_tokens"] == count
    assert sorted(map(len, up.calls), reverse=True) == [2] * (count // 2) + [1] * (count % 2)


async def test_all_parts_are_answered_by_the_same_model() -> None:
    """The first part decides: where it falls back, all go there."""
    one, two = Vectors("m-one", busy=9), Vectors("m-two")
    got = await embed(house(one=one, two=two), 6, fallback=["two/m"])

    assert (got.status_code, got.headers["x-provider"]) == (200, "two")
    assert len(one.calls) == 2
    assert len(two.calls) == 3


async def test_a_part_that_fails_later_fails_the_call_rather_than_mixing_models() -> None:
    """Vectors of two models do not compare."""
    one, two = Vectors("m-one", fails_on="5"), Vectors("m-two")
    got = await embed(house(one=one, two=two), 6, fallback=["two/m"])

    assert (got.status_code, two.calls) == (503, [])


async def test_a_part_that_is_busy_once_is_tried_again() -> None:
    """Each part has its own retries."""
    up = Vectors("m", busy=1)
    got = await embed(house(one=up), 4)

    assert got.status_code == 200
    assert len(up.calls) == 3


async def test_a_refusal_of_one_part_is_the_calls() -> None:
    """What is wrong with a text is the caller's to mend."""
    got = await embed(house(one=Canned(b'{"error": {"message": "too long"}}', 400)), 4)

    assert (got.status_code, "too long" in error_of(got)["message"]) == (400, True)
