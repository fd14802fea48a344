"""FakeBedrock refuses what Bedrock refuses, one test for each rule; its frames are read by AWS's own library."""

from __future__ import annotations

import copy
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw_testing import FakeBedrock
from compatgw_testing.fakes.bedrock.signature import fault as wrong
from tests.testing.driver import Reply, request

KEY = "bedrock-api-key-1"
MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
USER = {"role": "user", "content": [{"text": "Hi"}]}
CALLS = {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t1", "name": "f", "input": {}}}]}
RESULT = {"role": "user", "content": [{"toolResult": {"toolUseId": "t1", "content": [{"text": "1"}]}}]}
SPEC = {"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}
TOOLS = {"tools": [SPEC]}
POINT = {"cachePoint": {"type": "default"}}


def talk(*messages: Any, **members: Any) -> dict[str, Any]:
    """A request with these messages."""
    return {"messages": list(messages), **members}


def said(*blocks: Any) -> dict[str, Any]:
    """A user message with these blocks."""
    return {"role": "user", "content": list(blocks)}


def document(name: str = "a", **members: Any) -> dict[str, Any]:
    """A document."""
    return {"document": {"name": name, "format": "txt", "source": {"bytes": "aGk="}, **members}}


REFUSED: dict[str, tuple[Any, str]] = {
    "body is an object": ([1], "body"),
    "messages are needed": ({}, "messages"),
    "messages are not empty": (talk(), "messages"),
    "unknown member": (talk(USER, model="x"), "extraneous key"),
    "the user begins": (talk({"role": "assistant", "content": [{"text": "a"}]}), "start with a user message"),
    "roles alternate": (talk(USER, USER), "alternate"),
    "content is not empty": (talk(said()), "is empty"),
    "a point is no content": (talk(said(POINT)), "is empty"),
    "blank text": (talk(said({"text": " "})), "is blank"),
    "one member in a block": (talk(said({"text": "a", **POINT})), "Exactly one member"),
    "tools are needed": (talk(USER, CALLS, RESULT), "toolConfig field must be defined"),
    "results are needed": (talk(USER, CALLS, USER, toolConfig=TOOLS), "t1"),
    "results at the end": (talk(USER, CALLS, toolConfig=TOOLS), "t1"),
    "a call is needed": (talk(RESULT, toolConfig=TOOLS), "none"),
    "input is an object": (
        talk(USER, {"role": "assistant", "content": [{"toolUse": {"toolUseId": "a", "name": "f", "input": "x"}}]}, toolConfig=TOOLS),
        "input",
    ),
    "ids": (talk(USER, {"role": "assistant", "content": [{"toolUse": {"toolUseId": "a b", "name": "f", "input": {}}}]}, toolConfig=TOOLS), "toolUseId"),
    "no calls of the user": (talk(said(*CALLS["content"]), toolConfig=TOOLS), "not allowed in a user"),
    "no images of the assistant": (
        talk(USER, {"role": "assistant", "content": [{"image": {"format": "png", "source": {"bytes": "aGk="}}}]}),
        "not allowed in an assistant",
    ),
    "schema is an object": (talk(USER, toolConfig={"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {}}}}]}), "must be one of"),
    "names are unique": (talk(USER, toolConfig={"tools": [SPEC, SPEC]}), "unique"),
    "a description is not empty": (
        talk(USER, toolConfig={"tools": [{"toolSpec": {**SPEC["toolSpec"], "description": ""}}]}),
        "description",
    ),
    "a choice is among the tools": (talk(USER, toolConfig={**TOOLS, "toolChoice": {"tool": {"name": "g"}}}), "'g'"),
    "one choice": (talk(USER, toolConfig={**TOOLS, "toolChoice": {"any": {}, "auto": {}}}), "Exactly one member"),
    "temperature range": (talk(USER, inferenceConfig={"temperature": 1.5}), "temperature"),
    "maxTokens range": (talk(USER, inferenceConfig={"maxTokens": 0}), "maxTokens"),
    "one kind of sampling": (talk(USER, inferenceConfig={"temperature": 0.5, "topP": 0.5}), "cannot both"),
    "a budget leaves room": (
        talk(USER, inferenceConfig={"maxTokens": 1024}, additionalModelRequestFields={"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        "greater than",
    ),
    "a budget is large enough": (
        talk(USER, additionalModelRequestFields={"thinking": {"type": "enabled", "budget_tokens": 10}}),
        "at least 1024",
    ),
    "thinking fixes sampling": (
        talk(USER, inferenceConfig={"temperature": 0.5}, additionalModelRequestFields={"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        "only be set to 1",
    ),
    "thinking and a forced call": (
        talk(USER, toolConfig={**TOOLS, "toolChoice": {"any": {}}}, additionalModelRequestFields={"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        "may not be enabled",
    ),
    "signatures are its own": (
        talk(USER, {"role": "assistant", "content": [{"reasoningContent": {"reasoningText": {"text": "a", "signature": "x"}}}, {"text": "b"}]}, USER),
        "Invalid `signature`",
    ),
    "names of documents": (talk(said({"text": "a"}, document("a.b"))), "alphanumeric"),
    "documents have names of their own": (talk(said({"text": "a"}, document(), document())), "twice"),
    "a document needs a word": (talk(said(document())), "text block"),
    "media is base64": (talk(said({"text": "a"}, document(source={"bytes": "???"}))), "base64"),
    "an image is what it says": (talk(said({"image": {"format": "jpeg", "source": {"bytes": "iVBORw0KGgo="}}})), "does not match"),
    "no links": (talk(said({"image": {"format": "png", "source": {"url": "https://x.test"}}})), "extraneous key"),
    "four points": (talk(said(*[{"text": "a"}, POINT] * 5)), "at most 4"),
    "white space at the end": (talk(USER, {"role": "assistant", "content": [{"text": "a "}]}), "trailing whitespace"),
}  # fmt: skip


async def asked(fake: FakeBedrock, body: Any, path: str = f"/model/{MODEL}/converse") -> Reply:
    """The answer to one request."""
    return await request(fake, path, body, headers={"authorization": f"Bearer {KEY}"})


@pytest.mark.parametrize("rule", REFUSED)
async def test_what_the_service_refuses_is_refused(rule: str) -> None:
    """400 in its words, with the class in a header; a lenient fake takes what can be read."""
    body, words = REFUSED[rule]
    reply = await asked(FakeBedrock(KEY), body)

    assert reply.status == 400
    assert words in reply.json["message"]
    assert reply.headers["x-amzn-errortype"].partition(":")[0] in ("ValidationException", "SerializationException")


GOOD = talk(
    said(
        {"text": "Hi"},
        document("My report (1)"),
        {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}},
        POINT,
    ),
    CALLS,
    {"role": "user", "content": [*RESULT["content"], {"text": "more"}]},
    {"role": "assistant", "content": [{"text": "b"}]},
    USER,
    system=[{"text": "Be kind"}, POINT],
    toolConfig={"tools": [SPEC, POINT], "toolChoice": {"auto": {}}},
    inferenceConfig={"maxTokens": 100, "temperature": 0.5, "stopSequences": ["x"]},
    additionalModelRequestFields={"top_k": 5},
    requestMetadata={"team": "a"},
    serviceTier={"type": "flex"},
)


async def test_a_good_request_is_answered() -> None:
    """With everything in it."""
    fake = FakeBedrock(KEY)
    before = copy.deepcopy(GOOD)
    reply = await asked(fake, GOOD)

    assert reply.status == 200
    assert before == GOOD
    read = fake.calls[-1].request
    assert read is not None
    assert (read.system, read.limit, list(read.tools)) == ("Be kind", 100, ["f"])


# --- keys ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({}, "MissingAuthenticationToken"),
        ({"authorization": "Bearer no"}, "AccessDenied"),
        ({"x-api-key": KEY}, "MissingAuthenticationToken"),
    ],
)
async def test_a_wrong_key_is_refused(headers: dict[str, str], kind: str) -> None:
    """403, by its class."""
    reply = await request(FakeBedrock(KEY), f"/model/{MODEL}/converse", talk(USER), headers=headers)

    assert reply.status == 403
    assert kind in reply.headers["x-amzn-errortype"]


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("Bearer x", "IncompleteSignature"),
        ("AWS4-HMAC-SHA256 Credential=OTHER/20260101/r/bedrock/aws4_request, SignedHeaders=host, Signature=" + "0" * 64, "UnrecognizedClient"),
        ("AWS4-HMAC-SHA256 Credential=ID/20260102/r/bedrock/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + "0" * 64, "IncompleteSignature"),
        ("AWS4-HMAC-SHA256 Credential=ID/20260101/r/bedrock/aws4_request, SignedHeaders=host, Signature=" + "0" * 64, "InvalidSignature"),
        ("AWS4-HMAC-SHA256 Credential=ID/20260101/r/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + "0" * 64, "InvalidSignature"),
        ("AWS4-HMAC-SHA256 Credential=ID/20260101/r/bedrock/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + "0" * 64, "InvalidSignature"),
    ],
)  # fmt: skip
def test_a_wrong_signature_is_known(header: str, kind: str) -> None:
    """By what is wrong with it."""
    headers = {"authorization": header, "host": "h", "x-amz-date": "20260101T000000Z"}
    found = wrong(("ID", "secret"), "POST", "/", {}, headers, b"")

    assert found is not None
    assert kind in found[0]


def test_a_right_signature_passes() -> None:
    """As AWS's own library writes it."""
    auth = pytest.importorskip("botocore.auth", reason="botocore is not installed")
    credentials = import_module("botocore.credentials").Credentials
    signed = import_module("botocore.awsrequest").AWSRequest(
        "POST", "http://h.test:8080/model/a%3A0/converse?b=1&a=%20", {"Content-Type": "application/json"}, b"{}"
    )
    auth.SigV4Auth(credentials("ID", "secret", "token"), "bedrock", "eu-west-1").add_auth(signed)
    headers = {"host": "h.test:8080", **{name.lower(): value for name, value in signed.headers.items()}}

    assert wrong(("ID", "secret"), "POST", "/model/a%3A0/converse", {"b": "1", "a": " "}, headers, b"{}") is None
    assert wrong(("ID", "secret"), "POST", "/model/a%3A0/converse", {"b": "1", "a": " "}, headers, b"{} ") is not None


# --- answers ---------------------------------------------------------------------------------


async def test_aws_own_library_reads_its_answers() -> None:
    """Whole and streamed, by the service's model."""
    loaders = pytest.importorskip("botocore.loaders", reason="botocore is not installed")
    eventstream, model, parsers = (import_module(f"botocore.{name}") for name in ("eventstream", "model", "parsers"))
    service = model.ServiceModel(loaders.Loader().load_service_model("bedrock-runtime", "service-2"))
    parser = parsers.RestJSONParser()
    fake = FakeBedrock(KEY)
    fake.reply("Hello", reasoning="Hm").reply("Hello", reasoning="Hm")
    whole = await asked(fake, talk(USER))
    found = parser.parse(
        {"status_code": 200, "headers": whole.headers, "body": whole.raw},
        service.operation_model("Converse").output_shape,
    )
    assert found["output"]["message"]["content"][-1] == {"text": "Hello"}

    live = await asked(fake, talk(USER), f"/model/{MODEL}/converse-stream")
    buffer = eventstream.EventStreamBuffer()
    buffer.add_data(live.raw)
    shape = service.operation_model("ConverseStream").output_shape.members["stream"]
    events = [parsers.EventStreamJSONParser().parse(event.to_response_dict(), shape) for event in buffer]
    assert [next(iter(event)) for event in events] == [
        "messageStart", *["contentBlockDelta"] * 2, "contentBlockStop", "contentBlockDelta", "contentBlockStop",
        "messageStop", "metadata",
    ]  # fmt: skip
    assert events[-1]["metadata"]["usage"]["totalTokens"] > 0


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [("context_length", 400, "Validation"), ("quota", 400, "ServiceQuotaExceeded"), ("key", 403, "UnrecognizedClient"),
     ("model", 400, "Validation"), ("rate_limit", 429, "Throttling"), ("overloaded", 503, "ServiceUnavailable"), ("server", 500, "InternalServer")],
)  # fmt: skip
async def test_scripted_failures(name: str, status: int, kind: str) -> None:
    """In the service's words and classes."""
    fake = FakeBedrock(KEY)
    fake.fail(name)
    reply = await asked(fake, talk(USER))

    assert reply.status == status
    assert reply.headers["x-amzn-errortype"].startswith(kind)


async def test_a_failure_within_a_stream() -> None:
    """An exception in a frame of its own, after which nothing comes."""
    fake = FakeBedrock(KEY)
    fake.fault("Hello there", error_after=2, error=429)
    live = await asked(fake, talk(USER), f"/model/{MODEL}/converse-stream")

    assert live.status == 200
    assert b"throttlingException" in live.raw
    assert b"metadata" not in live.raw


async def test_unknown_models_paths_and_bodies() -> None:
    """As the service answers them."""
    fake = FakeBedrock(KEY, models=[MODEL])
    assert (await asked(fake, talk(USER), "/model/other/converse")).json[
        "message"
    ] == "The provided model identifier is invalid."
    assert (await asked(fake, talk(USER), "/model/other/news")).status == 404
    fake.reply("a")
    assert (await asked(fake, talk(USER))).status == 200


_junk = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "text", "user", "aGk="]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["text", "role", "bytes"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path into a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for name, inner in items for place in places(inner, (*at, name)))]


def changed(value: Any, at: tuple[Any, ...], junk: Any) -> Any:
    """`value` with something else in one place."""
    if not at:
        return junk
    if isinstance(value, dict):
        return {name: changed(inner, at[1:], junk) if name == at[0] else inner for name, inner in value.items()}
    return [changed(inner, at[1:], junk) if number == at[0] else inner for number, inner in enumerate(value)]


@settings(max_examples=150, deadline=None)
@given(place=st.sampled_from(places(GOOD)), junk=_junk, strict=st.booleans(), stream=st.booleans())
async def test_whatever_stands_in_whichever_place_is_answered_or_refused(
    place: tuple[Any, ...], junk: Any, strict: bool, stream: bool
) -> None:
    """The fake itself never breaks."""
    fake = FakeBedrock(KEY, strict=strict)
    reply = await asked(fake, changed(GOOD, place, junk), f"/model/{MODEL}/converse{'-stream' if stream else ''}")

    assert reply.failure is None
    assert reply.status in (200, 400)
