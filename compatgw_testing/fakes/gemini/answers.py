"""Gemini's answers, plain and streamed.

What does not live here: which requests are answered (`rules.py`).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from compatgw_testing.fakes.answer import Chat, Frame, Json, Problem, Said
from compatgw_testing.fakes.gemini.reading import read_generate
from compatgw_testing.fakes.gemini.rules import version_of
from compatgw_testing.script import dump

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from compatgw_testing.fakes.gemini.turns import Signatures
    from compatgw_testing.journal import Call
    from compatgw_testing.sample import Ids
    from compatgw_testing.script import ToolCall

BLOCKED = "blocked:"
_FINISH = {
    "stop": "STOP",
    "tool_calls": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
}


class GeminiChat(Chat):
    """One generate request.

    Args:
        call: As it came.
        ids: For ids and signatures.
        body: The canonical request.
        model: From the path.
        streamed: For `streamGenerateContent`.
        sse: With `alt=sse`; otherwise a stream is one growing JSON array.
        vertex_at: When it is answered, in seconds since 1970, if that is by Vertex; else None.
        signatures: Where issued ones are remembered.
        envelope: Puts an error into the vendor's form.
    """

    def __init__(
        self,
        call: Call,
        ids: Ids,
        *,
        body: Json,
        model: str,
        streamed: bool,
        sse: bool,
        vertex_at: int | None,
        signatures: Signatures,
        envelope: Callable[[Problem], Json],
    ) -> None:
        super().__init__(call, ids, read_generate(body, model, stream=streamed))
        config: Json = body.get("generationConfig") or {}
        self._shows = bool((config.get("thinkingConfig") or {}).get("includeThoughts"))
        self._wants_logprobs = bool(config.get("responseLogprobs"))
        self._count = int(config.get("candidateCount") or 1)
        self._model = model
        self._version = version_of(model)
        self._oldest = self._version == (2, 0)
        self._tier = str(body.get("serviceTier") or "standard")
        self._sse = sse
        self._vertex_at = vertex_at
        self._signatures = signatures
        self._envelope = envelope

    def tool_id(self, index: int, name: str) -> str:
        """The id of the call at `index`; before 3.5 calls have none."""
        has = self._version is not None and self._version >= (3, 5)
        return self.ids.alnum(f"tool{index}", 8).lower() if has else ""

    def plain(self, said: Said) -> Json:
        """The body of a plain answer."""
        if said.finish.startswith(BLOCKED):
            return self._blocked(said)
        parts = [*self._thoughts(said.reasoning), *self._calls(said)]
        if said.text and "".join(said.text):
            at = len(self._thoughts(said.reasoning))
            signature = {} if said.calls else self._signature(said, "text")
            parts.insert(at, {"text": "".join(said.text), **signature})
        return self._response(parts, said, finish=said, written=said.usage.output)

    def _blocked(self, said: Said) -> Json:
        feedback = {"blockReason": said.finish.removeprefix(BLOCKED)}
        usage = {"promptTokenCount": said.usage.input, "totalTokenCount": said.usage.input}
        return {"promptFeedback": feedback, "usageMetadata": usage, **self._tail()}

    def _tail(self) -> Json:
        tail = {"modelVersion": self._model, "responseId": self.ids.alnum("id", 23)}
        if self._vertex_at is None:
            return tail
        created = datetime.fromtimestamp(self._vertex_at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
        return {"createTime": created, **tail}

    def _thoughts(self, pieces: tuple[str, ...]) -> list[Json]:
        return [{"text": "".join(pieces), "thought": True}] if pieces and self._shows else []

    def _signature(self, said: Said, purpose: str) -> Json:
        """A signature for a part, where the model gives one."""
        version = self._version or (0, 0)
        thinks = version >= (3, 0) if purpose == "call" else version >= (3, 0) and said.reasoning
        if not thinks and not (version >= (2, 5) and said.reasoning):
            return {}
        return {"thoughtSignature": self._signatures.issue(bytes.fromhex(self.ids.hex(f"signature{purpose}", 160)))}

    def _calls(self, said: Said) -> list[Json]:
        """The calls; of several only the first is signed."""
        parts: list[Json] = []
        for index, one in enumerate(said.calls):
            call: Json = {"name": one.name, "args": _args(one)}
            if one.id:
                call["id"] = one.id
            parts.append({"functionCall": call, **(self._signature(said, "call") if index == 0 else {})})
        return parts

    def _response(self, parts: list[Json], said: Said, *, finish: Said | None, written: int) -> Json:
        content: Json = {"parts": parts, "role": "model"} if parts else {"role": "model"}
        candidate: Json = {"content": content}
        if finish is not None:
            candidate["finishReason"] = _FINISH.get(finish.finish, finish.finish)
            if finish.calls and candidate["finishReason"] == "STOP" and self._vertex_at is None:
                candidate["finishMessage"] = "Model generated function call(s)."
            if self._oldest and not self.request.stream:
                candidate["avgLogprobs"] = -0.125
            if self._wants_logprobs and said.text:
                candidate["logprobsResult"] = self._logprobs(said.text)
        # The default, 0, is written out by newer models only.
        spelled = self._vertex_at is None and (self._version is None or self._version >= (2, 5))
        candidates = [{**candidate, **({"index": n} if n or spelled else {})} for n in range(self._count)]
        return {"candidates": candidates, "usageMetadata": self._usage(said, written), **self._tail()}

    def _logprobs(self, pieces: tuple[str, ...]) -> Json:
        chosen = [{"token": piece, "tokenId": number, "logProbability": -0.125} for number, piece in enumerate(pieces)]
        return {"chosenCandidates": chosen, "topCandidates": [{"candidates": [one]} for one in chosen]}

    def _usage(self, said: Said, written: int) -> Json:
        """Usage after `written` tokens of output; members that are 0 are left out."""
        used = said.usage
        thoughts = min(used.reasoning, written)
        usage: Json = {
            "promptTokenCount": used.input,
            "cachedContentTokenCount": used.cached,
            "candidatesTokenCount": written - thoughts,
            "thoughtsTokenCount": thoughts,
            "totalTokenCount": used.input + written,
        }
        told: Json = {name: value for name, value in usage.items() if value}
        told["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": used.input}]
        if written > thoughts and (self._vertex_at is not None or self._oldest):
            told["candidatesTokensDetails"] = [{"modality": "TEXT", "tokenCount": written - thoughts}]
        if self._vertex_at is not None:
            return {**told, "trafficType": "ON_DEMAND"}
        return {**told, "serviceTier": self._tier}

    # Streamed.

    def frames(self, said: Said) -> Iterator[Frame]:
        """Whole responses, each with what is new, and usage so far."""
        responses = list(self._responses(said))
        for number, (response, end) in enumerate(responses):
            text = json.dumps(response, ensure_ascii=False, separators=(",", ": "))
            if self._sse:
                yield Frame(f"data: {text}\r\n\r\n".encode(), end)
            else:
                closing = "]\n" if number == len(responses) - 1 else ""
                yield Frame(f"{',' if number else '['}{text}\n{closing}".encode(), end)

    def _responses(self, said: Said) -> Iterator[tuple[Json, bool]]:
        if said.finish.startswith(BLOCKED):
            yield self._blocked(said), True
            return
        written = said.usage.reasoning
        for piece in said.reasoning:
            if thought := self._thoughts((piece,)):
                yield self._response(thought, said, finish=None, written=written), False
        for piece in said.text or ():
            written = min(written + 1, said.usage.output)
            yield self._response([{"text": piece}], said, finish=None, written=written), False
        for part in self._calls(said):
            yield self._response([part], said, finish=None, written=said.usage.output), False
        says = said.text or said.calls or said.finish in ("stop", "tool_calls")
        signature = {} if said.calls else self._signature(said, "text")
        last = [{"text": "", **signature}] if says else []
        yield self._response(last, said, finish=said, written=said.usage.output), True

    def error_frames(self, problem: Problem) -> Iterator[Frame]:
        """The error as an event (or as the array's next item), after which the stream ends."""
        text = dump(self._envelope(problem))
        yield Frame(f"data: {text}\r\n\r\n".encode() if self._sse else f",{text}]\n".encode(), end=True)

    def garbage(self) -> bytes:
        """A response that breaks off in the middle of its JSON."""
        text = '{"candidates": [{"content": {"par'
        return f"data: {text}\r\n\r\n".encode() if self._sse else text.encode()


def _args(call: ToolCall) -> Any:
    """The arguments as an object; Gemini has no other way to say them."""
    try:
        value = json.loads(call.text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
