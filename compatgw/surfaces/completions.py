"""`POST /v1/completions`, the legacy one: a prompt becomes a chat of one message, an answer becomes a text.

Where an upstream has the endpoint and serves the model by it, the request goes there as it came. Everywhere else it
is asked as a chat, as far as that is honest: one prompt of text is one user message. What a chat cannot do stands in
`Native.bound`, each member with the reason, to be told where a request would have to become a chat.

What does not live here: the endpoint of upstreams (`dialects/openai/completions.py`), HTTP (`web/`).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, cast

import orjson
from pydantic import TypeAdapter, ValidationError

from compatgw.errors import InvalidRequest
from compatgw.surfaces import extensions
from compatgw.surfaces.base import Parsed, Surface, decode, envelope, explain, pruned
from compatgw.wire.completions import CompletionRequest
from compatgw.wire.native import Native
from compatgw.wire.sse import DONE, frame

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw.dialects.base import Answer, Piece
    from compatgw.errors import GatewayError
    from compatgw.surfaces.base import View
    from compatgw.wire.chat import ChatRequest

NAME = "completions"
MAX_TOKENS = 16
"""Tokens of an answer to a request that does not say: the endpoint's own default."""

# What the chat that stands for it has under other names, or not at all.
_OWN = frozenset({"prompt", "best_of", "echo", "logprobs", "suffix", "max_tokens"})
_ENDED = {"stop": "stop", "length": "length", "content_filter": "content_filter"}
_CHAT = "It is served through chat completions there, which"


@cache
def validator() -> TypeAdapter[CompletionRequest]:
    """The validator of a whole request; built when it is first needed, never at import."""
    return TypeAdapter(CompletionRequest)


def parse(body: bytes) -> Parsed:
    """The request that `body` holds.

    Raises:
        InvalidRequest: Not JSON (`invalid_json`), or the first thing wrong in it, with its path as `param`.
    """
    value, options = extensions.claim(decode(body))
    try:
        asked = validator().validate_python(_tidied(value), strict=True)
    except ValidationError as error:
        raise _explained(error) from None
    best_of, n = asked.get("best_of"), asked.get("n", 1)
    if best_of is not None and best_of < n:
        raise InvalidRequest(f"'best_of' must be at least 'n', which is {n}.", param="best_of")
    if best_of is not None and best_of > 1 and asked.get("stream"):
        raise InvalidRequest("'best_of' over 1 cannot be streamed. Leave one of the two out.", param="best_of")
    bound = _bound(asked)
    native = Native(NAME, cast("Mapping[str, Any]", asked), bound=bound)
    return Parsed(_chat(asked, alone=not bound), options, native)


def _tidied(body: dict[str, Any]) -> dict[str, Any]:
    out = pruned(body)
    if out.get("stop") == []:
        out = {name: member for name, member in out.items() if name != "stop"}
    if "stream_options" in out:
        given = out["stream_options"]
        out = {name: member for name, member in out.items() if name != "stream_options"}
        if out.get("stream"):
            out["stream_options"] = pruned(given) if isinstance(given, dict) else given
    return out


def _explained(error: ValidationError) -> InvalidRequest:
    problem = error.errors(include_url=False)[0]
    if problem["loc"] == ("prompt",):
        return InvalidRequest(
            "Invalid type for 'prompt'. It must be text, a list of texts, a list of token ids, or a list of such "
            "lists, and no list may be empty.",
            param="prompt",
            code="invalid_type",
        )
    return explain(problem)


# --- as a chat -------------------------------------------------------------------------------


def _bound(asked: CompletionRequest) -> tuple[tuple[str, str], ...]:
    """The members that no chat can serve, each with the reason."""
    prompt = asked.get("prompt")
    found: list[tuple[str, str]] = []
    if prompt is None or prompt == "":
        found.append(("prompt", f"{_CHAT} needs a prompt with text in it."))
    elif isinstance(prompt, list) and not isinstance(prompt[0], str):
        found.append(("prompt", f"{_CHAT} takes no token ids: send the text."))
    elif isinstance(prompt, list) and len(prompt) > 1:
        found.append(("prompt", f"{_CHAT} takes one prompt: send one request for each."))
    elif prompt == [""]:
        found.append(("prompt", f"{_CHAT} needs a prompt with text in it."))
    if asked.get("suffix"):
        found.append(("suffix", f"{_CHAT} writes no text between two others. Leave it out."))
    if asked.get("echo"):
        found.append(("echo", f"{_CHAT} does not give the prompt back. Leave it out."))
    if asked.get("best_of", 1) > asked.get("n", 1):
        found.append(("best_of", f"{_CHAT} does not choose among answers. Leave it out, or ask for several with 'n'."))
    if "logprobs" in asked:
        found.append(("logprobs", f"{_CHAT} gives them in another form. Leave it out, or call /v1/chat/completions."))
    if asked.get("max_tokens") == 0:
        found.append(("max_tokens", f"{_CHAT} writes at least one token."))
    return tuple(found)


def _chat(asked: CompletionRequest, *, alone: bool) -> ChatRequest:
    """The chat that stands for the request: what is sent where it is honest (`alone`), and what it is reckoned by."""
    members = cast("Mapping[str, Any]", asked)
    prompts = _texts(asked.get("prompt", ""))
    most = asked.get("max_tokens", MAX_TOKENS)
    if not alone:
        # Nobody is sent this: it has to come to as many tokens as the real request does.
        most *= len(prompts) * max(1, asked.get("best_of", 1) // asked.get("n", 1))
    chat: Any = {
        **{name: member for name, member in members.items() if name not in _OWN},
        "messages": [{"role": "user", "content": text} for text in prompts],
        "max_tokens": max(1, most),
    }
    return chat  # type: ignore[no-any-return]


def _texts(prompt: Any) -> list[str]:
    if isinstance(prompt, str):
        return [prompt]
    if isinstance(prompt[0], int):
        # About as many characters as so many tokens have.
        return ["...." * len(prompt)]
    return [text for one in prompt for text in _texts(one)]


# --- answers ---------------------------------------------------------------------------------


class TextFace:
    """How a client of legacy completions is told its answer."""

    __slots__ = ("_id", "_model", "_usage")

    stream_type = "text/event-stream"

    def __init__(self, parsed: Parsed, view: View) -> None:
        request: ChatRequest = parsed.request
        self._id = f"cmpl-{view.id}"
        self._model = request["model"] if view.echo else None
        self._usage = bool(request.get("stream_options", {}).get("include_usage"))

    def whole(self, answer: Answer) -> bytes:
        """The body of a whole answer; an upstream's own, where it speaks this protocol."""
        if answer.native is not None:
            return answer.native if self._model is None else self._renamed(answer.native)
        completion = cast("Mapping[str, Any]", answer.completion)
        choices = [
            _choice(choice["index"], _said(choice["message"]), choice, choice["finish_reason"] or "stop")
            for choice in completion["choices"]
        ]
        out = self._head(completion) | {"choices": choices}
        if completion.get("usage"):
            out["usage"] = completion["usage"]
        return orjson.dumps(out)

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def events(self, pieces: Sequence[Piece]) -> bytes:
        """The frames of `pieces`; usage is passed on only to a client that asked for it."""
        return b"".join(data for piece in pieces if (data := self._event(piece)))

    def end(self) -> bytes:
        """`[DONE]`."""
        return DONE

    def failed(self, error: GatewayError) -> bytes:
        """An event with the error envelope."""
        return frame(orjson.dumps(error.envelope()))

    def _event(self, piece: Piece) -> bytes:
        chunk = cast("Mapping[str, Any]", piece.chunk)
        if not chunk["choices"] and not self._usage:
            return b""
        if piece.native is not None:
            # What is written here beside the upstream's own events has their id.
            self._id = chunk["id"]
            return piece.native if self._model is None else frame(self._renamed(piece.native[6:-2]))
        choices = [
            _choice(choice["index"], text, choice, choice["finish_reason"])
            for choice in chunk["choices"]
            if (text := _said(choice["delta"])) or choice["finish_reason"]
        ]
        if not choices and chunk["choices"]:
            return b""
        out = self._head(chunk) | {"choices": choices}
        if self._usage:
            out["usage"] = chunk.get("usage")
        return frame(orjson.dumps(out))

    def _head(self, source: Mapping[str, Any]) -> dict[str, Any]:
        fingerprint = source.get("system_fingerprint")
        return {
            "id": self._id,
            "object": "text_completion",
            "created": source["created"],
            "model": self._model or source["model"],
            **({"system_fingerprint": fingerprint} if fingerprint else {}),
        }

    def _renamed(self, native: bytes) -> bytes:
        """The upstream's own JSON with the name that the caller knows."""
        return orjson.dumps({**orjson.loads(native), "model": self._model})


def _said(message: Mapping[str, Any]) -> str:
    """The text of a message or delta; reasoning has no place in this protocol."""
    return str(message.get("content") or message.get("refusal") or "")


def _choice(index: int, text: str, source: Mapping[str, Any], finish: str | None) -> dict[str, Any]:
    logprobs = source.get("logprobs")
    return {
        "text": text,
        "index": index,
        # Those of a chat have another form; nobody can ask for them here.
        "logprobs": logprobs if logprobs and "tokens" in logprobs else None,
        "finish_reason": _ENDED.get(finish, "stop") if finish else None,
    }


COMPLETIONS = Surface(name=NAME, scope=NAME, codec="chat", parse=parse, face=TextFace, envelope=envelope)
