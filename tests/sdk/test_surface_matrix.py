"""The official SDKs as second judges of the matrix: each way in over each of five upstream protocols.

A fake says something that the test knows; what the SDK's typed objects say has to be that. What does
not live here: the ways in (`surface_doors.py`), the matrix of our own readers (`tests/testing/matrix`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import anthropic
import openai
import pytest
from pydantic import BaseModel

from compatgw_testing import Fake, Usage, fail, fault, refuse, reply, tool_calls
from compatgw_testing.matrix import UPSTREAMS, Upstream
from compatgw_testing.specimens import PIXEL
from tests.sdk.surface_doors import DOORS, Ask, Broke, Door
from tests.testing.matrix.gateways import make

WEATHER = (
    "get_weather",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
)
PARIS, ROME = ("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome \U0001f1ee\U0001f1f9"})
# What each upstream is asked where thought is wanted. OpenAI shows its thought to clients of Responses alone.
THINKERS = {
    "anthropic": "claude-sonnet-4-5",
    "bedrock": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "gemini": "gemini-3-pro-preview",
    "cohere": "command-a-reasoning-08-2025",
}
NATIVE_THINKER = "gpt-5"


class Trip(BaseModel):
    """A shape for answers."""

    name: str
    days: list[int]


class Scene(NamedTuple):
    """A way in, a gateway, and the upstream behind it."""

    way: str
    door: Door
    upstream: Upstream
    fake: Fake
    app: Any

    def model(self, id: str | None = None) -> str:
        """What a client asks for."""
        return f"{self.upstream.name}/{id or self.upstream.model}"

    @property
    def native(self) -> bool:
        """The client's protocol is one that the upstream speaks itself."""
        return (self.way.partition("-")[0], self.upstream.name) in (("responses", "openai"), ("messages", "anthropic"))


@pytest.fixture(params=["openai", "anthropic", "gemini", "cohere", "bedrock"])
def upstream(request: pytest.FixtureRequest) -> Upstream:
    """Each upstream protocol in turn."""
    return UPSTREAMS[request.param]


@pytest.fixture(params=list(DOORS))
def scene(request: pytest.FixtureRequest, upstream: Upstream) -> Scene:
    """Each way in, over a fresh gateway and a fresh fake."""
    fake = upstream.fake(request.node.name)
    return Scene(request.param, DOORS[request.param], upstream, fake, make({upstream.name: fake}))


def told(scene: Scene) -> Any:
    """The upstream's last request, which it took."""
    call = scene.fake.calls[-1]
    assert call.status == 200, call
    return call.request


async def test_text_and_usage(scene: Scene) -> None:
    """Words in many scripts, why it ended, and the tokens are the upstream's."""
    words = "Zo\u00eb: \u6771\u4eac, \U0001f468\u200d\U0001f469\u200d\U0001f467 and \u0645\u0631\u062d\u0628\u0627."
    scene.fake.enqueue(reply(words, usage=(1234, 56)))

    got = await scene.door.ask(scene.app, scene.model(), Ask(text="Who is there?"))

    assert (got.text, got.thought, got.refusal, got.calls, got.finish) == (words, "", "", [], "stop")
    assert (got.usage["input"], got.usage["output"]) == (1234, 56)
    assert told(scene).user == "Who is there?"
    if not scene.way.endswith("stream"):
        assert got.id is not None
        assert got.id.startswith("req_")


async def test_one_call(scene: Scene) -> None:
    """A tool call has an id, its name and its arguments, and is why the answer ended."""
    scene.fake.enqueue(tool_calls(ROME))

    got = await scene.door.ask(scene.app, scene.model(), Ask(text="The weather in Rome?", tool=WEATHER))

    assert [(name, arguments) for _, name, arguments in got.calls] == [ROME]
    assert (got.finish, got.text, bool(got.calls[0][0])) == ("tool_calls", "", True)
    assert set(told(scene).tools) == {"get_weather"}


async def test_parallel_calls_and_their_results(scene: Scene) -> None:
    """Two calls arrive apart; their results reach the upstream each with its own call, and the answer follows."""
    scene.fake.enqueue(tool_calls(PARIS, ROME))
    scene.fake.enqueue(reply("21 and 27.", usage=(40, 4)))
    ask = Ask(text="The weather in Paris and Rome?", tool=WEATHER)

    first = await scene.door.ask(scene.app, scene.model(), ask)
    assert [(name, arguments) for _, name, arguments in first.calls] == [PARIS, ROME]
    assert len({id for id, _, _ in first.calls}) == 2
    assert first.finish == "tool_calls"

    before = scene.door.results(first, ["Paris: 21 degrees", "Rome: 27 degrees"])
    got = await scene.door.ask(scene.app, scene.model(), replace(ask, text="", before=before))

    assert (got.text, got.finish, got.calls) == ("21 and 27.", "stop", [])
    assert (got.usage["input"], got.usage["output"]) == (40, 4)
    request = told(scene)
    results = [one.text for one in request.messages if one.role == "tool"]
    assert [("21" in one, "27" in one) for one in results] == [(True, False), (False, True)]
    calls = [call.arguments for one in request.messages for call in one.calls]
    assert [str(one).count("Rome") for one in calls] == [0, 1]


async def test_a_parsed_answer(scene: Scene) -> None:
    """An answer for a shape is an object of that shape, and the upstream was told the shape."""
    scene.fake.enqueue(reply('{"name": "Zo\u00eb", "days": [3, 1]}'))

    got = await scene.door.ask(scene.app, scene.model(), Ask(text="Plan a trip.", shape=Trip))

    assert got.parsed == Trip(name="Zo\u00eb", days=[3, 1])
    assert got.finish == "stop"
    assert b"days" in scene.fake.calls[-1].raw


async def test_a_picture(scene: Scene) -> None:
    """A picture arrives with its bytes and its type, beside the question."""
    if "image" not in scene.upstream.gives:
        pytest.skip("the upstream's model sees nothing")
    scene.fake.enqueue(reply("A red pixel."))

    got = await scene.door.ask(scene.app, scene.model(), Ask(text="What is it?", image=PIXEL))

    assert got.text == "A red pixel."
    request = told(scene)
    assert request.media == ("image/png",)
    assert "What is it?" in request.user
    assert PIXEL.encode() in scene.fake.calls[-1].raw


async def test_cut_by_the_limit(scene: Scene) -> None:
    """A text that ran into the limit says so; all that was written is there."""
    words = "word " * 500 + "and then"
    scene.fake.enqueue(reply(words, usage=(5, 777), finish="length"))

    got = await scene.door.ask(scene.app, scene.model(), Ask(text="Tell it all.", limit=777))

    assert (got.text, got.finish, got.usage["output"]) == (words, "length", 777)
    assert told(scene).limit == 777


async def test_a_refusal(scene: Scene) -> None:
    """A refusal's words arrive, and nothing suggests that something was cut or is to be called."""
    if "refusal" not in scene.upstream.gives:
        pytest.skip("the upstream has no refusals")
    scene.fake.enqueue(refuse("I cannot help with that."))

    got = await scene.door.ask(scene.app, scene.model(), Ask(text="Do something bad."))

    assert "I cannot help with that." in got.refusal + got.text
    assert got.finish in ("stop", "content_filter")
    assert got.calls == []


async def test_stopped_by_a_filter(scene: Scene) -> None:
    """An answer that a filter stopped does not look complete."""
    finish = {"gemini": "SAFETY", "bedrock": "guardrail_intervened"}.get(scene.upstream.name, "content_filter")
    if scene.upstream.name == "cohere":
        pytest.skip("the upstream's filter has no word of its own")
    scene.fake.enqueue(reply("Once upon", finish=finish))

    got = await scene.door.ask(scene.app, scene.model(), Ask(text="Tell a story."))

    assert (got.finish, got.calls) == ("content_filter", [])


async def test_all_counts(scene: Scene) -> None:
    """Tokens of the cache are part of the input, tokens of thought part of the output; both are told apart."""
    gives = scene.upstream.gives
    cached = 640 if "cached" in gives else 0
    written = 100 if "cache_write" in gives else 0
    reasoning = 150 if "reasoning" in gives else 0
    used = Usage(input=1000, output=200, cached=cached, cache_write=written, reasoning=reasoning)
    scene.fake.enqueue(replace(reply("Hi."), usage=used))

    got = await scene.door.ask(scene.app, scene.model(), Ask(text="Hello."))

    assert got.usage == {"input": 1000, "output": 200, "cached": cached, "reasoning": reasoning}


async def test_thought_shown_and_sent_back(scene: Scene) -> None:
    """Thought is shown apart from words, and reaches its upstream again beside the result of the call it led to."""
    thinker = THINKERS.get(scene.upstream.name) or (NATIVE_THINKER if scene.native else None)
    if thinker is None:
        pytest.skip("the upstream shows its thought on another surface alone")
    scene.fake.enqueue(tool_calls(PARIS, reasoning="I have to look."))
    scene.fake.enqueue(reply("Mild.", reasoning="21 is mild."))
    ask = Ask(text="How is it in Paris?", tool=WEATHER, thinks=True)

    first = await scene.door.ask(scene.app, scene.model(thinker), ask)
    assert (first.thought, first.finish) == ("I have to look.", "tool_calls")
    assert [(name, arguments) for _, name, arguments in first.calls] == [PARIS]

    before = scene.door.results(first, ["21 degrees"])
    got = await scene.door.ask(scene.app, scene.model(thinker), replace(ask, text="", before=before))

    assert (got.text, got.thought, got.finish) == ("Mild.", "21 is mild.", "stop")
    _thought_was_sent_back(scene)


def _thought_was_sent_back(scene: Scene) -> None:
    """What the upstream needs of its own thought, it has: the text, or what it signed or sealed."""
    request, raw = told(scene), scene.fake.calls[-1].raw
    if scene.upstream.name == "gemini":
        assert b"thoughtSignature" in raw
    elif scene.upstream.name == "openai":
        assert b"encrypted_content" in raw
    else:
        assert "I have to look." in [one.reasoning for one in request.messages]


# What went wrong at the upstream, and what an SDK raises.
FAILURES = {
    "context_length": (openai.BadRequestError, anthropic.BadRequestError),
    "rate_limit": (openai.RateLimitError, anthropic.RateLimitError),
    "model": (openai.NotFoundError, anthropic.NotFoundError),
    "overloaded": (openai.InternalServerError, anthropic.InternalServerError),
    "key": (openai.InternalServerError, anthropic.InternalServerError),
}


@pytest.mark.parametrize("failure", list(FAILURES))
async def test_failures_are_the_sdks_own(scene: Scene, failure: str) -> None:
    """A failure is the SDK's own exception, and names the call; a prompt that is too long can be told from others."""
    scene.fake.always(fail(failure))

    with pytest.raises(FAILURES[failure]) as caught:
        await scene.door.ask(scene.app, scene.model(), Ask(text="Hello."))

    error: Any = caught.value
    assert error.request_id is not None
    assert error.request_id.startswith("req_")
    assert scene.fake.api_key not in str(error.body)
    if failure == "context_length":
        inside = error.body.get("error", error.body)
        assert inside["code"] == "context_length_exceeded"
        if scene.way.startswith("messages"):
            # By these words Claude Code knows that it has to make its history shorter.
            assert inside["message"].startswith("prompt is too long")


LONG = reply("One two three four five six seven eight.")
BREAKS = {
    "cut": fault(LONG, cut_after=5),
    "truncated": fault(LONG, truncate_after=5),
    "truncated_at_the_end": fault(LONG, truncated=True),
    "garbage": fault(LONG, garbage_after=5),
}


@pytest.mark.parametrize("way", list(BREAKS))
@pytest.mark.parametrize("scene", [name for name, door in DOORS.items() if door.streams], indirect=True)
async def test_a_stream_that_breaks_is_no_answer(scene: Scene, way: str) -> None:
    """No accumulator takes what had come for the whole."""
    scene.fake.always(BREAKS[way])

    with pytest.raises((openai.APIError, anthropic.APIError, Broke)) as caught:
        await scene.door.ask(scene.app, scene.model(), Ask(text="Hello."))

    assert scene.upstream.name in str(caught.value)


# Two more that are strict about what they are sent: ids of nine letters, thought that has to come back.
OTHERS = ("openai", "anthropic", "gemini", "cohere", "bedrock", "mistral", "deepseek")


@pytest.mark.parametrize("other", OTHERS)
async def test_another_vendor_goes_on(scene: Scene, other: str) -> None:
    """A conversation with thought and calls that one vendor began is taken by another, who may not read the thought."""
    if other == scene.upstream.name:
        pytest.skip("the same vendor")
    next_one = UPSTREAMS[other]
    fake = next_one.fake(other)
    app = make({scene.upstream.name: scene.fake, other: fake})
    thinker = THINKERS.get(scene.upstream.name) or (NATIVE_THINKER if scene.native else None)
    scene.fake.enqueue(replace(tool_calls(PARIS, ROME), reasoning="I have to look." if thinker else None))
    fake.enqueue(reply("21 and 27."))
    ask = Ask(text="The weather in Paris and Rome?", tool=WEATHER, thinks=thinker is not None)

    first = await scene.door.ask(app, scene.model(thinker), ask)
    before = scene.door.results(first, ["Paris: 21 degrees", "Rome: 27 degrees"])
    thinks = next_one.thinks(scene.way.partition("-")[0])
    asked = replace(ask, text="", before=before, thinks=thinks is not None)
    got = await scene.door.ask(app, f"{other}/{thinks or next_one.model}", asked)

    assert (got.text, got.finish) == ("21 and 27.", "stop")
    request = fake.calls[-1].request
    assert request is not None
    results = [one.text for one in request.messages if one.role == "tool"]
    assert [("21" in one, "27" in one) for one in results] == [(True, False), (False, True)]
