"""Every page has all of its texts in every language."""

import re
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.openapi.headers import LIMITS, REQUEST, RESPONSE
from compatgw.pages import failures, words
from compatgw.pages.setups import SETUPS
from compatgw.pages.snippets import TASKS

PAGES = Path(words.__file__).parent
OTHERS = [code for code in words.LANGUAGES if code != words.FIRST]
# A key that a template writes down whole, and the beginning of one that it puts together.
_WHOLE = re.compile(r"\b[tm]\(\s*'([\w.-]+)'\s*[,)]")
_CHOSEN = re.compile(r"'([a-z]+\.[\w-]+)'")
_BEGUN = re.compile(r"\b[tm]\(\s*['\"]([\w.-]+)['\"]\s*~")


def templates() -> str:
    """All templates in one text."""
    return "\n".join(path.read_text() for path in sorted((PAGES / "templates").rglob("*.html")))


@pytest.mark.parametrize("language", OTHERS)
def test_languages_have_the_same_texts(language: str) -> None:
    """No text is missing in a language, and none is left over."""
    assert set(words.texts(language)) == set(words.texts(words.FIRST))


@pytest.mark.parametrize("language", OTHERS)
def test_texts_ask_for_the_same_values(language: str) -> None:
    """A text that is filled in asks for the same values in every language."""
    for key, text in words.texts(words.FIRST).items():
        assert words.places(words.texts(language)[key]) == words.places(text), key


@pytest.mark.parametrize("language", OTHERS)
def test_texts_mark_the_same_code(language: str) -> None:
    """What a text shows as code is the same in every language: nobody translates a name."""
    for key, text in words.texts(words.FIRST).items():
        mine = sorted(re.findall(r"`([^`]*)`", words.texts(language)[key]))
        assert mine == sorted(re.findall(r"`([^`]*)`", text)), key


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_texts_are_written_well(language: str) -> None:
    """No text is empty, has space around it, or opens code that it does not close."""
    for key, text in words.texts(language).items():
        assert text, key
        assert text == text.strip(), key
        assert text.count("`") % 2 == 0, key


def test_no_area_says_a_key_twice() -> None:
    """A key that stands twice in a file would hide a text."""
    for path in sorted((PAGES / "messages").rglob("*.json")):
        pairs = re.findall(r'^ "([\w.-]+)":', path.read_text(), re.MULTILINE)
        assert len(pairs) == len(set(pairs)) == len(orjson.loads(path.read_bytes())), path.name


def test_templates_ask_for_texts_that_are_there() -> None:
    """Each key that a template names is a text, and each beginning of a key begins one."""
    known = words.texts(words.FIRST)
    found = templates()
    areas = {key.partition(".")[0] for key in known}
    asked = {*_WHOLE.findall(found), *[key for key in _CHOSEN.findall(found) if key.partition(".")[0] in areas]}
    whole = {key for key in asked if not key.endswith(("-", ".", ".html", ".css", ".js", ".svg"))}
    assert whole
    assert whole <= set(known)
    for beginning in _BEGUN.findall(found):
        assert any(key.startswith(beginning) for key in known), beginning


def test_what_is_put_together_is_there() -> None:
    """Texts that are found by the name of something are there for each of these things."""
    known = words.texts(words.FIRST)
    wanted = {f"errors.{row.code}" for row in failures.failures()}
    wanted |= {f"docs.task-{task}" for task in TASKS} | {f"docs.task-{task}-text" for task in TASKS}
    wanted |= {f"docs.setup-{each.id}" for each in SETUPS}
    wanted |= {f"headers.sent-{name.lower()}" for name in REQUEST}
    wanted |= {f"headers.received-{name.lower()}" for name in (*RESPONSE, *LIMITS, "Retry-After")}
    assert wanted <= set(known)
    for area in ("errors", "headers"):
        assert {key for key in known if key.startswith(f"{area}.")} == {k for k in wanted if k.startswith(f"{area}.")}


def test_a_missing_text_is_an_error() -> None:
    """A text or a value that is not there fails the page, and is never shown as its key."""
    with pytest.raises(words.MissingText, match=r"base\.nothing"):
        words.text("en", "base.nothing")
    with pytest.raises(words.MissingText, match="version"):
        words.text("en", "base.footer", name="x")


@pytest.mark.parametrize(
    ("asked", "kept", "accepted", "expected"),
    [
        (None, None, None, "en"),
        (None, None, "vi", "vi"),
        (None, None, "vi-VN,vi;q=0.9,en;q=0.8", "vi"),
        (None, None, "fr, vi;q=0.4, en;q=0.5", "en"),
        (None, None, "fr;q=1, vi;q=0.2", "vi"),
        (None, None, "vi;q=0, en;q=0.1", "en"),
        (None, None, "vi;q=nan, en", "en"),
        (None, "vi", "en", "vi"),
        ("en", "vi", "vi", "en"),
        ("xx", "vi", "en", "vi"),
        ("VI", None, "en", "vi"),
        ("../vi", None, None, "en"),
    ],
)
def test_the_language_of_a_visit(asked: str | None, kept: str | None, accepted: str | None, expected: str) -> None:
    """The address decides, then the cookie, then the header by its weights, then English."""
    assert words.chosen(asked, kept, accepted) == expected


@given(st.none() | st.text(), st.none() | st.text(), st.none() | st.text())
def test_any_wish_gives_a_language(asked: str | None, kept: str | None, accepted: str | None) -> None:
    """Whatever is sent, one of our languages comes out."""
    assert words.chosen(asked, kept, accepted) in words.LANGUAGES


def test_numbers_are_grouped_as_the_language_does() -> None:
    """English groups with commas, Vietnamese with points."""
    assert words.number("en", 1_048_576) == "1,048,576"
    assert words.number("vi", 1_048_576) == "1.048.576"
    assert words.number("vi", 2.5) == "2,5"
