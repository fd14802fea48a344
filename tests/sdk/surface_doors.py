"""The ways in that official SDKs have, each told what to ask in no vendor's words: create, parse, and the accumulators.

What an SDK's typed objects say is read into a `Got`, and nothing else is read: no bytes, no JSON of ours. What does not
live here: tests (`test_surface_matrix.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from anthropic import AsyncAnthropic
from openai import AsyncOpenAI, ContentFilterFinishReasonError, LengthFinishReasonError
from pydantic import BaseModel

from compatgw_testing.doors import inprocess
from compatgw_testing.harness import KEY

ORIGIN = "http://gateway.test"
# In the words of chat completions.
_STOPS = {
    "end_turn": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_CUTS = {"max_output_tokens": "length", "content_filter": "content_filter"}
Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request.

    Attributes:
        text: What the user says.
        image: A PNG in base64.
        tool: Name and parameters of a tool.
        shape: What the answer is parsed into.
        limit: Most tokens to write.
        thinks: Thought is asked for.
        before: The conversation so far, in the form of the way in.
    """

    text: str
    image: str | None = None
    tool: tuple[str, Json] | None = None
    shape: type[BaseModel] | None = None
    limit: int = 4000
    thinks: bool = False
    before: Sequence[Any] = ()


@dataclass(slots=True, kw_only=True)
class Got:
    """What the SDK's objects say.

    Attributes:
        id: Of the call, as the SDK finds it in the answer's headers; None where it keeps none.
        text: All words.
        thought: Thought that is shown.
        refusal: Words of a refusal, where the surface keeps them apart.
        calls: Id, name and parsed arguments of each call.
        finish: Why it ended, in the words of chat completions.
        usage: `input`, `output`, `cached`, `reasoning`.
        parsed: What the answer was parsed into.
        back: The conversation with this answer, as a client sends it back.
    """

    id: str | None = None
    text: str = ""
    thought: str = ""
    refusal: str = ""
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    finish: str = ""
    usage: Mapping[str, int] = field(default_factory=dict)
    parsed: Any = None
    back: list[Any] = field(default_factory=list)


class Broke(Exception):
    """The accumulator of Responses does not raise for a response that failed; its last event tells."""


class Door(Protocol):
    """A way in."""

    @property
    def streams(self) -> bool:
        """The accumulator of a stream is asked for the answer."""

    async def ask(self, app: Any, model: str, ask: Ask) -> Got:
        """Asks through the SDK."""

    def results(self, got: Got, texts: Sequence[str]) -> list[Any]:
        """The conversation with a result for each call."""


def _openai(app: Any) -> AsyncOpenAI:
    http = inprocess.client(app, library="httpx2")
    return AsyncOpenAI(base_url=f"{ORIGIN}/v1", api_key=KEY, http_client=http, max_retries=0)


def _anthropic(app: Any) -> AsyncAnthropic:
    http = inprocess.client(app, library="httpx2")
    return AsyncAnthropic(base_url=ORIGIN, api_key=KEY, http_client=http, max_retries=0)


@dataclass(frozen=True, slots=True)
class Chat:
    """`chat.completions.create`, or its accumulator; `parse` where a shape is wanted."""

    streams: bool

    async def ask(self, app: Any, model: str, ask: Ask) -> Got:
        """Asks through the SDK."""
        content: Any = ask.text
        if ask.image is not None:
            url = f"data:image/png;base64,{ask.image}"
            content = [{"type": "text", "text": ask.text}, {"type": "image_url", "image_url": {"url": url}}]
        messages = [*ask.before, *([{"role": "user", "content": content}] if ask.text else [])]
        more: Json = {"max_tokens": ask.limit}
        if ask.tool is not None:
            name, parameters = ask.tool
            function = {"name": name, "parameters": parameters, "strict": True}
            more["tools"] = [{"type": "function", "function": function}]
        if ask.thinks:
            more["reasoning_effort"] = "low"
        async with _openai(app) as ai:
            if self.streams:
                form: Json = {"response_format": ask.shape} if ask.shape else {}
                usage: Any = {"include_usage": True}
                manager = ai.chat.completions.stream(
                    model=model, messages=messages, stream_options=usage, **form, **more
                )
                async with manager as stream:
                    try:
                        completion: Any = await stream.get_final_completion()
                    except (LengthFinishReasonError, ContentFilterFinishReasonError) as cut:
                        # So the accumulator tells what did not come to its own end.
                        completion = cut.completion
            elif ask.shape is not None:
                completion = await ai.chat.completions.parse(
                    model=model, messages=messages, response_format=ask.shape, **more
                )
            else:
                completion = await ai.chat.completions.create(model=model, messages=messages, **more)
        return self._got(completion, messages)

    @staticmethod
    def _got(completion: Any, messages: list[Any]) -> Got:
        (choice,) = completion.choices
        message, used = choice.message, completion.usage
        inside, outside = used.prompt_tokens_details, used.completion_tokens_details
        assert used.total_tokens == used.prompt_tokens + used.completion_tokens
        assert message.role == "assistant"
        return Got(
            id=getattr(completion, "_request_id", None),
            text=message.content or "",
            thought=(message.model_extra or {}).get("reasoning_content") or "",
            refusal=message.refusal or "",
            calls=[(one.id, one.function.name, json.loads(one.function.arguments)) for one in message.tool_calls or ()],
            finish=choice.finish_reason,
            usage={
                "input": used.prompt_tokens,
                "output": used.completion_tokens,
                "cached": (inside.cached_tokens or 0) if inside else 0,
                "reasoning": (outside.reasoning_tokens or 0) if outside else 0,
            },
            parsed=getattr(message, "parsed", None),
            back=[*messages, message.to_dict(warnings=False)],
        )

    def results(self, got: Got, texts: Sequence[str]) -> list[Any]:
        """The conversation with a result for each call."""
        given = zip(got.calls, texts, strict=True)
        return [*got.back, *({"role": "tool", "tool_call_id": one[0], "content": text} for one, text in given)]


@dataclass(frozen=True, slots=True)
class Responses:
    """`responses.create`, or its accumulator; `parse` where a shape is wanted."""

    streams: bool

    async def ask(self, app: Any, model: str, ask: Ask) -> Got:
        """Asks through the SDK."""
        content: Any = ask.text
        if ask.image is not None:
            url = f"data:image/png;base64,{ask.image}"
            content = [
                {"type": "input_text", "text": ask.text},
                {"type": "input_image", "image_url": url, "detail": "auto"},
            ]
        items = [*ask.before, *([{"role": "user", "content": content}] if ask.text else [])]
        more: Json = {"max_output_tokens": ask.limit, "store": False}
        if ask.tool is not None:
            name, parameters = ask.tool
            more["tools"] = [{"type": "function", "name": name, "parameters": parameters, "strict": True}]
        if ask.thinks:
            more |= {"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}
        async with _openai(app) as ai:
            if self.streams:
                form: Json = {"text_format": ask.shape} if ask.shape else {}
                async with ai.responses.stream(model=model, input=items, **form, **more) as stream:
                    response: Any = await self._accumulated(stream)
            elif ask.shape is not None:
                response = await ai.responses.parse(model=model, input=items, text_format=ask.shape, **more)
            else:
                response = await ai.responses.create(model=model, input=items, **more)
        return self._got(response, items)

    @staticmethod
    async def _accumulated(stream: Any) -> Any:
        events = [event async for event in stream]
        if events[-1].type in ("response.failed", "error"):
            raise Broke(events[-1].to_json())
        words = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        # The accumulator gives only what is complete; of the rest the last event tells.
        cut = events[-1].type == "response.incomplete"
        response = events[-1].response if cut else await stream.get_final_response()
        assert response.output_text == words
        return response

    @staticmethod
    def _got(response: Any, items: list[Any]) -> Got:
        used, calls, thought, refusals = response.usage, [], [], []
        for item in response.output:
            if item.type == "function_call":
                calls.append((item.call_id, item.name, json.loads(item.arguments)))
            elif item.type == "reasoning":
                thought += [part.text for part in item.content or item.summary]
            else:
                refusals += [part.refusal for part in item.content if part.type == "refusal"]
        assert used.total_tokens == used.input_tokens + used.output_tokens
        assert response.error is None
        if response.status == "incomplete":
            finish = _CUTS[response.incomplete_details.reason]
        else:
            assert response.status == "completed"
            finish = "tool_calls" if calls else "stop"
        return Got(
            id=getattr(response, "_request_id", None),
            text=response.output_text,
            thought="".join(thought),
            refusal="".join(refusals),
            calls=calls,
            finish=finish,
            usage={
                "input": used.input_tokens,
                "output": used.output_tokens,
                "cached": used.input_tokens_details.cached_tokens,
                "reasoning": used.output_tokens_details.reasoning_tokens,
            },
            parsed=getattr(response, "output_parsed", None),
            back=[*items, *response.output],
        )

    def results(self, got: Got, texts: Sequence[str]) -> list[Any]:
        """The conversation with a result for each call."""
        given = zip(got.calls, texts, strict=True)
        outputs = [{"type": "function_call_output", "call_id": one[0], "output": text} for one, text in given]
        return [*got.back, *outputs]


@dataclass(frozen=True, slots=True)
class Messages:
    """`messages.create`, or its accumulator; `parse` where a shape is wanted."""

    streams: bool

    async def ask(self, app: Any, model: str, ask: Ask) -> Got:
        """Asks through the SDK."""
        content: Any = ask.text
        if ask.image is not None:
            source = {"type": "base64", "media_type": "image/png", "data": ask.image}
            content = [{"type": "image", "source": source}, {"type": "text", "text": ask.text}]
        messages: Any = [*ask.before, *([{"role": "user", "content": content}] if ask.text else [])]
        more: Json = {}
        if ask.tool is not None:
            name, parameters = ask.tool
            more["tools"] = [{"name": name, "input_schema": parameters}]
        if ask.thinks:
            more["thinking"] = {"type": "enabled", "budget_tokens": 1024}
        if ask.shape is not None:
            more["output_format"] = ask.shape
        async with _anthropic(app) as ai:
            if self.streams:
                async with ai.messages.stream(model=model, messages=messages, max_tokens=ask.limit, **more) as stream:
                    message: Any = await stream.get_final_message()
            elif ask.shape is not None:
                message = await ai.messages.parse(model=model, messages=messages, max_tokens=ask.limit, **more)
            else:
                message = await ai.messages.create(model=model, messages=messages, max_tokens=ask.limit, **more)
        return self._got(message, messages)

    @staticmethod
    def _got(message: Any, messages: list[Any]) -> Got:
        used, details = message.usage, message.stop_details
        cached, written = used.cache_read_input_tokens or 0, used.cache_creation_input_tokens or 0
        thinking = used.output_tokens_details
        assert (message.type, message.role, message.stop_sequence) == ("message", "assistant", None)
        return Got(
            id=getattr(message, "_request_id", None),
            text="".join(block.text for block in message.content if block.type == "text"),
            thought="".join(block.thinking for block in message.content if block.type == "thinking"),
            refusal=(details.explanation or "") if details is not None else "",
            calls=[(block.id, block.name, block.input) for block in message.content if block.type == "tool_use"],
            finish=_STOPS[message.stop_reason],
            usage={
                "input": used.input_tokens + cached + written,
                "output": used.output_tokens,
                "cached": cached,
                "reasoning": (thinking.thinking_tokens or 0) if thinking is not None else 0,
            },
            parsed=getattr(message, "parsed_output", None),
            back=[*messages, {"role": "assistant", "content": message.content}],
        )

    def results(self, got: Got, texts: Sequence[str]) -> list[Any]:
        """The conversation with a result for each call."""
        given = zip(got.calls, texts, strict=True)
        blocks = [{"type": "tool_result", "tool_use_id": one[0], "content": text} for one, text in given]
        return [*got.back, {"role": "user", "content": blocks}]


DOORS: Mapping[str, Door] = {
    "chat": Chat(False),
    "chat-stream": Chat(True),
    "responses": Responses(False),
    "responses-stream": Responses(True),
    "messages": Messages(False),
    "messages-stream": Messages(True),
}
