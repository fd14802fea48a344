"""A stream of an OpenAI-like upstream becomes hub chunks: whatever its author got wrong, at once.

Most events are a piece of text in a chunk that needs no change; those are looked at just
long enough to know so and go on as their own bytes. All others are taken apart: identity,
usage, then each choice's delta (`delta.py`), and what is left of a chunk is written anew.
What the rules of a stream want at its end (arguments of a call without any, the finish
reason, usage) is kept until then.

What does not live here: framing (`wire/sse.py`), what is in a delta (`delta.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson

from compatgw.dialects import assemble, failure
from compatgw.dialects.base import Context, Piece
from compatgw.dialects.events import interrupted
from compatgw.dialects.openai import content, finish, response, usage
from compatgw.dialects.openai.delta import ChoiceState
from compatgw.dialects.openai.whole import Whole
from compatgw.errors import StreamInterrupted, UpstreamFailure
from compatgw.wire.sse import EventTooLarge, SSEEvent, SSEReader

if TYPE_CHECKING:
    from compatgw.wire.chat import ChatChunk, FinishReason, Usage

OBJECT = "chat.completion.chunk"
MAX_CHOICES = 128
_OF_A_CHOICE = frozenset({"index", "delta", "message", "logprobs", "finish_reason", "usage", "text"})
_LOGPROBS = (type(None), dict)
_THOUGHT = frozenset({"role", "content", "reasoning_content", "reasoning", "channel"})
# What OpenAI sends in a chunk of its own, without choices.
_ALONE = "moderation"


class _NotJSON(UpstreamFailure):
    """An event whose data is not JSON: cut off, at the end of a stream."""


class OpenAIStream:
    """Decodes one stream; see `StreamDecoder` for what holds of its chunks.

    Args:
        context: The call that the stream belongs to.
    """

    __slots__ = (
        "_choices", "_citations", "_context", "_created", "_failed", "_id", "_idle", "_model", "_open", "_plain",
        "_reader", "_usage", "_whole", "done",
    )  # fmt: skip

    def __init__(self, context: Context) -> None:
        self._context = context
        self._reader = SSEReader()
        self._id = ""
        self._model = ""
        self._created = 0
        self._choices: dict[int, ChoiceState] = {}
        # Choices that have begun and not finished, and those of them that are past any <think> tag.
        self._open: set[int] = set()
        self._plain: set[int] = set()
        self._usage: Usage | None = None
        self._citations: list[dict[str, Any]] = []
        # The body itself when the answer turns out to be no stream at all.
        self._whole = Whole(context.target, self._reader)
        # The reader holds no part of an event.
        self._idle = True
        self._failed: UpstreamFailure | None = None
        self.done = False

    def feed(self, data: bytes) -> list[Piece]:
        """Chunks that `data` completes.

        Raises:
            UpstreamFailure: As for `StreamDecoder`; when chunks came before the error, with the next call.
        """
        out: list[Piece] = []
        # Nearly every read: one whole event, in the midst of a stream. It needs no reader.
        if self._open and self._idle and data[:7] == b"data: {" and data.find(b"\n") == len(data) - 2:
            events = None
        else:
            events = self._read(data)
        try:
            if events is None:
                self._data(data[6:-2], out)
                return out
            for event in events:
                if event.name or event.data[:1] != b"{":
                    self._other(event, out)
                    if self.done:
                        break
                else:
                    self._data(event.data, out)
        except UpstreamFailure as error:
            self._shut()
            if not out:
                raise
            # What was said before the error is the caller's, however the bytes were cut.
            self._failed = error
        return out

    def _read(self, data: bytes) -> list[SSEEvent]:
        if self._failed is not None:
            raise self._failed
        if self.done or (not self._id and self._whole.takes(data)):
            return []
        try:
            events = self._reader.feed(data)
        except EventTooLarge as error:
            raise UpstreamFailure(f"{self._where} sent something that is not a stream: {error}.") from None
        self._idle = not self._reader.pending
        return events

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
        if body := self._whole.body:
            self.done = True
            return assemble.chunks(response.decode(body, self._context).completion)
        for event in self._reader.finish():
            try:
                if event.name or event.data[:1] != b"{":
                    self._other(event, out)
                else:
                    self._data(event.data, out)
            except _NotJSON:
                break
        if not self.done:
            self._end(out, announced=False)
        return out

    @property
    def _where(self) -> str:
        target = self._context.target
        return f"{target.provider} (model '{target.model}')"

    # --- events ------------------------------------------------------------------------------

    def _data(self, data: bytes, out: list[Piece]) -> None:
        chunk = self._parse(data)
        if self._open:
            try:
                (choice,) = chunk["choices"]
                if (
                    chunk.get("usage") is None
                    and choice.setdefault("finish_reason", None) is None
                    and "error" not in chunk
                    and choice.setdefault("logprobs", None).__class__ in _LOGPROBS
                    and (simple := self._simple(choice, choice["delta"])) is not None
                ):
                    if (
                        chunk["id"] == self._id
                        and chunk["model"] == self._model
                        and chunk["created"] == self._created
                        and chunk["object"] == OBJECT
                    ):
                        out.append(Piece(cast("ChatChunk", chunk), data if simple else None))
                    else:
                        head = {"id": self._id, "object": OBJECT, "created": self._created, "model": self._model}
                        out.append(Piece(cast("ChatChunk", {**chunk, **head})))
                    return
            except (KeyError, TypeError, ValueError, AttributeError):
                pass  # not the usual shape: the long way finds out what it is
        self._chunk(chunk, data, out)

    def _simple(self, choice: dict[str, Any], delta: dict[str, Any]) -> bool | None:
        """True for a piece of text or arguments as it should be, False for one that was made so, None for others."""
        text = delta.get("content")
        if text and text.__class__ is str and choice["index"] in self._plain:
            if len(delta) == 1:
                return True
            if len(delta) == 2 and "role" in delta:
                del delta["role"]
                return False
        elif len(delta) == 1 and "tool_calls" in delta and choice["index"] in self._open:
            (piece,) = delta["tool_calls"]
            if self._choices[choice["index"]].calls.continued(piece):
                return True
        elif not text and choice["index"] in self._open and _THOUGHT.issuperset(delta):
            thought = delta.get("reasoning_content") or delta.get("reasoning")
            if thought and thought.__class__ is str:
                delta.pop("role", None)
                delta.pop("content", None)
                delta["reasoning_content"] = delta["reasoning"] = thought
                return False
        return None

    def _other(self, event: SSEEvent, out: list[Piece]) -> None:
        data = event.data.strip()
        if data.startswith(b"[DONE]"):
            self._end(out, announced=True)
        elif event.name == "error":
            try:
                value = orjson.loads(data)
            except orjson.JSONDecodeError:
                value = data.decode("utf-8", "replace")
            raise failure.from_value({"error": value} if isinstance(value, str) else value, self._context.target)
        elif data and data != b"null" and event.name != "ping":
            self._chunk(self._parse(data), event.data, out)

    def _parse(self, data: bytes) -> dict[str, Any]:
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError:
            shown = failure.extract(data)[0]
            raise _NotJSON(f"{self._where} sent an event that is not JSON: {shown}") from None
        if isinstance(value, list) and value:
            value = value[0]
        if not isinstance(value, dict):
            raise UpstreamFailure(f"{self._where} sent an event that is not a chunk: {failure.extract(data)[0]}")
        return value

    def _chunk(self, chunk: dict[str, Any], data: bytes, out: list[Piece]) -> None:
        if (problem := finish.fault(chunk, self._context.target)) is not None:
            raise problem
        if (found := usage.find(chunk)) is not None:
            self._usage = usage.normal(found, excludes_reasoning=self._context.target.quirks.excludes_reasoning)
        if not self._citations and ("citations" in chunk or "search_results" in chunk):
            self._citations = content.citations(chunk)
        choices = chunk.get("choices")
        if not isinstance(choices, list) or not choices:
            if self._id and chunk.get(_ALONE):
                out.append(Piece(self._envelope(chunk)))
            return
        if not self._id:
            self._identify(chunk)
        for choice in choices:
            if isinstance(choice, dict):
                self._choice(choice, chunk, data if len(choices) == 1 else None, out)

    def _identify(self, chunk: dict[str, Any]) -> None:
        id, model, created = chunk.get("id"), chunk.get("model"), chunk.get("created")
        self._id = id if isinstance(id, str) and id else self._context.id
        self._model = model if isinstance(model, str) and model else self._context.target.model
        self._created = created if isinstance(created, int) and created > 0 else self._context.created

    # --- choices -----------------------------------------------------------------------------

    def _choice(self, choice: dict[str, Any], chunk: dict[str, Any], data: bytes | None, out: list[Piece]) -> None:
        index = choice.get("index")
        if index.__class__ is not int or not 0 <= index < MAX_CHOICES:
            index = 0
        state = self._choices.get(index)
        first = state is None
        if state is None:
            state = self._begin(index, out)
        if state.finish is not None:
            return  # the choice has said that it is over
        given = choice.get("delta")
        if not isinstance(given, dict):
            given = {}
        word = choice.get("finish_reason")
        delta = state.delta(given, first=first, last=bool(word))
        ending = finish.reason(word, bool(state.calls), self._context.target)
        tail = self._tail(state) if ending is not None else None
        if data is not None and not tail and self._unchanged(choice, chunk, index, delta, ending):
            choice.setdefault("logprobs", None)
            choice.setdefault("finish_reason", None)
            choice.setdefault("delta", delta)
            out.append(Piece(cast("ChatChunk", chunk), data))
        else:
            logprobs = content.logprobs(choice.get("logprobs"))
            if delta or first or (logprobs and any(logprobs.values())):
                out.append(self._piece(chunk, choice, index, delta, logprobs))
            if tail:
                out.append(self._piece(chunk, choice, index, tail))
            if ending is not None:
                out.append(self._piece(chunk, choice, index, {}, reason=ending))
        if ending is not None:
            state.finish = ending
            self._plain.discard(index)
            self._open.discard(index)
        else:
            self._open.add(index)
            if state.settled:
                self._plain.add(index)

    def _shut(self) -> None:
        self._open.clear()
        self._plain.clear()

    def _begin(self, index: int, out: list[Piece]) -> ChoiceState:
        # Clients index choices by position: those before this one have to come first.
        for missing in range(index):
            if missing not in self._choices:
                self._choices[missing] = ChoiceState(f"{self._id}|{missing}")
                out.append(self._piece({}, {}, missing, {"role": "assistant", "content": ""}))
        self._choices[index] = state = ChoiceState(f"{self._id}|{index}")
        return state

    def _tail(self, state: ChoiceState) -> dict[str, Any]:
        """What a choice still has to say before its finish reason."""
        delta: dict[str, Any] = {}
        if state.calls and (empty := state.calls.empty()):
            delta["tool_calls"] = empty
        if self._citations and not state.annotated:
            delta["annotations"] = [{"index": n, **citation} for n, citation in enumerate(self._citations)]
        return delta

    def _unchanged(
        self,
        choice: dict[str, Any],
        chunk: dict[str, Any],
        index: int,
        delta: dict[str, Any],
        ending: FinishReason | None,
    ) -> bool:
        word = choice.get("finish_reason")
        return (
            chunk.get("id") == self._id
            and chunk.get("model") == self._model
            and chunk.get("created") == self._created
            and chunk.get("object") == OBJECT
            and not chunk.get("usage")
            and choice.get("index") == index
            and choice["index"].__class__ is int
            and "message" not in choice
            and "usage" not in choice
            and choice.get("delta", {}) == delta
            and choice.get("logprobs").__class__ in _LOGPROBS
            and (word is None if ending is None else word == ending and not delta)
            and (bool(delta) or ending is not None)
        )

    def _envelope(self, chunk: dict[str, Any]) -> ChatChunk:
        envelope: dict[str, Any] = {
            "id": self._id,
            "object": OBJECT,
            "created": self._created,
            "model": self._model,
            "choices": [],
            **response.beside(chunk),
        }
        return cast("ChatChunk", envelope)

    def _piece(
        self,
        chunk: dict[str, Any],
        choice: dict[str, Any],
        index: int,
        delta: dict[str, Any],
        logprobs: Any = None,
        reason: FinishReason | None = None,
    ) -> Piece:
        written = self._envelope(chunk)
        rest = {name: value for name, value in choice.items() if name not in _OF_A_CHOICE}
        row: dict[str, Any] = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason, **rest}
        written["choices"].append(cast("Any", row))
        return Piece(written)

    # --- the end -----------------------------------------------------------------------------

    def _end(self, out: list[Piece], *, announced: bool) -> None:
        """Usage, once every choice has its finish reason."""
        if not self._choices:
            raise StreamInterrupted(f"{self._where} closed the stream without an answer. Send the request again.")
        for index, state in self._choices.items():
            if state.finish is not None:
                continue
            # `[DONE]` alone is no finish: servers write it after failures, too. After the totals of
            # the answer it is one: some (Snowflake) know no finish reason at all.
            if not announced or self._usage is None:
                raise interrupted(self._context.target)
            state.finish = "tool_calls" if state.calls else "stop"
            held = state.delta({}, first=False, last=True)
            said = [delta for delta in (held, self._tail(state)) if delta]
            out.extend(self._piece({}, {}, index, delta) for delta in said)
            out.append(self._piece({}, {}, index, {}, reason=state.finish))
        self._shut()
        self.done = True
        if self._usage is not None:
            written = self._envelope({})
            written["usage"] = self._usage
            out.append(Piece(written))
