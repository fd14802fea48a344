"""What the embeddings surface takes and refuses, and in which form it tells vectors."""

from __future__ import annotations

import base64
import math
import struct
from typing import Any

import httpx
import httpx2
import openai
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_openai import OpenAIEmbeddings
from openai import AsyncOpenAI, OpenAI
from pydantic import SecretStr

from compatgw.dialects.base import Result
from compatgw.errors import InvalidRequest, UnsupportedParameter
from compatgw.providers.table import PROVIDERS as PROVIDER_ROWS
from compatgw.surfaces.base import View
from compatgw.surfaces.embeddings import EMBEDDINGS, EmbeddingsFace, parse
from compatgw.wire.embeddings import packed, unpacked
from compatgw_testing.fakes import FakeCohere, FakeGemini, FakeOpenAI
from compatgw_testing.fakes.openai.habits import HABITS

from .piping import Pipe
from .vendors import JINA, MISTRAL, VOYAGE

SINGLE = st.floats(width=32, allow_nan=False, allow_infinity=False)


def parsed(**members: Any) -> Any:
    """The hub request that such a body becomes."""
    return parse(orjson.dumps({"model": "m", "input": "hi", **members})).request


def refused(body: Any) -> InvalidRequest:
    """What is wrong with `body`."""
    with pytest.raises(InvalidRequest) as caught:
        parse(body if isinstance(body, bytes) else orjson.dumps(body))
    return caught.value


# --- requests --------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["a", ["a"], ["a", "b"], [1, 2, 3], [[1, 2], [3]], ["a"] * 2048])
def test_the_four_forms_of_input_go_through_as_they_are(given: Any) -> None:
    """One text, several, token ids, several lists of them."""
    assert parsed(input=given) == {"model": "m", "input": given}


def test_members_that_nobody_knows_are_kept_and_null_ones_left_out() -> None:
    """Vendors have more members than OpenAI; `stream: false` says nothing."""
    got = parsed(user=None, dimensions=None, input_type="query", late_chunking=True, stream=False)

    assert got == {"model": "m", "input": "hi", "input_type": "query", "late_chunking": True}


def test_the_gateways_own_members_are_taken_out() -> None:
    """They are for us, and no upstream hears of them."""
    found = parse(orjson.dumps({"model": "m", "input": "hi", "fallback": ["n"], "gateway": {"timeout": 5000}}))

    assert found.request == {"model": "m", "input": "hi"}
    assert (found.options.fallback, found.options.timeout) == (("n",), 5.0)


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (b"{", None, "invalid_json"),
        (b"[]", None, "invalid_type"),
        (b'{"model": "m", "input": [NaN]}', None, "invalid_json"),
        (b'{"model": "m", "input": ' + b"[" * 300 + b"]" * 300 + b"}", None, "invalid_json"),
        (b'{"model": "m", "input": ' + b"[" * 230 + b"]" * 230 + b"}", None, "invalid_json"),
        ({"input": "a"}, "model", "missing_parameter"),
        ({"model": "m"}, "input", "missing_parameter"),
        ({"model": "m", "input": None}, "input", "missing_parameter"),
        ({"model": "", "input": "a"}, "model", "invalid_value"),
        ({"model": 5, "input": "a"}, "model", "invalid_type"),
        ({"model": "m", "input": ""}, "input", "invalid_value"),
        ({"model": "m", "input": []}, "input", "invalid_value"),
        ({"model": "m", "input": 5}, "input", "invalid_type"),
        ({"model": "m", "input": True}, "input", "invalid_type"),
        ({"model": "m", "input": {"text": "a"}}, "input", "invalid_type"),
        ({"model": "m", "input": ["a", "b", "c", ""]}, "input[3]", "invalid_value"),
        ({"model": "m", "input": ["a", None]}, "input[1]", "invalid_type"),
        ({"model": "m", "input": [None]}, "input[0]", "invalid_type"),
        ({"model": "m", "input": ["a", 5]}, "input[1]", "invalid_type"),
        ({"model": "m", "input": [{"text": "a"}]}, "input[0]", "invalid_type"),
        ({"model": "m", "input": [1, True]}, "input[1]", "invalid_type"),
        ({"model": "m", "input": [True]}, "input[0]", "invalid_type"),
        ({"model": "m", "input": [1.5]}, "input[0]", "invalid_type"),
        ({"model": "m", "input": [1, 2, -3]}, "input[2]", "invalid_value"),
        ({"model": "m", "input": [[1], []]}, "input[1]", "invalid_value"),
        ({"model": "m", "input": [[1], [2, "a"]]}, "input[1][1]", "invalid_type"),
        ({"model": "m", "input": [[1], [2, False]]}, "input[1][1]", "invalid_type"),
        ({"model": "m", "input": ["a"] * 2049}, "input", "invalid_value"),
        ({"model": "m", "input": [[1]] * 2049}, "input", "invalid_value"),
        ({"model": "m", "input": [1] * 300_001}, "input", "invalid_value"),
        ({"model": "m", "input": [[1] * 150_001] * 2}, "input", "invalid_value"),
        ({"model": "m", "input": "a", "encoding_format": "hex"}, "encoding_format", "invalid_value"),
        ({"model": "m", "input": "a", "encoding_format": 1}, "encoding_format", "invalid_value"),
        ({"model": "m", "input": "a", "dimensions": 0}, "dimensions", "invalid_value"),
        ({"model": "m", "input": "a", "dimensions": 1.5}, "dimensions", "invalid_type"),
        ({"model": "m", "input": "a", "dimensions": "8"}, "dimensions", "invalid_type"),
        ({"model": "m", "input": "a", "dimensions": True}, "dimensions", "invalid_type"),
        ({"model": "m", "input": "a", "user": 5}, "user", "invalid_type"),
        ({"model": "m", "input": "a", "input_type": ["query"]}, "input_type", "invalid_type"),
        ({"model": "m", "input": "a", "timeout": "soon"}, "timeout", "invalid_type"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(body: Any, param: str | None, code: str) -> None:
    """The first thing that is wrong, as a caller can mend it."""
    error = refused(body)

    assert (error.status, error.param, error.code) == (400, param, code)
    assert error.message.endswith(".")
    assert len(error.message) < 400


def test_there_are_no_streams_of_vectors() -> None:
    """Silence would leave a client waiting for events."""
    error = refused({"model": "m", "input": "a", "stream": True})

    assert isinstance(error, UnsupportedParameter)
    assert error.param == "stream"


@settings(max_examples=300)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=12,
    )
)
def test_any_input_is_taken_or_refused_with_a_path_to_it(value: Any) -> None:
    """Nothing but `InvalidRequest` comes out, and a request that comes out holds what was sent."""
    try:
        got = parsed(input=value)
    except InvalidRequest as error:
        assert (error.param or "input").startswith("input")
    else:
        assert got["input"] == value


# --- vectors in both forms -------------------------------------------------------------------


@given(st.lists(SINGLE, min_size=1, max_size=50))
def test_numbers_of_32_bits_survive_base64_exactly(values: list[float]) -> None:
    """There and back is the same, to the sign of zero; another reader of the format reads the same."""
    text = packed(values)

    assert list(map(str, unpacked(text))) == list(map(str, values))
    assert struct.pack(f"<{len(values)}f", *unpacked(text)) == base64.b64decode(text, validate=True)


@given(st.binary(min_size=1, max_size=64))
def test_base64_survives_numbers_exactly_unless_it_holds_none(data: bytes) -> None:
    """Bytes that are finite floats come back as they were; any others are refused."""
    text = base64.b64encode(data).decode()
    sound = len(data) % 4 == 0 and all(map(math.isfinite, struct.unpack(f"<{len(data) // 4}f", data)))
    if not sound:
        with pytest.raises(ValueError, match=r"."):
            unpacked(text)
    else:
        assert packed(unpacked(text)) == text


@pytest.mark.parametrize("text", ["", "====", "not base64!", "AAAA", "AAAAAA==\n", "\u00e9\u00e9\u00e9\u00e9"])
def test_what_is_no_vector_is_refused(text: str) -> None:
    """Neither an empty one, nor half a number, nor letters that are no base64."""
    with pytest.raises(ValueError, match=r"."):
        unpacked(text)


def test_a_number_too_large_for_32_bits_becomes_the_largest() -> None:
    """An infinity would spoil every similarity."""
    assert unpacked(packed([1e300, -1e300, 1.0])) == [3.4028234663852886e38, -3.4028234663852886e38, 1.0]


def told(form: str | None, vectors: list[Any], *, data: bytes | None = None, echo: bool = False) -> bytes:
    """What a client that asked for `form` is told."""
    found = parse(orjson.dumps({"model": "asked", "input": "x", "encoding_format": form}))
    rows = [{"object": "embedding", "index": i, "embedding": one} for i, one in enumerate(vectors)]
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    result = Result({"object": "list", "data": rows, "model": "own", "usage": usage}, data=data)
    return EmbeddingsFace(found, View("id", 1, echo)).whole(result)


@pytest.mark.parametrize("form", [None, "float"])
def test_numbers_are_told_whatever_the_upstream_gave(form: str | None) -> None:
    """A mixture of both forms, too."""
    body = orjson.loads(told(form, [packed([0.5, -2.0]), [1, 2.5]], data=b"raw"))

    assert [row["embedding"] for row in body["data"]] == [[0.5, -2.0], [1, 2.5]]
    assert (body["model"], body["object"], body["usage"]["total_tokens"]) == ("own", "list", 1)


def test_base64_is_told_whatever_the_upstream_gave() -> None:
    """Whole numbers are numbers as well."""
    body = orjson.loads(told("base64", [[0.5, -2.0], [1, -128]], data=b"raw"))

    assert [unpacked(row["embedding"]) for row in body["data"]] == [[0.5, -2.0], [1.0, -128.0]]


def test_bytes_that_need_no_change_are_the_upstreams_own() -> None:
    """Not even written again."""
    assert told("float", [[1.0]], data=b"raw") == b"raw"
    assert told("base64", [packed([1.0])], data=b"raw") == b"raw"


def test_the_model_that_was_asked_for_is_echoed_on_wish() -> None:
    """Over the upstream's own bytes as well."""
    body = orjson.loads(told("float", [[1.0]], data=b"raw", echo=True))

    assert body["model"] == "asked"
    assert body["data"] == [{"object": "embedding", "index": 0, "embedding": [1.0]}]


def test_a_face_has_nothing_to_say_of_streams() -> None:
    """There are none."""
    face = EmbeddingsFace(parse(b'{"model": "m", "input": "a"}'), View("id", 1))

    assert (face.begin(), face.events([]), face.end(), face.stream_type) == (b"", b"", b"", "")
    assert face.failed(InvalidRequest("x")) == b""


# --- through every protocol, judged by the official SDK --------------------------------------


def pipes() -> dict[str, Any]:
    """Each provider with an upstream of its own."""
    return {
        "openai": (FakeOpenAI(), "text-embedding-3-small"),
        "gemini": (FakeGemini(), "gemini-embedding-001"),
        "cohere": (FakeCohere(), "embed-v4.0"),
        "voyage": (VOYAGE, "voyage-4"),
        "jina": (JINA, "jina-embeddings-v3"),
        "mistral": (MISTRAL, "mistral-embed"),
    }


PROVIDERS = sorted(pipes())


def pipe(provider: str, **options: Any) -> Pipe:
    """A bench over that provider."""
    app, model = pipes()[provider]
    return Pipe(EMBEDDINGS, provider, app, key=getattr(app, "api_key", "test-key"), model=model, **options)


def over(app: Pipe) -> AsyncOpenAI:
    """The SDK's asynchronous client, in process."""
    client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app))
    return AsyncOpenAI(base_url="http://test/v1", api_key="k", max_retries=0, http_client=client)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_sdk_reads_the_same_in_both_forms(provider: str) -> None:
    """By default it asks for base64; the numbers are the same as when it asks for numbers, in order."""
    bench = pipe(provider)
    async with over(bench) as ai:
        by_default = await ai.embeddings.create(model="m", input=["one", "two", "three"])
        as_numbers = await ai.embeddings.create(model="m", input=["one", "two", "three"], encoding_format="float")

    assert [row.index for row in by_default.data] == [0, 1, 2]
    assert len({tuple(row.embedding) for row in by_default.data}) == 3
    for one, other in zip(by_default.data, as_numbers.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding, rel=1e-6)
    assert by_default.object == "list"
    assert by_default.usage.total_tokens == as_numbers.usage.total_tokens


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_usage_is_the_upstreams_or_none(provider: str) -> None:
    """It is never guessed: the oldest of Gemini's models says nothing, and then the answer says 0."""
    bench = pipe(provider)
    _, body = await bench.tell(model="m", input=["a", "b"])
    usage = bench.results[0].usage

    if provider == "gemini":
        assert usage is None
        assert body["usage"] == {"prompt_tokens": 0, "total_tokens": 0}
    else:
        assert usage is not None
        assert usage["completion_tokens"] == 0
        assert body["usage"]["total_tokens"] == usage["total_tokens"] == usage["prompt_tokens"] > 0


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_fewer_dimensions(provider: str) -> None:
    """Each vendor has its own name for them; what comes has length 1 where OpenAI's has."""
    bench = pipe(provider)
    async with over(bench) as ai:
        got = await ai.embeddings.create(model="m", input="a", dimensions=256)

    assert len(got.data[0].embedding) == 256
    if provider in ("openai", "gemini", "cohere"):
        assert math.hypot(*got.data[0].embedding) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_more_inputs_than_one_call_takes_keep_their_order(provider: str) -> None:
    """Parts go out one by one, and come back as one answer."""
    bench = pipe(provider)
    texts = [f"{number:05d} {'x' * (number % 7)}" for number in range(2048)]
    _, whole = await bench.tell(model="m", input=texts, dimensions=256, encoding_format="base64")
    alone = pipe(provider)
    limit = bench.codec.most
    places = (0, 95, 96, 99, 100, 999, 1000, 2047)

    assert [row["index"] for row in whole["data"]] == list(range(2048))
    assert len(bench.sent) == (1 if limit is None else -(-2048 // limit))
    for place in places:
        _, one = await alone.tell(model="m", input=texts[place], dimensions=256, encoding_format="base64")
        assert one["data"][0]["embedding"] == whole["data"][place]["embedding"]


HABITUAL = sorted(
    name
    for name, habit in HABITS.items()
    if "embeddings" in habit.surfaces and name in PROVIDER_ROWS and PROVIDER_ROWS[name].base_url.startswith("http")
)


@pytest.mark.parametrize("provider", HABITUAL)
async def test_what_an_sdk_sends_is_taken_by_every_openai_like_vendor(provider: str) -> None:
    """Each as strict as it is; what it would refuse is left out."""
    fake = FakeOpenAI(habit=provider)
    bench = Pipe(EMBEDDINGS, provider, fake, key=fake.api_key, model="m")
    async with over(bench) as ai:
        got = await ai.embeddings.create(
            model="m", input=["a", "b"], dimensions=256, user="u", extra_body={"input_type": "query"}
        )

    assert len({tuple(row.embedding) for row in got.data}) == 2
    assert 256 in bench.bodies[0].values()


@pytest.mark.parametrize("model", ["gemini-embedding-2", "gemini-embedding-001"])
async def test_vertex_takes_one_text_a_call(model: str) -> None:
    """By the method that the model's generation has there."""
    fake = FakeGemini()
    base = "https://aiplatform.googleapis.com/v1beta1/projects/p/locations/global/publishers/google"
    bench = Pipe(EMBEDDINGS, "vertex", fake, key=fake.api_key, model=model, base_url=base)
    async with over(bench) as ai:
        got = await ai.embeddings.create(model="m", input=["a", "b", "c"], dimensions=256)

    assert len(bench.sent) == 3
    assert len({tuple(row.embedding) for row in got.data}) == 3
    assert math.hypot(*got.data[0].embedding) == pytest.approx(1, abs=1e-3)


def test_the_synchronous_sdk_over_a_socket(serve: Any) -> None:
    """The same bytes by another road."""
    with OpenAI(base_url=serve(pipe("cohere")) + "/v1", api_key="k", max_retries=0) as ai:
        got = ai.embeddings.create(model="m", input=["one", "two"])

    assert [len(row.embedding) for row in got.data] == [1536, 1536]
    assert all(isinstance(value, float) for value in got.data[0].embedding)


def test_langchain_over_a_vendor_that_reads_text_alone(serve: Any) -> None:
    """With the switch that the error about token ids names."""
    embedder = OpenAIEmbeddings(
        model="m", base_url=serve(pipe("gemini")) + "/v1", api_key=SecretStr("k"), check_embedding_ctx_length=False
    )
    one, two = embedder.embed_documents(["one", "two"])

    assert len(one) == len(two) == 3072
    assert one != two
    assert embedder.embed_query("one") == one


async def test_token_ids_reach_an_upstream_that_reads_them() -> None:
    """As LangChain sends them."""
    bench = pipe("openai")
    async with over(bench) as ai:
        got = await ai.embeddings.create(model="m", input=[[1, 2, 3], [4, 5]])

    assert len(got.data) == 2
    assert bench.bodies[0]["input"] == [[1, 2, 3], [4, 5]]


@pytest.mark.parametrize("given", [[1, 2, 3], [[1, 2], [3]]])
@pytest.mark.parametrize("provider", sorted(set(PROVIDERS) - {"openai"}))
async def test_token_ids_are_refused_where_they_mean_nothing(provider: str, given: Any) -> None:
    """They belong to one model's tokenizer; the error says what to switch off."""
    async with over(pipe(provider)) as ai:
        with pytest.raises(openai.BadRequestError) as caught:
            await ai.embeddings.create(model="m", input=given)

    body: Any = caught.value.body
    assert (body["param"], body["code"]) == ("input", "unsupported_parameter")
    assert "check_embedding_ctx_length=False" in body["message"]


UNKNOWN = {
    "openai": {"error": {"message": "The model `gone` does not exist.", "code": "model_not_found", "param": None}},
    "gemini": {"error": {"code": 404, "message": "models/gone is not found", "status": "NOT_FOUND"}},
    "cohere": {"id": "8bd5", "message": "model 'gone' not found, make sure the correct model ID was used"},
}


class Missing:
    """An upstream that says of every model that it is unknown, as its vendor says it."""

    def __init__(self, provider: str) -> None:
        self._body = orjson.dumps(UNKNOWN[provider])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI application."""
        head = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 404, "headers": head})
        await send({"type": "http.response.body", "body": self._body})


@pytest.mark.parametrize("provider", sorted(UNKNOWN))
async def test_a_model_that_the_upstream_does_not_know(provider: str) -> None:
    """It is the caller's 404."""
    bench = Pipe(EMBEDDINGS, provider, Missing(provider), model="gone")
    status, body = await bench.tell(model="m", input="a")

    assert (status, body["error"]["code"]) == (404, "model_not_found")


async def test_a_text_that_is_too_long_is_the_inputs_fault() -> None:
    """There are no messages to be blamed."""
    status, body = await pipe("openai").tell(model="m", input=["a", "b" * 40_000])

    assert (status, body["error"]["param"], body["error"]["code"]) == (400, "input", "context_length_exceeded")


async def test_plain_http_gets_numbers() -> None:
    """On the wire they are the default, whatever SDKs ask for."""
    bench = pipe("voyage")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=bench)) as client:
        answer = await client.post("http://test/v1/embeddings", json={"model": "m", "input": "abc"})

    assert answer.json() == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [3.5, 97.0, 97.0, 97.0]}],
        "model": "voyage-4",
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }
