"""All assertions, and the run that judges a server by them.

What does not live here: an assertion (a file for each group), printing (`report.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compatgw_testing.check import (
    auth,
    chat,
    choice,
    content,
    embeddings,
    errors,
    formats,
    framing,
    headers,
    letters,
    models,
    parallel,
    params,
    responses,
    robust,
    tools,
    traffic,
    usage,
    vision,
)
from compatgw_testing.check.base import Assertion, Blocked, Fails, Result, Skips, State

if TYPE_CHECKING:
    from compatgw_testing.check.probe import Probe

ASSERTIONS: tuple[Assertion, ...] = (
    *models.ASSERTIONS,
    *chat.ASSERTIONS,
    *framing.ASSERTIONS,
    *content.ASSERTIONS,
    *usage.ASSERTIONS,
    *tools.ASSERTIONS,
    *parallel.ASSERTIONS,
    *choice.ASSERTIONS,
    *formats.ASSERTIONS,
    *vision.ASSERTIONS,
    *errors.ASSERTIONS,
    *auth.ASSERTIONS,
    *headers.ASSERTIONS,
    *params.ASSERTIONS,
    *robust.ASSERTIONS,
    *traffic.ASSERTIONS,
    *letters.ASSERTIONS,
    *embeddings.ASSERTIONS,
    *responses.ASSERTIONS,
)
GROUPS: tuple[str, ...] = tuple(dict.fromkeys(one.group for one in ASSERTIONS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """How a server did.

    Attributes:
        url: Its base URL, without credentials.
        model: The model that was asked.
        results: One for each assertion, in order.
        requests: How many requests it took.
        seconds: How long it took.
    """

    url: str
    model: str
    results: tuple[Result, ...]
    requests: int
    seconds: float

    def count(self, state: str, severity: str | None = None, group: str | None = None) -> int:
        """How many results have this state, of this severity, in this group."""
        return sum(
            one.state == state and severity in (None, one.assertion.severity) and group in (None, one.assertion.group)
            for one in self.results
        )

    @property
    def blocked(self) -> int:
        """How many could not be judged because something else failed."""
        return sum(one.blocked for one in self.results)

    @property
    def ok(self) -> bool:
        """No `must` failed, and none hangs in the air behind another failure."""
        return not any(
            one.assertion.severity == "must" and (one.state == "fail" or one.blocked) for one in self.results
        )

    def result(self, id: str) -> Result:
        """The result of one assertion.

        Raises:
            KeyError: It was not judged.
        """
        for one in self.results:
            if one.assertion.id == id:
                return one
        raise KeyError(id)


def chosen(only: Sequence[str]) -> tuple[Assertion, ...]:
    """The assertions of these groups and ids; all for none.

    Raises:
        ValueError: A name is neither a group nor an id.
    """
    known = {*GROUPS, *(one.id for one in ASSERTIONS)}
    for name in only:
        if name not in known:
            raise ValueError(f"{name!r} is no group of the scorecard; the groups are {', '.join(GROUPS)}")
    return tuple(one for one in ASSERTIONS if not only or one.group in only or one.id in only)


async def judge(
    probe: Probe, assertions: Sequence[Assertion] = ASSERTIONS, *, tell: Callable[[Result], None] = lambda _: None
) -> Scorecard:
    """Judges a server by `assertions`, one after the other.

    Args:
        probe: The server; `prepare` is called here.
        assertions: By what.
        tell: Called with each result.

    Raises:
        Unreachable: There is no server, or no model.
    """
    started = time.monotonic()
    await probe.prepare()
    results = []
    for assertion in assertions:
        result = await _judged(assertion, probe)
        tell(result)
        results.append(result)
    url = probe.shown_url
    seconds = time.monotonic() - started
    return Scorecard(url=url, model=probe.model, results=tuple(results), requests=probe.requests, seconds=seconds)


async def _judged(assertion: Assertion, probe: Probe) -> Result:
    started = time.monotonic()
    state: State = "pass"
    evidence, blocked = "", False
    try:
        await assertion.judge(probe)
    except Fails as failure:
        state, evidence = "fail", str(failure)
    except Blocked as reason:
        state, evidence, blocked = "skip", str(reason), True
    except Skips as reason:
        state, evidence = "skip", str(reason)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
        # A shape that no judge foresaw is the server's fault, and the run goes on.
        state, evidence = "fail", f"the answer has a shape that cannot be read ({type(error).__name__}: {error})"
    return Result(
        assertion=assertion,
        state=state,
        evidence=probe.scrubbed(evidence),
        blocked=blocked,
        seconds=time.monotonic() - started,
    )
