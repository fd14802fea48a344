"""Own guardrails: functions that are asked about texts, and whose answers are read with care."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.guardrails.base import Ask, Nonsense, Own, Spot, Verdict, joined, settled, understood, whole
from compatgw.guardrails.pii import Pii
from tests.guardrails.streams import ANSWER, answered, checker_of

INPUT = Spot()


class Found(NamedTuple):
    """What an analyser such as Presidio's gives back."""

    entity_type: str
    start: int
    end: int
    score: float = 0.85


class Analyser:
    """Finds the people that it knows, with Presidio's way of being called."""

    def analyze(self, *, text: str, language: str, entities: list[str], score_threshold: float) -> list[Found]:
        """Spans, in no order, and some of them within others."""
        assert language == "en"
        spans = []
        for name, kind in (("Ada Lovelace", "PERSON"), ("Lovelace", "PERSON"), ("Paris", "LOCATION")):
            at = text.find(name)
            if at >= 0 and kind in entities:
                spans.append(Found(kind, at, at + len(name)))
        return sorted(spans, key=lambda span: -span.start)


def test_an_analyser_is_adapted_in_a_few_lines() -> None:
    """As the docstring of `base.py` shows it."""
    engine = Analyser()

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

    said = ask_of(Own("names", names), "Ada Lovelace saw Paris.")
    assert said == Verdict("redact", "[PERSON] saw [LOCATION].", ("LOCATION", "PERSON"))
    assert ask_of(Own("names", names), "Nobody.") == Verdict("pass", "Nobody.")


def ask_of(own: Own, text: str, spot: Spot = INPUT) -> Verdict:
    """What an own guardrail makes of a whole text."""
    return answered(whole(checker_of(own, spot), text), lambda ask: own.function(ask.text, ask.spot))


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        (None, Verdict("pass", "text")),
        ("text", Verdict("pass", "text")),
        ("", Verdict("redact", "")),
        ("other", Verdict("redact", "other")),
        (Verdict("pass", "nobody reads this", ("x",)), Verdict("pass", "text", ("x",))),
        (Verdict("redact", "other", ("x",)), Verdict("redact", "other", ("x",))),
        (Verdict("block", "lost", ("x",), "Why."), Verdict("block", "", ("x",), "Why.")),
    ],
)
def test_replies_are_text_verdicts_or_nothing(reply: object, wanted: Verdict) -> None:
    """A pass never changes a text, and a block never has one."""
    assert understood(reply, "text", "own") == wanted


@pytest.mark.parametrize(
    "reply",
    [
        True, 0, 1.5, b"text", ["text"], {"action": "block"}, object(), Verdict("maybe"),  # type: ignore[arg-type]
        Verdict("redact", None), Verdict("redact", "x", ["a"]), Verdict("redact", "x", (1,)),  # type: ignore[arg-type]
        Verdict("block", "", (), None), lambda text: text,  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_nonsense_is_refused_and_names_the_guardrail(reply: object) -> None:
    """Also what looks nearly right; the error does not quote it."""
    with pytest.raises(Nonsense, match="'own'"):
        ask_of(Own("own", lambda text, spot: reply), "secret text")  # type: ignore[arg-type,return-value]  # that is tested


@pytest.mark.parametrize("bad", [{"function": "name"}, {"window": -1}, {"window": True}, {"window": 1.5}])
def test_an_own_guardrail_that_cannot_work_is_refused_when_it_is_made(bad: dict[str, Any]) -> None:
    """Not at the first call."""
    with pytest.raises(Nonsense, match="'own'"):
        Own(**{"name": "own", "function": lambda text, spot: None, **bad})


@pytest.mark.parametrize(
    ("spot", "looked"),
    [(Spot("input", "content"), True), (Spot("output", "content"), False), (Spot("input", "arguments"), False)],
)
def test_an_own_guardrail_sees_only_what_it_wants(spot: Spot, looked: bool) -> None:
    """Directions and kinds."""
    own = Own("own", lambda text, spot: None, directions=("input",), kinds=("content", "result"))

    assert (own.open().over(spot) is not None) is looked


def test_input_is_always_whole() -> None:
    """A window is for streams."""
    asked: list[str] = []

    def note(text: str, spot: Spot) -> None:
        asked.append(text)

    ask_of(Own("own", note, window=3), "a long text of many words")
    assert asked == ["a long text of many words"]


@given(st.text(alphabet="ab \n", max_size=60), st.integers(1, 12), st.lists(st.integers(0, 60), max_size=6))
def test_windows_are_the_same_however_a_text_is_cut(text: str, window: int, places: list[int]) -> None:
    """They depend on the text alone, none is longer than it may be, and all of them are the text."""

    def windows(pieces: list[str]) -> list[str]:
        asked: list[str] = []
        own = Own("own", lambda text, spot: asked.append(text), window=window)
        checker = checker_of(own, ANSWER)
        out = ""
        for piece in [*pieces, None]:
            step = checker.feed(piece) if piece is not None else checker.finish()
            while isinstance(step, Ask):
                step = checker.told(own.function(step.text, step.spot))
            out += step.text
        assert out == text
        return asked

    cuts = sorted({min(place, len(text)) for place in places})
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]

    wanted = windows([text])
    assert windows(pieces) == windows(list(text)) == wanted
    assert "".join(wanted) == text
    assert all(1 <= len(each) <= window for each in wanted)


def test_verdicts_on_pieces_join_to_the_strongest() -> None:
    """Texts in a row, categories once each; a block is alone."""
    pieces = [Verdict("pass", "a"), Verdict("redact", "b", ("x", "y")), Verdict("restore", "c", ("x",))]

    assert joined(pieces) == Verdict("restore", "abc", ("x", "y"))
    assert joined([*pieces, Verdict("block", "", ("z",), "No.")]) == Verdict("block", "", ("z",), "No.")
    assert joined([]) == Verdict("pass")


def test_what_has_to_be_awaited_is_not_passed_over() -> None:
    """Steps that ask cannot be run as if they did not; and nobody is told who did not ask."""
    with pytest.raises(Nonsense, match="awaited"):
        settled(whole(checker_of(Own("own", lambda text, spot: None)), "text"))
    with pytest.raises(Nonsense, match="nobody had asked"):
        checker_of(Pii()).told(None)
