"""Hub messages become Bedrock's: turns that alternate, all results of a turn in one message behind its calls.

The history is read into turns, one of the assistant's and one of everybody else's at a time:

* results go to the beginning of the turn behind the one that made the call, wherever they stood;
* a call without a result gets one that says so; a result without a call becomes user text;
* neighbours of one role are one message; in it reasoning comes first and calls come last;
* system text ahead of everything is the request's `system`, where the model takes one; all other is user text.

Each repair is noted as a change of the message that it concerns.
What does not live here: parts (`content.py`), reasoning blocks (`reasoning.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from compatgw.dialects import ids
from compatgw.dialects.bedrock import content, reasoning

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw.dialects.base import Leftovers, Target
    from compatgw.dialects.bedrock.models import Traits
    from compatgw.dialects.bedrock.names import Names

Block = dict[str, Any]

BEGIN = "Begin."
EMPTY = "(empty)"
CONTINUE = "Continue."
ATTACHED = "See the attached document."
NO_RESULT = "No result"


@dataclass(eq=False, slots=True)
class _Heard:
    """A turn of everybody else: results first, then what was said."""

    results: list[Block] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class _Said:
    """A turn of the assistant, and the one behind it."""

    path: str
    thoughts: list[Block] = field(default_factory=list)
    texts: list[Block] = field(default_factory=list)
    uses: list[Block] = field(default_factory=list)
    heard: _Heard | None = None


@dataclass(eq=False, slots=True)
class _Call:
    """A call of the assistant's, as the upstream will know it."""

    sent: str
    turn: _Said
    path: str
    answered: bool = False


@dataclass(frozen=True)
class Conversation:
    """The history as it is sent.

    Attributes:
        system: Blocks for the request's `system`.
        messages: In order; never empty.
        called: Sent names of the tools that the history calls, by first appearance.
        prefill: The last message is the assistant's, for the model to go on with.
        unthought: The calls that wait for the model now came without reasoning.
    """

    system: list[Block]
    messages: list[Block]
    called: list[str]
    prefill: bool
    unthought: bool


def translate(
    messages: Sequence[Mapping[str, Any]], target: Target, traits: Traits, names: Names, left: Leftovers
) -> Conversation:
    """The conversation that `messages` are.

    Raises:
        InvalidRequest: Media that is not what it says.
        UnsupportedParameter: A part that cannot be sent; an end that this model cannot go on with.
    """
    return _Reader(target, traits, names, left).read(messages)


class _Reader:
    """Reads one history."""

    def __init__(self, target: Target, traits: Traits, names: Names, left: Leftovers) -> None:
        self._target = target
        self._traits = traits
        self._names = names
        self._left = left
        self._parts = content.Parts(traits, names, left)
        self._system: list[Block] = []
        self._turns: list[_Said | _Heard] = []
        self._calls: list[_Call] = []
        # Calls without a result so far, by the caller's id and, for the oldest form, by name.
        self._by_id: dict[str, list[_Call]] = {}
        self._by_name: dict[str, list[_Call]] = {}
        self._called: dict[str, None] = {}

    def read(self, messages: Sequence[Mapping[str, Any]]) -> Conversation:
        for index, message in enumerate(messages):
            where = f"messages[{index}]"
            role = message["role"]
            if message.get("name") and role not in ("function", "tool"):
                self._left.hint("messages.name", message["name"])
            if role == "assistant":
                self._assistant(message, index, where)
            elif role in ("tool", "function"):
                self._result(message, where)
            elif role == "user":
                self._heard().blocks += self._blocks(message, where)
            elif not self._turns and self._traits.system:
                self._system += self._blocks(message, where)
            else:
                self._heard().blocks += [_reminder(block) for block in self._blocks(message, where)]
        self._answer_all()
        return self._written()

    def _blocks(self, message: Mapping[str, Any], where: str) -> list[Block]:
        found = self._parts.blocks(message.get("content"), where)
        return [*found, *content.point(message, self._traits)] if found else []

    def _heard(self) -> _Heard:
        """The turn of everybody else that is going on."""
        last = self._turns[-1] if self._turns else None
        if isinstance(last, _Said):
            return self._behind(last)
        if last is None:
            last = _Heard()
            self._turns.append(last)
        return last

    def _behind(self, turn: _Said) -> _Heard:
        """The turn behind `turn`; one that has none is the last."""
        if turn.heard is None:
            turn.heard = _Heard()
            self._turns.append(turn.heard)
        return turn.heard

    # --- the assistant's turns ---------------------------------------------------------------

    def _assistant(self, message: Mapping[str, Any], index: int, where: str) -> None:
        texts, thought = self._spoken(message, where)
        asked = _asked(message, index)
        if not texts and not asked:
            return  # a turn that said nothing is refused; reasoning alone is no turn either
        last = self._turns[-1] if self._turns else None
        turn = last if isinstance(last, _Said) else _Said(where)
        if turn is not last:
            self._turns.append(turn)
        turn.path = where
        turn.thoughts += thought
        uses: list[Block] = []
        for place, (call, path) in enumerate(asked):
            uses += [self._use(call, turn, path, index, place), *content.point(call, self._traits)]
        # Text between two turns' calls would stand behind calls that wait for their results.
        turn.texts += [*texts, *([] if uses else content.point(message, self._traits))]
        turn.uses += [*uses, *(content.point(message, self._traits) if uses else [])]

    def _spoken(self, message: Mapping[str, Any], where: str) -> tuple[list[Block], list[Block]]:
        """Text and reasoning blocks of an assistant's message."""
        thought = reasoning.replayed(message, self._target)
        native: list[Block] = []
        value = message.get("content")
        out: list[Block] = []
        for place, part in enumerate(value if isinstance(value, list) else ()):
            if part["type"] == "thinking":
                native += filter(None, [reasoning.thought(part)])
            elif part["type"] in ("text", "refusal"):
                found = content.text(part[part["type"]])
                out += [*found, *(content.point(part, self._traits) if found else [])]
            else:
                why = "It takes images from the user only; send it in a user message."
                raise self._left.refusal(f"{where}.content[{place}].{part['type']}", why)
        if isinstance(value, str):
            out += content.text(value)
        if isinstance(refused := message.get("refusal"), str):
            out += content.text(refused)
        spoken = message.get("audio")
        if isinstance(spoken, dict) and not out:
            transcript = spoken.get("transcript")
            if not isinstance(transcript, str):
                raise self._left.refusal(f"{where}.audio", "Send the transcript of what was spoken as 'content'.")
            out += content.text(transcript)
        return out, (thought or native) if self._traits.thinking else []

    def _use(self, call: Mapping[str, Any], turn: _Said, path: str, index: int, place: int) -> Block:
        if call["type"] == "custom":
            name, value = call["custom"]["name"], {"input": call["custom"]["input"]}
        else:
            name, value = call["function"]["name"], _arguments(call["function"]["arguments"])
        made = _Call(self._names.id(call["id"], index, place), turn, path)
        self._calls.append(made)
        self._by_id.setdefault(call["id"], []).append(made)
        self._by_name.setdefault(name, []).append(made)
        sent = self._names.name(name)
        self._called[sent] = None
        return {"toolUse": {"toolUseId": made.sent, "name": sent, "input": value}}

    # --- results -----------------------------------------------------------------------------

    def _result(self, message: Mapping[str, Any], where: str) -> None:
        found = self._parts.blocks(message.get("content"), where)
        call = self._asked_by(message)
        if call is None:
            name = message.get("tool_call_id") or message.get("name")
            said = content.text(f"Result of a tool call that is not in this conversation ({name}):")
            self._left.clamp(where, "user text")
            self._heard().blocks += [*said, *found, *content.point(message, self._traits)]
            return
        call.answered = True
        # Cache points have no place inside a result: one there stands for one behind it.
        inner = [block for block in found if "cachePoint" not in block]
        points = [block for block in found if "cachePoint" in block][-1:] or content.point(message, self._traits)
        result = {"toolUseId": call.sent, "content": inner or content.text(EMPTY)}
        if message.get("is_error") is True:
            result["status"] = "error"
        self._behind(call.turn).results += [{"toolResult": result}, *points]

    def _asked_by(self, message: Mapping[str, Any]) -> _Call | None:
        """The call that a result answers: of the latest turn that has an open one of that id, its first."""
        book, key = (self._by_id, "tool_call_id") if message["role"] == "tool" else (self._by_name, "name")
        made = [call for call in book.get(message[key], ()) if not call.answered]
        book[message[key]] = made
        return next((call for call in made if call.turn is made[-1].turn), None)

    def _answer_all(self) -> None:
        for call in self._calls:
            if not call.answered:
                self._left.clamp(call.path, "no result")
                result = {"toolUseId": call.sent, "content": content.text(NO_RESULT), "status": "error"}
                self._behind(call.turn).results.append({"toolResult": result})

    # --- writing -----------------------------------------------------------------------------

    def _written(self) -> Conversation:
        out: list[Block] = []
        if not self._turns or isinstance(self._turns[0], _Said):
            out.append(_user(content.text(BEGIN)))
        for turn in self._turns:
            if isinstance(turn, _Said):
                out.append({"role": "assistant", "content": [*turn.thoughts, *turn.texts, *turn.uses]})
            else:
                out.append(_user(_documented([*turn.results, *turn.blocks] or content.text(EMPTY))))
        last = self._turns[-1] if self._turns else None
        prefill = isinstance(last, _Said)
        if isinstance(last, _Said) and not self._traits.prefill:
            why = "This model does not go on with an answer; end with a user message."
            self._left.semantic("messages", last.path, "messages", why)
            out.append(_user(content.text(CONTINUE)))
            prefill = False
        elif prefill:
            out[-1] = {**out[-1], "content": _stripped(out[-1]["content"])}
        return Conversation(self._system, out, list(self._called), prefill, self._unthought())

    def _unthought(self) -> bool:
        said = [turn for turn in self._turns if isinstance(turn, _Said)]
        return bool(said) and bool(said[-1].uses) and not said[-1].thoughts


def _user(blocks: list[Block]) -> Block:
    return {"role": "user", "content": blocks}


def _documented(blocks: list[Block]) -> list[Block]:
    """`blocks` with some text in them: a document alone is refused."""
    alone = any("document" in block for block in blocks) and not any("text" in block for block in blocks)
    return [*blocks, *content.text(ATTACHED)] if alone else blocks


def _stripped(blocks: list[Block]) -> list[Block]:
    """`blocks` whose last text ends with a visible character."""
    place = next((n for n in reversed(range(len(blocks))) if "text" in blocks[n]), None)
    if place is None:
        return blocks
    return [{"text": block["text"].rstrip()} if n == place else block for n, block in enumerate(blocks)]


def _reminder(block: Block) -> Block:
    if "text" not in block:
        return block
    return {"text": f"<system-reminder>\n{block['text']}\n</system-reminder>"}


def _asked(message: Mapping[str, Any], index: int) -> list[tuple[Mapping[str, Any], str]]:
    """The calls of a message with their paths; the oldest form gets an id from its position."""
    where = f"messages[{index}]"
    calls = message.get("tool_calls") or ()
    found = [(call, f"{where}.tool_calls[{place}]") for place, call in enumerate(calls)]
    legacy = message.get("function_call")
    if legacy and not found:
        minted = ids.minted("function_call", str(index), legacy["name"])
        found = [({"id": minted, "type": "function", "function": legacy}, f"{where}.function_call")]
    return found


def _arguments(text: str) -> dict[str, Any]:
    """Arguments as the object that they have to be; whatever else they are stays visible under `_raw`."""
    if not text.strip():
        return {}
    try:
        value = orjson.loads(text)
        if isinstance(value, str):  # encoded twice
            value = orjson.loads(value)
    except orjson.JSONDecodeError:
        return {"_raw": text}
    return value if isinstance(value, dict) else {} if value is None else {"_raw": value}
