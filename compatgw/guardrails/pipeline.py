"""Guardrails in their order, over a whole request, a whole answer, or a stream.

One `Pipeline` lives as long as its call. All it does is steps (`base.Steps`): whoever runs them answers what a
guardrail has to ask, and is told by `Blocked` when one says no.

    pipeline = Pipeline(input=[...], output=[...])
    request = yield from pipeline.request(request)           # before planning and the cache
    completion = yield from pipeline.completion(completion)  # a whole answer
    chunks = yield from pipeline.chunk(chunk)                # a stream: each chunk, as it comes
    chunks = yield from pipeline.finish()                    # and once at its real end
    pipeline.status()                                        # for X-Guardrail-Status

On the way in, the first guardrail sees what the caller sent and each further one what the one before made of it.
On the way out the order is the same, but for those that put originals back: these come after the others, in
reverse, so that none which asks a model sees an original. A schema is judged at the very end, over what the client
would get.

What does not live here: chunks taken apart and put together (`relay.py`), which guardrails a call has (`flow/`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args

from compatgw.errors import InvalidRequest
from compatgw.guardrails.base import Action, Guardrail, Path, Spot, Stage, Steps, Verdict, Watch
from compatgw.guardrails.relay import Chain, Relay
from compatgw.guardrails.slots import Slot, answered, asks_json, inputs, replaced, texts

if TYPE_CHECKING:
    from compatgw.guardrails.base import Direction
    from compatgw.wire.chat import ChatChunk, ChatCompletion, ChatRequest

# Characters after which others may run: a few milliseconds of most texts, a tenth of a second of the slowest.
_SLICE = 1 << 15

V = TypeVar("V")
M = TypeVar("M", bound=Mapping[str, Any])

_STAGES: tuple[Stage, ...] = get_args(Stage)
_STRENGTH: tuple[Action, ...] = ("pass", "restore", "redact", "block")


class Blocked(InvalidRequest):
    """A guardrail said no: 400 `content_blocked`.

    Attributes:
        guardrail: Its name.
        categories: What it found.
        reason: Its own sentence.
        direction: Whether that was in the request or in the answer.
    """

    default_code = "content_blocked"

    def __init__(self, guardrail: str, verdict: Verdict, spot: Spot) -> None:
        what = "request" if spot.direction == "input" else "answer"
        found = f" ({', '.join(verdict.categories)})" if verdict.categories else ""
        reason = f" {verdict.reason}" if verdict.reason else ""
        mend = "Change what it holds and send the request again." if what == "request" else "Ask for something else."
        param = dotted(spot.path) if spot.direction == "input" and spot.path else None
        super().__init__(f"The guardrail '{guardrail}' blocked the {what}{found}.{reason} {mend}", param=param)
        self.guardrail = guardrail
        self.categories = verdict.categories
        self.reason = verdict.reason
        self.direction: Direction = spot.direction


def dotted(path: Path) -> str:
    """A path as error messages write it: `messages[0].content`."""
    return "".join([f"[{part}]" if isinstance(part, int) else f".{part}" for part in path]).removeprefix(".")


class Pipeline:
    """The guardrails of one call.

    Args:
        input: Those that look at the request, in order.
        output: Those that look at the answer, in order. The same object in both is one watch. What the first took
            out to be put back is put back, whether it stands here or not.
        reasoning: Texts in which a model thinks are looked at as well.
    """

    __slots__ = ("_input", "_json", "_outcomes", "_output", "_reasoning", "_relay")

    def __init__(self, input: Sequence[Guardrail], output: Sequence[Guardrail], *, reasoning: bool = True) -> None:
        made = {id(each): (each.name, each.open()) for each in (*input, *output)}
        self._input = [made[key] for key in dict.fromkeys(map(id, input))]
        back = [key for key in dict.fromkeys(map(id, input)) if made[key][1].stage == "restore"]
        keys = [*(key for key in dict.fromkeys(map(id, output)) if key not in back), *reversed(back)]
        self._output = sorted((made[key] for key in keys), key=lambda one: _STAGES.index(one[1].stage))
        self._reasoning = reasoning
        self._json = False
        self._outcomes: dict[Direction, dict[str, Action]] = {"input": {}, "output": {}}
        self._relay: Relay | None = None

    @property
    def answers(self) -> bool:
        """Whether anything looks at the answer; if not, it may go to the client untouched."""
        return bool(self._output)

    def request(self, request: ChatRequest) -> Steps[ChatRequest]:
        """The request as it may go on; the very same object when nothing had to change.

        Raises:
            Blocked: It may not.
        """
        self._json = asks_json(request)
        return (yield from self._checked(request, partial(texts, reasoning=self._reasoning)))

    def body(self, request: M) -> Steps[M]:
        """The same of a request to an endpoint other than chat, whose answer holds no text of the caller's."""
        return (yield from self._checked(request, inputs))

    def _checked(self, request: V, texts_of: Callable[[V], list[Slot]]) -> Steps[V]:
        slots = texts_of(request)
        for _, watch in self._input:
            watch.glance([slot.text for slot in slots])
        self._outcomes["input"] = {name: "pass" for name, _ in self._input}
        checked = replaced(request, (yield from self._all(slots, self._input)))
        if self._output:
            # What stands for something must not be given a second meaning on the way back.
            given = [slot.text for slot in texts_of(checked)]
            for _, watch in self._output:
                watch.glance(given)
        return checked

    def completion(self, completion: ChatCompletion) -> Steps[ChatCompletion]:
        """A whole answer as it may go on; the very same object when nothing had to change.

        Raises:
            Blocked: It may not.
        """
        self._outcomes["output"] = {name: "pass" for name, _ in self._output}
        slots = answered(completion, json=self._json, reasoning=self._reasoning)
        changes = yield from self._all(slots, self._output)
        changed = replaced(completion, changes)
        if changed is completion:
            return completion
        # The tokens of a text that was changed would tell what it was.
        places = {path[1] for path in changes}
        choices: list[Any] = [
            {**choice, "logprobs": None} if place in places and choice.get("logprobs") else choice
            for place, choice in enumerate(changed["choices"])
        ]
        return cast("ChatCompletion", {**changed, "choices": choices})

    def chunk(self, chunk: ChatChunk) -> Steps[list[ChatChunk]]:
        """What may go to the client now that this chunk came; the very same chunk when nothing had to change.

        Raises:
            Blocked: The answer may not go on; what went before is out.
        """
        if not self._output:
            return [chunk]
        if self._relay is None:
            self._outcomes["output"] = {name: "pass" for name, _ in self._output}
            self._relay = Relay(self._chain, json=self._json, reasoning=self._reasoning)
        return (yield from self._relay.chunk(chunk))

    def finish(self) -> Steps[list[ChatChunk]]:
        """What is still held when a stream has come to its real end; nothing, if every choice told its end."""
        return (yield from self._relay.finish()) if self._relay is not None else []

    def status(self, direction: Direction | None = None) -> str:
        """`pii:redact,content_moderation:pass`: what each did, of one way or of both."""
        ways: Sequence[Direction] = ("input", "output") if direction is None else (direction,)
        found: dict[str, Action] = {}
        for way in ways:
            for name, action in self._outcomes[way].items():
                found[name] = max(found.get(name, "pass"), action, key=_STRENGTH.index)
        return ",".join([f"{name}:{action}" for name, action in found.items()])

    def _all(self, slots: Sequence[Slot], watches: Sequence[tuple[str, Watch]]) -> Steps[dict[Path, str]]:
        """The texts that change."""
        changes: dict[Path, str] = {}
        for slot in slots:
            chain = self._chain(slot.spot, watches)
            if chain is None or not slot.text:
                continue
            out = []
            for at in range(0, len(slot.text), _SLICE):
                if at:
                    yield None
                out.append((yield from chain.feed(slot.text[at : at + _SLICE])))
            text = "".join([*out, (yield from chain.finish())])
            if text != slot.text:
                changes[slot.spot.path] = text
        return changes

    def _chain(self, spot: Spot, watches: Sequence[tuple[str, Watch]] | None = None) -> Chain | None:
        """All that look at the text there, None if nobody does."""
        checkers = [
            (name, checker)
            for name, watch in (self._output if watches is None else watches)
            if (checker := watch.over(spot)) is not None
        ]
        return Chain(checkers, spot, self._heard) if checkers else None

    def _heard(self, name: str, verdict: Verdict, spot: Spot) -> None:
        """Remembers the strongest of what a guardrail said, and stops where it said no."""
        said = self._outcomes[spot.direction]
        said[name] = max(said.get(name, "pass"), verdict.action, key=_STRENGTH.index)
        if verdict.action == "block":
            raise Blocked(name, verdict, spot)
