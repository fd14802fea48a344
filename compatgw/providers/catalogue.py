"""What is known of models and providers: `catalogue.json`.

A row holds what documents or the wire show; null, or no member, is "not known", never a guess.
Codenames are names that several providers serve, in order of preference; aliases are other names
of one model. Everything is overridden by the configuration. Where the ratings come from:

- `quality`, 0 to 100, higher is better: none is given here. The vendors publish no rating that
  compares one with another, so it is the operator's to give; without it, a codename's own order counts.
- `speed`, as the vendor's documents call the model: `fast` (also fastest, very fast), `moderate`
  (also medium, moderately fast) or `slow` (also slowest). Where they state only tokens a second:
  `fast` from 200 on.
- `tokens_per_second`, as the provider's own documents state it for that model.
- `trust`, by who can see a request on its way, not by what anybody promises:
  3 nobody but you: servers of your own, and enclaves that prove to the caller what they run;
  2 one company, which serves its own models, or within a cloud account of yours;
  1 one company that serves models of others;
  0 one that hands the request on to further companies.

What does not live here: prices (`prices.py`), and how a name is resolved (`policy/plan.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

Speed = Literal["fast", "moderate", "slow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model at one provider.

    Attributes:
        id: The provider's own id.
        provider: The provider's name.
        context: Most tokens that it takes in, None when not known.
        max_output: Most tokens that it writes, None when not known.
        input: What it takes: `text`, `image`, `pdf`, `audio`.
        output: What it gives: `text`, `image`, `audio`, `embedding`, `transcript` (of a recording), or `scores` (of
            documents for a query, of harm).
        tools: It calls tools. json_schema: It follows a JSON schema. Both False when not known.
        reasoning: It reasons before it answers.
        streaming: It answers bit by bit.
        created: Seconds since 1970, None when not known.
        quality: From 0 to 100, higher is better; None when not rated.
        speed: How fast it is called, None when not known.
        tokens_per_second: What it writes in a second, None when not known.
        also: Other ids of the same model at the same price: dated ones, and names for the latest.
    """

    id: str
    provider: str
    context: int | None
    max_output: int | None
    input: tuple[str, ...]
    tools: bool
    json_schema: bool
    reasoning: bool
    created: int | None
    output: tuple[str, ...] = ("text",)
    streaming: bool = True
    quality: float | None = None
    speed: Speed | None = None
    tokens_per_second: float | None = None
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Catalogue:
    """All that is known.

    Attributes:
        models: Every row.
        codenames: Name to `provider/model` ids, the preferred first.
        aliases: Name to one `provider/model` id.
        trust: Provider's name to its tier, 0 (low) to 3 (most); a provider that is not in it has no known tier.
    """

    models: tuple[Model, ...]
    codenames: Mapping[str, tuple[str, ...]]
    aliases: Mapping[str, str]
    trust: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    _by_provider: Mapping[str, Mapping[str, Model]] = field(init=False, repr=False, compare=False)
    _of: Mapping[str, tuple[Model, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rows: dict[str, list[Model]] = {}
        index: dict[str, dict[str, Model]] = {}
        for model in self.models:
            rows.setdefault(model.provider, []).append(model)
            index.setdefault(model.provider, {})[model.id] = model
        # A row under its own id wins over another row's further names.
        for model in self.models:
            for other in model.also:
                index[model.provider].setdefault(other, model)
        object.__setattr__(self, "_by_provider", MappingProxyType(index))
        object.__setattr__(self, "_of", MappingProxyType({name: tuple(models) for name, models in rows.items()}))

    def find(self, provider: str, model: str) -> Model | None:
        """The row of `model` at `provider`, by its id or one of `also`; None when there is none."""
        rows = self._by_provider.get(provider)
        return rows.get(model) if rows is not None else None

    def of(self, provider: str) -> tuple[Model, ...]:
        """The rows of `provider`."""
        return self._of.get(provider, ())

    def providers_of(self, model: str) -> tuple[str, ...]:
        """The providers that have `model` under this very id."""
        return tuple(provider for provider, rows in self._by_provider.items() if model in rows)


@cache
def load() -> Catalogue:
    """The catalogue that comes with the package; read once, for nothing in it ever changes."""
    data = orjson.loads(files("compatgw.providers").joinpath("catalogue.json").read_bytes())
    return Catalogue(
        models=tuple(_model(row) for row in data["models"]),
        codenames=MappingProxyType({name: tuple(ids) for name, ids in data["codenames"].items()}),
        aliases=MappingProxyType(data["aliases"]),
        trust=MappingProxyType({name: facts["trust"] for name, facts in data["providers"].items()}),
    )


def _model(row: dict[str, Any]) -> Model:
    for member in ("input", "output", "also"):
        if member in row:
            row[member] = tuple(row[member])
    return Model(**row)
