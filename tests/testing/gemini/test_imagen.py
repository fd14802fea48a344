"""Imagen at FakeGemini: judged by Google's SDK, and asked by the gateway for callers of OpenAI's images."""

from __future__ import annotations

import struct
import warnings
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from google.genai import types

from compatgw_testing import FakeGemini
from compatgw_testing.harness import gateway_over
from tests.testing.gemini.cases import PAINTER, PLACE
from tests.testing.gemini.test_sdk import made
from tests.testing.surfaces import put

OLD = "imagen-3.0-generate-002"


@pytest.fixture
async def vertex() -> AsyncIterator[tuple[FakeGemini, Any]]:
    """The SDK in Vertex's express mode, and its fake."""
    fake = FakeGemini()
    async with AsyncExitStack() as stack:
        yield fake, await made(stack, fake, api_key=fake.api_key, vertexai=True)


async def painted(client: Any, model: str = PAINTER, **members: Any) -> Any:
    """What the SDK makes of an answer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the SDK will drop Imagen one day, and says so
        return await client.models.generate_images(
            model=model, prompt="a cat", config=types.GenerateImagesConfig.model_validate(members)
        )


def size_of(image: bytes) -> tuple[int, int]:
    """Width and height of a PNG."""
    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", image[16:24])
    return width, height


async def test_googles_own_sdk_reads_the_images(vertex: tuple[FakeGemini, Any]) -> None:
    """As many as were asked for, else four, each another one, of the ratio, resolution and kind."""
    fake, client = vertex
    four = await painted(client)
    wide = await painted(client, number_of_images=2, aspect_ratio="16:9", image_size="2K")
    photo = await painted(client, OLD, number_of_images=1, output_mime_type="image/jpeg", person_generation="ALLOW_ALL")

    assert len({one.image.image_bytes for one in four.generated_images}) == 4
    assert [size_of(one.image.image_bytes) for one in wide.generated_images] == [(2816, 1536)] * 2
    (jpeg,) = photo.generated_images
    assert (jpeg.image.mime_type, jpeg.image.image_bytes[:2]) == ("image/jpeg", b"\xff\xd8")
    assert fake.last.path.endswith(f"/publishers/google/models/{OLD}:predict")


async def test_a_prompt_made_better_is_told(vertex: tuple[FakeGemini, Any]) -> None:
    """Where the script says what was painted instead."""
    fake, client = vertex
    fake.on(surface="images").reply("a cat, in oil")

    (one,) = (await painted(client, number_of_images=1)).generated_images
    assert one.enhanced_prompt == "a cat, in oil"


async def test_filtered_images_have_no_bytes(vertex: tuple[FakeGemini, Any]) -> None:
    """The reason is told to who asks for it; to others the list is not even there."""
    fake, client = vertex
    fake.on(surface="images").refuse("It shows a person.").refuse("It shows a person.")

    told = await painted(client, number_of_images=2, include_rai_reason=True)
    assert [one.rai_filtered_reason for one in told.generated_images] == ["It shows a person."] * 2
    assert all(one.image is None or one.image.image_bytes is None for one in told.generated_images)
    assert not (await painted(client)).generated_images


async def test_the_same_prompt_gives_the_same_picture() -> None:
    """From the seed of the fake; another prompt gives another."""
    body = {"instances": [{"prompt": "a cat"}], "parameters": {"sampleCount": 1}}
    other = {"instances": [{"prompt": "a dog"}], "parameters": {"sampleCount": 1}}
    where = f"{PLACE}/models/{PAINTER}:predict"
    first, second, third = [(await put(FakeGemini(seed=3), where, one)).json for one in (body, body, other)]

    assert first == second != third


@pytest.mark.parametrize("provider", ["gemini", "vertex"])
async def test_the_gateway_paints_with_imagen(provider: str) -> None:
    """OpenAI's request becomes one that Google takes, its answer OpenAI's; a filtered prompt is the caller's 400."""
    fake = FakeGemini()
    row: dict[str, Any] = {"app": fake, "api_key": fake.api_key}
    if provider == "vertex":
        row |= {"base_url": f"http://google.test{PLACE}", "auth": "bearer", "dialect": "vertex-gemini"}
    app = gateway_over(options={"providers": {provider: row}})
    wanted = {"model": f"{provider}/{PAINTER}", "prompt": "a cat"}
    async with app.client(api_key="test-key") as client:
        got = await client.post("/v1/images/generations", json={**wanted, "n": 2, "size": "1536x1024"})
        fake.on(surface="images").refuse("It shows a person.")
        filtered = await client.post("/v1/images/generations", json=wanted)
        fake.fail(429)
        late = await client.post("/v1/images/generations", json=wanted)

    assert got.status_code == 200, got.text
    assert [size_of(b64decode(one["b64_json"])) for one in got.json()["data"]] == [(1280, 896)] * 2
    assert got.json()["output_format"] == "png"
    assert all(call.path.endswith(f"/models/{PAINTER}:predict") for call in fake.calls)
    assert (filtered.status_code, filtered.json()["error"]["code"]) == (400, "content_blocked")
    assert late.status_code == 429
