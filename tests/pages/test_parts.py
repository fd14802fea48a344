"""The pieces that pages are put together from: labelled, escaped, and with errors next to their fields."""

from functools import partial

import pytest

from compatgw.pages import words
from compatgw.pages.render import environment, marked
from tests.pages.test_pages import ATTACKS
from tests.pages.visiting import Page


def shown(source: str, **values: object) -> Page:
    """What a template that uses the pieces shows."""
    start = "{% import 'parts.html' as parts with context %}"
    context: dict[str, object] = {"t": partial(words.text, "en"), "m": partial(marked, "en"), **values}
    return Page(environment().from_string(start + source).render(context))


def test_a_field_has_its_label_hint_and_error() -> None:
    """Label, hint and error belong to the field, for eyes and for screen readers."""
    page = shown("{{ parts.field('name', 'Name', hint='Short', error='Is taken', required=True) }}")
    (field,) = [attributes for tag, attributes in page.elements if tag == "input"]
    assert ("label", {"for": field["id"]}) in page.elements
    assert field["aria-invalid"] == "true"
    assert set(field["aria-describedby"].split()) == {"f-name-error", "f-name-hint"} <= set(page.values("id"))
    assert "required" in field
    assert "Is taken" in page.text


@pytest.mark.parametrize("attack", ATTACKS)
def test_pieces_escape_what_they_show(attack: str) -> None:
    """Whatever they are given comes back as text and as values of attributes, and is nothing else."""
    page = shown(
        "{{ parts.field('n', x, value=x, hint=x, error=x, attributes={'data-x': x}) }}{{ parts.notice('bad', x) }}"
        "{{ parts.code('c', x, x) }}{{ parts.instant(x) }}{% call parts.empty(x, x) %}{{ x }}{% endcall %}",
        x=attack,
    )
    tags = {"div", "label", "p", "input", "figure", "figcaption", "span", "button", "pre", "code", "time", "h3"}
    assert {tag for tag, _ in page.elements} <= tags
    assert page.values("value") == [attack]
    assert page.values("data-x") == [attack]
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert page.text.count(attack) >= 8


@pytest.mark.parametrize("attack", ATTACKS)
def test_values_in_marked_texts_are_text(attack: str) -> None:
    """A text with code in it escapes the values that it is filled with."""
    page = Page(str(marked("en", "models.limit-vision-described", model=attack)))
    assert {tag for tag, _ in page.elements} == {"code"}
    assert attack in page.text
