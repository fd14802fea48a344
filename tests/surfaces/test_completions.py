"""The legacy completions surface: what it takes, what a chat stands in for honestly, and the official SDK as judge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import langchain_openai
import openai
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import AsyncOpenAI, OpenAI
from pydantic import SecretStr

from compatgw.dialects.base import Answer, Piece
from compatgw.errors import GatewayError, InvalidRequest, StreamInterrupted
from compatgw.surfaces.base import View
from compatgw.surfaces.completions import COMPLETIONS, parse
from compatgw_testing import FakeLLM, reply
from compatgw_testing.harness import KEY, gateway_over

Serve = Callable[..., str]
VIEW = View("new", 1_780_000_000)
HUB_HEAD: dict[str, Any] = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m-1"}
OWN = "openai/gpt-3.5-turbo-instruct"
# One by its upstream's own endpoint, the others through chat.
MODELS = [
    OWN, "openai/gpt-4o", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash", "cohere/command-a-03-2025",
    "groq/llama-3.3-70b-versatile",
]  # fmt: skip


def parsed(**members: Any) -> Any:
    """The parsed request of such a body."""
    return parse(orjson.dumps({"model": "m", "prompt": "hi", **members}))


def refused(**members: Any) -> InvalidRequest:
    """What is wrong with such a body."""
    with pytest.raises(InvalidRequest) as failure:
        parsed(**members)
    return failure.value


def bound(**members: Any) -> list[str]:
    """The members that no chat can serve."""
    return [name for name, _ in parsed(**members).native.bound]


# --- requests ---


def test_a_prompt_is_one_message_of_the_user() -> None:
    """Settings that a chat has by the same name go with it; the original stays beside it."""
    sent = {
        "prompt": "Say hi.",
        "temperature": 0.5,
        "n": 2,
        "stop": ["\n"],
        "seed": 3,
        "user": "u",
        "top_k": 5,
        "echo": None,
    }
    found = parsed(**sent)
    assert found.request == {
        "model": "m",
        "messages": [{"role": "user", "content": "Say hi."}],
        "max_tokens": 16,
        **{name: sent[name] for name in ("temperature", "n", "stop", "seed", "user", "top_k")},
    }
    del sent["echo"]
    assert dict(found.native.body) == {"model": "m", **sent}
    assert found.native.surface == "completions"
    assert found.native.bound == ()


def test_the_gateways_own_members_reach_nobody() -> None:
    """They are options of the call."""
    found = parsed(gateway={"retries": 1}, timeout=2000)
    assert found.options.retries == 1
    assert found.options.timeout == 2
    assert dict(found.native.body) == {"model": "m", "prompt": "hi"}


def test_a_list_of_one_text_is_a_prompt() -> None:
    """LangChain sends it so."""
    found = parsed(prompt=["hi"], max_tokens=5)
    assert found.request["messages"] == [{"role": "user", "content": "hi"}]
    assert found.request["max_tokens"] == 5
    assert found.native.bound == ()


@pytest.mark.parametrize(
    ("members", "names"),
    [
        ({"prompt": ["a", "b"]}, ["prompt"]),
        ({"prompt": [1, 2, 3]}, ["prompt"]),
        ({"prompt": [[1, 2], [3]]}, ["prompt"]),
        ({"prompt": ""}, ["prompt"]),
        ({"prompt": [""]}, ["prompt"]),
        ({"prompt": None}, ["prompt"]),
        ({"suffix": "}"}, ["suffix"]),
        ({"echo": True}, ["echo"]),
        ({"best_of": 3}, ["best_of"]),
        ({"logprobs": 0}, ["logprobs"]),
        ({"max_tokens": 0, "echo": True}, ["echo", "max_tokens"]),
        ({"suffix": "", "echo": False, "best_of": 1, "logprobs": None}, []),
        ({"n": 2, "best_of": 2}, []),
    ],
)
def test_what_no_chat_can_do_is_noted_and_still_taken(members: dict[str, Any], names: list[str]) -> None:
    """An upstream with the endpoint can; neutral values ask for nothing."""
    assert bound(**members) == names


def test_what_nobody_is_sent_is_reckoned_as_what_it_comes_to() -> None:
    """Several prompts, token ids and hidden candidates count for limits and money."""
    several = parsed(prompt=["a", "b", "c"], max_tokens=10, best_of=4, n=2).request
    assert several["max_tokens"] == 10 * 3 * 2
    assert [message["content"] for message in several["messages"]] == ["a", "b", "c"]
    tokens = parsed(prompt=[[1] * 100, [2] * 50]).request
    assert [len(message["content"]) for message in tokens["messages"]] == [400, 200]


@pytest.mark.parametrize(
    ("members", "param", "code"),
    [
        ({"model": None}, "model", "missing_parameter"),
        ({"prompt": 5}, "prompt", "invalid_type"),
        ({"prompt": []}, "prompt", "invalid_type"),
        ({"prompt": [True]}, "prompt", "invalid_type"),
        ({"prompt": [[]]}, "prompt[0]", "invalid_value"),
        ({"prompt": ["a", 1]}, "prompt[1]", "invalid_type"),
        ({"prompt": [1, "a"]}, "prompt[1]", "invalid_type"),
        ({"prompt": [1, -1]}, "prompt[1]", "invalid_value"),
        ({"prompt": [[1], [1.5]]}, "prompt[1][0]", "invalid_type"),
        ({"max_tokens": -1}, "max_tokens", "invalid_value"),
        ({"max_tokens": "5"}, "max_tokens", "invalid_type"),
        ({"n": 0}, "n", "invalid_value"),
        ({"n": 129}, "n", "invalid_value"),
        ({"logprobs": True}, "logprobs", "invalid_type"),
        ({"logprobs": 6}, "logprobs", "invalid_value"),
        ({"best_of": 21}, "best_of", "invalid_value"),
        ({"best_of": 1, "n": 2}, "best_of", "invalid_value"),
        ({"best_of": 2, "stream": True}, "best_of", "invalid_value"),
        ({"echo": "yes"}, "echo", "invalid_type"),
        ({"stop": 5}, "stop", "invalid_type"),
        ({"stop": ["a", 5]}, "stop[1]", "invalid_type"),
        ({"temperature": 3}, "temperature", "invalid_value"),
        ({"stream": True, "stream_options": {"include_usage": 1}}, "stream_options.include_usage", "invalid_type"),
        ({"gateway": {"retries": 99}}, "gateway.retries", "invalid_value"),
    ],
)
def test_a_wrong_member_is_named_by_its_path(members: dict[str, Any], param: str, code: str) -> None:
    """Type and range, the first that is wrong."""
    error = refused(**members)
    assert (error.status, error.param, error.code) == (400, param, code)
    assert error.message.endswith(".")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff", b"[" * 5000])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    """As on every surface."""
    with pytest.raises(InvalidRequest):
        parse(body)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 200) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)
_NAMES = st.sampled_from(
    ["model", "prompt", "best_of", "echo", "logprobs", "max_tokens", "n", "stop", "stream", "stream_options", "suffix", "x"]
)  # fmt: skip


@given(st.dictionaries(_NAMES, _VALUES))
def test_any_json_is_refused_or_becomes_a_chat(body: dict[str, Any]) -> None:
    """Nothing but a 400 is ever raised; a chat always has its model and a message."""
    try:
        found = parse(orjson.dumps(body))
    except GatewayError as error:
        assert error.status == 400
        return
    assert found.request["model"] == body["model"]
    assert found.request["messages"]
    assert found.request["max_tokens"] >= 1
    assert COMPLETIONS.face(found, VIEW).begin() == b""


# --- answers ---


def completion(message: dict[str, Any], finish: str = "stop", **more: Any) -> Answer:
    """A hub answer with one choice."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "refusal": None, **message},
        "logprobs": None,
        "finish_reason": finish,
    }
    made: Any = {**HUB_HEAD, "object": "chat.completion", "choices": [choice], **more}
    return Answer(made)


@pytest.mark.parametrize(
    ("message", "finish", "text", "ended"),
    [
        ({"content": "Hello"}, "stop", "Hello", "stop"),
        ({"content": "Hel", "reasoning_content": "hm"}, "length", "Hel", "length"),
        ({"content": None, "refusal": "No."}, "stop", "No.", "stop"),
        ({"content": ""}, "content_filter", "", "content_filter"),
        ({"content": None, "tool_calls": []}, "tool_calls", "", "stop"),
    ],
)
def test_a_chats_answer_is_told_as_a_text(message: Any, finish: str, text: str, ended: str) -> None:
    """Text or refusal, one of the three reasons, no reasoning."""
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    told = orjson.loads(COMPLETIONS.face(parsed(), VIEW).whole(completion(message, finish, usage=usage)))
    assert told == {
        "id": "cmpl-new",
        "object": "text_completion",
        "created": 7,
        "model": "m-1",
        "choices": [{"text": text, "index": 0, "logprobs": None, "finish_reason": ended}],
        "usage": usage,
    }


def test_an_upstreams_own_answer_is_passed_on_as_it_came() -> None:
    """But for the model's name where callers see the one that they asked for."""
    native = b'{"id":"cmpl-up","model":"m-1","choices":[]}'
    answer = completion({"content": "x"})._replace(native=native)
    assert COMPLETIONS.face(parsed(), VIEW).whole(answer) == native
    echoed = orjson.loads(COMPLETIONS.face(parsed(), VIEW._replace(echo=True)).whole(answer))
    assert echoed == {"id": "cmpl-up", "model": "m", "choices": []}


def chunk(delta: dict[str, Any] | None, finish: str | None = None, **more: Any) -> Piece:
    """A hub chunk; without a delta one without choices."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    made: Any = {**HUB_HEAD, "choices": choices, **more}
    return Piece(made)


def test_a_stream_of_a_chat_is_told_as_texts() -> None:
    """Roles and reasoning leave nothing; usage comes only to who asked."""
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    pieces = [
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "hm"}),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        chunk({}, "stop"),
        chunk(None, usage=usage),
    ]
    face = COMPLETIONS.face(parsed(stream=True), VIEW)
    events = [orjson.loads(event[6:]) for event in face.events(pieces).split(b"\n\n")[:-1]]
    assert [event["choices"] for event in events] == [
        [{"text": "Hel", "index": 0, "logprobs": None, "finish_reason": None}],
        [{"text": "lo", "index": 0, "logprobs": None, "finish_reason": None}],
        [{"text": "", "index": 0, "logprobs": None, "finish_reason": "stop"}],
    ]
    assert all("usage" not in event and event["id"] == "cmpl-new" for event in events)
    assert face.end() == b"data: [DONE]\n\n"
    asked = COMPLETIONS.face(parsed(stream=True, stream_options={"include_usage": True}), VIEW)
    told = [orjson.loads(event[6:]) for event in asked.events(pieces).split(b"\n\n")[:-1]]
    assert [event["usage"] for event in told] == [None, None, None, usage]
    assert told[-1]["choices"] == []


def test_a_stream_that_broke_ends_with_an_error_and_nothing_else() -> None:
    """OpenAI's envelope in one event."""
    said = COMPLETIONS.face(parsed(stream=True), VIEW).failed(StreamInterrupted("It broke."))
    assert orjson.loads(said[6:])["error"]["code"] == "upstream_stream_interrupted"
    assert b"[DONE]" not in said


# --- through whole gateways, with the official SDK as judge ---


class Scene:
    """A gateway over fakes.

    Attributes:
        llm: The fakes.
    """

    def __init__(self, **options: Any) -> None:
        self.llm = FakeLLM()
        fakes: Any = {name: self.llm.dialect(name) for name in ("openai", "anthropic", "gemini", "cohere")}
        vendors = {name: self.llm.vendor(name) for name in options.pop("vendors", ("groq",))}
        self.app = gateway_over({**fakes, **vendors}, options=options)

    def fake(self, model: str) -> Any:
        """The fake that serves `model`."""
        name = model.partition("/")[0]
        return self.llm.fakes[name] if name in self.llm.fakes else self.llm.vendor(name)

    def client(self) -> AsyncOpenAI:
        """The asynchronous client, in process."""
        http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=self.app))
        return AsyncOpenAI(base_url="http://gw/v1", api_key=KEY, max_retries=0, http_client=http)


@pytest.mark.parametrize("model", MODELS)
async def test_the_sdk_reads_a_plain_answer(model: str) -> None:
    """By the upstream's own endpoint and through every protocol of chats."""
    scene = Scene()
    fake = scene.fake(model)
    fake.reply("Once upon a time", usage=(7, 4))
    async with scene.client() as ai:
        got = await ai.completions.create(model=model, prompt="Tell a story.", max_tokens=50, temperature=0.5)
    assert got.choices[0].text == "Once upon a time"
    assert got.choices[0].finish_reason == "stop"
    assert got.object == "text_completion"
    assert got.id.startswith("cmpl-")
    assert got.usage is not None
    assert (got.usage.prompt_tokens, got.usage.completion_tokens) == (7, 4)
    assert ("prompt" in fake.calls[-1].body) is (model == OWN)


@pytest.mark.parametrize("model", MODELS)
async def test_the_sdk_reads_a_stream(model: str) -> None:
    """Pieces join to the text; one reason at its end; usage last for who asked."""
    scene = Scene()
    scene.fake(model).reply("One two three.", usage=(7, 4))
    async with scene.client() as ai:
        stream = await ai.completions.create(
            model=model, prompt=["Count."], max_tokens=50, stream=True, stream_options={"include_usage": True}
        )
        chunks = [piece async for piece in stream]
    assert "".join(choice.text for piece in chunks for choice in piece.choices) == "One two three."
    assert {choice.finish_reason for piece in chunks for choice in piece.choices} == {None, "stop"}
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 11
    assert len({(piece.id, piece.model, piece.created, piece.object) for piece in chunks}) == 1
    assert all(piece.usage is None for piece in chunks[:-1])


@pytest.mark.parametrize("model", MODELS[:3])
def test_the_sdk_reads_both_over_a_socket(model: str, serve: Serve) -> None:
    """The synchronous client; without being asked for, usage stays away."""
    scene = Scene()
    scene.fake(model).reply("Hello there")
    scene.fake(model).reply("Hello there")
    with OpenAI(base_url=f"{serve(scene.app)}/v1", api_key=KEY, max_retries=0) as ai:
        got = ai.completions.create(model=model, prompt="Hi", max_tokens=5)
        pieces = list(ai.completions.create(model=model, prompt="Hi", max_tokens=5, stream=True))
    assert got.choices[0].text == "Hello there"
    assert "".join(piece.choices[0].text for piece in pieces) == "Hello there"
    assert all(piece.usage is None for piece in pieces)


async def test_several_choices_and_prompts_come_in_order_where_the_upstream_has_the_endpoint() -> None:
    """With log probabilities and the prompt before the text, plain and streamed."""
    scene = Scene()
    scene.llm.openai.reply("Yes")
    scene.llm.openai.reply("Yes")
    asked: Any = {"model": OWN, "prompt": ["A: ", "B: "], "n": 2, "echo": True, "logprobs": 2}
    async with scene.client() as ai:
        got = await ai.completions.create(**asked, best_of=3)
        texts = {0: "", 1: "", 2: "", 3: ""}
        async for piece in await ai.completions.create(**asked, stream=True):
            for choice in piece.choices:
                texts[choice.index] += choice.text
    assert [choice.text for choice in got.choices] == ["A: Yes", "A: Yes", "B: Yes", "B: Yes"] == [*texts.values()]
    assert [choice.index for choice in got.choices] == [0, 1, 2, 3]
    assert got.choices[0].logprobs is not None
    assert got.choices[0].logprobs.tokens == ["A: ", "Yes"]


@pytest.mark.parametrize("stream", [False, True])
async def test_several_choices_are_asked_one_by_one_where_a_chat_gives_one(stream: bool) -> None:
    """`n` is honest there: as many calls side by side."""
    scene = Scene()
    scene.llm.anthropic.reply("Yes")
    scene.llm.anthropic.reply("Yes")
    async with scene.client() as ai:
        asked: Any = {"model": "anthropic/claude-sonnet-4-5", "prompt": "Well?", "n": 2}
        if stream:
            texts = {0: "", 1: ""}
            async for piece in await ai.completions.create(**asked, stream=True):
                for choice in piece.choices:
                    texts[choice.index] += choice.text
            assert texts == {0: "Yes", 1: "Yes"}
        else:
            got = await ai.completions.create(**asked)
            assert [(choice.index, choice.text) for choice in got.choices] == [(0, "Yes"), (1, "Yes")]
    assert len(scene.llm.anthropic.calls) == 2


async def test_several_choices_are_asked_one_by_one_of_an_endpoint_that_gives_one() -> None:
    """As in a chat."""
    scene = Scene(vendors=["llamacpp"])
    fake = scene.llm.vendor("llamacpp")
    fake.reply("Yes")
    fake.reply("Yes")
    async with scene.client() as ai:
        got = await ai.completions.create(model="llamacpp/m", prompt="Well?", n=2)
    assert [(choice.index, choice.text) for choice in got.choices] == [(0, "Yes"), (1, "Yes")]
    assert [("prompt" in call.body, call.body.get("n")) for call in fake.calls] == [(True, None)] * 2


@pytest.mark.parametrize(
    "members",
    [
        {"prompt": ["a", "b"]}, {"prompt": [1, 2]}, {"suffix": "x"}, {"echo": True}, {"best_of": 2}, {"logprobs": 1},
        {"prompt": ""}, {"max_tokens": 0},
    ],
)  # fmt: skip
@pytest.mark.parametrize("model", ["anthropic/claude-sonnet-4-5", "openai/gpt-4o"])
async def test_what_a_chat_cannot_do_is_a_400_that_names_it(model: str, members: dict[str, Any]) -> None:
    """Nobody is asked; the sentence says why."""
    scene = Scene()
    asked: dict[str, Any] = {"prompt": "hi", **members}
    async with scene.client() as ai:
        with pytest.raises(openai.BadRequestError) as failure:
            await ai.completions.create(model=model, **asked)
    assert failure.value.code == "unsupported_parameter"
    assert failure.value.param == next(iter(members))
    assert "chat completions" in failure.value.message
    assert len(scene.fake(model).calls) == 0


@pytest.mark.parametrize("model", [OWN, "openai/gpt-4o"])
async def test_callers_see_the_name_that_they_asked_for_where_that_is_wanted(model: str) -> None:
    """In upstreams' own answers and events as well."""
    scene = Scene(echo_model=True)
    scene.llm.openai.reply("Hi")
    scene.llm.openai.reply("Hi")
    async with scene.client() as ai:
        got = await ai.completions.create(model=model, prompt="x")
        stream = await ai.completions.create(model=model, prompt="x", stream=True)
        names = {piece.model async for piece in stream}
    assert names == {got.model} == {model}


@pytest.mark.parametrize("model", [OWN, "openai/gpt-4o"])
async def test_an_upstreams_refusal_is_the_callers(model: str) -> None:
    """Status and sentence, by either way."""
    scene = Scene()
    scene.llm.openai.fail(429, "Slow down.")
    async with scene.client() as ai:
        with pytest.raises(openai.RateLimitError, match="Slow down"):
            await ai.completions.create(model=model, prompt="x")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_kept_answer_says_what_the_first_one_said(stream: bool) -> None:
    """Plain and streamed; another text is another request."""
    scene = Scene(cache={"enabled": True})
    scene.llm.openai.reply("Hi there")
    scene.llm.openai.reply("Other")
    told = []
    async with scene.client() as ai:
        for prompt in ("x", "x", "y"):
            asked: Any = {"model": "openai/gpt-4o", "prompt": prompt}
            if stream:
                pieces = [piece async for piece in await ai.completions.create(**asked, stream=True)]
                told.append("".join(choice.text for piece in pieces for choice in piece.choices))
            else:
                told.append((await ai.completions.create(**asked)).choices[0].text)
    assert told == ["Hi there", "Hi there", "Other"]
    assert len(scene.llm.openai.calls) == 2


@pytest.mark.parametrize("model", [OWN, "anthropic/claude-sonnet-4-5"])
async def test_langchains_completions_model_invokes_and_streams(model: str) -> None:
    """It sends a list of one prompt, and every setting whether asked for or not."""
    scene = Scene()
    scene.fake(model).reply("Hello there")
    scene.fake(model).reply("One two")
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=scene.app))
    chain: Any = langchain_openai.OpenAI(
        model=model, base_url="http://gw/v1", api_key=SecretStr(KEY), http_async_client=http, max_retries=0
    )
    assert await chain.ainvoke("Hi") == "Hello there"
    assert "".join([piece async for piece in chain.astream("Count.")]) == "One two"
    await http.aclose()


async def _pieces(stream: Any, said: list[Any]) -> None:
    async for piece in stream:
        said += piece.choices


@pytest.mark.parametrize("way", ["cut_after", "truncate_after", "garbage_after", "error_after"])
@pytest.mark.parametrize("model", [OWN, "openai/gpt-4o", "anthropic/claude-sonnet-4-5"])
async def test_a_stream_that_breaks_is_told_as_broken(model: str, way: str) -> None:
    """What was said is the caller's; the end is an error and never looks like one."""
    scene = Scene()
    broken: Any = {way: 5}
    scene.fake(model).fault(reply("One two three four five six"), **broken)
    said: list[Any] = []
    async with scene.client() as ai:
        stream = await ai.completions.create(model=model, prompt="Count.", stream=True)
        with pytest.raises(openai.APIError):
            await _pieces(stream, said)
    text = "".join(choice.text for choice in said)
    assert text
    assert "One two three four five six".startswith(text)
    assert {choice.finish_reason for choice in said} == {None}
