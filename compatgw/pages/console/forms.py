"""Forms: how they are read, and how one that was refused is shown again, its values kept, the error next to its field.

    await submitted(desk, "topup", act, show)

What does not live here: what values may be (`admin/rules.py`), how fields look (`templates/console/forms.html`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from compatgw.errors import GatewayError, InvalidRequest, Overloaded, RequestTooLarge, UnsupportedMediaType
from compatgw.flow.storage import told
from compatgw.pages import words
from compatgw.pages.console import figures
from compatgw.state.base import InsufficientFunds, StateError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.web.visit import Visit

KIND = "application/x-www-form-urlencoded"
# The longest prompt, of characters that take nine bytes each.
_MOST = 2 * 1024 * 1024
_MOST_FIELDS = 2_000
_WHOLE = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class Form:
    """What was sent.

    Attributes:
        fields: By name, in order; a box that is not ticked is not there.
    """

    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """A field without space around it, "" where there is none."""
        return self.raw(name).strip()

    def raw(self, name: str) -> str:
        """A field as it is, with `\\n` between its lines."""
        return self.fields.get(name, ("",))[0]

    def all(self, name: str) -> tuple[str, ...]:
        """All fields of that name."""
        return self.fields.get(name, ())

    def ticked(self, name: str) -> bool:
        """True for a box that is ticked."""
        return name in self.fields

    def optional(self, name: str) -> str | None:
        """A field, None where nothing is in it."""
        return self.text(name) or None

    def number(self, name: str) -> int | None:
        """A whole number, None where nothing is in it. Points, commas and spaces may group its digits.

        Raises:
            InvalidRequest: It is none.
        """
        text = self.text(name)
        if not text:
            return None
        digits = re.sub(r"[ .,_\u00a0\u202f]", "", text)
        if not _WHOLE.fullmatch(digits):
            raise InvalidRequest(f"'{name}' must be a whole number.", param=name, code="invalid_type")
        return int(digits)

    def words(self, name: str) -> tuple[str, ...]:
        """What stands between commas or in lines."""
        return tuple(word for part in re.split(r"[\n,]", self.raw(name)) if (word := part.strip()))


def is_form(visit: Visit) -> bool:
    """True when the body says that it is a form."""
    return (visit.header("content-type") or "").partition(";")[0].strip().lower() == KIND


async def form_of(visit: Visit) -> Form:
    """The form that a visit brings.

    Raises:
        UnsupportedMediaType: It is none. RequestTooLarge: It is over 2 MiB. InvalidRequest: It cannot be read.
    """
    if not is_form(visit):
        raise UnsupportedMediaType(f"A form is expected here: send 'Content-Type: {KIND}'.")
    body = b""
    async for data in visit.chunks():
        body += data
        if len(body) > _MOST:
            raise RequestTooLarge(f"The form is over the limit of {_MOST} bytes. Send less.")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise InvalidRequest("The form cannot be read: it is no UTF-8, or has too many fields.") from None
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value.replace("\r\n", "\n").replace("\r", "\n"))
    return Form(MappingProxyType({name: tuple(values) for name, values in found.items()}))


@dataclass(frozen=True, slots=True)
class Tried:
    """A form that was refused, and why; an empty one on every other page.

    Attributes:
        name: Of the form. values: What was sent.
        at: The field at fault, "" for the form as a whole.
        text: What is wrong, and how to mend it.
    """

    name: str = ""
    values: Form = field(default_factory=Form)
    at: str = ""
    text: str = ""
    status: int = 200

    def value(self, form: str, name: str, kept: str = "") -> str:
        """What a field shows: what was sent, or `kept` where another form was, or none."""
        return self.values.raw(name) if self.name == form else kept

    def ticked(self, form: str, name: str, value: str, kept: bool = False) -> bool:
        """Whether a box is ticked."""
        return value in self.values.all(name) if self.name == form else kept

    def error(self, form: str, name: str) -> str:
        """What is wrong with a field, "" for nothing."""
        return self.text if self.name == form and self.at == name else ""

    def problem(self, form: str) -> str:
        """What is wrong with a form as a whole, "" for nothing."""
        return self.text if self.name == form and not self.at else ""


def tried(name: str, values: Form, error: GatewayError | StateError, language: str, fields: frozenset[str]) -> Tried:
    """A refused form, in the words of `language`.

    Args:
        fields: Those that it has.
    """
    wrong = told(error) if isinstance(error, StateError) else error
    at = re.split(r"[.\[]", wrong.param or "")[0]
    at = at if at in fields else ""
    return Tried(name, values, at, explained(error, language, form=name, field=at), wrong.status)


def explained(error: GatewayError | StateError, language: str, *, form: str = "", field: str = "") -> str:
    """What went wrong and how to mend it, in the words of `language` where it has some.

    Args:
        form: Which was sent. field: Which is at fault.
    """
    if isinstance(error, InsufficientFunds):
        return words.text(language, "console.code-insufficient", missing=figures.amount(language, error.missing))
    wrong = told(error) if isinstance(error, StateError) else error
    if isinstance(error, StateError) and isinstance(wrong, Overloaded):
        # Of what is out of reach nothing was written; what is busy says itself how far it came.
        return words.text(language, "console.away")
    known = words.texts(language)
    keys = (f"console.wrong-{field}", f"console.code-{form}-{wrong.code}", f"console.code-{wrong.code}")
    return next((known[key] for key in keys if key in known), str(wrong))
