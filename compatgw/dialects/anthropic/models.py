"""What a model can do that is reached by this protocol: a Claude's traits wherever it is hosted, and what else counts.

An id that is no Claude (another vendor's server that speaks this protocol, a name of the operator's own) gets what
such servers have in common.

What does not live here: the table of Claudes (`blocks/models.py`); context windows, prices (the catalogue).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from compatgw.dialects.blocks import models

if TYPE_CHECKING:
    from compatgw.dialects.base import Target


@dataclass(frozen=True, slots=True)
class Traits(models.Claude):
    """What one model can do.

    Attributes:
        web_search: Type of the vendor's search tool that `web_search_options` switches on, "" for none.
    """

    web_search: str = ""


@lru_cache(maxsize=1024)
def known(model: str) -> Traits:
    """What the table says of `model`."""
    return models.shaped(models.claude(model.lower()) or models.LIKE, Traits)


def traits(target: Target) -> Traits:
    """The traits of the target's model, with what its configuration and the catalogue say of it."""
    return models.settled(known(target.model), target)
