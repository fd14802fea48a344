"""What is known of models: `catalogue.json`, read once by each gateway.

A row holds what documents or the wire show; null is "not known", never a guess. Codenames are
names that several providers serve, in order of preference; aliases are other names of one
model. Everything is overridden by the configuration.

What does not live here: prices, and how a name is resolved (`policy/plan.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model at one provider.

    Attributes:
        id: The provider's own id.
        provider: The provider's name.
        context: Most tokens that it takes in, None when not known.
        max_output: Most tokens that it writes, None when not known.
        input: What it takes: `text`, `image`, `pdf`, `audio`.
        tools: It calls tools.
        json_schema: It follows a JSON schema.
        reasoning: It reasons before it answers.
        created: Seconds since 1970, None when not known.
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


@dataclass(frozen=True)
class Catalogue:
    """All that is known.

    Attributes:
        models: Every row.
        codenames: Name to `provider/model` ids, the preferred first.
        aliases: Name to one `provider/model` id.
    """

    models: tuple[Model, ...]
    codenames: Mapping[str, tuple[str, ...]]
    aliases: Mapping[str, str]
    _by_provider: Mapping[str, Mapping[str, Model]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        index: dict[str, dict[str, Model]] = {}
        for model in self.models:
            index.setdefault(model.provider, {})[model.id] = model
        object.__setattr__(self, "_by_provider", MappingProxyType(index))

    def find(self, provider: str, model: str) -> Model | None:
        """The row of `model` at `provider`, None when there is none."""
        rows = self._by_provider.get(provider)
        return rows.get(model) if rows is not None else None

    def of(self, provider: str) -> tuple[Model, ...]:
        """The rows of `provider`."""
        return tuple(self._by_provider.get(provider, {}).values())

    def providers_of(self, model: str) -> tuple[str, ...]:
        """The providers that have `model` under this very id."""
        return tuple(provider for provider, rows in self._by_provider.items() if model in rows)


def load() -> Catalogue:
    """Reads the catalogue that comes with the package."""
    data = orjson.loads(files("compatgw.providers").joinpath("catalogue.json").read_bytes())
    return Catalogue(
        models=tuple(Model(**{**row, "input": tuple(row["input"])}) for row in data["models"]),
        codenames=MappingProxyType({name: tuple(ids) for name, ids in data["codenames"].items()}),
        aliases=MappingProxyType(data["aliases"]),
    )
