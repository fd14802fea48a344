"""Legacy completions of an OpenAI-like upstream, for clients of the very same endpoint.

Requests go on as they came, answers and events too, as long as they are what typed clients read; beside them goes
the hub's own answer, which is what usage, money and caches are reckoned by.

What does not live here: the endpoint for clients, and how it is emulated (`surfaces/completions.py`).
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, cast

import orjson

from compatgw.dialects import failure
from compatgw.dialects.base import Answer, Codec, Leftovers, Outgoing, Piece
from compatgw.dialects.openai import content, finish, response, usage
from compatgw.errors import StreamInterrupted, UpstreamFailure
from compatgw.wire.completions import CompletionRequest
from compatgw.wire.sse import EventTooLarge, SSEReader, frame

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Context, NativeCodec, Quirks, Target
    from compatgw.wire.chat import ChatChunk, ChatCompletion, Usage
    from compatgw.wire.native import Native
    from compatgw.wire.sse import SSEEvent

PATH = "/completions"
OBJECT = "text_completion"
MEMBERS = frozenset(CompletionRequest.__annotations__)
MAX_CHOICES = 4096
_REASONS = frozenset({"stop", "length", "content_filter"})
_OF_A_CHOICE = frozenset({"index", "text", "logprobs", "finish_reason"})
_OF_A_CHUNK = frozenset({"id", "object", "created", "model", "choices", "usage"})


def encode(native: Native, target: Target) -> Outgoing:
    """The request as the target takes it.

    Raises:
        UnsupportedParameter: A member that changes the answer and cannot be carried.
    """
    quirks, left = target.quirks, Leftovers(target)
    body: dict[str, Any] = {**native.body, "model": target.model}
    for name in [name for name in body if _unserved(name, quirks)]:
        left.hint(name, body.pop(name))
    for name in [name for name in body if name in quirks.reject]:
        left.semantic(name, body.pop(name))
    if not quirks.n:
        # As many calls are made instead, as for chats.
        body.pop("n", None)
    most = body.get("max_tokens")
    if most is not None and target.max_output is not None and most > target.max_output:
        body["max_tokens"] = target.max_output
        left.clamp("max_tokens", target.max_output)
    if body.get("stream") and quirks.stream_options:
        body["stream_options"] = {**body.get("stream_options", {}), "include_usage": True}
    else:
        body.pop("stream_options", None)
    for ours, theirs in quirks.rename.items():
        if ours in body and ours != theirs:
            body[theirs] = body.pop(ours)
    memo = {"choices": _prompts(body.get("prompt")) * body.get("n", 1)}
    return Outgoing(PATH, orjson.dumps(body), (), tuple(left.dropped), tuple(left.clamped), memo)


def _unserved(name: str, quirks: Quirks) -> bool:
    return name in quirks.drop or (quirks.known_only and name not in MEMBERS and name not in quirks.rename)


def _prompts(prompt: Any) -> int:
    return len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else 1


def decode(body: bytes, context: Context) -> Answer:
    """The completion that `body` holds, as the hub's and as it came.

    Raises:
        UpstreamFailure: Not JSON, an error in spite of status 200, or no choices.
    """
    value = response.parse(body, context.target)
    choices = [_mended(choice, index, context.target) for index, choice in enumerate(value["choices"])]
    for choice in choices:
        choice["finish_reason"] = choice["finish_reason"] or "stop"
    found = usage.find(value)
    excludes = context.target.quirks.excludes_reasoning
    counted = usage.normal(found, excludes_reasoning=excludes) if found is not None else None
    out = _head(value, context) | {"choices": choices}
    if counted is not None:
        out["usage"] = counted
    out |= {name: member for name, member in value.items() if name not in out and member is not None}
    hub: Any = {**out, "object": "chat.completion", "choices": [_hub_choice(choice) for choice in choices]}
    # As it came, where nothing had to be mended: `out` has the same members and values then.
    return Answer(cast("ChatCompletion", hub), native=body if out == value else orjson.dumps(out))


def _head(value: Mapping[str, Any], context: Context) -> dict[str, Any]:
    id, model, created = value.get("id"), value.get("model"), value.get("created")
    return {
        "id": id if isinstance(id, str) and id else context.id.replace("chatcmpl-", "cmpl-", 1),
        "object": OBJECT,
        "created": int(created) if isinstance(created, (int, float)) and created > 0 else context.created,
        "model": model if isinstance(model, str) and model else context.target.model,
    }


def _mended(choice: Mapping[str, Any], place: int, target: Target) -> dict[str, Any]:
    """A choice of an answer or a chunk, with every member that typed clients read."""
    index = choice.get("index")
    if index.__class__ is not int or not 0 <= index < MAX_CHOICES:
        index = place
    word = finish.reason(choice.get("finish_reason"), False, target)
    rest = {name: member for name, member in choice.items() if name not in _OF_A_CHOICE}
    return {
        "text": content.as_text(choice.get("text")),
        "index": index,
        "logprobs": logprobs if isinstance(logprobs := choice.get("logprobs"), dict) else None,
        "finish_reason": word if word is None or word in _REASONS else "stop",
        **rest,
    }


def _hub_choice(choice: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "index": choice["index"],
        "message": {"role": "assistant", "content": choice["text"], "refusal": None},
        "logprobs": choice["logprobs"],
        "finish_reason": choice["finish_reason"],
    }


class TextStream:
    """Decodes one stream; see `StreamDecoder` for what holds of its chunks. Each piece has its own frame beside it.

    Args:
        context: The call that the stream belongs to.
    """

    __slots__ = ("_begun", "_context", "_ended", "_failed", "_head", "_reader", "_usage", "done")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._reader = SSEReader()
        self._head: dict[str, Any] | None = None
        self._begun: set[int] = set()
        self._ended: set[int] = set()
        self._usage: Usage | None = None
        self._failed: UpstreamFailure | None = None
        self.done = False

    def feed(self, data: bytes) -> list[Piece]:
        """Chunks that `data` completes.

        Raises:
            UpstreamFailure: As for `StreamDecoder`; when chunks came before the error, with the next call.
        """
        if self._failed is not None:
            raise self._failed
        out: list[Piece] = []
        try:
            for event in self._reader.feed(data) if not self.done else ():
                self._event(event, out)
                if self.done:
                    break
        except EventTooLarge as error:
            raise UpstreamFailure(f"{self._where} sent something that is not a stream: {error}.") from None
        except UpstreamFailure as error:
            if not out:
                raise
            self._failed = error
        return out

    def finish(self) -> list[Piece]:
        """The last chunks.

        Raises:
            StreamInterrupted: A choice has no finish reason yet.
        """
        if self._failed is not None:
            raise self._failed
        out: list[Piece] = []
        if self.done:
            return out
        for event in self._reader.finish():
            # Half an event at the end of a stream that was cut is nothing.
            if event.data.strip().startswith(b"[DONE]") or _json(event.data) is not None:
                self._event(event, out)
        if not self.done:
            self._end(out, announced=False)
        return out

    @property
    def _where(self) -> str:
        target = self._context.target
        return f"{target.provider} (model '{target.model}')"

    def _event(self, event: SSEEvent, out: list[Piece]) -> None:
        data = event.data.strip()
        if data.startswith(b"[DONE]"):
            self._end(out, announced=True)
        elif event.name == "error":
            value = _json(data)
            said = value if isinstance(value, dict) else {"error": data.decode("utf-8", "replace")}
            raise failure.from_value(said, self._context.target)
        elif data and data != b"null" and event.name != "ping":
            self._chunk(data, out)

    def _chunk(self, data: bytes, out: list[Piece]) -> None:
        value = _json(data)
        if not isinstance(value, dict):
            raise UpstreamFailure(f"{self._where} sent an event that is not a chunk: {failure.extract(data)[0]}")
        if (problem := finish.fault(value, self._context.target)) is not None:
            raise problem
        if (found := usage.find(value)) is not None:
            self._usage = usage.normal(found, excludes_reasoning=self._context.target.quirks.excludes_reasoning)
        given = value.get("choices")
        if not isinstance(given, list) or not given:
            return
        if self._head is None:
            self._head = _head(value, self._context)
        choices = [
            choice
            for place, one in enumerate(given)
            if isinstance(one, dict)
            and (choice := _mended(one, place, self._context.target))["index"] not in self._ended
        ]
        rest = {name: member for name, member in value.items() if name not in _OF_A_CHUNK}
        written: dict[str, Any] = {**self._head, "choices": choices, **rest}
        if "usage" in value:
            # Totals come once, in the end.
            written["usage"] = None
        if choices:
            out.append(self._piece(written, data if written == value else None))

    def _piece(self, written: dict[str, Any], data: bytes | None = None) -> Piece:
        choices = []
        for choice in written["choices"]:
            index = choice["index"]
            delta = {"content": choice["text"]} if choice["text"] else {}
            if index not in self._begun:
                self._begun.add(index)
                delta = {"role": "assistant", "content": choice["text"]}
            if choice["finish_reason"] is not None:
                self._ended.add(index)
            choices.append(
                {
                    "index": index,
                    "delta": delta,
                    "logprobs": choice["logprobs"],
                    "finish_reason": choice["finish_reason"],
                }
            )
        hub: Any = {**written, "object": "chat.completion.chunk", "choices": choices}
        return Piece(cast("ChatChunk", hub), native=frame(orjson.dumps(written) if data is None else data))

    def _end(self, out: list[Piece], *, announced: bool) -> None:
        waiting = self._begun - self._ended
        # An end that was announced, with totals, is one though nobody said why the text ended.
        meant = announced and self._usage is not None
        missing = not announced and len(self._ended) < self._context.memo.get("choices", 1)
        if self._head is None or (waiting and not meant) or missing:
            raise StreamInterrupted(f"{self._where} ended its stream before the answer was complete. Send it again.")
        if waiting:
            ends = [
                {"text": "", "index": index, "logprobs": None, "finish_reason": "stop"} for index in sorted(waiting)
            ]
            out.append(self._piece({**self._head, "choices": ends}))
        if self._usage is not None:
            # Without a frame of its own: whoever writes it adds what it cost.
            out.append(self._piece({**self._head, "choices": [], "usage": self._usage})._replace(native=None))
        self.done = True


def _json(data: bytes) -> Any:
    """What `data` holds, None for what is no JSON."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None


def serves(quirks: Quirks) -> bool:
    """The upstream has the endpoint."""
    return bool(quirks.completions)


def takes(native: Native, target: Target) -> bool:
    """The upstream serves this model by it."""
    return any(fnmatchcase(target.model, glob) for glob in target.quirks.completions)


COMPLETIONS: NativeCodec = Codec(
    encode=encode, decode=decode, stream=TextStream, error=failure.from_body, serves=serves, takes=takes
)
