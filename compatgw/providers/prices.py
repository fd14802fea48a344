"""What models cost: `prices.json`, and the operator's own prices, which win.

The file holds US dollars as text, for a million tokens (`per_image` and `per_request`: for one). It is
written by `scripts/prices` from the package genai-prices, which is never imported at run time. A row's
`also` are other ids of the same model at the same price; an id that stands nowhere has no price, however
much it looks like another one.

What does not live here: what a call costs (`policy/money.py`), what happens to a model without a price.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from importlib.resources import files
from types import MappingProxyType

import orjson

from compatgw.state.base import Price, amount

_log = logging.getLogger("compatgw")

PriceSource = Callable[[str, str], "Price | Mapping[str, object] | None"]
"""A source of prices: of a provider and a model to a price, a table as settings have it, or None where not known. It is
asked with every call and must not wait."""

TOKENS = ("input", "cached_input", "cache_write", "output", "reasoning")
"""Members of a price table that are for a million tokens."""
PIECES = ("per_image", "per_request")
"""Members that are for one piece."""

_MEMBERS = (*TOKENS, *PIECES)
# A part alone would leave its whole free, which nobody means.
_WHOLE = {"cached_input": "input", "cache_write": "input", "reasoning": "output"}


class Prices:
    """What models cost in one gateway.

    Args:
        known: Prices by `provider/model`, such as `load()` gives them.
        own: The operator's prices, by `provider/model` or by a name that callers ask for.
        source: Is asked for what `own` has no price of, before `known`. One that fails has no price.
    """

    __slots__ = ("_by_name", "_by_provider", "_source")

    def __init__(
        self, known: Mapping[str, Price], own: Mapping[str, Price] | None = None, source: PriceSource | None = None
    ) -> None:
        self._source = source
        own = own or {}
        index: dict[str, dict[str, Price]] = {}
        for name, price in (*known.items(), *own.items()):
            provider, _, model = name.partition("/")
            index.setdefault(provider, {})[model] = price
        self._by_name = MappingProxyType(dict(own))
        self._by_provider = MappingProxyType(index)

    def of(self, provider: str, model: str, name: str | None = None) -> Price | None:
        """What `model` costs at `provider`; None when that is not known.

        Args:
            model: The id that the provider is asked for.
            name: What the caller asked for. An own price under that name comes before all others.
        """
        if name is not None and (own := self._by_name.get(name)) is not None:
            return own
        if self._source is not None and f"{provider}/{model}" not in self._by_name:
            found = _asked(self._source, provider, model)
            if found is not None:
                return found
        rows = self._by_provider.get(provider)
        return rows.get(model) if rows is not None else None


def _asked(source: PriceSource, provider: str, model: str) -> Price | None:
    try:
        found: object = source(provider, model)
        if found is None or isinstance(found, Price):
            return found
        if isinstance(found, Mapping):
            return parse(found, f"{provider}/{model}")
        raise TypeError(f"it gave a {type(found).__name__}")
    except Exception as error:  # noqa: BLE001 - the host's own: a call must not fail of it
        _log.error("The source of prices failed for %s/%s: %s: %s", provider, model, type(error).__name__, error)
        return None


@cache
def load() -> Mapping[str, Price]:
    """The prices that come with the package, by `provider/model`; read once, for they never change."""
    found: dict[str, Price] = {}
    for name, row in orjson.loads(files("compatgw.providers").joinpath("prices.json").read_bytes())["prices"].items():
        also = row.pop("also", ())
        price = parse(row, name)
        provider = name.partition("/")[0]
        found[name] = price
        found.update((f"{provider}/{other}", price) for other in also)
    return MappingProxyType(found)


def parse(table: Mapping[str, object], where: str) -> Price:
    """The price that a table of a configuration means.

    Args:
        table: Any of `TOKENS` and `PIECES`, as text, whole number or float; a float is taken as it is written.
            `above` is a list of such tables, each with `tokens`: what counts for calls with more input tokens
            than that. A member that such a table lacks is as in the whole.
        where: What is priced, for messages.

    Raises:
        ValueError: One sentence that names `where` and the member.
    """
    _known(table, where, (*_MEMBERS, "above"))
    figures = _figures(table, where)
    if not figures and "above" not in table:
        raise ValueError(
            f"{where} has no price. Give {', '.join(_MEMBERS[:-1])} or {_MEMBERS[-1]}; 0 for what is free."
        )
    _with_wholes(figures, where)
    tiers = table.get("above", ())
    if not isinstance(tiers, list | tuple):
        raise ValueError(f"{where}.above must be a list of tables, each with 'tokens' and the prices from there on.")
    above: list[tuple[int, Price]] = []
    for number, tier in enumerate(tiers):
        above.append(_tier(tier, figures, f"{where}.above[{number}]", above[-1][0] if above else 0))
    return Price(**figures, above=tuple(above))


def _tier(table: object, base: Mapping[str, Decimal], where: str, last: int) -> tuple[int, Price]:
    if not isinstance(table, dict):
        raise ValueError(f"{where} must be a table with 'tokens' and the prices from there on.")
    _known(table, where, (*_MEMBERS, "tokens"))
    tokens = table.get("tokens")
    if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens <= last:
        raise ValueError(f"{where}.tokens must be a whole number above {last}, such as 200000.")
    figures = _figures(table, where)
    if not figures:
        raise ValueError(f"{where} has no price. Give what changes above {tokens} tokens, such as input.")
    both = {**base, **figures}
    _with_wholes(both, where)
    return tokens, Price(**both, above=())


def _with_wholes(figures: Mapping[str, Decimal], where: str) -> None:
    for part, whole in _WHOLE.items():
        if part in figures and whole not in figures:
            raise ValueError(f"{where}.{part} stands without {where}.{whole}. Give both; 0 for what is free.")


def _known(table: Mapping[str, object], where: str, members: tuple[str, ...]) -> None:
    # A price under a misspelt name would be money that nobody charges.
    for member in table:
        if member not in members:
            raise ValueError(f"{where}.{member} is no price. Known are {', '.join(members[:-1])} and {members[-1]}.")


def _figures(table: Mapping[str, object], where: str) -> dict[str, Decimal]:
    return {member: _figure(table[member], f"{where}.{member}") for member in _MEMBERS if member in table}


def _figure(value: object, where: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError(f'{where} must be a number, best written as text, such as "2.50".')
    # The shortest text that means this float is what was written in the file.
    figure = amount(repr(value) if isinstance(value, float) else value, where)
    if figure < 0:
        raise ValueError(f"{where} is negative. Give 0 for what is free.")
    return figure
