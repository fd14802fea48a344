"""How forms are read, and where a login may lead: whatever is sent."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.config import Settings
from compatgw.errors import GatewayError, InvalidRequest
from compatgw.pages.console.desk import moment
from compatgw.pages.console.figures import amount
from compatgw.pages.console.forms import KIND, Form, Tried, form_of
from compatgw.pages.console.guard import inside
from compatgw.web.visit import Visit

TEXT = st.text(st.characters(codec="utf-8"))


async def read(*parts: bytes, kind: str = KIND) -> Form:
    """The form of a visit with that body."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        raise AssertionError

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", kind.encode())]}
    visit = Visit(scope, receive, send, Settings(), "w")
    try:
        return await form_of(visit)
    finally:
        visit.patience.close()


@given(st.lists(st.tuples(TEXT.filter(bool), TEXT), max_size=20), st.integers(1, 7))
async def test_every_field_comes_through(pairs: list[tuple[str, str]], step: int) -> None:
    """Names and values of any text, in order, in whatever pieces; line breaks as one character."""
    body = urlencode(pairs).encode()
    form = await read(*[body[place : place + step] for place in range(0, len(body), step)])
    for name in {name for name, _ in pairs}:
        wanted = [value.replace("\r\n", "\n").replace("\r", "\n") for each, value in pairs if each == name]
        assert list(form.all(name)) == wanted
        assert form.raw(name) == wanted[0]
        assert form.text(name) == wanted[0].strip()
        assert form.ticked(name)
    assert (form.raw("\0none"), form.all("\0none"), form.optional("\0none")) == ("", (), None)


@given(st.binary(max_size=300))
async def test_any_bytes_are_a_form_or_refused(body: bytes) -> None:
    """Nothing but a refusal that is ours comes of them."""
    try:
        form = await read(body)
    except GatewayError as error:
        assert error.status == 400
    else:
        assert isinstance(form.fields, dict) or form.fields is not None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("", None),
        ("  ", None),
        ("0", 0),
        ("1200", 1200),
        ("1,200", 1200),
        ("1.200", 1200),
        ("1 200", 1200),
        ("1\u202f200", 1200),
        ("007", 7),
    ],
)
def test_numbers_may_be_grouped(text: str, number: int | None) -> None:
    """As either language groups them."""
    assert Form({"n": (text,)}).number("n") == number


@pytest.mark.parametrize("text", ["-1", "+1", "1e3", "x", "1/2", "٣", "1" * 13, "0x10", "²"])
def test_what_is_no_number_is_refused(text: str) -> None:
    """By the name of its field."""
    with pytest.raises(InvalidRequest) as refused:
        Form({"n": (text,)}).number("n")
    assert refused.value.param == "n"


@given(TEXT)
def test_words_stand_between_commas_and_in_lines(text: str) -> None:
    """None is empty, has space around it, or holds what divides them."""
    for word in Form({"w": (text,)}).words("w"):
        assert word
        assert word == word.strip()
        assert not {",", "\n"} & set(word)


def test_a_form_that_was_refused_shows_what_was_sent() -> None:
    """Of its own fields alone: other forms of the page, and pages without a refusal, show what is kept."""
    refused = Tried("topup", Form({"amount": ("x",), "note": ("",), "box": ("a", "b")}), "amount", "Wrong.", 400)
    assert refused.value("topup", "amount", "7") == "x"
    assert refused.value("topup", "note", "kept") == ""
    assert refused.value("other", "amount", "7") == "7"
    assert refused.ticked("topup", "box", "a")
    assert not refused.ticked("topup", "box", "c", kept=True)
    assert refused.ticked("other", "box", "c", kept=True)
    assert (refused.error("topup", "amount"), refused.error("topup", "note"), refused.problem("topup")) == (
        "Wrong.",
        "",
        "",
    )
    assert Tried("t", Form(), "", "Wrong.").problem("t") == "Wrong."
    assert (Tried().error("", ""), Tried().problem("x"), Tried().value("x", "y", "z")) == ("", "", "z")


PATHS = st.builds(
    "".join,
    st.lists(
        st.sampled_from(
            [
                "/",
                "/console",
                "..",
                ".",
                "%2e",
                "%2F",
                "%5c",
                "\\",
                "?",
                "#",
                "a",
                ":",
                "@",
                "//",
                "evil.example",
                " ",
                "\t",
                "é",
            ]
        )
    ),
)


@given(PATHS | TEXT)
def test_no_text_leads_out_of_the_console(text: str) -> None:
    """However a browser reads what a login leads to, it is a page of this console, at the root or under a mount."""
    goal = inside(text)
    for root in ("", "/x/y"):
        base = f"https://site{root}/console/login"
        for path in (root + goal, root + quote(goal, safe="/~!$&'()*+,;=:@%?#")):
            # A browser reads a backslash as a slash and leaves line breaks and tabs out.
            seen = path.replace("\\", "/").replace("\t", "").replace("\n", "").replace("\r", "")
            found = urlsplit(urljoin(base, seen.replace("%2e", ".").replace("%2E", ".")))
            assert (found.scheme, found.netloc) == ("https", "site")
            assert found.path == f"{root}/console" or found.path.startswith(f"{root}/console/")
    assert inside(goal) == goal


@given(st.decimals(-(10**9), 10**9, places=9))
def test_amounts_lose_nothing(value: Any) -> None:
    """Grouped for people, in either language, an amount is still that amount; at least two decimals."""
    for language, (group, point) in {"en": (",", "."), "vi": (".", ",")}.items():
        shown = amount(language, value)
        plain = shown.replace(group, "").replace(point, ".")
        assert type(value)(plain) == value
        assert len(plain.partition(".")[2]) >= 2


def test_moments_without_script() -> None:
    """In UTC, and said so."""
    assert moment("2026-11-21T13:18:25.000000Z") == "2026-11-21 13:18 UTC"
