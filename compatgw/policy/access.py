"""Who calls, and which models are theirs.

What does not live here: how a caller is recognised (`web/identify.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from compatgw.errors import Forbidden


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A caller that was recognised; what an `authenticate=` callable returns.

    Attributes:
        name: For logs and usage records.
        models: Globs of the model ids that it may name; `("*",)` for all.
        attributes: Anything of the host's own.
    """

    name: str
    models: tuple[str, ...] = ("*",)
    attributes: Mapping[str, object] = field(default_factory=dict)


def may_use(principal: Principal, model: str) -> bool:
    """True when one of the principal's globs matches `model`."""
    return principal.models == ("*",) or any(fnmatchcase(model, glob) for glob in principal.models)


def require(principal: Principal, model: str) -> None:
    """Passes when `principal` may use `model`.

    Raises:
        Forbidden: It may not.
    """
    if not may_use(principal, model):
        raise Forbidden(
            f"This key may not use the model '{model[:128]}'. Ask the gateway's operator, or choose another model.",
            param="model",
        )
