"""OpenAI's legacy completions: rules, answers plain and streamed, the route.

They are played by the same turns as chat; the prompt counts as the user's words.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from compatgw_testing.fakes.answer import Answer, Chat, Frame, Json, Problem, Said
from compatgw_testing.fakes.base import Route
from compatgw_testing.fakes.openai.vendor import Vendor
from compatgw_testing.fakes.openai.wording import count_of, members_of, refuse
from compatgw_testing.fakes.shape import Arr, Bool, Either, Map, Num, Obj, Str
from compatgw_testing.request import Message, Request
from compatgw_testing.script import dump

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from compatgw_testing.fakes.openai.habit import Habit
    from compatgw_testing.fakes.shape import Shape
    from compatgw_testing.journal import Call
    from compatgw_testing.sample import Ids

_TOKENS = Arr(Num(0, whole=True), low=1)
FIELDS: dict[str, Shape] = {
    "model": Str(),
    "prompt": Either(
        {
            "string": Str(),
            "array": Arr(Either({"string": Str(), "number": Num(0, whole=True), "array": _TOKENS}), low=1),
        }
    ),
    "best_of": Num(0, 20, whole=True),
    "echo": Bool(),
    "frequency_penalty": Num(-2, 2),
    "logit_bias": Map(Num(-100, 100, whole=True)),
    "logprobs": Num(0, 5, whole=True),
    "max_tokens": Num(0, whole=True),
    "n": Num(1, 128, whole=True),
    "presence_penalty": Num(-2, 2),
    "seed": Num(whole=True),
    "stop": Either({"string": Str(), "array": Arr(Str(), low=1, high=4)}),
    "stream": Bool(),
    "stream_options": Obj({"include_usage": Bool(), "include_obfuscation": Bool()}),
    "suffix": Str(),
    "temperature": Num(0, 2),
    "top_p": Num(0, 1),
    "user": Str(),
}
_SETTINGS = ("temperature", "top_p", "stop", "n", "seed", "presence_penalty", "frequency_penalty", "logprobs", "user")
_CHAT_MODELS = r"gpt-3\.5-turbo(?!-instruct)|gpt-[45]|o\d|chatgpt"


def check_completion(body: Any, habit: Habit) -> None:
    """Raises Refused at the first thing in a request that the vendor would not take."""
    body = members_of(body, FIELDS, ("model",), habit)
    if "stream_options" in body and not body.get("stream"):
        raise refuse("'stream_options' is only allowed when 'stream' is enabled.", "stream_options")
    if "best_of" in body:
        if body["best_of"] < body.get("n", 1):
            raise refuse("'best_of' has to be at least 'n'.", "best_of")
        if body["best_of"] > 1 and body.get("stream"):
            raise refuse("Only one best_of is allowed when streaming.", "best_of")
    if habit.models_rules and re.match(_CHAT_MODELS, body["model"]):
        raise refuse(
            "This is a chat model and not supported in the v1/completions endpoint. "
            "Did you mean to use v1/chat/completions?",
            "model",
            None,
            404,
        )


def prompts_of(given: Any) -> list[str]:
    """The prompts as texts; a list of token ids as its JSON."""
    if not isinstance(given, list):
        return [given or "<|endoftext|>"]
    if all(isinstance(one, int) for one in given):
        return [dump(given)]
    return [one if isinstance(one, str) else dump(one) for one in given]


def read_completion(body: Json) -> Request:
    """A request; several prompts are one text of the user's."""
    prompts = prompts_of(body.get("prompt"))
    return Request(
        model=str(body.get("model")),
        messages=(Message(role="user", text="\n".join(prompts)),),
        limit=int(body["max_tokens"]) if body.get("max_tokens") is not None else 16,
        stream=bool(body.get("stream")),
        settings={name: body[name] for name in _SETTINGS if body.get(name) is not None},
        prompt=prompts,
    )


class Completion(Chat):
    """One request for completions."""

    def __init__(self, call: Call, ids: Ids, habit: Habit, created: int, envelope: Callable[[Problem], object]) -> None:
        body: Json = call.body
        super().__init__(call, ids, read_completion(body))
        self._body = body
        self._prompts = prompts_of(body.get("prompt"))
        self._count = count_of(body.get("n"), 128)
        self._envelope = envelope
        self._done = habit.done
        self._counted = bool((body.get("stream_options") or {}).get("include_usage"))
        self._head: Json = {
            "id": f"cmpl-{ids.alnum('id', 29)}",
            "object": "text_completion",
            "created": created,
            "model": self.request.model,
        }

    def tool_id(self, index: int, name: str) -> str:
        """Completions have no tools; the id is never shown."""
        return f"call_{self.ids.alnum(f'tool{index}', 24)}"

    def plain(self, said: Said) -> Json:
        """The body of an answer: n choices for each prompt, in order."""
        choices: list[Json] = []
        for prompt in self._prompts:
            for _ in range(self._count):
                pieces = ((prompt,) if self._body.get("echo") else ()) + self._pieces(said)
                choices.append(self._choice(len(choices), "".join(pieces), self._finish(said), pieces))
        return {**self._head, "choices": choices, "usage": self._usage(said)}

    def frames(self, said: Said) -> Iterator[Frame]:
        """The chunks of a stream."""
        pieces = self._pieces(said)
        for index in range(len(self._prompts) * self._count):
            first = (self._prompts[index // self._count],) if self._body.get("echo") else ()
            for piece in (*first, *pieces):
                yield self._frame([self._choice(index, piece, None, (piece,))])
            yield self._frame([self._choice(index, "", self._finish(said), ())], end=True)
        if self._counted:
            yield self._frame([], usage=self._usage(said), end=True)
        if self._done:
            yield Frame(b"data: [DONE]\n\n", end=True)

    def error_frames(self, problem: Problem) -> Iterator[Frame]:
        """The error event."""
        yield Frame(f"data: {dump(self._envelope(problem))}\n\n".encode(), end=True)

    def _pieces(self, said: Said) -> tuple[str, ...]:
        return said.text or said.refusal or ()

    def _finish(self, said: Said) -> str:
        return "stop" if said.finish in ("refusal", "tool_calls") else said.finish

    def _choice(self, index: int, text: str, finish: str | None, pieces: tuple[str, ...]) -> Json:
        shown: Json | None = None
        if self._body.get("logprobs") is not None:
            offsets = [sum(map(len, pieces[:number])) for number in range(len(pieces))]
            shown = {
                "tokens": list(pieces),
                "token_logprobs": [-0.125] * len(pieces),
                "top_logprobs": [{piece: -0.125} for piece in pieces] if self._body["logprobs"] else None,
                "text_offset": offsets,
            }
        return {"text": text, "index": index, "logprobs": shown, "finish_reason": finish}

    def _usage(self, said: Said) -> Json:
        used = said.usage
        return {
            "prompt_tokens": used.input,
            "completion_tokens": used.output,
            "total_tokens": used.input + used.output,
        }

    def _frame(self, choices: list[Json], *, usage: Json | None = None, end: bool = False) -> Frame:
        chunk = {**self._head, "choices": choices, **({"usage": usage} if self._counted else {})}
        return Frame(f"data: {dump(chunk)}\n\n".encode(), end)


class CompletionsSurface(Vendor):
    """`POST /completions`."""

    completions_routes: ClassVar[tuple[Route, ...]] = (Route("POST", "/completions", "_completions"),)

    def _completions(self, call: Call) -> Answer:
        if self.strict:
            check_completion(call.body, self.habit)
        ids, created = self.ids(call), self.now(call)
        chat = self.read(
            lambda: Completion(call, ids, self.habit, created, lambda problem: self.envelope(call, problem))
        )
        self.require_model(call, chat.request.model)
        return self.play(call, chat)
