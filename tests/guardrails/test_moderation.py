"""Words that are not wanted, and what a moderation model says."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw.guardrails.base import Ask, Nonsense, Spot, Verdict, settled, whole
from compatgw.guardrails.moderation import Judged, WordList, judged
from tests.guardrails.streams import ANSWER, ARGUMENTS, answered, checker_of, cut_everywhere, streamed

LIST = WordList(
    {"violence": ["kill yourself", "bomb*", "B?mb"], "names": ["Voldemort", "straße"], "zh": ["炸弹", "炸"]},
    action="redact",
)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("VOLDEMORT, voldemort; voldemorts", "[NAMES], [NAMES]; voldemorts"),
        ("ＶＯＬＤＥＭＯＲＴ", "[NAMES]"),
        ("Vol\u200bde\u00admort", "[NAMES]"),
        ("STRASSE und Straße", "[NAMES] und [NAMES]"),
        ("kill yourself. Kill - yourself, kill\nyourself", "[VIOLENCE]. [VIOLENCE], [VIOLENCE]"),
        ("kill    yourself; kill your self; skill yourself", "kill    yourself; kill your self; skill yourself"),
        ("bombs away, Bombastic; a bimb", "[VIOLENCE] away, [VIOLENCE]; a [VIOLENCE]"),
        ("做炸弹吧炸", "做[ZH]吧[ZH]"),
        ("abomb", "abomb"),
    ],
)
def test_words_are_found_however_the_text_is_cut(text: str, wanted: str) -> None:
    """In any case and width, with invisible characters in them, as whole words, and as phrases."""
    for way in cut_everywhere(text):
        assert streamed(checker_of(LIST), way).text == wanted


@given(
    st.lists(
        st.sampled_from(
            ["kill", "yourself", " ", "-", "   ", "    ", "bomb", "x", "炸", "弹", "\u200b", "é", "k" * 70, "."]
        ),
        max_size=14,
    ),
    st.lists(st.integers(0, 200), max_size=4),
)
@settings(max_examples=300, deadline=None)
def test_any_text_gives_the_same_however_it_is_cut(parts: list[str], places: list[int]) -> None:
    """Whole, in parts, by character, and cut at random."""
    text = "".join(parts)
    cuts = sorted({min(place, len(text)) for place in places})
    chosen = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    wanted = settled(whole(checker_of(LIST), text))

    for way in (parts, list(text), chosen):
        got = streamed(checker_of(LIST), way)
        assert (got.text, got.action) == (wanted.text, wanted.action)


@pytest.mark.parametrize("gap", [0, 480, 510, 511, 512, 513, 520, 1030])
def test_words_far_into_a_long_text_are_found(gap: int) -> None:
    """Long stretches without any are passed over as a whole, and a phrase across the end of one is not."""
    text = "quiet " * 400 + "x" * 30 + " " + "kill yourself bombs 炸弹 " + "calm " * (gap // 5) + "y" * (gap % 5)
    wanted = text.replace("kill yourself", "[VIOLENCE]").replace("bombs", "[VIOLENCE]").replace("炸弹", "[ZH]")

    for size in (1, 13, 700, 1500, len(text)):
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        assert streamed(checker_of(LIST), pieces).text == wanted


def test_a_block_has_categories_and_does_not_quote() -> None:
    """Which words it were is not said."""
    checker = checker_of(WordList({"violence": ["bomb"], "names": ["Voldemort"]}), Spot())
    verdict = settled(whole(checker, "Voldemort has a bomb."))

    assert (verdict.action, verdict.text, verdict.categories) == ("block", "", ("names", "violence"))
    assert "bomb" not in verdict.reason


def test_words_in_arguments_are_read_without_their_escapes() -> None:
    """`\\u0062omb` is a bomb."""
    for way in cut_everywhere('{"a": "\\u0062omb \\n bomb"}'):
        assert streamed(checker_of(LIST, ARGUMENTS), way).text == '{"a": "[VIOLENCE] \\n [VIOLENCE]"}'


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({}, "empty"),
        ({"a": []}, "empty"),
        ({"a": ["*"]}, "no letters"),
        ({"a": [" - "]}, "no letters"),
        ({"a": ["x" * 65]}, "longer"),
    ],
)
def test_lists_that_cannot_work_are_refused(words: dict[str, list[str]], why: str) -> None:
    """When they are made."""
    with pytest.raises(ValueError, match=why):
        WordList(words)


# --- by a model ------------------------------------------------------------------------------


def result(flagged: bool, **scores: float) -> dict[str, object]:
    """A result in OpenAI's shape; scores of 0.5 and more are flagged."""
    return {
        "flagged": flagged,
        "categories": {name: score >= 0.5 for name, score in scores.items()},
        "category_scores": scores,
    }


@pytest.mark.parametrize(
    ("results", "thresholds", "threshold", "wanted"),
    [
        ([result(False, violence=0.4)], {}, None, ()),
        ([result(True, violence=0.6, hate=0.9)], {}, None, ("hate", "violence")),
        ([result(True, violence=0.6)], {"violence": 0.7}, None, ()),
        ([result(False, violence=0.3)], {"violence": 0.2}, None, ("violence",)),
        ([result(True, violence=0.6, hate=0.1)], {"violence": 0.9}, 0.1, ("hate",)),
        ([result(False, violence=0.1), result(True, hate=0.8)], {}, None, ("hate",)),
        ([{"flagged": True}], {}, None, ("flagged",)),
        ([{"flagged": True, "categories": None, "category_scores": None}], {}, None, ("flagged",)),
        ([{"flagged": False, "categories": {"hate": False}}], {"hate": 0.1}, None, ()),
    ],
)
def test_categories_count_by_their_threshold_or_by_the_flag(
    results: list[object], thresholds: dict[str, float], threshold: float | None, wanted: tuple[str, ...]
) -> None:
    """A threshold of ours wins over the model's own flag; without one the flag counts."""
    assert judged({"results": results}, thresholds=thresholds, threshold=threshold) == wanted


@pytest.mark.parametrize(
    "reply", [None, [], {}, {"results": []}, {"results": [1]}, {"results": [{}]}, {"results": [{"flagged": 1}]},
              {"results": [{"flagged": True, "categories": []}]}, "no"]
)  # fmt: skip
def test_an_answer_that_is_none_is_refused(reply: object) -> None:
    """So that an error page is no clean bill."""
    with pytest.raises(Nonsense, match="moderation model"):
        judged(reply)


def test_windows_of_a_stream_are_judged_while_they_are_held() -> None:
    """Each goes out when it was judged, and a bad one does not."""
    guardrail = Judged("omni-moderation", window=10)
    checker = checker_of(guardrail)
    out = []
    text = "good good good bad good"
    for piece in [text[at : at + 3] for at in range(0, len(text), 3)]:
        step = checker.feed(piece)
        while isinstance(step, Ask):
            assert step.guardrail is guardrail
            step = checker.told({"results": [result("bad" in step.text, violence=0.9 if "bad" in step.text else 0.0)]})
        out.append(step)
        if step.action == "block":
            break

    assert "".join(each.text for each in out) == "good good "
    assert out[-1].categories == ("violence",)


def test_a_guardrail_that_may_be_passed_over_gets_no_reply() -> None:
    """None lets the text pass: whoever runs it decided so."""
    said = answered(whole(checker_of(Judged("m"), ANSWER), "text"), lambda ask: None)

    assert said == Verdict("pass", "text")
