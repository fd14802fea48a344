"""Which observers the settings ask for.

What does not live here: the observers, the host's own `on_call` (`flow/watching.py`).
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from compatgw.telemetry.labels import Models
from compatgw.telemetry.metrics import Metrics
from compatgw.version import __version__

if TYPE_CHECKING:
    from compatgw.config import Settings
    from compatgw.policy.directory import Directory
    from compatgw.telemetry.base import Observer


def observers(settings: Settings, directory: Directory, now: float) -> list[Observer]:
    """Those that `[telemetry]` asks for.

    Args:
        directory: Knows the models that labels may name.
        now: Seconds since 1970.

    Raises:
        ValueError: What one of them needs is not installed.
    """
    own = settings.telemetry
    found: list[Observer] = []
    if own.otel is True or (own.otel == "auto" and _installed()):
        if not _installed():
            raise ValueError("'telemetry.otel' needs opentelemetry-api: install compatgw[otel].")
        from compatgw.telemetry.otel import OpenTelemetry

        found.append(OpenTelemetry(version=__version__, models=Models(_known(directory)), content=own.content))
    if own.metrics != "off":
        models = Models(_known(directory))
        found.append(Metrics(version=__version__, currency=settings.money.currency, started=now, models=models))
    return found


def _installed() -> bool:
    # The package itself is a namespace that anything of OpenTelemetry brings along.
    return importlib.util.find_spec("opentelemetry") is not None and (
        importlib.util.find_spec("opentelemetry.trace") is not None
    )


def _known(directory: Directory) -> frozenset[tuple[str, str]]:
    """Provider and model of all that the operator or the catalogue names."""
    pairs: set[tuple[str, str]] = set()
    for name, deployment in directory.deployments.items():
        pairs.update((name, model) for model in deployment.models)
        for row in directory.catalogue.of(name):
            pairs.update((name, id) for id in (row.id, *row.also))
    for own in directory.own:
        pairs.update((one.deployment.name, one.model) for one in directory.meaning(own, None).candidates)
    return frozenset(pairs)
