"""`/docs/models`: every model that can be called, and what is known of it.

What does not live here: what a name means (`policy/directory.py`), what is known (`providers/catalogue.py`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from compatgw.errors import NotFound
from compatgw.pages.render import page
from compatgw.policy import directory
from compatgw.policy.money import text as money_text
from compatgw.providers.table import PROVIDERS
from compatgw.web.endpoints import scope_of

if TYPE_CHECKING:
    from compatgw.policy.directory import Candidate
    from compatgw.state.base import Price
    from compatgw.web.site import Site
    from compatgw.web.visit import Visit

NATIVE = "completions"
"""The surface that a dialect has as its very own only if it is OpenAI's protocol."""

Kind = Literal["chat", "embedding", "image", "other"]


class Row(NamedTuple):
    """A model as the table shows it; None is "not known".

    Attributes:
        id: What callers ask for. kind: What it is for.
        providers: Who serves it, the preferred first; what follows is true of that one.
        native: It speaks OpenAI's protocol itself; else requests and answers are translated.
        context, max_output: Tokens.
        input, output: Price of a million tokens. image: Of a picture that is made.
        vision, pdf, tools, schema, reasoning, streaming: What it can do.
    """

    id: str
    kind: Kind
    providers: tuple[str, ...]
    native: bool
    context: int | None
    max_output: int | None
    input: Decimal | None
    output: Decimal | None
    image: Decimal | None
    vision: bool | None
    pdf: bool | None
    tools: bool | None
    schema: bool | None
    reasoning: bool | None
    streaming: bool | None


def rows(site: Site, visit: Visit) -> list[Row]:
    """The models in sight of a visit, each once; none where the operator shows none."""
    return every(site, visit) if site.house.settings.docs.models else []


def every(site: Site, visit: Visit) -> list[Row]:
    """The models in sight of a visit, each once, whoever may see them."""
    known, scope = site.house.directory, scope_of(site, visit)
    out = []
    for found in directory.listing(known, scope):
        name = found.row["id"]
        # A name that is listed has at least one meaning.
        out.append(_row(site, name, directory.resolve(known, name, scope)))
    return out


def _row(site: Site, name: str, ways: tuple[Candidate, ...]) -> Row:
    first = ways[0]
    model, dialect = first.known, first.deployment.dialect
    prices = site.house.directory.prices
    price = prices.of(first.deployment.name, first.model, name) if prices is not None else None
    return Row(
        id=name,
        kind=_kind(first),
        providers=tuple(dict.fromkeys(way.deployment.name for way in ways)),
        native=NATIVE in dialect.native,
        context=first.context,
        max_output=first.max_output,
        input=_price(price, "input"),
        output=_price(price, "output"),
        image=_price(price, "per_image"),
        vision=first.takes("image"),
        pdf=first.takes("pdf"),
        tools=model.tools if model is not None else None,
        schema=model.json_schema if model is not None else None,
        reasoning=model.reasoning if model is not None else None,
        streaming=model.streaming if model is not None else None,
    )


def _kind(way: Candidate) -> Kind:
    output = way.known.output if way.known is not None else ("text",)
    if way.known is not None and way.known.input and "text" not in way.known.input:
        return "other"
    kinds: tuple[tuple[str, Kind], ...] = (("text", "chat"), ("embedding", "embedding"), ("image", "image"))
    return next((kind for made, kind in kinds if made in output), "other")


def _price(price: Price | None, member: Literal["input", "output", "per_image"]) -> Decimal | None:
    if price is None or not (amount := getattr(price, member)):
        return None
    # At least two decimals, and no needless zeros behind them.
    return Decimal(money_text(amount))


def title_of(provider: str) -> str:
    """A provider's name for people."""
    return PROVIDERS[provider].title if provider in PROVIDERS else provider


async def answer(site: Site, visit: Visit) -> None:
    """The page.

    Raises:
        NotFound: The operator shows no models.
    """
    if not site.house.settings.docs.models:
        raise NotFound("The operator shows models to callers alone: GET /v1/models.", code="unknown_endpoint")
    found = rows(site, visit)
    await page(site, visit, "models.html", rows=found, title_of=title_of, **_facts(site, found))


def _facts(site: Site, found: list[Row]) -> dict[str, Any]:
    return {
        "currency": site.house.settings.money.currency,
        "translated": any(not row.native for row in found),
        "vision_model": site.house.settings.vision.model,
        "streaming": site.house.settings.streaming,
    }
