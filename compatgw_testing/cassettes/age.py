"""How old a cassette is, and what it says about itself when it is made.

What does not live here: what to do about an old one.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from compatgw_testing.cassettes.format import Cassette, Interaction

MAX_AGE: Final = timedelta(days=180)
_FORM: Final = "%Y-%m-%dT%H:%M:%SZ"


def stamp(moment: datetime) -> str:
    """A moment as cassettes have it: "2026-11-21T10:00:00Z"."""
    return moment.astimezone(UTC).strftime(_FORM)


def oldest(cassette: Cassette) -> datetime | None:
    """When the oldest of its answers was recorded; None if it does not say, or was never recorded."""
    if cassette.provenance.source != "recorded":
        return None
    moments: list[datetime] = []
    for one in cassette.interactions:
        text = one.recorded_at or cassette.provenance.recorded_at
        try:
            moments.append(datetime.strptime(text, _FORM).replace(tzinfo=UTC))
        except ValueError:
            continue
    return min(moments, default=None)


def too_old(
    cassette: Cassette, path: str | os.PathLike[str], now: datetime, max_age: timedelta = MAX_AGE
) -> str | None:
    """What to say of a cassette whose answers are too old, once for a file; None if they are not."""
    moment = oldest(cassette)
    if moment is None or now - moment <= max_age:
        return None
    return (
        f"{path}: recorded {(now - moment).days} days ago ({stamp(moment)[:10]}), more than {max_age.days}; "
        "vendors change what they answer, record it again with the mode 'rewrite'"
    )


def models_of(interactions: Iterable[Interaction]) -> str:
    """The models that were asked, in order, each once, with commas between."""
    found: dict[str, None] = {}
    for one in interactions:
        path = unquote(one.request.path)
        if "/models/" in path:
            found[path.rpartition("/models/")[2].partition(":")[0]] = None
            continue
        try:
            body = json.loads(one.request.body)
        except (ValueError, RecursionError):
            continue
        if isinstance(body, dict) and isinstance(model := body.get("model"), str):
            found[model] = None
    return ", ".join(found)


def servers_of(urls: Iterable[str]) -> str:
    """The hosts of some URLs, in order, each once, with commas between; without what a URL may hide before a host."""
    return ", ".join(dict.fromkeys(urlsplit(url).netloc.rpartition("@")[2] for url in urls))
