"""Hub messages as turns that alternate, results right behind their calls, system text in its place.

The history is read into turns, one of the assistant's and one of everybody else's at a time:

* results go to the beginning of the turn behind the one that made the call, wherever they stood;
* a call without a result gets one that says so; a result without a call becomes user text;
* neighbours of one role are one message; in it thinking comes first and calls come last;
* system text ahead of everything is the request's `system`, where there is one; later text stays where it is, as
  a message of its own where the model and the position allow it, else inside the user's turn.

Each repair is noted as a change of the message that it concerns.
What does not live here: how a protocol spells a block (the dialects, by a `Spelling`), thinking blocks (`thoughts.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import orjson

from compatgw.dialects import ids
from compatgw.dialects.blocks import thoughts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw.dialects.base import Leftovers, Target
    from compatgw.dialects.blocks.names import Names

Block = dict[str, Any]

BEGIN = "Begin."
EMPTY = "(empty)"
CONTINUE = "Continue."
NO_RESULT = "No result"


class Spelling(Protocol):
    """How one protocol writes blocks."""

    def text(self, value: str) -> list[Block]:
        """A text block, which has a member `text`; none for text that would be refused."""
        ...

    def parts(self, content: Any, where: str) -> list[Block]:
        """The blocks of a user's, a tool's or a system message's content, with the marks of its parts.

        Raises:
            InvalidRequest: Media that is not what it says.
            UnsupportedParameter: A part that cannot be sent.
        """
        ...

    def marked(self, blocks: list[Block], holder: Mapping[str, Any]) -> list[Block]:
        """`blocks` with the cache mark of `holder`, if it has one, on or behind the last."""
        ...

    def thought(self, block: Block) -> Block:
        """One of `thinking_blocks`."""
        ...

    def use(self, id: str, name: str, value: Block) -> Block:
        """A call."""
        ...

    def result(self, id: str, found: list[Block], message: Mapping[str, Any]) -> list[Block]:
        """The result of a call, out of a message and the blocks of its content, with its marks."""
        ...

    def missing(self, id: str) -> Block:
        """The result of a call that has none."""
        ...

    def heard(self, blocks: list[Block]) -> list[Block]:
        """A user's message, completed."""
        ...


class Rules(NamedTuple):
    """What a conversation may hold.

    Attributes:
        thinks: Thinking blocks are taken back.
        system: The request has a place for system text ahead of everything.
        system_role: Messages of role system are taken between the others.
        prefill: The last message may be the assistant's, for the model to go on with.
    """

    thinks: bool
    system: bool
    system_role: bool
    prefill: bool


@dataclass(eq=False, slots=True)
class _Heard:
    """A turn of everybody else: results first, then what was said; True marks system text."""

    results: list[Block] = field(default_factory=list)
    items: list[tuple[bool, list[Block]]] = field(default_factory=list)


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
        unthought: The calls that wait for the model now came without a thinking block.
    """

    system: list[Block]
    messages: list[Block]
    called: list[str]
    prefill: bool
    unthought: bool


def translate(
    messages: Sequence[Mapping[str, Any]],
    target: Target,
    spelling: Spelling,
    rules: Rules,
    names: Names,
    left: Leftovers,
) -> Conversation:
    """The conversation that `messages` are.

    Args:
        messages: Of the request.
        target: Where it goes: only its own thinking is sent back.
        spelling: Writes the blocks.
        rules: What the model takes.
        names: Gives the names and ids that are sent.
        left: Notes what is changed, and refuses what cannot be sent.

    Raises:
        InvalidRequest: Media that is not what it says.
        UnsupportedParameter: A part that cannot be sent; an end that this model cannot go on with.
    """
    return _Reader(target, spelling, rules, names, left).read(messages)


class _Reader:
    """Reads one history."""

    def __init__(self, target: Target, spelling: Spelling, rules: Rules, names: Names, left: Leftovers) -> None:
        self._target = target
        self._spelling = spelling
        self._rules = rules
        self._names = names
        self._left = left
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
                self._heard().items.append((False, self._blocks(message, where)))
            elif not self._turns and self._rules.system:
                self._system += self._blocks(message, where)
            elif blocks := self._blocks(message, where):
                self._heard().items.append((True, blocks))
        self._answer_all()
        return self._written()

    def _blocks(self, message: Mapping[str, Any], where: str) -> list[Block]:
        return self._spelling.marked(self._spelling.parts(message.get("content"), where), message)

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
            return  # a turn that said nothing is refused; thinking alone is no turn either
        last = self._turns[-1] if self._turns else None
        turn = last if isinstance(last, _Said) else _Said(where)
        if turn is not last:
            self._turns.append(turn)
        turn.path = where
        if self._rules.thinks:
            turn.thoughts += [self._spelling.thought(block) for block in thought]
        uses: list[Block] = []
        for place, (call, path) in enumerate(asked):
            uses += self._spelling.marked([self._use(call, turn, path, index, place)], call)
        # Text between two turns' calls would stand behind calls that wait for their results.
        turn.texts += texts if uses else self._spelling.marked(texts, message)
        turn.uses += self._spelling.marked(uses, message) if uses else []

    def _spoken(self, message: Mapping[str, Any], where: str) -> tuple[list[Block], list[Block]]:
        """Text and thinking blocks of an assistant's message; the latter in the shape of `thinking_blocks`."""
        text, marked = self._spelling.text, self._spelling.marked
        thought = thoughts.replayed(message, self._target)
        native: list[Block] = []
        value = message.get("content")
        out: list[Block] = []
        for place, part in enumerate(value if isinstance(value, list) else ()):
            if part["type"] == "thinking":
                native += filter(None, [thoughts.vouched(part)])
            elif part["type"] in ("text", "refusal"):
                if found := text(part[part["type"]]):
                    out += marked(found, part)
            else:
                why = "It takes images from the user only; send it in a user message."
                raise self._left.refusal(f"{where}.content[{place}].{part['type']}", why)
        if isinstance(value, str):
            out += text(value)
        if isinstance(refused := message.get("refusal"), str):
            out += text(refused)
        spoken = message.get("audio")
        if isinstance(spoken, dict) and not out:
            transcript = spoken.get("transcript")
            if not isinstance(transcript, str):
                raise self._left.refusal(f"{where}.audio", "Send the transcript of what was spoken as 'content'.")
            out += text(transcript)
        return out, thought or native

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
        return self._spelling.use(made.sent, sent, value)

    # --- results -----------------------------------------------------------------------------

    def _result(self, message: Mapping[str, Any], where: str) -> None:
        found = self._spelling.parts(message.get("content"), where)
        call = self._asked_by(message)
        if call is None:
            name = message.get("tool_call_id") or message.get("name")
            said = self._spelling.text(f"Result of a tool call that is not in this conversation ({name}):")
            self._left.clamp(where, "user text")
            self._heard().items.append((False, self._spelling.marked([*said, *found], message)))
            return
        call.answered = True
        self._behind(call.turn).results += self._spelling.result(call.sent, found, message)

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
                self._behind(call.turn).results.append(self._spelling.missing(call.sent))

    # --- writing -----------------------------------------------------------------------------

    def _written(self) -> Conversation:
        out: list[Block] = []
        if not self._turns or isinstance(self._turns[0], _Said):
            out.append(_user(self._spelling.text(BEGIN)))
        for turn in self._turns:
            out += [_assistant(turn)] if isinstance(turn, _Said) else self._user_messages(turn)
        last = self._turns[-1] if self._turns else None
        prefill = isinstance(last, _Said)
        if isinstance(last, _Said) and not self._rules.prefill:
            why = "This model does not go on with an answer; end with a user message."
            self._left.semantic("messages", last.path, "messages", why)
            out.append(_user(self._spelling.text(CONTINUE)))
            prefill = False
        elif prefill:
            out[-1] = {**out[-1], "content": _stripped(out[-1]["content"])}
        return Conversation(self._system, out, list(self._called), prefill, self._unthought())

    def _unthought(self) -> bool:
        said = [turn for turn in self._turns if isinstance(turn, _Said)]
        return bool(said) and bool(said[-1].uses) and not said[-1].thoughts

    def _user_messages(self, turn: _Heard) -> list[Block]:
        items = list(turn.items)
        inline: list[Block] = []
        if self._rules.system_role and (turn.results or not all(system for system, _ in items)):
            # What stands at the end of the turn is followed by the assistant, or by nothing.
            while items and items[-1][0]:
                inline = [*items.pop()[1], *inline]
        found = [*turn.results]
        for system, blocks in items:
            found += [_reminder(block) for block in blocks] if system else blocks
        return [_user(self._spelling.heard(found or self._spelling.text(EMPTY))), *_system(inline)]


def _assistant(turn: _Said) -> Block:
    return {"role": "assistant", "content": [*turn.thoughts, *turn.texts, *turn.uses]}


def _user(blocks: list[Block]) -> Block:
    return {"role": "user", "content": blocks}


def _reminder(block: Block) -> Block:
    if "text" not in block:  # a cache mark that is a block of its own
        return block
    return {**block, "text": f"<system-reminder>\n{block['text']}\n</system-reminder>"}


def _system(blocks: list[Block]) -> list[Block]:
    """Neighbouring system texts as one message: two in a row are refused."""
    if not blocks:
        return []
    text = "\n\n".join(block["text"] for block in blocks)
    return [{"role": "system", "content": [{**blocks[-1], "text": text}]}]


def _stripped(blocks: list[Block]) -> list[Block]:
    """`blocks` whose last text ends with a visible character."""
    last = next((n for n in reversed(range(len(blocks))) if "text" in blocks[n]), None)
    return [{**block, "text": block["text"].rstrip()} if n == last else block for n, block in enumerate(blocks)]


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
