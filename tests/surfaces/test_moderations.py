"""What the moderations surface takes and refuses, and what OpenAI's SDK reads of its answers."""

from __future__ import annotations

from typing import Any

import httpx2
import openai
import orjson
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.moderation_create_response import ModerationCreateResponse

from compatgw.dialects.base import Result
from compatgw.errors import InvalidRequest, UnsupportedParameter
from compatgw.surfaces.base import View
from compatgw.surfaces.moderations import MODERATIONS, ModerationsFace, parse
from compatgw.wire.moderations import CATEGORIES
from compatgw_testing.fakes import FakeOpenAI

from .piping import Pipe
from .vendors import MISTRAL

PICTURE: Any = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}


def refused(body: Any) -> InvalidRequest:
    """What is wrong with `body`."""
    with pytest.raises(InvalidRequest) as caught:
        parse(body if isinstance(body, bytes) else orjson.dumps(body))
    return caught.value


# --- requests --------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["a", "", ["a", "b"], [{"type": "text", "text": "a"}, PICTURE]])
def test_the_three_forms_of_input_go_through_as_they_are(given: Any) -> None:
    """One text, several, or the parts of one message; without a model it is OpenAI's own default."""
    got = parse(orjson.dumps({"input": given, "user": None})).request

    assert got == {"model": "omni-moderation-latest", "input": given}


def test_null_members_of_parts_are_left_out() -> None:
    """At every level that OpenAI defines."""
    part = {"type": "image_url", "image_url": {"url": "https://x/y", "detail": None}, "text": None}
    got = parse(orjson.dumps({"model": "m", "input": [part], "stream": False})).request

    assert got == {"model": "m", "input": [{"type": "image_url", "image_url": {"url": "https://x/y"}}]}


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (b"", None, "invalid_json"),
        (b'{"input": NaN}', None, "invalid_json"),
        (b'{"input": ' + b"[" * 230 + b"]" * 230 + b"}", None, "invalid_json"),
        ("a", None, "invalid_type"),
        ({}, "input", "missing_parameter"),
        ({"input": None}, "input", "missing_parameter"),
        ({"input": []}, "input", "invalid_value"),
        ({"input": 5}, "input", "invalid_type"),
        ({"input": {"type": "text", "text": "a"}}, "input", "invalid_type"),
        ({"input": ["a", {"type": "text", "text": "a"}]}, "input[1]", "invalid_type"),
        ({"input": [{"type": "text", "text": "a"}, "a"]}, "input[1]", "invalid_type"),
        ({"input": ["a", None]}, "input[1]", "invalid_type"),
        ({"input": [None]}, "input[0]", "invalid_type"),
        ({"input": [1]}, "input[0]", "invalid_type"),
        ({"input": [["a"]]}, "input[0]", "invalid_type"),
        ({"input": [{"text": "a"}]}, "input[0].type", "missing_parameter"),
        ({"input": [{"type": "video", "text": "a"}]}, "input[0].type", "invalid_value"),
        ({"input": [{"type": "text"}]}, "input[0].text", "missing_parameter"),
        ({"input": [{"type": "text", "text": 5}]}, "input[0].text", "invalid_type"),
        ({"input": [{"type": "image_url", "image_url": "x"}]}, "input[0].image_url", "invalid_type"),
        ({"input": [{"type": "image_url", "image_url": {}}]}, "input[0].image_url.url", "missing_parameter"),
        ({"input": ["a"] * 2049}, "input", "invalid_value"),
        ({"input": "a", "model": ""}, "model", "invalid_value"),
        ({"input": "a", "model": 5}, "model", "invalid_type"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(body: Any, param: str | None, code: str) -> None:
    """The first thing that is wrong, as a caller can mend it."""
    error = refused(body)

    assert (error.status, error.param, error.code) == (400, param, code)
    assert error.message.endswith(".")


def test_there_are_no_streams() -> None:
    """Silence would leave a client waiting for events."""
    error = refused({"input": "a", "stream": True})

    assert isinstance(error, UnsupportedParameter)
    assert error.param == "stream"


# --- answers ---------------------------------------------------------------------------------


def test_bytes_that_need_no_change_are_the_upstreams_own() -> None:
    """Unless the model that was asked for is to be told."""
    found = parse(b'{"model": "asked", "input": "a"}')
    result = Result({"id": "i", "model": "own", "results": []}, data=b"raw")

    assert ModerationsFace(found, View("id", 1)).whole(result) == b"raw"
    assert orjson.loads(ModerationsFace(found, View("id", 1, True)).whole(result))["model"] == "asked"


def pipe(provider: str = "openai", model: str = "omni-moderation-latest") -> Pipe:
    """A bench over that provider."""
    fake = FakeOpenAI()
    app: Any = fake if provider == "openai" else MISTRAL
    return Pipe(MODERATIONS, provider, app, key=fake.api_key, model=model)


def over(app: Pipe) -> AsyncOpenAI:
    """The SDK's asynchronous client, in process."""
    client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app))
    return AsyncOpenAI(base_url="http://test/v1", api_key="k", max_retries=0, http_client=client)


def valid(got: ModerationCreateResponse) -> None:
    """Every member that the SDK's types insist on is there, in its type."""
    ModerationCreateResponse.model_validate(got.model_dump(by_alias=True), strict=True)


@pytest.mark.parametrize("model", ["omni-moderation-latest", "text-moderation-latest"])
async def test_the_sdk_reads_every_category(model: str) -> None:
    """Also of the older models, which have fewer: those that nobody judged are false, with no input type."""
    async with over(pipe(model=model)) as ai:
        got = await ai.moderations.create(input=["I will kill you", "a nice day"])

    valid(got)
    first, second = got.results
    assert first.flagged
    assert first.categories.violence
    assert first.category_scores.violence > 0.5
    assert not second.flagged
    shown = first.category_applied_input_types.model_dump(by_alias=True)
    assert set(shown) == set(CATEGORIES)
    assert shown["violence"] == ["text"]
    assert shown["illicit"] == ([] if model.startswith("text") else ["text"])


async def test_the_sdk_reads_the_judgement_of_an_image() -> None:
    """The parts of one message have one result."""
    bench = pipe()
    async with over(bench) as ai:
        got = await ai.moderations.create(input=[{"type": "text", "text": "a"}, PICTURE], model="m")

    valid(got)
    assert len(got.results) == 1
    assert got.results[0].category_applied_input_types.violence == ["text", "image"]


async def test_the_sdk_reads_mistrals_judgement() -> None:
    """Its categories get OpenAI's names where there are such; its own stand beside them and count as well."""
    bench = pipe("mistral", "mistral-moderation-latest")
    async with over(bench) as ai:
        got = await ai.moderations.create(input=["I hate you", "mail me at a@b.c", "a nice day", "steal it"])

    valid(got)
    hate, mail, nice, steal = got.results
    assert hate.flagged
    assert hate.categories.hate
    assert hate.category_scores.hate == 0.9
    assert hate.category_applied_input_types.hate == ["text"]
    assert hate.category_applied_input_types.harassment == []
    assert mail.flagged
    assert mail.categories.model_dump()["pii"] is True
    assert not nice.flagged
    assert steal.categories.illicit
    assert steal.category_scores.illicit == 0.9
    usage = bench.results[0].usage
    assert usage == {"prompt_tokens": 9, "completion_tokens": 0, "total_tokens": 98}


def test_the_synchronous_sdk_over_a_socket(serve: Any) -> None:
    """The same bytes by another road."""
    with OpenAI(base_url=serve(pipe()) + "/v1", api_key="k", max_retries=0) as ai:
        got = ai.moderations.create(input="a nice day")

    valid(got)
    assert got.id.startswith("modr-")
    assert got.model == "omni-moderation-2024-09-26"


async def test_parts_of_text_reach_a_vendor_that_has_no_parts_as_one_text() -> None:
    """They have one result there, too."""
    bench = pipe("mistral", "m")
    status, body = await bench.tell(input=[{"type": "text", "text": "I"}, {"type": "text", "text": "hate"}])

    assert status == 200
    assert bench.bodies == [{"model": "m", "input": "I\nhate"}]
    assert [one["flagged"] for one in body["results"]] == [True]


async def test_images_are_refused_by_a_vendor_that_judges_none() -> None:
    """By their place."""
    async with over(pipe("mistral", "m")) as ai:
        with pytest.raises(openai.BadRequestError) as caught:
            await ai.moderations.create(input=[{"type": "text", "text": "a"}, PICTURE])

    body: Any = caught.value.body
    assert (body["param"], body["code"]) == ("input[1]", "unsupported_parameter")


async def test_members_that_the_vendor_refuses_are_left_out_and_named() -> None:
    """`user` is only a hint."""
    bench = pipe("mistral", "m")
    status, _ = await bench.tell(input="a", user="u", extra=1)

    assert status == 200
    assert bench.sent[0].dropped == ("user", "extra")
