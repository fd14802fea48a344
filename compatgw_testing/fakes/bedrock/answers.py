"""Converse's answers, plain and as messages of an event stream.

What does not live here: which requests are answered (`rules.py`), the framing (`frames.py`).
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from compatgw_testing.fakes.answer import Chat, Frame, Json, Problem, Said, fragments
from compatgw_testing.fakes.bedrock.frames import message
from compatgw_testing.fakes.bedrock.reading import read_converse
from compatgw_testing.script import ToolCall, dump

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compatgw_testing.fakes.bedrock.rules import Thoughts
    from compatgw_testing.journal import Call
    from compatgw_testing.sample import Ids

_STOP = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "content_filtered",
    "refusal": "content_filtered",
}
_PADDING = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


class BedrockChat(Chat):
    """One request for a message."""

    def __init__(self, call: Call, ids: Ids, model: str, thoughts: Thoughts, *, stream: bool) -> None:
        super().__init__(call, ids, read_converse(model, call.body, stream=stream))
        self.model = model
        self._thoughts = thoughts

    def tool_id(self, index: int, name: str) -> str:
        """The id of the call at `index`."""
        return f"tooluse_{self.ids.alnum(f'tool{index}', 22)}"

    def plain(self, said: Said) -> Json:
        """The body of a plain answer."""
        return {
            "output": {"message": {"role": "assistant", "content": self._blocks(said)}},
            "stopReason": _STOP.get(said.finish, said.finish),
            "usage": self._usage(said),
            "metrics": {"latencyMs": 420},
        }

    def _usage(self, said: Said) -> Json:
        used = said.usage
        usage: Json = {
            "inputTokens": used.input - used.cached - used.cache_write,
            "outputTokens": used.output,
            "totalTokens": used.input + used.output,
        }
        if used.cached or used.cache_write:
            usage |= {"cacheReadInputTokens": used.cached, "cacheWriteInputTokens": used.cache_write}
            if used.cache_write:
                usage["cacheDetails"] = [{"ttl": "5m", "inputTokens": used.cache_write}]
        return usage

    def _blocks(self, said: Said) -> list[Json]:
        blocks: list[Json] = []
        if said.reasoning:
            blocks.append({"reasoningContent": self._thought(said)})
        text = said.text or said.refusal
        if text:
            blocks.append({"text": "".join(text)})
        uses = [{"toolUseId": one.id, "name": one.name, "input": _input(one)} for one in said.calls]
        return [*blocks, *({"toolUse": use} for use in uses)]

    def _thought(self, said: Said) -> Json:
        """The thought as a block, its signature issued."""
        text = "".join(said.reasoning)
        sealed = base64.b64encode(bytes.fromhex(self.ids.hex(f"signature{said.redacted}{text}", 128))).decode()
        self._thoughts.issue(sealed, "" if said.redacted else text)
        if said.redacted:
            return {"redactedContent": sealed}
        return {"reasoningText": {"text": text, "signature": sealed}}

    # Streamed.

    def frames(self, said: Said) -> Iterator[Frame]:
        """The events of a stream."""
        yield self._event("messageStart", {"role": "assistant"})
        for index, block in enumerate(self._blocks(said)):
            if "toolUse" in block:
                start = {name: block["toolUse"][name] for name in ("toolUseId", "name")}
                yield self._event("contentBlockStart", {"contentBlockIndex": index, "start": {"toolUse": start}})
            for delta in self._deltas(block, said):
                yield self._event("contentBlockDelta", {"contentBlockIndex": index, "delta": delta})
            yield self._event("contentBlockStop", {"contentBlockIndex": index})
        yield self._event("messageStop", {"stopReason": _STOP.get(said.finish, said.finish)}, end=True)
        totals = {"usage": self._usage(said), "metrics": {"latencyMs": 420}}
        yield self._event("metadata", totals, end=True)

    def _deltas(self, block: Json, said: Said) -> Iterator[Json]:
        if "text" in block:
            for piece in said.text or said.refusal or ():
                yield {"text": piece}
        elif "toolUse" in block:
            text = next(one.text for one in said.calls if one.id == block["toolUse"]["toolUseId"])
            for piece in fragments(text) if text != "{}" else ():
                yield {"toolUse": {"input": piece}}
        elif "redactedContent" in block["reasoningContent"]:
            yield {"reasoningContent": block["reasoningContent"]}
        else:
            for piece in said.reasoning:
                yield {"reasoningContent": {"text": piece}}
            yield {"reasoningContent": {"signature": block["reasoningContent"]["reasoningText"]["signature"]}}

    def error_frames(self, problem: Problem) -> Iterator[Frame]:
        """An exception within the stream, after which the service closes."""
        name = problem.type or "InternalServerException"
        headers = {
            ":exception-type": name[0].lower() + name[1:],
            ":content-type": "application/json",
            ":message-type": "exception",
        }
        yield Frame(message(headers, dump({"message": problem.message}).encode()), end=True)

    def garbage(self) -> bytes:
        """A delta that breaks off in the middle of its JSON, in a frame that is whole."""
        return message(_headers("contentBlockDelta"), b'{"contentBlockIndex":0,"del')

    def _event(self, name: str, data: Json, *, end: bool = False) -> Frame:
        # What is said cannot be told from the length of a message.
        padding = _PADDING[: 1 + int(self.ids.hex(f"padding{name}{dump(data)}", 2), 16) % len(_PADDING)]
        return Frame(message(_headers(name), dump({**data, "p": padding}).encode()), end)


def _headers(name: str) -> dict[str, str]:
    return {":event-type": name, ":content-type": "application/json", ":message-type": "event"}


def _input(call: ToolCall) -> Any:
    """The arguments as an object; what is no object cannot be said in a plain message."""
    try:
        value = json.loads(call.text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
