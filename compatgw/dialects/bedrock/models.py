"""What models on Bedrock can do, as rows: the first row whose pattern is found in a model's id counts.

Ids are those of models (`anthropic.claude-sonnet-4-5-20250929-v1:0`), of inference profiles (with `us.`,
`eu.`, `apac.`, `global.` before it) and ARNs that hold one of them. Of an ARN that names no model (an
application's profile, an imported model) nothing is known: configuration says it (`Target.traits`, under
the names of the `Traits` attributes).

What does not live here: context windows, prices (the catalogue), translation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from compatgw.dialects.base import Target


@dataclass(frozen=True, slots=True)
class Traits:
    """What one model can do. The defaults are those of a model that nothing is known of.

    Attributes:
        thinking: Values of Claude's `thinking.type` that are taken; () for other models.
        thinks: Thinks when the request does not say.
        efforts: Efforts that are taken, lowest first.
        effort: Where the effort goes in `additionalModelRequestFields`; "" for nowhere.
        switch: Members of `additionalModelRequestFields` that turn thinking on beside the effort, as
            `path=value`; "" for none.
        top_k: Where `top_k` goes in `additionalModelRequestFields`; "" for nowhere.
        choices: What `toolChoice` may be beside `auto`: `any`, `tool`.
        tools: Tools are taken at all.
        system: System text is taken as such; else it becomes the first user's.
        sampling: temperature, top_p and top_k may have other than their default values.
        one_sampling: Only one of temperature and top_p is taken.
        structured: `outputConfig.textFormat` is taken.
        strict_tools: `strict` is taken in tools.
        prefill: The last message may be the assistant's, for the model to go on with.
        cache: Cache points are taken in messages and system text.
        cache_tools: Also between tools.
        cache_ttl: They may say for how long.
        max_output: Most that `maxTokens` may be, None when not known.
    """

    thinking: tuple[str, ...] = ()
    thinks: bool = False
    efforts: tuple[str, ...] = ()
    effort: str = ""
    switch: str = ""
    top_k: str = "top_k"
    choices: tuple[str, ...] = ("any", "tool")
    tools: bool = True
    system: bool = True
    sampling: bool = True
    one_sampling: bool = False
    structured: bool = False
    strict_tools: bool = False
    prefill: bool = False
    cache: bool = False
    cache_tools: bool = False
    cache_ttl: bool = False
    max_output: int | None = None

    @property
    def able(self) -> bool:
        """It can be told how much to think."""
        return bool(self.thinking or self.effort)

    @property
    def manual(self) -> bool:
        """Thinking is given a budget, because the model does not find its own."""
        return "enabled" in self.thinking and "adaptive" not in self.thinking


class Row(NamedTuple):
    """Models in whose id `pattern` is found."""

    pattern: re.Pattern[str]
    traits: Traits


_OTHER = Traits()
_FIVE = ("low", "medium", "high", "xhigh", "max")
_CLAUDE = Traits(
    thinking=("adaptive", "disabled"),
    thinks=True,
    efforts=_FIVE,
    effort="output_config.effort",
    sampling=False,
    one_sampling=True,
    structured=True,
    strict_tools=True,
    cache=True,
    cache_tools=True,
    cache_ttl=True,
    max_output=128_000,
)
_ALWAYS = replace(_CLAUDE, thinking=("adaptive",))
_47 = replace(_CLAUDE, thinks=False)
_46 = replace(
    _47, thinking=("adaptive", "enabled", "disabled"), sampling=True, efforts=("low", "medium", "high", "max")
)
_45 = replace(_46, thinking=("enabled", "disabled"), efforts=(), effort="", prefill=True, max_output=64_000)
_OPUS_45 = replace(_45, efforts=("low", "medium", "high"), effort="output_config.effort")
_41 = replace(_45, structured=False, strict_tools=False, cache_ttl=False, max_output=32_000)
_40 = replace(_41, one_sampling=False, max_output=64_000)
_35 = replace(_40, thinking=(), cache=False, cache_tools=False, max_output=8192)
_35_CACHED = replace(_35, cache=True, cache_tools=True)
_3 = replace(_35, max_output=4096)
_2 = replace(_3, tools=False)
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


# In `4[-.]5` the second number must not be the beginning of a date: `claude-opus-4-20250514` is a 4.0.
ROWS: tuple[Row, ...] = (
    _row(r"claude-(fable|mythos)", _ALWAYS),
    _row(r"claude-(opus|sonnet|haiku)-[5-9](?!\d)", _CLAUDE),
    _row(r"claude-(opus|sonnet|haiku)-4[-.][78](?!\d)", _47),
    _row(r"claude-sonnet-4[-.]6(?!\d)", replace(_46, max_output=64_000)),
    _row(r"claude-(opus|haiku)-4[-.]6(?!\d)", _46),
    _row(r"claude-opus-4[-.]5(?!\d)", _OPUS_45),
    _row(r"claude-(sonnet|haiku)-4[-.]5(?!\d)", _45),
    _row(r"claude-opus-4[-.]1(?!\d)", _41),
    _row(r"claude-opus-4(?!\d)", replace(_40, max_output=32_000)),
    _row(r"claude-(sonnet|haiku)-4(?!\d)", _40),
    _row(r"claude-3[-.]7", _40),
    _row(r"claude-3[-.]5-haiku|claude-3[-.]5-sonnet-20241022", _35_CACHED),
    _row(r"claude-3[-.]5", _35),
    _row(r"claude-3", _3),
    _row(r"claude-(2|v2|instant)", _2),
    _row(r"claude", _CLAUDE),
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
_DEFAULTS = {field.name: field.default for field in fields(Traits)}


@lru_cache(maxsize=1024)
def known(model: str) -> Traits:
    """What the table says of `model`."""
    name = model.lower()
    return next((row.traits for row in ROWS if row.pattern.search(name)), _OTHER)


def traits(target: Target) -> Traits:
    """The traits of the target's model, with what its configuration and the catalogue say of it."""
    found = known(target.model)
    changed: dict[str, Any] = {}
    if target.max_output is not None:
        changed["max_output"] = target.max_output
    for name, value in target.traits.items():
        if name in _DEFAULTS:
            # Configuration files have lists where a frozen value wants a tuple.
            changed[name] = tuple(value) if isinstance(_DEFAULTS[name], tuple) else value
    return replace(found, **changed) if changed else found
