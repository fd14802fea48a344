"""Images to a model that sees none: they are put into words by the configured vision model, where they stood."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from compatgw import Ended, Gateway
from tests.canned import Canned, completion
from tests.flow.upstreams import Turns, error_of, good, post, streamed

BLIND = "deepseek/deepseek-chat"
SEEING = "openai/gpt-4o-mini"
PNG = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode()
GIF = "data:image/gif;base64," + base64.b64encode(b"GIF89a" + bytes(40)).decode()


def image(url: str = PNG) -> dict[str, Any]:
    """An image part."""
    return {"type": "image_url", "image_url": {"url": url}}


def says(text: str) -> dict[str, Any]:
    """A text part."""
    return {"type": "text", "text": text}


def asking(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    """One message of these parts."""
    return [{"role": "user", "content": list(parts)}]


def house(seeing: Any, blind: Any, **settings: Any) -> Gateway:
    """A model that sees and one that does not."""
    return Gateway(
        providers={
            "openai": {"app": seeing, "base_url": "http://o/v1", "api_key": "o"},
            "deepseek": {"app": blind, "base_url": "http://d/v1", "api_key": "d"},
        },
        environ={},
        retries={"most": 0},
        **{"keys": ["k"], "vision": {"model": SEEING}, **settings},
    )


@pytest.mark.parametrize("stream", [False, True])
async def test_an_image_becomes_words_at_its_place(stream: bool) -> None:
    """The text around it stays, and the answer says who described it."""
    seeing, blind = good("A red fox."), streamed() if stream else good()
    got = await post(
        house(seeing, blind),
        model=BLIND,
        messages=asking(says("Before."), image(), says("After.")),
        stream=stream,
    )

    assert (got.status_code, got.headers["x-vision-fallback"]) == (200, SEEING)
    (sent,) = blind.asked[0]["messages"]
    assert [part["text"] for part in sent["content"]] == ["Before.", "[Image: A red fox.]", "After."]
    (question,) = seeing.asked
    assert question["messages"][0]["content"][1] == image()


async def test_the_same_image_is_described_once() -> None:
    """In one call, and for the calls after it; another image is another matter."""
    seeing, blind = Turns(good("One."), good("Two.")), good()
    app = house(seeing, blind)
    await post(app, model=BLIND, messages=asking(image(), image()))
    await post(app, model=BLIND, messages=asking(image()))
    assert seeing.calls == 1
    await post(app, model=BLIND, messages=asking(image(GIF)))

    assert seeing.calls == 2
    assert blind.asked[0]["messages"][0]["content"] == [says("[Image: One.]"), says("[Image: One.]")]


async def test_another_teams_description_is_not_told() -> None:
    """Whose image it is may matter: each caller's is described for itself."""
    seeing = Turns(good("One."), good("Two."))
    app = house(seeing, good(), keys=["k", "other"])
    await post(app, model=BLIND, messages=asking(image()))
    await post(app, {"authorization": "Bearer other"}, model=BLIND, messages=asking(image()))

    assert seeing.calls == 2


async def test_without_an_image_nobody_is_asked() -> None:
    """And no header says so."""
    seeing = good()
    got = await post(house(seeing, good()), model=BLIND)

    assert (got.status_code, seeing.asked) == (200, [])
    assert "x-vision-fallback" not in got.headers


async def test_a_model_that_sees_is_shown_the_image_itself() -> None:
    """It needs no words."""
    seeing = good()
    got = await post(house(seeing, good()), model=SEEING, messages=asking(image()))

    assert "x-vision-fallback" not in got.headers
    assert seeing.asked[0]["messages"][0]["content"] == [image()]


async def test_a_description_that_fails_fails_the_call() -> None:
    """What the model would say without having seen would be made up."""
    blind = good()
    got = await post(house(Canned(b"{}", 500), blind), model=BLIND, messages=asking(image()))

    assert (got.status_code, blind.asked) == (502, [])


async def test_a_description_of_nothing_fails_the_call() -> None:
    """An empty answer is no description."""
    got = await post(house(good(""), good()), model=BLIND, messages=asking(image()))

    assert got.status_code == 502
    assert "vision model" in error_of(got)["message"]


async def test_a_required_vision_is_not_met_by_words() -> None:
    """`require_vision` asks for a model that sees."""
    got = await post(house(good(), good()), model=BLIND, messages=asking(image()), require_vision=True)

    assert (got.status_code, error_of(got)["code"]) == (404, "model_not_found")


async def test_without_a_vision_model_the_image_goes_as_it_is_refused() -> None:
    """Nothing is described unless it is configured."""
    seeing = good()
    await post(house(seeing, Canned(completion(), 400), vision={}), model=BLIND, messages=asking(image()))

    assert seeing.asked == []


async def test_a_plan_says_that_images_are_described() -> None:
    """`X-Gateway-Explain`, and nobody is called."""
    seeing = good()
    got = await post(house(seeing, good()), {"X-Gateway-Explain": "1"}, model=BLIND, messages=asking(image()))

    assert got.json()["targets"][0]["describes_images"] is True
    assert seeing.asked == []


async def test_what_describing_costs_is_part_of_the_calls_cost() -> None:
    """Once: a description that is kept costs nothing any more."""
    told: list[Ended] = []
    app = house(good("A red fox."), good(), on_call=told.append)
    await post(app, model=BLIND, messages=asking(says("hi")))
    for _ in range(2):
        await post(app, model=BLIND, messages=asking(image()))
    plain, first, again = [ended.cost for ended in told]

    assert plain is not None
    assert first is not None
    assert first > plain
    assert again == plain
