"""What a guardrail is: a small object with a name, which is given texts and says what becomes of them.

    Guardrail   one, as configured: a name, and `open()` for each call
    Watch       what it knows of one call (numbers of placeholders, the way back); `over(spot)` for each text
    Checker     what it does with one text, which comes in pieces: feed(text), finish()
    Verdict     pass, redact, restore (each with the text that may go out now) or block
    Ask         a checker cannot tell alone: somebody who may wait has to answer, then `told(reply)` goes on

A checker holds back only what it has to, and however a text is cut, it says the same of it: `whole(text)` is
one feed and one finish. Nothing here waits; what has to be awaited is an `Ask` that `flow/` answers.

An analyser such as Presidio's is one function, handed to `Own`; where its spans stand it puts words of its own:

    engine = AnalyzerEngine()

    def names(text: str, spot: Spot) -> Verdict | None:
        found = engine.analyze(text=text, language="en", entities=["PERSON", "LOCATION"], score_threshold=0.6)
        if not found:
            return None
        out, end = [], 0
        for span in sorted(found, key=lambda span: span.start):
            if span.start >= end:
                out += [text[end : span.start], f"[{span.entity_type}]"]
                end = span.end
        return Verdict("redact", "".join([*out, text[end:]]), tuple(sorted({span.entity_type for span in found})))

    Own("names", names, window=2_000)

What does not live here: any one guardrail, where texts stand (`slots.py`), who waits for functions (`flow/`).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, cast, get_args

Action = Literal["pass", "redact", "restore", "block"]
Direction = Literal["input", "output"]
Stage = Literal["look", "restore", "judge"]
Kind = Literal["content", "refusal", "reasoning", "arguments", "result"]

T = TypeVar("T")
Path: TypeAlias = tuple[str | int, ...]

_ACTIONS: tuple[Action, ...] = get_args(Action)
# Where a window may be cut without cutting a word.
_GAP = re.compile(r"\s(?=\S)")


class Nonsense(TypeError):
    """A guardrail's answer is none: a fault of the guardrail, not of the text."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a guardrail says of a piece of text.

    Attributes:
        action: `pass`: as it was. `redact`, `restore`: `text` has something in place of something else.
            `block`: neither this nor anything after it may go on.
        text: What may go out now; "" for a block, and while everything is held back.
        categories: What was found, such as `email` or `violence`.
        reason: One sentence for whoever is blocked.
    """

    action: Action
    text: str = ""
    categories: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Spot:
    """Which text it is.

    Attributes:
        direction: `input` goes to a model, `output` comes from one.
        kind: Of text; `arguments` of a tool's call, `result` of a tool.
        role: Of the message it stands in.
        path: Where it stands in the request or answer, such as `("messages", 0, "content")`.
        json: The text is JSON by itself: what replaces a part of it is written as JSON.
        tool: Name of the tool, for arguments.
    """

    direction: Direction = "input"
    kind: Kind = "content"
    role: str = "user"
    path: Path = ()
    json: bool = False
    tool: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """A question that a checker cannot answer itself; the answer goes to its `told`.

    Attributes:
        guardrail: Whose question; an `Own` wants its function called, others say what they want.
        text: What it is about.
        spot: Where that stands.
    """

    guardrail: Guardrail
    text: str
    spot: Spot


class Checker(Protocol):
    """Looks at one text that comes in pieces."""

    def feed(self, text: str) -> Verdict | Ask:
        """Takes the next piece; the verdict has what may go out now."""
        ...

    def finish(self) -> Verdict | Ask:
        """The text is at its end: the verdict has all that was held back."""
        ...

    def told(self, reply: object) -> Verdict | Ask:
        """Goes on after an `Ask`. None for a reply lets the text pass.

        Raises:
            Nonsense: The reply is no answer.
        """
        ...


class Watch(Protocol):
    """What a guardrail knows of one call."""

    @property
    def stage(self) -> Stage:
        """When it looks at answers: `look` first, then `restore` puts back what was taken out of the request,
        and `judge` sees what the client would get. A `restore` looks at answers whoever asked for it."""
        ...

    def glance(self, texts: Iterable[str]) -> None:
        """Is shown all texts of a request before the first is checked."""
        ...

    def over(self, spot: Spot) -> Checker | None:
        """A checker of the text there, None when that is not looked at."""
        ...


class Guardrail(Protocol):
    """A guardrail as configured; it is shared by all calls and knows nothing of any."""

    @property
    def name(self) -> str:
        """Its name, for headers, errors and records."""
        ...

    def open(self) -> Watch:
        """What it needs for one call."""
        ...


Steps: TypeAlias = Generator[Ask | None, object, T]
"""What has questions on its way to a result; whoever runs it sends an answer to each. After a None it is sent
nothing: much was done, and others may want to run before it goes on."""

Answer: TypeAlias = str | Verdict | None
Function: TypeAlias = Callable[[str, Spot], Answer | Awaitable[Answer]]


class Pure:
    """A checker's `told` for those that never ask."""

    __slots__ = ()

    def told(self, reply: object) -> Verdict | Ask:
        """Raises: nobody asked."""
        raise Nonsense(f"A reply of type {type(reply).__name__} came, and nobody had asked.")


def fed(checker: Checker, text: str) -> Steps[Verdict]:
    """Feeds one piece, through all questions on the way."""
    return (yield from _settled(checker, checker.feed(text)))


def finished(checker: Checker) -> Steps[Verdict]:
    """Ends a text, through all questions on the way."""
    return (yield from _settled(checker, checker.finish()))


def whole(checker: Checker, text: str) -> Steps[Verdict]:
    """What a new checker says of a whole text; the same however the text would be cut."""
    first = yield from fed(checker, text)
    if first.action == "block":
        return first
    return joined([first, (yield from finished(checker))])


def joined(verdicts: Iterable[Verdict]) -> Verdict:
    """Verdicts on neighbouring pieces as one: the strongest action, all texts and categories."""
    all_of_them = tuple(verdicts)
    if (blocked := next((one for one in all_of_them if one.action == "block"), None)) is not None:
        return blocked
    return Verdict(
        max((one.action for one in all_of_them), key=_ACTIONS.index, default="pass"),
        "".join([one.text for one in all_of_them]),
        tuple(dict.fromkeys(name for one in all_of_them for name in one.categories)),
    )


def understood(reply: object, text: str, name: str) -> Verdict:
    """The verdict that an own guardrail's reply is.

    Args:
        text: What it was asked about.
        name: Of the guardrail, for the error.

    Raises:
        Nonsense: It is neither text, a verdict nor None, or a verdict with members of other types.
    """
    if reply is None:
        return Verdict("pass", text)
    if isinstance(reply, str):
        return Verdict("pass" if reply == text else "redact", reply)
    if not isinstance(reply, Verdict):
        raise Nonsense(
            f"The guardrail {name!r} answered with a {type(reply).__name__}. It has to return the text that "
            "goes on, a Verdict, or None."
        )
    if reply.action not in _ACTIONS:
        raise Nonsense(f"The guardrail {name!r} returned an action that is none of {', '.join(_ACTIONS)}.")
    texts: tuple[object, ...] = (reply.text, reply.reason)
    if not all(isinstance(each, str) for each in texts):
        raise Nonsense(f"The guardrail {name!r} returned a Verdict whose text or reason is no str.")
    categories: object = reply.categories
    if not isinstance(categories, tuple) or not all(isinstance(each, str) for each in categories):
        raise Nonsense(f"The guardrail {name!r} returned a Verdict whose categories are no tuple of str.")
    if reply.action == "pass":
        return Verdict("pass", text, reply.categories, reply.reason)
    return Verdict("block", "", reply.categories, reply.reason) if reply.action == "block" else reply


@dataclass(frozen=True, slots=True)
class Own:
    """A guardrail that is a function of somebody's own.

    Attributes:
        name: For headers, errors and records.
        function: Called with a text and where it stands; returns the text that goes on, a `Verdict`, or None for
            "as it is". It may be async.
        window: Characters, at least 1. On output it is asked about windows of this size, cut at white space where
            there is some, each as soon as it is there. 0: about the whole text, which is held until its end.
        directions: Which texts it looks at.
        kinds: Of text that it looks at.
    """

    name: str
    function: Function
    window: int = 0
    directions: tuple[Direction, ...] = ("input", "output")
    kinds: tuple[Kind, ...] = get_args(Kind)

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise Nonsense(f"The guardrail {self.name!r} is no function. Hand in one that takes a text and a Spot.")
        if type(self.window) is not int or self.window < 0:
            raise Nonsense(f"The window of the guardrail {self.name!r} must be a whole number of characters.")

    def open(self) -> Watch:
        """It keeps nothing of a call."""
        return Windows(self, self.window, self.directions, self.kinds, self.understood)

    def understood(self, reply: object, text: str) -> Verdict:
        """What the function's reply means."""
        return understood(reply, text, self.name)


@dataclass(frozen=True, slots=True)
class Windows:
    """The watch of a guardrail that others have to judge for: it asks about window after window.

    Attributes:
        guardrail: Whose.
        window: Characters, 0 for whole texts; input is always whole.
        directions, kinds: Of the texts that it looks at.
        read: The verdict that a reply about a text is.
    """

    guardrail: Guardrail
    window: int
    directions: tuple[Direction, ...]
    kinds: tuple[Kind, ...]
    read: Callable[[object, str], Verdict]

    @property
    def stage(self) -> Stage:
        """Before originals are put back, since others see what it is given."""
        return "look"

    def glance(self, texts: Iterable[str]) -> None:
        """Nothing is kept of them."""

    def over(self, spot: Spot) -> Checker | None:
        """A checker of the text there."""
        if spot.direction not in self.directions or spot.kind not in self.kinds:
            return None
        return _Windowed(self, spot, self.window if spot.direction == "output" else 0)


class _Windowed:
    """Gathers text into windows, asks about each, and lets out what was judged."""

    __slots__ = ("_asked", "_ended", "_held", "_judged", "_spot", "_watch", "_window")

    def __init__(self, watch: Windows, spot: Spot, window: int) -> None:
        self._watch = watch
        self._spot = spot
        self._window = window
        # Pieces as they came: a text of many pieces is joined once for each window.
        self._held: list[str] = []
        self._asked = ""
        self._ended = False
        self._judged: list[Verdict] = []

    def feed(self, text: str) -> Verdict | Ask:
        """Holds the piece until its window is there."""
        if text:
            self._held.append(text)
        return self._next() if self._window else Verdict("pass")

    def finish(self) -> Verdict | Ask:
        """Asks about what is left."""
        self._ended = True
        return self._next()

    def told(self, reply: object) -> Verdict | Ask:
        """Takes the answer, and asks about the next window if there is one."""
        verdict = self._watch.read(reply, self._asked)
        if verdict.action == "block":
            self._held, self._judged = [], []
            return verdict
        self._judged.append(verdict)
        return self._next()

    def _next(self) -> Verdict | Ask:
        text = "".join(self._held)
        cut = len(text) if self._ended else 0
        if self._window and len(text) > self._window:
            cut = _cut(text, self._window)
        if cut:
            self._held = [text[cut:]]
            self._asked = text[:cut]
            return Ask(self._watch.guardrail, self._asked, self._spot)
        self._held = [text]
        verdict = joined(self._judged)
        self._judged = []
        return verdict


def _cut(text: str, window: int) -> int:
    """Where a window ends: after the last white space in its second half, else at its full size."""
    gaps = [gap.end() for gap in _GAP.finditer(text, window // 2, window + 1)]
    return max(1, gaps[-1]) if gaps else window


def settled(steps: Steps[T]) -> T:
    """The result of steps that ask nothing.

    Raises:
        Nonsense: They ask.
    """
    while True:
        try:
            asked = steps.send(cast("Any", None))
        except StopIteration as end:
            return cast("T", end.value)
        if asked is not None:
            raise Nonsense(f"The guardrail {asked.guardrail.name!r} has to be awaited.")


def _settled(checker: Checker, said: Verdict | Ask) -> Steps[Verdict]:
    while isinstance(said, Ask):
        said = checker.told((yield said))
    return said
