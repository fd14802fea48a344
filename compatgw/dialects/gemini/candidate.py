"""One candidate of an answer, read part by part: what it says, calls, draws, and how it ended.

The same reading serves whole answers and streams: `read` takes a candidate of a response and
gives what is new in it, `finish` what is known only at the end. Positions, ordinals and open
calls are kept in between.

What does not live here: OpenAI's shapes for a message (`response.py`) and for chunks (`stream.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import orjson

from compatgw.dialects import ids
from compatgw.dialects.gemini import grounding, native
from compatgw.dialects.gemini.partial import PartialCall
from compatgw.errors import UpstreamFailure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compatgw.dialects.base import Context
    from compatgw.dialects.gemini.models import Traits
    from compatgw.wire.chat import FinishReason

_BLOCKED = frozenset(
    {
        "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION", "MODEL_ARMOR", "ESCALATION",
    }
)  # fmt: skip
_BROKEN = frozenset(
    {
        "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE",
        "MALFORMED_RESPONSE",
    }
)  # fmt: skip
_BESIDE = frozenset({"groundingMetadata", "continuationToken", *native.INCLUDABLE.values()})
_CUT = frozenset({"MAX_TOKENS", "CONTINUATION"})
# Hosts can be asked for numbers in place of words; beyond these they disagree on what a number means.
_NUMBERS = {1: "STOP", 2: "MAX_TOKENS", 3: "SAFETY", 4: "RECITATION", 5: "OTHER"}


class Text(NamedTuple):
    """Visible text."""

    text: str


class Thought(NamedTuple):
    """Reasoning text."""

    text: str


class Call(NamedTuple):
    """A tool call; `arguments` is JSON, or the plain input of a custom tool."""

    id: str
    name: str
    arguments: str
    custom: bool
    signature: str | None


class Image(NamedTuple):
    """An image as a data URL."""

    url: str
    signature: str | None


class Sound(NamedTuple):
    """Spoken words: base64 and what it is."""

    data: str
    media_type: str


Event: TypeAlias = Text | Thought | Call | Image | Sound


class CandidateReader:
    """Reads one candidate.

    Args:
        index: Its index among the candidates.
        context: Of the call; its memo comes from `request.encode`.
        traits: Of the model.

    Attributes:
        signature: The thought signature of the text, None until one is read.
        ended: How it ended, in Gemini's word, None until that is read.
    """

    def __init__(self, index: int, context: Context, traits: Traits) -> None:
        self._index = index
        self._context = context
        self._memo = context.memo
        self._traits = traits
        self._said: list[grounding.Said] = []
        self._length = 0
        self._parts = 0
        self._calls = 0
        self._shown = 0
        self._json_seen = False
        self._output = False
        self._open: PartialCall | None = None
        self._metadata: dict[str, Any] = {}
        self._message = ""
        self.signature: str | None = None
        self.ended: str | None = None

    def read(self, candidate: dict[str, Any], response_id: str | None) -> Iterator[Event]:
        """What `candidate`, one of a response, adds.

        Raises:
            UpstreamFailure: A call in pieces whose pieces do not fit.
        """
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict):
                yield from self._part(part, response_id)
                self._parts += 1
        self._notice(candidate)

    def finish(self, response_id: str | None) -> Iterator[Event]:
        """What can only be given at the end: a call whose last piece never came."""
        yield from self._closed(response_id)

    def reason(self) -> FinishReason:
        """The finish reason.

        Raises:
            UpstreamFailure: It ended in a way that leaves nothing to use.
        """
        word = self.ended
        if word in _BROKEN:
            raise self._unusable(f"'{word}'")
        if word in _CUT:
            return "length"
        if word in _BLOCKED:
            return "content_filter"
        if self._shown:
            return "function_call" if self._memo.get("legacy") else "tool_calls"
        if word != "STOP" and not self._output:
            raise self._unusable(f"'{word}'" if word else "no reason")
        return "stop"

    def annotations(self) -> list[dict[str, Any]]:
        """Sources of the text, as OpenAI's annotations."""
        return grounding.annotate(self._metadata.get("groundingMetadata"), self._said)

    def extra(self) -> dict[str, Any]:
        """The message's `extra_content`, empty when there is none."""
        google: dict[str, Any] = {}
        if self.signature is not None:
            google["thought_signature"] = self.signature
        if isinstance(token := self._metadata.get("continuationToken"), str):
            google["continuation_token"] = token
        for name in self._memo.get("include", ()):
            found = self._metadata.get(native.INCLUDABLE[name])
            if found and _json(found) is not None:
                google[name] = found
        return {"google": google} if google else {}

    # --- parts -------------------------------------------------------------------------------

    def _part(self, part: dict[str, Any], response_id: str | None) -> Iterator[Event]:
        signature = part.get("thoughtSignature")
        signature = signature if isinstance(signature, str) and signature else None
        text = part.get("text")
        if isinstance(text, str):
            self.signature = signature or self.signature
            yield from self._text(text, thought=part.get("thought") is True)
        elif isinstance(part.get("functionCall"), dict):
            yield from self._piece(part["functionCall"], signature, response_id)
        elif isinstance(part.get("inlineData"), dict) and part.get("thought") is not True:
            yield from self._media(part["inlineData"], signature)
        elif self._traits.code_text:
            yield from self._code(part)

    def _text(self, text: str, *, thought: bool) -> Iterator[Event]:
        if text and thought:
            yield Thought(text)
        elif text:
            self._output = True
            self._said.append(grounding.Said(self._parts, self._length, text))
            self._length += len(text)
            yield Text(text)

    def _code(self, part: dict[str, Any]) -> Iterator[Event]:
        """Code that was run, and what it printed, as fenced blocks."""
        code, result = part.get("executableCode"), part.get("codeExecutionResult")
        if isinstance(code, dict) and isinstance(code.get("code"), str):
            language = str(code.get("language", "")).lower()
            language = "" if language == "language_unspecified" else language
            block = f"```{language}\n{code['code'].rstrip()}\n```\n"
        elif isinstance(result, dict) and isinstance(result.get("output"), str) and result["output"].strip():
            block = f"```\n{result['output'].rstrip()}\n```\n"
        else:
            return
        block = f"\n{block}" if self._length else block
        self._output = True
        self._length += len(block)
        yield Text(block)

    def _media(self, data: dict[str, Any], signature: str | None) -> Iterator[Event]:
        kind, payload = data.get("mimeType"), data.get("data")
        if not isinstance(kind, str) or not isinstance(payload, str):
            return
        if kind.lower().startswith("audio/"):
            self._output = True
            yield Sound(payload, kind)
        elif kind.lower().startswith("image/"):
            self._output = True
            yield Image(f"data:{kind};base64,{payload}", signature)

    # --- calls -------------------------------------------------------------------------------

    def _piece(self, call: dict[str, Any], signature: str | None, response_id: str | None) -> Iterator[Event]:
        """A whole call, or the beginning, a piece or the end of one."""
        name, given, args = call.get("name"), call.get("id"), call.get("args")
        if isinstance(name, str) and name:
            yield from self._closed(response_id)
            known = given if isinstance(given, str) and given else None
            self._open = PartialCall(name, known, signature, args if isinstance(args, dict) else {})
        if self._open is None:
            return
        if not self._open.add(call.get("partialArgs")):
            raise self._unusable("arguments of a tool call in pieces that do not fit together")
        if call.get("willContinue") is not True:
            yield from self._closed(response_id)

    def _closed(self, response_id: str | None) -> Iterator[Event]:
        call, self._open = self._open, None
        if call is None:
            return
        ordinal = self._calls
        self._calls += 1
        arguments = _json(call.arguments)
        if arguments is None:
            raise self._unusable("arguments of a tool call that nest too deep")
        if self._memo.get("single_call") and ordinal:
            return
        if call.name == self._memo.get("json_tool"):
            if not self._json_seen:
                self._json_seen = True
                yield from self._text(arguments, thought=False)
            return
        self._output = True
        self._shown += 1
        name = self._memo.get("names", {}).get(call.name, call.name)
        custom = name in self._memo.get("custom", ())
        id = call.id or self._minted(call, arguments, ordinal, response_id)
        if custom and isinstance(call.arguments.get("input"), str):
            arguments = call.arguments["input"]
        yield Call(id, name, arguments, custom, call.signature)

    def _minted(self, call: PartialCall, arguments: str, ordinal: int, response_id: str | None) -> str:
        # Made of what the upstream sent, so that a repeated or cached answer has the same ids.
        if response_id is not None:
            return ids.minted(response_id, str(self._index), str(ordinal))
        return ids.minted(call.name, arguments, str(self._index), str(ordinal), self._context.id)

    # --- the end -----------------------------------------------------------------------------

    def _notice(self, candidate: dict[str, Any]) -> None:
        """Remembers what stands beside the content; what comes later counts, unless it is empty."""
        for name in _BESIDE & candidate.keys():
            if candidate[name]:
                self._metadata[name] = candidate[name]
        if isinstance(candidate.get("finishMessage"), str):
            self._message = candidate["finishMessage"]
        word = candidate.get("finishReason")
        if word is not None:
            self.ended = _NUMBERS.get(word, str(word)) if isinstance(word, int) else str(word)

    def _unusable(self, what: str) -> UpstreamFailure:
        target = self._context.target
        more = f" It says: {self._message[:300]}" if self._message else ""
        return UpstreamFailure(
            f"{target.provider} (model '{target.model}') gave no usable answer: it ended with {what}.{more} "
            "Sending the request again usually helps."
        )


def _json(value: Any) -> str | None:
    """`value` as JSON, None when it nests deeper than can be written."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return None
