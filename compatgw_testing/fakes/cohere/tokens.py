"""Cohere's `tokenize`: what is accepted, and made-up tokens.

What does not live here: routes (`fake.py`).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from compatgw_testing.fakes.cohere.rules import phrased
from compatgw_testing.fakes.shape import Obj, Str, check
from compatgw_testing.request import Request
from compatgw_testing.script import words

if TYPE_CHECKING:
    from compatgw_testing.fakes.answer import Json

_VOCABULARY = 255_000
TOKENIZE = Obj({"text": Str(low=1, high=65_536), "model": Str(low=1)}, ("text", "model"))


def check_tokenize(body: Any) -> None:
    """Raises Refused at the first thing in a request that the vendor would not take."""
    for violation in check(TOKENIZE, body):
        raise phrased(violation)


def read_tokenize(body: Json) -> Request:
    """A request in the shape over all dialects."""
    text = str(body["text"])
    return Request(model=str(body["model"]), surface="tokens", inputs=(text,), prompt=text)


def tokens_in(request: Request) -> Json:
    """The answer: a token for each word with the space before it; the same word is always the same token."""
    pieces = [piece for text in request.inputs for piece in words(text)]
    numbers = [int.from_bytes(hashlib.sha256(piece.encode()).digest()[:8], "big") % _VOCABULARY for piece in pieces]
    return {"tokens": numbers, "token_strings": pieces, "meta": {"api_version": {"version": "1"}}}
