"""Judges of answers that know nothing of our translators: the OpenAI SDK's types and accumulator, and plain rules.

`whole` and `assembled` give the same plain dict, `rules` asserts what holds for every stream,
`essence` keeps what two answers must agree on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from compatgw.dialects.base import Answer, Piece, StreamDecoder


def _without_nulls(value: Any) -> Any:
    """`value` without null members: what a member that is left out means as well."""
    if isinstance(value, dict):
        return {name: _without_nulls(member) for name, member in value.items() if member is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def whole(answer: Answer) -> dict[str, Any]:
    """The answer as the SDK reads it; `raw`, where given, must say the same."""
    ChatCompletion.model_validate(answer.completion)
    if answer.raw is not None:
        assert _without_nulls(orjson.loads(answer.raw)) == _without_nulls(answer.completion)
    return ChatCompletion.model_validate_json(orjson.dumps(answer.completion)).model_dump()


def assembled(pieces: Sequence[Piece]) -> dict[str, Any]:
    """The stream as the SDK's own accumulator puts it together."""
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for piece in pieces:
        if piece.raw is not None:
            assert _without_nulls(orjson.loads(piece.raw)) == _without_nulls(piece.chunk)
        for _ in state.handle_chunk(ChatCompletionChunk.model_validate_json(orjson.dumps(piece.chunk))):
            pass
    completion = state.current_completion_snapshot.model_dump()
    completion["object"] = "chat.completion"
    ChatCompletion.model_validate(completion)
    return completion


def rules(pieces: Sequence[Piece], *, identity: bool = True) -> None:
    """What holds for every whole stream of every dialect."""
    chunks: list[dict[str, Any]] = [piece.chunk for piece in pieces]  # type: ignore[misc]
    assert chunks, "a whole stream has chunks"
    assert {c["object"] for c in chunks} == {"chat.completion.chunk"}
    if identity:
        for name in ("id", "model", "created"):
            assert len({c[name] for c in chunks}) == 1, f"one {name} per stream"
    with_usage = [n for n, c in enumerate(chunks) if c.get("usage")]
    assert with_usage in ([], [len(chunks) - 1]), "usage once and last"
    assert all(not chunks[n]["choices"] for n in with_usage), "usage in a chunk without choices"
    seen: dict[int, list[dict[str, Any]]] = {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            seen.setdefault(choice["index"], []).append(choice)
    assert list(seen) == sorted(seen) == list(range(len(seen))), "choices begin in order"
    for choices in seen.values():
        _choice_rules(choices)


def _choice_rules(choices: list[dict[str, Any]]) -> None:
    roles = [n for n, c in enumerate(choices) if "role" in c["delta"]]
    assert roles == [0], "the role comes first and once"
    assert choices[0]["delta"]["role"] == "assistant"
    finishes = [n for n, c in enumerate(choices) if c.get("finish_reason")]
    assert finishes == [len(choices) - 1], "one finish reason, at the end"
    opened: list[int] = []
    for choice in choices:
        for call in choice["delta"].get("tool_calls") or ():
            inner = call.get("function") or call.get("custom") or {}
            if call["index"] in opened:
                assert not call.keys() & {"id", "type"}, "id and type come once"
                assert "name" not in inner, "the name comes once"
            else:
                assert call["index"] == len(opened), "tool indexes count from 0 by first appearance"
                opened.append(call["index"])
                assert call["id"]
                assert call["type"] in ("function", "custom")
                assert "name" in inner


def essence(completion: dict[str, Any]) -> dict[str, Any]:
    """What a streamed and a plain answer agree on: texts, calls, finish reasons, totals."""
    usage = completion.get("usage") or None
    return {
        "choices": [
            {
                "text": choice["message"].get("content") or "",
                "refusal": choice["message"].get("refusal") or "",
                "reasoning": choice["message"].get("reasoning_content") or "",
                "calls": [
                    (call["id"], call["function"]["name"], call["function"]["arguments"])
                    for call in choice["message"].get("tool_calls") or ()
                    if call["type"] == "function"
                ],
                "finish": choice["finish_reason"],
            }
            for choice in completion["choices"]
        ],
        "usage": usage and (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]),
    }


def drive(decoder: StreamDecoder, parts: Iterable[bytes]) -> list[Piece]:
    """All chunks of a stream that arrives in `parts` and then ends."""
    pieces: list[Piece] = []
    for part in parts:
        pieces += decoder.feed(part)
    return pieces + decoder.finish()


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """`data` cut at `places`, which need not be sorted or inside."""
    inside = sorted({place for place in places if 0 < place < len(data)})
    return [data[start:end] for start, end in zip([0, *inside], [*inside, len(data)], strict=True)]
