"""A streamed answer under guardrails: each text of it has checkers of its own, and chunks are put together again.

What may go out at once goes out in its own chunk. What was held goes out with the next piece of the same text,
or in a chunk of its own ahead of the one that ends it: when the model turns to something else (from reasoning to
content, to a tool call, to the next one), and before the finish reason. So a text that another one interrupts is
two texts to a guardrail. A chunk of which nothing is left is left out. Role, finish reason, usage and everything
that is no text pass in their order.

Log probabilities hold the text once more, so they wait for the end of their choice, and are left out if any of
its text was changed.

What does not live here: which texts a chunk has (`slots.py`), whole answers (`pipeline.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from compatgw.guardrails.base import Checker, Path, Spot, Steps, Verdict, fed, finished
from compatgw.guardrails.slots import Piece, deltas, replaced

if TYPE_CHECKING:
    from compatgw.wire.chat import ChatChunk

Key: TypeAlias = tuple[str | int, ...]
_REASONING = frozenset({"reasoning_content", "reasoning", "reasoning_details"})


class Chain:
    """The checkers of one text, one after the other.

    Args:
        checkers: Each with the name of its guardrail.
        spot: Which text it is.
        heard: Is told every verdict; raises where one says no.
    """

    __slots__ = ("_checkers", "_heard", "_spot")

    def __init__(
        self,
        checkers: Sequence[tuple[str, Checker]],
        spot: Spot,
        heard: Callable[[str, Verdict, Spot], None],
    ) -> None:
        self._checkers = checkers
        self._spot = spot
        self._heard = heard

    def feed(self, text: str) -> Steps[str]:
        """What may go out of the text so far."""
        for name, checker in self._checkers:
            if not text:
                break
            verdict = yield from fed(checker, text)
            self._heard(name, verdict, self._spot)
            text = verdict.text
        return text

    def finish(self) -> Steps[str]:
        """What was held, now that the text is at its end."""
        text = ""
        for name, checker in self._checkers:
            before = ""
            if text:
                verdict = yield from fed(checker, text)
                self._heard(name, verdict, self._spot)
                before = verdict.text
            verdict = yield from finished(checker)
            self._heard(name, verdict, self._spot)
            text = before + verdict.text
        return text


class Relay:
    """All texts of one stream.

    Args:
        chain: The checkers of the text there, None if nobody looks at it.
        json: Content is JSON.
        reasoning: Reasoning is looked at.
    """

    __slots__ = ("_chain", "_choices", "_head", "_json", "_reasoning")

    def __init__(self, chain: Callable[[Spot], Chain | None], *, json: bool, reasoning: bool) -> None:
        self._chain = chain
        self._json = json
        self._reasoning = reasoning
        self._choices: dict[int, _Choice] = {}
        self._head: dict[str, Any] = {}

    def chunk(self, chunk: ChatChunk) -> Steps[list[ChatChunk]]:
        """The chunks that may go out now."""
        members = cast("Mapping[str, Any]", chunk)
        choices: list[Any] = members["choices"]
        if not choices:
            return [chunk]
        self._head = {name: value for name, value in members.items() if name not in ("choices", "usage")}
        ahead: list[Any] = []
        kept: list[Any] = []
        for choice in choices:
            index = choice["index"]
            if index not in self._choices:
                self._choices[index] = _Choice(self._chain)
            held, changed = yield from self._choices[index].checked(choice, json=self._json, reasoning=self._reasoning)
            if held:
                ahead.append(_row(index, held))
            if changed is not None:
                kept.append(changed)
        out: list[Any] = [{**self._head, "choices": [row]} for row in ahead]
        if len(kept) == len(choices) and all(new is old for new, old in zip(kept, choices, strict=True)):
            out.append(chunk)
        elif kept or members.get("usage"):
            out.append({**members, "choices": kept})
        return cast("list[ChatChunk]", out)

    def finish(self) -> Steps[list[ChatChunk]]:
        """What is held of choices that told no end."""
        out: list[Any] = []
        for index, choice in self._choices.items():
            held = yield from choice.ended()
            if held:
                out.append({**self._head, "choices": [_row(index, held)]})
        return cast("list[ChatChunk]", out)


class _Choice:
    """The texts of one choice."""

    __slots__ = ("_chain", "_changed", "_logprobs", "_open", "_said", "_shapes", "_stage")

    def __init__(self, chain: Callable[[Spot], Chain | None]) -> None:
        self._chain = chain
        # None: nobody looks at that text.
        self._open: dict[Key, Chain | None] = {}
        self._shapes: dict[Key, Mapping[str, Any]] = {}
        self._stage: Key = ()
        self._changed = False
        self._logprobs: list[Any] = []
        # How much of each text is held: to know whether what went out is what came.
        self._said: dict[Key, list[str]] = {}

    def checked(self, choice: Any, *, json: bool, reasoning: bool) -> Steps[tuple[dict[str, Any], Any]]:
        """The delta that goes ahead of this part, and the part itself: the same object, a changed one, or None."""
        delta = choice["delta"]
        held: dict[Key, str] = {}
        texts: dict[Key, str] = {}
        pieces: dict[Key, Piece] = {}
        for piece in deltas(choice, json=json, reasoning=reasoning):
            stage = _stage(piece.key)
            if stage != self._stage and (piece.text or piece.spot.kind == "arguments"):
                yield from self._close(held, texts)
                self._stage = stage
            if not piece.text:
                continue
            self._shape(piece, delta)
            if piece.key not in self._open:
                self._open[piece.key] = self._chain(piece.spot)
            if (chain := self._open[piece.key]) is not None:
                pieces[piece.key] = piece
                self._said.setdefault(piece.key, []).append(piece.text)
                texts[piece.key] = yield from chain.feed(piece.text)
                self._given(piece.key, texts[piece.key])
                if str(piece.key[-1]).startswith("alone"):
                    yield from self._close(held, texts, only=piece.key)
        if choice.get("finish_reason"):
            yield from self._close(held, texts)
        changes = {pieces[key].path: text for key, text in texts.items() if text != pieces[key].text}
        part = choice
        if changes:
            part = _pruned({**choice, "delta": replaced(delta, changes)}, changes)
        part = self._with_logprobs(choice, part, bool(pieces))
        return self._delta(held), part

    def ended(self) -> Steps[dict[str, Any]]:
        """The delta with all that is held."""
        held: dict[Key, str] = {}
        yield from self._close(held, {})
        return self._delta(held)

    def _close(self, held: dict[Key, str], texts: dict[Key, str], only: Key | None = None) -> Steps[None]:
        """Ends the texts that are open; what they held joins their piece in this chunk, or goes ahead of it."""
        for key in [only] if only is not None else list(self._open):
            chain = self._open.pop(key)
            if chain is not None:
                rest = yield from chain.finish()
                self._given(key, rest)
                if any(self._said.pop(key, ())):
                    self._changed = True
                if key in texts:
                    texts[key] += rest
                elif rest:
                    held[key] = rest

    def _given(self, key: Key, text: str) -> None:
        """Compares what goes out with what came in, as far as both are known."""
        said = self._said.get(key)
        if said is None or not text:
            return
        came = "".join(said)
        if came.startswith(text):
            self._said[key] = [came[len(text) :]]
        else:
            self._changed = True
            self._said[key] = []

    def _shape(self, piece: Piece, delta: Any) -> None:
        """Remembers the members of an entry of reasoning, for a chunk that carries only what was held of it."""
        if piece.key[0] == "reasoning_details":
            entry = delta["reasoning_details"][piece.path[1]]
            self._shapes[piece.key] = {
                name: entry[name] for name in ("type", "index", "format") if entry.get(name) is not None
            }

    def _delta(self, held: Mapping[Key, str]) -> dict[str, Any]:
        """A delta with these texts."""
        delta: dict[str, Any] = {}
        for key, text in held.items():
            match key:
                case ("tool_calls", number, holder):
                    member = "arguments" if holder == "function" else "input"
                    delta.setdefault("tool_calls", []).append({"index": number, holder: {member: text}})
                case ("function_call",):
                    delta["function_call"] = {"arguments": text}
                case ("reasoning_details", member, _):
                    delta.setdefault("reasoning_details", []).append({**self._shapes[key], member: text})
                case (member,):
                    delta[str(member)] = text
        return delta

    def _with_logprobs(self, choice: Any, part: Any, looked: bool) -> Any:
        """`part` with the log probabilities that may go out with it."""
        ends = bool(choice.get("finish_reason"))
        given = choice.get("logprobs")
        if given and (looked or self._logprobs or any(chain is not None for chain in self._open.values())):
            self._logprobs.append(given)
            if part is not None:
                part = {**part, "logprobs": None}
                if not part["delta"] and not ends:
                    part = None
        if ends and self._logprobs:
            kept = None if self._changed else _together(self._logprobs)
            self._logprobs = []
            part = {**(part if part is not None else choice), "logprobs": kept}
        return part


def _stage(key: Key) -> Key:
    """What a model says at one time: texts of one stage may alternate."""
    if key[0] in _REASONING:
        return ("reasoning",)
    return ("said",) if key[0] in ("content", "refusal") else key


def _row(index: int, delta: dict[str, Any]) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}


def _pruned(part: dict[str, Any], changes: Mapping[Path, str]) -> dict[str, Any] | None:
    """`part` without the members that lost all their text; None when nothing is left of it."""
    delta = dict(part["delta"])
    emptied = [path for path, text in changes.items() if not text]
    calls = {path[1] for path in emptied if path[0] == "tool_calls"}
    if calls:
        left = [call for place, call in enumerate(delta["tool_calls"]) if place not in calls or _opens(call)]
        delta["tool_calls"] = left
        if not left:
            del delta["tool_calls"]
    entries = {path[1] for path in emptied if path[0] == "reasoning_details"}
    if entries:
        kept = [each for place, each in enumerate(delta["reasoning_details"]) if place not in entries or _says(each)]
        delta["reasoning_details"] = kept
        if not kept:
            del delta["reasoning_details"]
    for path in emptied:
        if len(path) == 1 or (path[0] == "function_call" and not delta["function_call"].get("name")):
            del delta[str(path[0])]
    if not delta and not part.get("finish_reason"):
        return None
    if "role" in delta and ("content",) in emptied:
        delta["content"] = ""
    return {**part, "delta": delta}


def _opens(call: Mapping[str, Any]) -> bool:
    """A piece of a call that says more than arguments."""
    return any(
        value.get("name") if name in ("function", "custom") else name != "index" and value
        for name, value in call.items()
    )


def _says(entry: Mapping[str, Any]) -> bool:
    """An entry of reasoning with anything beside the text that it lost."""
    return any(value for name, value in entry.items() if name not in ("type", "index", "format", "id"))


def _together(all_of_them: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for each in all_of_them:
        for name, value in each.items():
            before = out.get(name)
            out[name] = [*before, *value] if isinstance(before, list) and isinstance(value, list) else (value or before)
    return out
