"""How a client of Responses is told its answer: translated from the hub's, or passed on as it came.

A face that tells an upstream's own frames changes them only where it has to: the id of the response before, the
model under `echo`, and `store` when the response was not kept. The last event of a stream is written by `end`
alone, so that whoever keeps responses can do so before the client hears that its own is complete:

    face.response()          after the last piece (or with the whole answer): what the client will be told
    face.unkept()            it was not kept: `store` is then false
    face.end() / face.whole(answer)

What does not live here: items and their events (`stream.py`), keeping responses (`flow/conversations.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from compatgw.surfaces.responses.answer import cut, ended, failed, skeleton
from compatgw.surfaces.responses.stream import Teller, Writer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compatgw.dialects.base import Answer, Piece
    from compatgw.errors import GatewayError
    from compatgw.surfaces.base import Parsed, View

Json = dict[str, Any]

_LAST = (b"event: response.completed\n", b"event: response.incomplete\n")
# Events that carry the whole response.
_AROUND = (b"event: response.created\n", b"event: response.in_progress\n", b"event: response.queued\n", *_LAST)


class ResponsesFace:
    """Tells one answer.

    Args:
        parsed: The request.
        view: What it may know of the gateway; `view.id` makes the ids.
    """

    __slots__ = (
        "_begun", "_finish", "_frames", "_held", "_kept", "_model", "_native", "_own", "_parsed", "_response",
        "_teller", "_tier", "_usage", "_view", "_writer",
    )  # fmt: skip

    stream_type = "text/event-stream"

    def __init__(self, parsed: Parsed, view: View) -> None:
        self._parsed = parsed
        self._view = view
        self._writer = Writer()
        self._teller = self._new(self._writer)
        self._model: str = parsed.request["model"]
        self._finish: str | None = None
        self._usage: Any = None
        self._tier: Any = None
        self._begun: Json | None = None
        # An upstream's own stream: its first frame and its latest, and the last one, which is held back.
        self._native: bool | None = None
        self._frames: tuple[bytes, bytes] = (b"", b"")
        self._held = b""
        # The response as the client is told it, once it is known.
        self._response: Json | None = None
        self._kept = True
        self._own = False

    # --- whole answers ---------------------------------------------------------------------------

    def response(self, answer: Answer | None = None) -> Json | None:
        """The response that the client is told; None before it is complete. Not to be changed.

        Args:
            answer: The whole answer, where it is not streamed.
        """
        if self._response is None:
            if answer is not None:
                self._response = self._whole(answer)
            elif self._native and self._held:
                event = orjson.loads(_data(self._held))
                self._response = self._mended(event["response"])
            elif self._begun is not None and self._finish is not None:
                self._response = self._ended(self._teller)
        found = self._response
        return found if found is None or self._kept else {**found, "store": False}

    def queued(self) -> Json:
        """The response as it is told at once where it is worked on in the background."""
        return {**self._skeleton(), "status": "queued"}

    def broken(self, error: GatewayError) -> Json:
        """The response of a call that failed before anything of it was told."""
        return failed(self._skeleton(), error, [])

    @property
    def passes(self) -> bool:
        """True when what was told is an upstream's own, passed on as it came."""
        return self._own

    def unkept(self) -> None:
        """The response was not kept, although it should have been."""
        self._kept = False

    def whole(self, answer: Answer) -> bytes:
        """The body of a whole answer."""
        if answer.native is not None and self._untouched and self._kept:
            return answer.native
        return orjson.dumps(self.response(answer))

    def _whole(self, answer: Answer) -> Json:
        if answer.native is not None:
            self._own = True
            return self._mended(orjson.loads(answer.native))
        completion: Any = answer.completion
        choice = completion["choices"][0]
        self._model, self._usage = completion["model"], completion.get("usage")
        self._tier, self._finish = completion.get("service_tier"), choice["finish_reason"]
        self._begun = self._skeleton()
        teller = self._new(Writer(mute=True))
        teller.delta(choice["message"], choice.get("logprobs"))
        teller.finish(cut=cut(self._finish) is not None)
        return self._ended(teller)

    # --- streams ---------------------------------------------------------------------------------

    def begin(self) -> bytes:
        """Nothing: the first event names the model that answers."""
        return b""

    def events(self, pieces: Sequence[Piece]) -> bytes:
        """The events of `pieces`."""
        out = []
        for piece in pieces:
            if self._native is None:
                self._native = self._own = piece.native is not None
            if self._native:
                if piece.native is not None:
                    out.append(self._passed(piece.native))
                continue
            self._chunk(piece.chunk)
        return b"".join(out) if self._native else self._writer.take()

    def end(self) -> bytes:
        """`response.completed` or `response.incomplete`."""
        if self._native:
            if self._held and self._untouched and self._kept:
                return self._held
            event = orjson.loads(_data(self._held))
            return _frame({**event, "response": self.response()})
        self._begin()
        if self._finish is None:
            self._over("stop")
        response = self.response() or {}
        self._writer.write(f"response.{response['status']}", {"response": response})
        return self._writer.take()

    def failed(self, error: GatewayError) -> bytes:
        """`response.failed`."""
        if self._native:
            first, latest = self._frames
            event = orjson.loads(_data(first)) if first else {}
            begun = event.get("response") or self._skeleton()
            number = orjson.loads(_data(latest)).get("sequence_number") if latest else None
            count = number + 1 if isinstance(number, int) else 0
            response = failed(self._mended(begun), error, [])
            return _frame({"type": "response.failed", "sequence_number": count, "response": response})
        self._begin()
        response = failed(self._begun or {}, error, self._teller.output)
        self._writer.write("response.failed", {"response": response})
        return self._writer.take()

    def _chunk(self, chunk: Any) -> None:
        if self._begun is None:
            self._model = chunk.get("model") or self._model
            self._begin()
        if chunk.get("usage"):
            self._usage = chunk["usage"]
        if chunk.get("service_tier"):
            self._tier = chunk["service_tier"]
        for choice in chunk["choices"]:
            if choice["index"] != 0 or self._finish is not None:
                continue
            self._teller.delta(choice["delta"], choice.get("logprobs"))
            if choice.get("finish_reason"):
                self._over(choice["finish_reason"])

    def _over(self, finish: str) -> None:
        self._finish = finish
        self._teller.finish(cut=cut(finish) is not None)

    def _begin(self) -> None:
        if self._begun is None:
            self._begun = self._skeleton()
            self._writer.write("response.created", {"response": self._begun})
            self._writer.write("response.in_progress", {"response": self._begun})

    # --- the response ----------------------------------------------------------------------------

    def _new(self, writer: Writer) -> Teller:
        asked = self._parsed.asked
        return Teller(writer, self._view.id, asked["names"], thinks=not self._parsed.options.exclude_reasoning)

    def _skeleton(self) -> Json:
        model = self._parsed.request["model"] if self._view.echo else self._model
        request = self._parsed.asked["request"]
        return skeleton(request, id=f"resp_{self._view.id}", created=self._view.created, model=model)

    def _ended(self, teller: Teller) -> Json:
        return ended(self._begun or self._skeleton(), teller.output, self._finish, self._usage, self._tier)

    # --- an upstream's own -----------------------------------------------------------------------

    @property
    def _untouched(self) -> bool:
        return not (self._view.echo or self._parsed.asked["previous"] or self._parsed.asked["background"])

    def _mended(self, response: Json) -> Json:
        """An upstream's response with what it cannot know of."""
        out = dict(response)
        if self._parsed.asked["previous"]:
            out["previous_response_id"] = self._parsed.asked["previous"]
        if self._parsed.asked["background"]:
            # The client knows it by the id that it was told at once.
            out["background"], out["id"] = True, f"resp_{self._view.id}"
        if self._view.echo:
            out["model"] = self._parsed.request["model"]
        return out

    def _passed(self, frames: bytes) -> bytes:
        """Frames on their way to the client: without the last one, which `end` writes."""
        if not self._frames[0]:
            self._frames = (frames, frames)
        else:
            self._frames = (self._frames[0], frames)
        if frames.startswith(_LAST):
            self._held = frames
            return b""
        if self._untouched or not frames.startswith(_AROUND):
            return frames
        event = orjson.loads(_data(frames))
        return _frame({**event, "response": self._mended(event["response"])})


def _data(frame: bytes) -> bytes:
    """The data of a frame as the codec writes it: a name, a line of data."""
    return frame.partition(b"\ndata: ")[2]


def _frame(event: Json) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event))
