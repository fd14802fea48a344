"""The order that Gemini wants turns and parts in: which result answers which call, where signatures stand.

What does not live here: fields and types (`schema.py`), tools and settings (`rules.py`).
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from compatgw_testing.fakes.answer import Json, Problem, Refused
from compatgw_testing.fakes.gemini.schema import DATA
from compatgw_testing.fakes.media import decoded

if TYPE_CHECKING:
    from collections.abc import Iterator

# The last is an old name of the first, for results.
ROLES = ("user", "model", "function")
# The vendor's documents name this one for calls that another model made; libraries send it in both forms.
DUMMY = b"skip_thought_signature_validator"
_DUMMIES = (DUMMY, decoded(DUMMY.decode(), url_safe=True))


def refuse(message: str) -> Refused:
    """A refusal as an exception, for raising."""
    return Refused(Problem(status=400, message=message, type="INVALID_ARGUMENT"))


class Signatures:
    """Thought signatures that the fake has issued."""

    def __init__(self) -> None:
        self._issued: set[bytes] = set()

    def issue(self, data: bytes) -> str:
        """`data` as a signature, remembered."""
        self._issued.add(data)
        return base64.b64encode(data).decode()

    def trust(self, signature: str) -> None:
        """Takes a signature of somebody else's for good."""
        self._issued.add(decoded(signature, url_safe=True) or b"")

    def fits(self, signature: str) -> bool:
        """True for one that was issued, in either alphabet, and for the documented dummy."""
        data = decoded(signature, url_safe=True)
        return data is not None and (data in self._issued or data in _DUMMIES)


def check_turns(contents: list[Json] | None, model: str, version: tuple[int, int] | None, known: Signatures) -> None:
    """Raises Refused at the first content that stands where it may not."""
    if not contents:
        raise refuse("* GenerateContentRequest.contents: contents is not specified")
    for index, content in enumerate(contents):
        if (content.get("role") or "user") not in ROLES:
            raise refuse("Please use a valid role: user, model.")
        if not content.get("parts"):
            raise refuse(f"* GenerateContentRequest.contents[{index}].parts: contents.parts must not be empty.")
        for number, part in enumerate(content["parts"]):
            _part(part, f"contents[{index}].parts[{number}]")
    _calls(contents)
    if version is not None and version >= (3, 0) and "-image" not in model:
        _signed(contents, known)


def _part(part: Json, at: str) -> None:
    data = [name for name in DATA if part.get(name) is not None]
    if len(data) > 1:
        raise refuse(f"Invalid value at '{at}' (oneof), oneof field 'data' is already set. Cannot set '{data[1]}'")
    if not data:
        if "thoughtSignature" not in part:
            raise refuse(
                f"* GenerateContentRequest.{at}.data: required oneof field 'data' must have one initialized field"
            )
        return
    blobs = [
        part.get("inlineData"),
        *(one.get("inlineData") for one in part.get("functionResponse", {}).get("parts") or ()),
    ]
    for blob in blobs:
        if blob is not None and not decoded(blob["data"], url_safe=True):
            raise refuse(f"Invalid value at '{at}.inline_data.data' (TYPE_BYTES), Base64 decoding failed")


def _named(content: Json, data: str) -> list[Json]:
    return [part[data] for part in content["parts"] if part.get(data) is not None]


def _calls(contents: list[Json]) -> None:
    """A call stands after the user, its results in the one content right after it, as many as calls."""
    for index, content in enumerate(contents):
        calls, results = _named(content, "functionCall"), _named(content, "functionResponse")
        before = contents[index - 1] if index else None
        if calls:
            if before is None or before.get("role") == "model":
                raise refuse(
                    "Please ensure that function call turn comes immediately after a user turn or after a function "
                    "response turn."
                )
            after = contents[index + 1] if index + 1 < len(contents) else None
            if after is None or not _named(after, "functionResponse"):
                raise refuse("Please ensure that function response turn comes immediately after a function call turn.")
        if results:
            asked = [] if before is None else _named(before, "functionCall")
            if not asked:
                raise refuse("Please ensure that function response turn comes immediately after a function call turn.")
            if len(asked) != len(results):
                raise refuse(
                    "Please ensure that the number of function response parts is equal to the number of function call "
                    "parts of the function call turn."
                )
            for name in _strangers(asked, results):
                raise refuse(f"Function response '{name}' does not match a function call of the turn before.")


def _strangers(asked: list[Json], results: list[Json]) -> Iterator[str]:
    """Names of results that no call has, or whose id is another call's."""
    names = [one["name"] for one in asked]
    ids = {one["id"]: one["name"] for one in asked if one.get("id")}
    for result in results:
        if result["name"] not in names or (ids and result.get("id") and ids.get(result["id"]) != result["name"]):
            yield result["name"]
        else:
            names.remove(result["name"])


def _signed(contents: list[Json], known: Signatures) -> None:
    """From Gemini 3 on, each step of the current turn has a signature on its first call."""
    start = 0
    for index, content in enumerate(contents):
        if content.get("role", "user") != "model" and any("functionResponse" not in part for part in content["parts"]):
            start = index
    for index, content in enumerate(contents[start:], start):
        calls = [part for part in content["parts"] if part.get("functionCall") is not None]
        for number, part in enumerate(calls):
            signature = part.get("thoughtSignature")
            if signature is None and number == 0:
                raise refuse(
                    "Function call is missing a thought_signature in functionCall parts. This is required for tools to "
                    f"work correctly. Function call `{part['functionCall']['name']}`, position {index}."
                )
            if signature is not None and not known.fits(signature):
                raise refuse(f"Thought signature is not valid: function call at position {index}.")
