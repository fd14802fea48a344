"""The official OpenAI SDK over all four dialects and native: answers, streams, tools, parsed answers, state, errors."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.surfaces.responses.bench import MODELS, Bench, blocking, client

WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False,
    },
    "strict": True,
}  # fmt: skip


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


@pytest.fixture(params=[*sorted(MODELS), "native"])
def bench(request: pytest.FixtureRequest) -> Bench:
    """The surface over each protocol; `native` is OpenAI's own Responses."""
    name = "openai" if request.param == "native" else request.param
    return Bench(name, request.getfixturevalue(f"fake_{name}"), native=request.param == "native")


@pytest.fixture
def fake(bench: Bench) -> Any:
    """Its upstream."""
    return bench._upstream


def results(call: Any) -> list[str]:
    """What the tools gave, as the upstream was told; Gemini takes objects alone."""
    texts = [message.text for message in call.request.messages if message.role == "tool"]
    return [json.loads(text)["output"] if text.startswith("{") else text for text in texts]


def ask(bench: Bench, **members: Any) -> dict[str, Any]:
    """A request."""
    return {"model": bench.model, "input": "Hi", **members}


async def test_an_answer(bench: Bench, fake: Any) -> None:
    """Text, status and totals are the upstream's."""
    fake.reply("Bonjour", usage=(7, 3))
    async with client(bench) as ai:
        got = await ai.responses.create(**ask(bench, instructions="Be brief."))
    assert got.output_text == "Bonjour"
    assert (got.status, got.object, got.error) == ("completed", "response", None)
    assert got.id.startswith("resp_")
    assert got.usage is not None
    assert (got.usage.input_tokens, got.usage.output_tokens, got.usage.total_tokens) == (7, 3, 10)
    assert fake.calls[0].request.messages[0].text.startswith("Be brief.")


def test_an_answer_and_a_stream_to_the_synchronous_client(bench: Bench, fake: Any) -> None:
    """The same by the other client."""
    fake.reply("Bonjour", usage=(7, 3))
    fake.reply("One two three.", usage=(7, 3))
    with blocking(bench) as ai:
        assert ai.responses.create(**ask(bench)).output_text == "Bonjour"
        with ai.responses.stream(**ask(bench)) as stream:
            texts = [event.delta for event in stream if event.type == "response.output_text.delta"]
            got = stream.get_final_response()
    assert "".join(texts) == got.output_text == "One two three."


async def test_a_stream(bench: Bench, fake: Any) -> None:
    """The raw events and the accumulator's response say the same; the numbers have no gaps."""
    fake.reply("One two three.", usage=(7, 3))
    fake.reply("One two three.", usage=(7, 3))
    async with client(bench) as ai:
        events = [event async for event in await ai.responses.create(**ask(bench, stream=True))]
        async with ai.responses.stream(**ask(bench)) as stream:
            got = await stream.get_final_response()
    assert [event.sequence_number for event in events] == list(range(len(events)))
    texts = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert len(texts) > 1
    assert "".join(texts) == got.output_text == "One two three."
    assert got.usage is not None
    assert got.usage.total_tokens == 10


async def test_a_tool_is_called_and_answered(bench: Bench, fake: Any) -> None:
    """The call by accumulator, its result sent back, the whole history by the client."""
    fake.reply(calls=[("get_weather", {"city": "Hue"}), ("get_weather", {"city": "Vinh"})])
    fake.reply("Warm.")
    history: list[Any] = [{"role": "user", "content": "Weather?"}]
    async with client(bench) as ai:
        async with ai.responses.stream(**ask(bench, input=history, tools=[WEATHER])) as stream:
            got = await stream.get_final_response()
        calls = [item for item in got.output if item.type == "function_call"]
        assert [json.loads(call.arguments) for call in calls] == [{"city": "Hue"}, {"city": "Vinh"}]
        history += [item.to_dict() for item in got.output]
        for item in history:
            item.pop("parsed_arguments", None)
        history += [{"type": "function_call_output", "call_id": call.call_id, "output": "30"} for call in calls]
        again = await ai.responses.create(**ask(bench, input=history, tools=[WEATHER]))
    assert again.output_text == "Warm."
    told = fake.calls[1].request.messages
    assert sum(len(message.calls) for message in told) == 2
    assert results(fake.calls[1]) == ["30", "30"]


async def test_an_answer_is_parsed(bench: Bench, fake: Any) -> None:
    """`text_format` of the SDK: a schema goes there, a value comes back, plain and streamed."""
    for _ in range(2):
        fake.reply('{"name": "An", "age": 7}')
    async with client(bench) as ai:
        got = await ai.responses.parse(**ask(bench, text_format=Person))
        assert got.output_parsed == Person(name="An", age=7)
        async with ai.responses.stream(**ask(bench, text_format=Person)) as stream:
            final = await stream.get_final_response()
    assert final.output_parsed == Person(name="An", age=7)
    assert fake.calls[0].request.schema is not None or "gemini" in bench.model


async def test_arguments_are_parsed(bench: Bench, fake: Any) -> None:
    """Tools made of pydantic models: their calls come back as such."""
    fake.reply(calls=[("Person", {"name": "An", "age": 7})])
    async with client(bench) as ai:
        tool: Any = openai.pydantic_function_tool(Person)
        flat = {"type": "function", **tool["function"]}
        got = await ai.responses.parse(**ask(bench, tools=[flat]))
    (call,) = (item for item in got.output if item.type == "function_call")
    assert json.loads(call.arguments) == {"name": "An", "age": 7}


async def test_an_answer_that_was_cut(bench: Bench, fake: Any) -> None:
    """Its status and its reason, plain and streamed."""
    for _ in range(2):
        fake.reply("One two", finish="length")
    async with client(bench) as ai:
        got = await ai.responses.create(**ask(bench, max_output_tokens=16))
        events = [event async for event in await ai.responses.create(**ask(bench, stream=True))]
    assert got.status == "incomplete"
    assert got.incomplete_details is not None
    assert got.incomplete_details.reason == "max_output_tokens"
    last: Any = events[-1]
    assert (last.type, last.response.status) == ("response.incomplete", "incomplete")


async def test_a_stream_that_breaks_is_failed(bench: Bench, fake: Any) -> None:
    """The last event says so, and there is no final response."""
    fake.fault("One two three four.", truncated=True)
    async with client(bench) as ai:
        stream: Any = await ai.responses.create(**ask(bench, stream=True))
        events = [event async for event in stream]
    assert events[-1].type == "response.failed"
    assert events[-1].response.error.code == "upstream_stream_interrupted"
    assert not any(event.type == "response.completed" for event in events)


async def test_a_refused_request(bench: Bench) -> None:
    """A 400 with the path, by the SDK's own exception."""
    async with client(bench) as ai:
        with pytest.raises(openai.BadRequestError) as caught:
            await ai.responses.create(**ask(bench, input=[{"role": "user", "content": [{"type": "poem"}]}]))
    assert caught.value.param == "input[0].content[0].type"


async def test_an_upstreams_tool_elsewhere_is_refused(bench: Bench, fake: Any) -> None:
    """By its path; with `drop` it is left out and named. An upstream that has it gets it."""
    fake.reply("Found.")
    search: Any = {"type": "file_search", "vector_store_ids": ["vs_1"]}
    asked = ask(bench, tools=[WEATHER, search])
    async with client(bench) as ai:
        if bench._native:
            assert (await ai.responses.create(**asked)).output_text == "Found."
            assert bench.sent[0]["tools"][1] == search
            return
        with pytest.raises(openai.BadRequestError) as caught:
            await ai.responses.create(**asked)
        assert (caught.value.param, caught.value.code) == ("tools[1].type", "unsupported_parameter")
        bench.policy = "drop"
        assert (await ai.responses.create(**asked)).output_text == "Found."
    assert "tools" in bench.dropped


# --- what is kept ----------------------------------------------------------------------------


async def test_a_conversation_goes_on_by_the_id_of_a_response(bench: Bench, fake: Any) -> None:
    """Over three turns with a call among them, although no upstream is told of any id."""
    fake.reply(calls=[("get_weather", {"city": "Hue"})])
    fake.reply("Warm.")
    fake.reply("I said: warm.")
    async with client(bench) as ai:
        first = await ai.responses.create(**ask(bench, tools=[WEATHER], instructions="Be brief."))
        (call,) = (item for item in first.output if item.type == "function_call")
        output: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "30"}]
        second = await ai.responses.create(
            model=bench.model, input=output, previous_response_id=first.id, tools=[WEATHER]
        )
        async with ai.responses.stream(model=bench.model, input="What?", previous_response_id=second.id) as stream:
            third = await stream.get_final_response()
    assert third.output_text == "I said: warm."
    assert third.previous_response_id == second.id
    told = fake.calls[2].request.messages
    assert [(message.role, message.text) for message in told if message.text and message.role != "tool"] == [
        ("user", "Hi"),
        ("assistant", "Warm."),
        ("user", "What?"),
    ]
    assert results(fake.calls[2]) == ["30"]
    assert all("previous_response_id" not in body for body in bench.sent)


async def test_a_kept_response_is_retrieved_listed_replayed_and_deleted(bench: Bench, fake: Any) -> None:
    """By its id; after that it is gone."""
    fake.reply("Bonjour", reasoning="Say it in French.")
    async with client(bench) as ai:
        made = await ai.responses.create(
            **ask(bench, input=[{"role": "user", "content": "Hi"}, {"role": "user", "content": "there"}])
        )
        assert (await ai.responses.retrieve(made.id)).to_dict() == made.to_dict()
        events = [event async for event in await ai.responses.retrieve(made.id, stream=True)]
        last: Any = events[-1]
        assert last.response.output_text == "Bonjour"
        rest = [event async for event in await ai.responses.retrieve(made.id, stream=True, starting_after=3)]
        assert [event.to_dict() for event in rest] == [event.to_dict() for event in events[4:]]
        page: Any = await ai.responses.input_items.list(made.id, order="asc", limit=1)
        assert [item.content[0].text for item in page.data] == ["Hi"]
        assert [item.content[0].text async for item in page] == ["Hi", "there"]
        await ai.responses.delete(made.id)
        with pytest.raises(openai.NotFoundError) as caught:
            await ai.responses.retrieve(made.id)
    assert caught.value.type == "not_found_error"


async def test_a_streamed_response_is_kept_too(bench: Bench, fake: Any) -> None:
    """As its last event told it."""
    fake.reply("One two three.")
    async with client(bench) as ai:
        async with ai.responses.stream(**ask(bench)) as stream:
            made = await stream.get_final_response()
        kept = await ai.responses.retrieve(made.id)
    assert kept.output_text == "One two three."


async def test_nothing_is_kept_where_nothing_is_to_be(bench: Bench, fake: Any) -> None:
    """`store: false`."""
    fake.reply("Bonjour")
    async with client(bench) as ai:
        made = await ai.responses.create(**ask(bench, store=False))
        with pytest.raises(openai.NotFoundError):
            await ai.responses.retrieve(made.id)
        with pytest.raises(openai.NotFoundError) as caught:
            await ai.responses.create(**ask(bench, previous_response_id=made.id))
    assert caught.value.param == "previous_response_id"


async def test_another_teams_response_does_not_exist(bench: Bench, fake: Any) -> None:
    """Whatever is asked of it."""
    fake.reply("Bonjour")
    async with client(bench) as ai:
        made = await ai.responses.create(**ask(bench))
        bench.owner = "team b"
        for ask_for in (
            ai.responses.retrieve(made.id), ai.responses.delete(made.id), ai.responses.input_items.list(made.id),
            ai.responses.cancel(made.id), ai.responses.create(**ask(bench, previous_response_id=made.id)),
        ):  # fmt: skip
            with pytest.raises(openai.NotFoundError):
                await ask_for
        bench.owner = "team a"
        assert (await ai.responses.retrieve(made.id)).id == made.id


# --- in the background -----------------------------------------------------------------------


async def test_a_response_in_the_background(bench: Bench, fake: Any) -> None:
    """Queued at once, completed later, under one id; a conversation goes on from it."""
    fake.reply("Bonjour", usage=(7, 3))
    fake.reply("Again.")
    async with client(bench) as ai:
        made = await ai.responses.create(**ask(bench, background=True))
        assert (made.status, made.background, made.output) == ("queued", True, [])
        await bench.tasks.aclose()
        got = await ai.responses.retrieve(made.id)
        assert (got.id, got.status, got.output_text, got.background) == (made.id, "completed", "Bonjour", True)
        assert got.usage is not None
        assert got.usage.total_tokens == 10
        again = await ai.responses.create(**ask(bench, previous_response_id=made.id))
        cancelled = await ai.responses.cancel(made.id)
    assert again.output_text == "Again."
    assert cancelled.status == "completed"
    assert all("background" not in body for body in bench.sent)


async def test_a_stream_in_the_background(bench: Bench, fake: Any) -> None:
    """Told live, and again from any event on, with the same numbers."""
    fake.reply("One two three.")
    async with client(bench) as ai:
        stream: Any = await ai.responses.create(**ask(bench, background=True, stream=True))
        events = [event.to_dict() async for event in stream]
        await bench.tasks.aclose()
        id = events[-1]["response"]["id"]
        assert {event["response"]["id"] for event in events if "response" in event} == {id}
        rest = [event.to_dict() async for event in await ai.responses.retrieve(id, stream=True, starting_after=4)]
    assert rest == events[5:]
    assert events[-1]["type"] == "response.completed"


async def test_a_failure_in_the_background(bench: Bench, fake: Any) -> None:
    """Is told by the response."""
    fake.fail(500)
    async with client(bench) as ai:
        made = await ai.responses.create(**ask(bench, background=True))
        await bench.tasks.aclose()
        got = await ai.responses.retrieve(made.id)
    assert (got.id, got.status) == (made.id, "failed")
    assert got.error is not None


async def test_only_what_is_in_the_background_can_be_cancelled(bench: Bench, fake: Any) -> None:
    """As OpenAI says."""
    fake.reply("Bonjour")
    async with client(bench) as ai:
        made = await ai.responses.create(**ask(bench))
        with pytest.raises(openai.BadRequestError):
            await ai.responses.cancel(made.id)


# --- Codex -----------------------------------------------------------------------------------

CODEX_TOOLS: list[Any] = [
    {
        "type": "function", "name": "shell", "description": "Runs a command.", "strict": False,
        "parameters": {
            "type": "object", "properties": {"command": {"type": "array", "items": {"type": "string"}}},
            "required": ["command"], "additionalProperties": False,
        },
    },
    {
        "type": "custom", "name": "apply_patch", "description": "Edits files.",
        "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "*** Begin Patch" LF'},
    },
    {
        "type": "namespace", "name": "multi_agent_v1", "description": "Sub-agents.",
        "tools": [{"type": "function", "name": "close_agent", "parameters": {"type": "object", "properties": {}}}],
    },
    {"type": "web_search", "external_web_access": True},
]  # fmt: skip


def codex(bench: Bench, items: list[Any], **members: Any) -> dict[str, Any]:
    """What Codex CLI sends with each turn; no SDK knows its `client_metadata`."""
    extra = {"extra_body": {"client_metadata": {"x-codex-installation-id": "0199-machine"}}}
    return {
        "model": bench.model, "instructions": "You are a coding agent.", "input": items, "tools": CODEX_TOOLS,
        "tool_choice": "auto", "parallel_tool_calls": False, "reasoning": None, "store": False, "stream": True,
        "include": ["reasoning.encrypted_content"], "prompt_cache_key": "0199-session", **extra, **members,
    }  # fmt: skip


CONTEXT: list[Any] = [
    {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "<permissions>"}]},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "<environment_context>"}]},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Fix the bug."}]},
]


async def test_codex_turns(bench: Bench, fake: Any) -> None:
    """Reasoning, a shell's call, a patch, and an end: all items sent back with each turn, nothing kept."""
    fake.reply(reasoning="Look first.", calls=[("shell", {"command": ["ls"]})])
    patch: Any = "*** Begin Patch\n" if bench._native else {"input": "*** Begin Patch\n"}
    fake.reply(reasoning="Now edit.", calls=[("apply_patch", patch)])
    fake.reply("Done.")
    history = [*CONTEXT]
    kinds = []
    async with client(bench) as ai:
        for _ in range(3):
            stream: Any = await ai.responses.create(**codex(bench, history))
            events = [event async for event in stream]
            assert events[-1].type == "response.completed"
            # Codex collects what is done, item by item.
            items = [event.item.to_dict() for event in events if event.type == "response.output_item.done"]
            for item in items:
                history.append({name: value for name, value in item.items() if value is not None})
                if item["type"] in ("function_call", "custom_tool_call"):
                    output = {"type": f"{item['type']}_output", "call_id": item["call_id"], "output": "ok"}
                    history.append(output)
                    assert item["type"] == "function_call" or item["input"] == "*** Begin Patch\n"
            kinds += [item["type"] for item in items if item["type"] != "reasoning"]
    assert kinds == ["function_call", "custom_tool_call", "message"]
    told = fake.calls[2].request.messages
    assert results(fake.calls[2]) == ["ok", "ok"]
    assert [one.name for message in told for one in message.calls] == ["shell", "apply_patch"]
    if bench._native:
        assert bench.sent[0]["client_metadata"] == {"x-codex-installation-id": "0199-machine"}
    else:
        assert {"tools", "client_metadata"} <= set(bench.dropped)


async def test_codex_gets_its_signatures_back(fake_anthropic: Any) -> None:
    """Signed thoughts of Claude travel in `encrypted_content`, and reach it again unchanged."""
    bench = Bench("anthropic", fake_anthropic)
    fake_anthropic.reply(reasoning="Look first.", calls=[("shell", {"command": ["ls"]})])
    fake_anthropic.reply("Done.")
    history = [*CONTEXT]
    async with client(bench) as ai:
        stream: Any = await ai.responses.create(**codex(bench, history, reasoning={"effort": "high"}))
        items = [event.item.to_dict() async for event in stream if event.type == "response.output_item.done"]
        thought, call = items
        assert thought["encrypted_content"].startswith("cgw1.")
        history += [*items, {"type": "function_call_output", "call_id": call["call_id"], "output": "ok"}]
        await (await ai.responses.create(**codex(bench, history, reasoning={"effort": "high"}))).close()
    blocks = [
        block for message in bench.sent[1]["messages"] if message["role"] == "assistant" for block in message["content"]
    ]
    assert [block["type"] for block in blocks] == ["thinking", "tool_use"]
    assert blocks[0]["thinking"] == "Look first."
    assert blocks[0]["signature"]


async def test_codex_local_shell(bench: Bench, fake: Any) -> None:
    """The elder tool: an item of its own out and back, over models that only know functions."""
    if bench._native:
        pytest.skip("the upstream's own tool")
    fake.reply(calls=[("local_shell", {"command": ["ls"]})])
    fake.reply("Done.")
    asked = codex(bench, [*CONTEXT], tools=[{"type": "local_shell"}])
    async with client(bench) as ai:
        stream: Any = await ai.responses.create(**asked)
        (item,) = [event.item.to_dict() async for event in stream if event.type == "response.output_item.done"]
        assert (item["type"], item["action"]["command"]) == ("local_shell_call", ["ls"])
        output = {"type": "local_shell_call_output", "id": item["call_id"], "output": "a.py"}
        asked["input"] = [*CONTEXT, item, output]
        await (await ai.responses.create(**asked)).close()
    assert results(fake.calls[1]) == ["a.py"]
