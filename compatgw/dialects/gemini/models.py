"""What Gemini's models can do, as rows: the first row whose pattern matches a model's id counts.

Each trait may be overridden for one model by configuration (`Target.traits`), under the names
of the `Traits` attributes. An id without a row (a tuned deployment, a name from tomorrow) is
taken for one of the newest generation, with the thinking levels that all of it accept.

What does not live here: context windows, prices (the catalogue), translation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    from compatgw.dialects.base import Target


@dataclass(frozen=True, slots=True)
class Traits:
    """What one model can do. The defaults are those of Gemini 3 and later.

    Attributes:
        thinking: How thinking is set: by `level`, by `budget` (tokens), or `none`: any setting is an error.
        levels: Levels that it takes, lowest first, for `level`.
        budget_min: Fewest thinking tokens, for `budget`.
        budget_max: Most thinking tokens, for `budget`.
        thinking_off: A budget of 0 switches thinking off.
        signatures: Calls of the current turn without a thought signature are refused.
        system: Takes `systemInstruction`.
        tools: Takes functions.
        validated: Knows the calling mode VALIDATED.
        name_length: Most characters of a function's name.
        call_ids: Takes `id` in calls and their results.
        json: Takes a JSON answer format.
        json_schema: Takes the JSON Schema members; else only the OpenAPI subset.
        json_beside_tools: Takes a JSON answer format together with tools.
        search: Name of its web search tool, "" for none.
        search_beside_tools: Takes built-in tools together with functions.
        server_invocations: Wants to be told so by `includeServerSideToolInvocations`.
        penalties: Takes presence and frequency penalties; an error elsewhere, also for tiny ones.
        logprobs: Takes `responseLogprobs`.
        speech: Speaks: answers with audio alone.
        result_media: Takes media inside tool results.
        part_resolution: Takes a media resolution for each part; else one for the request.
        split_results: Tool results never share a content with what the user says next.
        links: Fetches any https URL in `fileData` by itself.
        code_text: Code that the model ran, and what came of it, is shown in the answer's text.
        safety_settings: Sent when the caller gives none.
    """

    thinking: str = "level"
    levels: tuple[str, ...] = ("LOW", "MEDIUM", "HIGH")
    budget_min: int = 0
    budget_max: int = 0
    thinking_off: bool = False
    signatures: bool = True
    system: bool = True
    tools: bool = True
    validated: bool = True
    name_length: int = 128
    call_ids: bool = True
    json: bool = True
    json_schema: bool = True
    json_beside_tools: bool = True
    search: str = "googleSearch"
    search_beside_tools: bool = True
    server_invocations: bool = True
    penalties: bool = False
    logprobs: bool = True
    speech: bool = False
    result_media: bool = True
    part_resolution: bool = True
    split_results: bool = False
    links: bool = False
    code_text: bool = True
    safety_settings: tuple[Any, ...] = ()


class Row(NamedTuple):
    """Models whose id begins with a match of `pattern`."""

    pattern: re.Pattern[str]
    traits: Traits


_FOUR = ("MINIMAL", "LOW", "MEDIUM", "HIGH")
_NEW = Traits()
_IMAGE = replace(_NEW, thinking="none", levels=(), signatures=False, tools=False)
_FLASH_25 = replace(
    _NEW,
    thinking="budget",
    levels=(),
    budget_min=1,
    budget_max=24576,
    thinking_off=True,
    signatures=False,
    json_beside_tools=False,
    search_beside_tools=False,
    server_invocations=False,
    result_media=False,
    part_resolution=False,
    split_results=True,
)
_SPEECH = replace(_FLASH_25, thinking="none", tools=False, speech=True)
_20 = replace(_FLASH_25, thinking="none", thinking_off=False, validated=False, name_length=64)
_15 = replace(_20, json_schema=False, search="googleSearchRetrieval", penalties=True)
_GEMMA_4 = replace(_20, search="")
_GEMMA = replace(_GEMMA_4, system=False, tools=False, json=False)


def _row(pattern: str, traits: Traits) -> Row:
    return Row(re.compile(pattern), traits)


ROWS: tuple[Row, ...] = (
    # Open weights. What they think cannot be set dependably: one of them takes a level, its twin refuses it.
    _row(r"gemma-?[4-9]", _GEMMA_4),
    _row(r"gemma", _GEMMA),
    # Models that paint or speak.
    _row(r"gemini-[\d.]+-.*tts", _SPEECH),
    _row(r"gemini-3\.1-flash(-lite)?-image", replace(_IMAGE, thinking="level", levels=("MINIMAL", "HIGH"))),
    _row(r"gemini-[3-9].*image|nano-banana-pro", _IMAGE),
    _row(r"gemini-.*image|nano-banana", replace(_IMAGE, part_resolution=False)),
    # Gemini 3.
    _row(r"gemini-3-pro", replace(_NEW, levels=("LOW", "HIGH"))),
    _row(r"gemini-3\.[\d.]*-flash-lite|gemini-3-flash|gemini-3\.[0-6]-flash", replace(_NEW, levels=_FOUR)),
    _row(r"gemini-([3-9]|\d\d)", _NEW),
    # Gemini 2.5, and what is built on it.
    _row(r"gemini-2\.5-flash-lite", replace(_FLASH_25, budget_min=512)),
    _row(r"gemini-2\.5-(flash|computer)|gemini-robotics-er-1", _FLASH_25),
    _row(r"gemini-2\.5", replace(_FLASH_25, budget_min=128, budget_max=32768, thinking_off=False)),
    # Before thinking.
    _row(r"gemini-2\.0-flash(-exp|-\d+)?$", replace(_20, penalties=True)),
    _row(r"gemini-2", _20),
    _row(r"gemini-1|gemini-pro(-vision)?$|learnlm-1|tunedModels/", _15),
)
_DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(Traits)}
_FOLDERS = frozenset({"models", "tunedModels"})


def traits(target: Target) -> Traits:
    """The traits of the target's model, with the overrides that configuration gives."""
    known = _known(target.model.removeprefix("models/"))
    overrides = {key: _fitting(key, value) for key, value in target.traits.items() if key in _DEFAULTS}
    return replace(known, **overrides) if overrides else known


@lru_cache(maxsize=256)
def _known(name: str) -> Traits:
    return next((row.traits for row in ROWS if row.pattern.match(name)), _NEW)


def _fitting(name: str, value: Any) -> Any:
    # Configuration files have lists where a frozen value wants a tuple.
    default = _DEFAULTS[name]
    if isinstance(default, tuple):
        return tuple(value) if isinstance(value, list | tuple) else (value,)
    return type(default)(value)


def path(target: Target, method: str) -> str:
    """Where `method` of the target's model is, under the base URL.

    Only the two folders that models live in pass as folders; every other character that has
    a meaning in a URL is escaped, so that no model id leads to another path or adds a query.
    """
    folder, slash, name = target.model.partition("/")
    if not slash or folder not in _FOLDERS:
        folder, name = "models", target.model
    return f"/{folder}/{quote(name, safe='', errors='replace')}:{method}"
