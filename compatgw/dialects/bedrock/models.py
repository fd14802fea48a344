"""What models on Bedrock can do: of a Claude what is its own here, of others rows, the first that fits.

Ids are those of models (`anthropic.claude-sonnet-4-5-20250929-v1:0`), of inference profiles (with `us.`,
`eu.`, `apac.`, `global.` before it) and ARNs that hold one of them. Of an ARN that names no model (an
application's profile, an imported model) nothing is known: configuration says it (`Target.traits`, under
the names of the `Traits` attributes).

What does not live here: what a Claude can do anywhere (`blocks/models.py`); context windows, prices (the catalogue).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from compatgw.dialects.blocks import models

if TYPE_CHECKING:
    from compatgw.dialects.base import Target


@dataclass(frozen=True, slots=True)
class Traits(models.Traits):
    """What one model can do. The defaults are those of a model that nothing is known of.

    Attributes:
        effort: Where the effort goes in `additionalModelRequestFields`; "" for nowhere.
        switch: Members of `additionalModelRequestFields` that turn thinking on beside the effort, as
            `path=value`; "" for none.
        top_k: Where `top_k` goes in `additionalModelRequestFields`; "" for nowhere.
        choices: What `toolChoice` may be beside `auto`: `any`, `tool`.
        tools: Tools are taken at all.
        system: System text is taken as such; else it becomes the first user's.
        cache: Cache points are taken in messages and system text.
        cache_tools: Also between tools.
        cache_ttl: They may say for how long.
    """

    effort: str = ""
    switch: str = ""
    top_k: str = "top_k"
    choices: tuple[str, ...] = ("any", "tool")
    tools: bool = True
    system: bool = True
    cache: bool = False
    cache_tools: bool = False
    cache_ttl: bool = False

    @property
    def able(self) -> bool:
        """It can be told how much to think."""
        return bool(self.thinking or self.effort)

    @property
    def quiet(self) -> Literal["disabled", "least", ""]:
        """How it is kept from thinking; there is no need to where it thinks only when it is told to."""
        if self.thinks and "disabled" in self.thinking:
            return "disabled"
        always = self.thinks or (self.effort and not self.switch and not self.thinking)
        return "least" if always and self.efforts else ""


class Row(NamedTuple):
    """Models in whose id `pattern` is found."""

    pattern: re.Pattern[str]
    traits: Traits


_OTHER = Traits()
_NOVA = Traits(top_k="inferenceConfig.topK", prefill=True, cache=True)
_NOVA_2 = replace(
    _NOVA,
    efforts=("low", "medium", "high"),
    effort="reasoningConfig.maxReasoningEffort",
    switch="reasoningConfig.type=enabled",
)
# Open weights that the service itself holds to a schema.
_OPEN = Traits(structured=True, strict_tools=True, choices=("any", "tool"))
_AUTO = Traits(choices=())
_PLAIN = Traits(tools=False, choices=())


def _row(pattern: str, traits: Traits) -> Row:
    return Row(re.compile(pattern), traits)


ROWS: tuple[Row, ...] = (
    _row(r"nova-2", _NOVA_2),
    _row(r"nova", _NOVA),
    _row(r"titan", replace(_PLAIN, system=False, top_k="")),
    _row(r"gpt-oss", replace(_OPEN, efforts=("low", "medium", "high"), effort="reasoning_effort")),
    _row(r"deepseek.*r1", _PLAIN),
    _row(r"deepseek|qwen|kimi|moonshot|minimax|nemotron|gemma|magistral|ministral|voxtral|mistral-large-3", _OPEN),
    _row(r"mistral-7b|mixtral", replace(_PLAIN, system=False)),
    _row(r"mistral|pixtral", Traits(choices=("any",))),
    _row(r"command-(text|light)", replace(_PLAIN, system=False, top_k="k")),
    _row(r"command", replace(_AUTO, top_k="k")),
    _row(r"llama3-\d+b|llama2", replace(_PLAIN, top_k="")),
    _row(r"llama", replace(_AUTO, top_k="")),
    _row(r"jamba", replace(_AUTO, top_k="")),
    _row(r"ai21\.j2", replace(_PLAIN, system=False, top_k="")),
)
# Claudes of which nothing is kept in a cache, and those that call no tools here.
_UNCACHED = re.compile(r"claude-(3[-.]5(?!-haiku|-sonnet-20241022)|3(?![-.][57])|2|v2|instant)")
_TOOLLESS = re.compile(r"claude-(2|v2|instant)")


@lru_cache(maxsize=1024)
def known(model: str) -> Traits:
    """What the table says of `model`."""
    name = model.lower()
    if (found := models.claude(name)) is not None:
        return _claude(name, found)
    return next((row.traits for row in ROWS if row.pattern.search(name)), _OTHER)


def _claude(name: str, found: models.Claude) -> Traits:
    cached = _UNCACHED.search(name) is None
    return models.shaped(
        found,
        Traits,
        # The service knows no word for thinking between calls.
        thinking=tuple(kind for kind in found.thinking if kind != "between_tools"),
        effort="output_config.effort" if found.efforts else "",
        choices=("any", "tool") if found.forced else (),
        tools=_TOOLLESS.search(name) is None,
        cache=cached,
        cache_tools=cached,
        cache_ttl=found.structured,  # which came with the same models
    )


def traits(target: Target) -> Traits:
    """The traits of the target's model, with what its configuration and the catalogue say of it."""
    return models.settled(known(target.model), target)
