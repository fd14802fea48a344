"""Personal data is found, whatever it hides behind, and however the text is cut."""

from __future__ import annotations

import time
from collections import Counter

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw.guardrails.base import Spot, Verdict, settled, whole
from compatgw.guardrails.pii import Pii, PiiWatch
from compatgw.guardrails.pii_numbers import cards, is_ssn, luhn
from tests.guardrails.corpus import LOCALES, NEAR_MISSES, Case, cases
from tests.guardrails.streams import ANSWER, ARGUMENTS, checker_of, cut_everywhere, streamed

CORPUS = cases(500)
PII = Pii(regions=tuple(LOCALES.values()))
INPUT = Spot()
PIECES = st.lists(
    st.sampled_from(
        ["a", "john", "@", "x.com", ".", "-", " ", "\n", "+", "1", "415", "555", "2671", "4111", "1111", "(", ")", ":",
         "fe80", "::", "10.0.0.1", "078-05-1120", "\u200b", "\u200b" * 70, "é", "请", "１", "＠", "\\n", "\\", '"', "[",
         "EMAIL", "_", "1]", "0", "xn--p1ai", "٣", "a" * 70, "1" * 25, "\u0301"]
    ),
    max_size=24,
)  # fmt: skip


def redacted(text: str, guardrail: Pii = PII, spot: Spot = INPUT) -> str:
    """What goes on of a whole text."""
    return settled(whole(checker_of(guardrail, spot), text)).text


@pytest.mark.parametrize("part", range(10))
def test_a_text_of_the_corpus_gives_the_same_however_it_is_cut(part: int) -> None:
    """Cut in two at every place, and character by character; and nothing personal is left of it."""
    for case in CORPUS[part::10]:
        said = {streamed(checker_of(PII), pieces) for pieces in cut_everywhere(case.text)}

        assert len(said) == 1, case.text
        only = said.pop()
        assert only.action == "redact"
        for _, value in case.expected:
            assert value not in only.text


def test_the_corpus_is_found_and_nothing_else() -> None:
    """Each value of each kind, with its regions known, as a placeholder of its kind."""
    for case in CORPUS:
        assert found(Pii("restore", regions=tuple(LOCALES.values())), case) == Counter(case.expected), case.text


def found(guardrail: Pii, case: Case) -> Counter[tuple[str, str]]:
    """Kind and spelling of all that was taken out."""
    watch = guardrail.open()
    assert isinstance(watch, PiiWatch)
    checker = watch.over(INPUT)
    assert checker is not None
    said = settled(whole(checker, case.text)).text
    out: Counter[tuple[str, str]] = Counter()
    for placeholder, original in watch.originals.items():
        out[placeholder[1:].rpartition("_")[0].lower(), original] += said.count(placeholder)
    return out


@pytest.mark.parametrize("text", NEAR_MISSES)
def test_near_misses_are_left_alone(text: str) -> None:
    """Versions, orders, sums, identifiers and numbers that nobody gives out."""
    assert redacted(text, Pii()) == text


@given(PIECES, st.data())
@settings(max_examples=300, deadline=None)
def test_any_text_gives_the_same_however_it_is_cut(pieces: list[str], data: st.DataObject) -> None:
    """Whole, in the pieces it was made of, character by character, and cut at random."""
    text = "".join(pieces)
    spot = data.draw(st.sampled_from([ANSWER, ARGUMENTS]))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=5)))
    chosen = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    wanted = settled(whole(checker_of(PII, spot), text))

    for way in (pieces, list(text), chosen):
        got = streamed(checker_of(PII, spot), way)
        assert (got.text, got.action) == (wanted.text, wanted.action)


@given(PIECES)
@settings(max_examples=200, deadline=None)
def test_what_was_taken_out_can_be_put_back(pieces: list[str]) -> None:
    """A text through a restoring guardrail and back is the text, character for character, cut anywhere on its way."""
    text = "".join(pieces)
    watch = Pii("restore").open()
    watch.glance([text])
    checker = watch.over(INPUT)
    assert checker is not None
    upstream = settled(whole(checker, text)).text
    back = watch.over(ANSWER)

    for way in cut_everywhere(upstream) if back is not None else ():
        again = watch.over(ANSWER)
        assert again is not None
        assert streamed(again, way).text == text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("jo\u200bhn@exam\u200dple.com", "[EMAIL_1]"),
        ("\u202ajohn@x.com\u202c", "\u202a[EMAIL_1]\u202c"),
        ("john＠ｘ．ｃｏｍ", "[EMAIL_1]"),
        ("josé@müller.de", "[EMAIL_1]"),
        ("jose\u0301@x.com", "[EMAIL_1]"),
        ("o'brien@x.ie, 'q@x.com'", "[EMAIL_1], '[EMAIL_2]'"),
        ("john@x.com.", "[EMAIL_1]."),
        ("邮箱john@x.com请", "邮箱[EMAIL_1]请"),
        ('"a\\njohn@x.com"', '"a\\n[EMAIL_1]"'),
        ("John@X.com john@x.com", "[EMAIL_1] [EMAIL_1]"),
        ("４１１１ １１１１ １１１１ １１１１", "[CREDIT_CARD_1]"),
        ("٤١١١١١١١١١١١١١١١", "[CREDIT_CARD_1]"),
        ("4111\u00a01111\u00a01111\u00a01111", "[CREDIT_CARD_1]"),
        ("4111 1111 1111 1111 123", "[CREDIT_CARD_1] 123"),
        ("1 4111111111111111 2", "1 [CREDIT_CARD_1] 2"),
        ("SSN 078-05-1120, ssn: 078051120", "SSN [US_SSN_1], ssn: [US_SSN_1]"),
        ("078\u201105\u20111120", "[US_SSN_1]"),
        ("+1 415-555-2671 (415) 555-2671 415.555.2671", "[PHONE_1] [PHONE_1] [PHONE_1]"),
        ("call 4155552671", "call [PHONE_1]"),
        ("+44 (0)20 7946 0958, 0044 20 7946 0958", "[PHONE_1], [PHONE_1]"),
        ("415-555-2671x99", "[PHONE_1]x99"),
        ("IP:2001:db8::1428:57ab, ::ffff:10.1.2.3", "IP:[IP_1], [IP_2]"),
        ("Visa4111111111111111, SSN078-05-1120, ab4111111111111111", "Visa[CREDIT_CARD_1], SSN[US_SSN_1], ab4111111111111111"),
        ("Tel+49 30 123456, 2+493012345678", "Tel[PHONE_1], 2+493012345678"),
        ("http://10.0.0.1:80/", "http://[IP_1]:80/"),
    ],
)  # fmt: skip
def test_disguises(text: str, wanted: str) -> None:
    """Invisible characters, other scripts' digits, escapes, marks of all kinds."""
    for way in cut_everywhere(text):
        assert streamed(checker_of(Pii()), way).text == wanted


def test_numbers_of_a_region_need_the_region() -> None:
    """A national form is a telephone number only where it is dialled."""
    assert redacted("Ruf 030 12345678 an", Pii(regions=["DE"])) == "Ruf [PHONE_1] an"
    assert redacted("Ruf 030 12345678 an", Pii()) == "Ruf 030 12345678 an"


def test_only_the_kinds_that_were_asked_for() -> None:
    """Others stay."""
    assert redacted("a@b.co 10.0.0.1", Pii(kinds=["ip"])) == "a@b.co [IP_1]"


def test_json_stays_json() -> None:
    """A number becomes a string, and what is escaped is read as what it means."""
    text = '{"a": "hi\\njohn\\u0040x.com \\"q\\"", "card": 4111111111111111, "n": [1, 22]}'

    for way in cut_everywhere(text):
        got = streamed(checker_of(Pii(), ARGUMENTS), way)
        assert orjson.loads(got.text) == {"a": 'hi\n[EMAIL_1] "q"', "card": "[CREDIT_CARD_1]", "n": [1, 22]}


def test_long_json_is_known_to_be_inside_or_outside_of_strings() -> None:
    """Long after what was said before was forgotten."""
    entries = [{"name": f"entry {number}", "card": 4111111111111111} for number in range(30)]
    text = orjson.dumps(entries).decode()

    for size in (1, 7, 64, len(text)):
        got = streamed(checker_of(Pii(), ARGUMENTS), [text[at : at + size] for at in range(0, len(text), size)])
        assert orjson.loads(got.text) == [{**entry, "card": "[CREDIT_CARD_1]"} for entry in entries]


def test_too_many_invisible_characters_separate() -> None:
    """So that what is held has an end: a match may have 64 of them in a row."""
    near, far = "john" + "\u200b" * 64 + "@x.com", "john" + "\u200b" * 65 + "@x.com"
    checker = checker_of(Pii())

    assert redacted(near) == "[EMAIL_1]"
    assert redacted(far) == far
    assert [len(verdict.text) for verdict in map(checker.feed, far[:70]) if isinstance(verdict, Verdict)].count(0) == 68


def test_originals_are_written_as_json_where_json_is() -> None:
    """What is put back into arguments cannot end their string."""
    watch = Pii("restore").open()
    assert isinstance(watch, PiiWatch)
    text = "mail jo\u200b'n@x.com"
    checker = watch.over(INPUT)
    assert checker is not None
    assert settled(whole(checker, text)).text == "mail [EMAIL_1]"

    for way in cut_everywhere('{"to": "\\u005bEMAIL_1]", "cc": ["[EMAIL_1]", "[EMAIL_2]"]}'):
        back = watch.over(ARGUMENTS)
        assert back is not None
        got = streamed(back, way)
        assert got.action == "restore"
        assert orjson.loads(got.text) == {"to": "jo\u200b'n@x.com", "cc": ["jo\u200b'n@x.com", "[EMAIL_2]"]}


def test_numbers_go_on_through_all_texts_of_a_call() -> None:
    """The same value has the same number in each, another call begins anew, and numbers of the caller's are left out."""
    watch = Pii().open()
    watch.glance(["I wrote to [EMAIL_2] before"])
    said = []
    for text in ("a@x.com", "b@x.com a@x.com", "c@x.com"):
        checker = watch.over(INPUT)
        assert checker is not None
        said.append(settled(whole(checker, text)).text)

    assert said == ["[EMAIL_1]", "[EMAIL_3] [EMAIL_1]", "[EMAIL_4]"]
    assert redacted("c@x.com") == "[EMAIL_1]"


def test_a_block_says_what_it_found_and_lets_nothing_out_any_more() -> None:
    """Neither what was held nor what comes later, and not what it found."""
    checker = checker_of(Pii("block"))

    first, second = checker.feed("I am john@x"), checker.feed(".com, 4111111111111111, and")

    assert first == Verdict("pass", "I am ")
    assert isinstance(second, Verdict)
    assert (second.action, second.text, second.categories) == ("block", "", ("email", "credit_card"))
    assert "john" not in second.reason
    assert checker.feed("more") == checker.finish() == second


def test_no_more_is_held_than_what_may_become_a_match() -> None:
    """Words go out when the next character shows that they are words."""
    checker = checker_of(Pii())
    given, most = 0, 0
    text = "The quick brown fox jumps over 12 lazy dogs (and 3 cats), then rests. " * 20
    for place, character in enumerate(text):
        verdict = checker.feed(character)
        assert isinstance(verdict, Verdict)
        given += len(verdict.text)
        most = max(most, place + 1 - given)

    assert most <= len("jumps") + 1


@pytest.mark.parametrize("bad", [{"action": "hide"}, {"kinds": ["name"]}, {"kinds": []}, {"regions": ["XX"]}])
def test_settings_that_mean_nothing_are_refused(bad: dict[str, object]) -> None:
    """With the words that are known."""
    with pytest.raises(ValueError, match="Use"):
        Pii(**bad)  # type: ignore[arg-type]  # that is what is tested


@pytest.mark.parametrize("digit", "147")
def test_five_megabytes_of_digits_take_linear_time(digit: str) -> None:
    """One run, groups, and groups that look like cards; the bound is loose, as machines are busy."""
    for text in (digit * 5_000_000, f"{digit} " * 500_000, f"{digit * 4} " * 100_000):
        before = time.perf_counter()
        settled(whole(checker_of(Pii()), text))
        assert time.perf_counter() - before < 20


def test_luhn_and_ssn_agree_with_python_stdnum() -> None:
    """Over numbers that are right and wrong; three numbers that were printed in advertisements count here."""
    stdnum_luhn = pytest.importorskip("stdnum.luhn")
    stdnum_ssn = pytest.importorskip("stdnum.us.ssn")
    advertised = {"078051120", "457555462", "219099999"}

    for number in range(0, 10**9, 999_331):
        digits = f"{number:09}"
        assert luhn(digits) == stdnum_luhn.is_valid(digits)
        assert is_ssn(digits) == (stdnum_ssn.is_valid(digits) or digits in advertised)
    assert all(is_ssn(digits) for digits in advertised)


def test_the_longest_card_that_is_right_counts() -> None:
    """A number goes on over groups with one mark, and a different mark ends it."""
    text = "4111-1111-1111-1111 6011"

    assert list(cards(text, 0, len(text))) == [(0, 19, "4111111111111111")]
