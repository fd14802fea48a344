"""FakeOpenAI refuses on every surface what OpenAI refuses, one test for each rule."""

from typing import Any

import pytest

from compatgw_testing import FakeOpenAI
from tests.testing.driver import PNG, SCHEMA
from tests.testing.openai.cases import (
    CALL,
    CASES,
    CUSTOM,
    RESULT,
    THOUGHT,
    TOOL,
    USER,
    Case,
    edit,
    hear,
    paint,
    respond,
    said,
)
from tests.testing.openai.forms import PNG_START, File, post


async def refused(case: Case) -> None:
    """The case is refused in OpenAI's envelope."""
    fake = FakeOpenAI(habit=case.habit)
    path = case.path
    if "{id}" in path:
        path = path.format(id=(await post(fake, "/responses", respond())).json["id"])
    fake.reply("never said")

    reply = await post(fake, path, case.body, form=case.form, method=case.method)

    error = reply.json["error"]
    assert (reply.status, error["type"], error["param"]) == (case.status, "invalid_request_error", case.param), error
    assert case.hint in (error["code"] or "") + error["message"]
    assert reply.headers.get("x-request-id", "req_").startswith("req_")
    assert fake.last.outcome == "refused"
    assert len(fake.unused) == 1, "a refused call takes no step of the script"


@pytest.mark.parametrize("rule", CASES)
async def test_refused(rule: str) -> None:
    """A request against the rule is refused and the member is named."""
    await refused(CASES[rule])


ACCEPTED: dict[str, tuple[str, Any, bool]] = {
    "responses: text": ("/responses", respond(), False),
    "responses: nulls": ("/responses", respond(temperature=None, tools=None, reasoning=None), False),
    "responses: what Codex says of itself": (
        "/responses",
        respond(client_metadata={"x-codex-installation-id": "0199", "x-codex-turn-metadata": "{}"}),
        False,
    ),
    "responses: results in any order": (
        "/responses",
        respond(USER, CALL, {**CALL, "call_id": "b"}, {**RESULT, "call_id": "b"}, RESULT),
        False,
    ),
    "responses: custom calls": (
        "/responses",
        respond(CUSTOM, {"type": "custom_tool_call_output", "call_id": "call_c", "output": "1"}),
        False,
    ),
    "responses: thought and its call": ("/responses", respond(USER, THOUGHT, CALL, RESULT), False),
    "responses: hosted tools": ("/responses", respond(tools=[{"type": "web_search"}, TOOL]), False),
    "responses: parts": (
        "/responses",
        said(
            {"type": "input_text", "text": "a"},
            {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
            {"type": "input_file", "file_url": "https://a.example/a.pdf"},
        ),
        False,
    ),
    "responses: schema": (
        "/responses",
        respond(text={"format": {"type": "json_schema", "name": "a", "schema": SCHEMA, "strict": True}}),
        False,
    ),
    "responses: effort": ("/responses", respond(model="gpt-5", reasoning={"effort": "minimal"}), False),
    "responses: temperature of one that does not think": (
        "/responses",
        respond(model="gpt-5.4", temperature=0),
        False,
    ),
    "embeddings: tokens": ("/embeddings", {"model": "text-embedding-3-large", "input": [[1, 2], [3]]}, False),
    "moderations: parts": (
        "/moderations",
        {"input": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "https://a/b"}}]},
        False,
    ),
    "images: any size": ("/images/generations", paint(model="gpt-image-2", size="640x480"), False),
    "images: edit": ("/images/edits", edit(n="2"), True),
    "images: edit several": ("/images/edits", paint(image=[File("a.png", PNG_START)] * 2), True),
    "hearing: granularities": (
        "/audio/transcriptions",
        hear(response_format="verbose_json", timestamp_granularities=["word", "segment"]),
        True,
    ),
    "hearing: logprobs": ("/audio/transcriptions", hear(model="gpt-4o-transcribe", include=["logprobs"]), True),
    "completions: no prompt": ("/completions", {"model": "davinci-002"}, False),
}


@pytest.mark.parametrize("rule", ACCEPTED)
async def test_accepted(rule: str) -> None:
    """What OpenAI takes, the fake takes."""
    path, body, form = ACCEPTED[rule]

    reply = await post(FakeOpenAI(), path, body, form=form)

    assert reply.status == 200, reply.raw


@pytest.mark.parametrize("path", ["/responses", "/embeddings", "/moderations", "/images/generations", "/completions"])
async def test_lenient_on_request(path: str) -> None:
    """`strict=False` answers what the vendor would refuse, if it can be read."""
    body = {"model": "m", "input": "Hi", "prompt": "Hi", "surprise": 1}

    assert (await post(FakeOpenAI(strict=False), path, body)).status == 200


@pytest.mark.parametrize("path", ["/responses", "/embeddings", "/moderations", "/images/generations", "/audio/speech"])
@pytest.mark.parametrize("body", [[], {}, {"input": {"a": 1}, "prompt": 5}, "text", None])
async def test_what_nobody_can_read_is_refused_even_so(path: str, body: Any) -> None:
    """`strict=False` never breaks: a body that says nothing is a 400, or an answer."""
    reply = await post(FakeOpenAI(strict=False), path, body)

    assert reply.status in (200, 400)


@pytest.mark.parametrize(
    ("path", "members"),
    [
        ("/completions", {"n": 10**9}),
        ("/images/generations", {"n": 10**9}),
        ("/images/generations", {"size": "99999x1"}),
        ("/embeddings", {"dimensions": 10**9}),
        ("/embeddings", {"input": ["a"] * 2049}),
    ],
)
async def test_no_number_makes_a_lenient_fake_work_for_ever(path: str, members: dict[str, Any]) -> None:
    """Beyond what any vendor gives, `strict=False` refuses, too."""
    reply = await post(FakeOpenAI(strict=False), path, {"model": "m", "input": "Hi", "prompt": "Hi", **members})

    assert reply.status == 400
