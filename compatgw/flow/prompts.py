"""Prompt templates on their way into a call: found where they are kept, remembered for a while, filled in.

A template that is remembered is used at once, and fetched anew behind the calls when it is older than `fresh`.
While its source is away the last one known goes on; one that was never had is 503.

What does not live here: filling in (`policy/prompts.py`), the sources (`upstream/langfuse.py`, the configuration).
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from compatgw.errors import GatewayError, NotFound, Overloaded, UnsupportedParameter
from compatgw.policy.prompts import before, chosen, rendered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from compatgw.flow.call import Call, House
    from compatgw.flow.tasks import Tasks
    from compatgw.wire.prompts import Prompt

_log = logging.getLogger("compatgw")
# Names are the callers' own.
_REMEMBERED = 1_000


class PromptSource(Protocol):
    """Where templates are kept."""

    async def prompt(self, name: str, version: int | str | None) -> Prompt | None:
        """The version of that number or label (None: `production`); None when there is none.

        Raises:
            GatewayError: It cannot be asked now.
        """
        ...


class Configured:
    """Templates of the configuration.

    Args:
        prompts: All versions by name.
    """

    def __init__(self, prompts: Mapping[str, Sequence[Prompt]]) -> None:
        self._prompts = prompts

    async def prompt(self, name: str, version: int | str | None) -> Prompt | None:
        """As `PromptSource`."""
        return chosen(self._prompts.get(name, ()), version)


@dataclass(slots=True)
class _Known:
    """A template as last heard of. `at`: when, on the clock; `asking`: it is fetched anew."""

    prompt: Prompt
    at: float
    asking: bool = False


class Prompts:
    """The templates of one gateway.

    Args:
        sources: In the order in which they are asked.
        tasks: Owns what is fetched behind the calls.
        clock: Seconds since 1970.
        fresh: Seconds for which a template is not asked for again.
    """

    def __init__(
        self, sources: Sequence[PromptSource], tasks: Tasks, *, clock: Callable[[], float], fresh: float = 60.0
    ) -> None:
        self._sources = sources
        self._tasks = tasks
        self._clock = clock
        self._fresh = fresh
        self._known: dict[tuple[str, int | str | None], _Known] = {}
        self._under_way: dict[tuple[asyncio.AbstractEventLoop, str, int | str | None], asyncio.Task[Prompt]] = {}

    async def find(self, name: str, version: int | str | None) -> Prompt:
        """A template.

        Raises:
            NotFound: Nobody has it.
            Overloaded: It was never had, and who may have it cannot be asked.
        """
        known = self._known.get((name, version))
        if known is None:
            return await asyncio.shield(self._fetching(name, version))
        if self._clock() - known.at >= self._fresh and not known.asking:
            known.asking = True
            self._tasks.start(self._renew(name, version, known))
        return known.prompt

    def forget(self) -> None:
        """The next call asks for all templates anew: one of them was changed here."""
        self._known.clear()

    def _fetching(self, name: str, version: int | str | None) -> asyncio.Task[Prompt]:
        key = (asyncio.get_running_loop(), name, version)
        if (task := self._under_way.get(key)) is None:
            task = self._under_way[key] = self._tasks.start(self._fetched(name, version))
            task.add_done_callback(lambda over: self._under_way.pop(key, None))
        return task

    async def _fetched(self, name: str, version: int | str | None) -> Prompt:
        problem: GatewayError | None = None
        for source in self._sources:
            try:
                found = await source.prompt(name, version)
            except GatewayError as failure:
                problem = failure
                continue
            if found is not None:
                self._remember(name, version, found)
                return found
        if problem is not None:
            raise Overloaded(
                f"The prompt '{name}' cannot be had now: {problem.message}", retry_after=problem.retry_after or 5
            ) from problem
        which = "in production" if version is None else f"of version '{version}'"
        raise NotFound(
            f"There is no prompt '{name}' {which}. Check 'prompt_id' and 'prompt_version'.",
            param="prompt_id",
            code="prompt_not_found",
        )

    async def _renew(self, name: str, version: int | str | None, known: _Known) -> None:
        try:
            await self._fetched(name, version)
        except NotFound:
            self._known.pop((name, version), None)
        except GatewayError as failure:
            # The last one known goes on, and is asked for again in a while.
            _log.warning("%s The last version known goes on.", failure.message)
            known.at, known.asking = self._clock(), False

    def _remember(self, name: str, version: int | str | None, prompt: Prompt) -> None:
        if len(self._known) >= _REMEMBERED:
            self._known.pop(next(iter(self._known)))
        self._known[name, version] = _Known(prompt, self._clock())


async def prompted(call: Call, house: House) -> None:
    """Puts the template that `call` names before its messages.

    Raises:
        NotFound, Overloaded: It cannot be had.
        InvalidRequest: A variable is missing.
        UnsupportedParameter: What was asked takes no template.
    """
    options = call.options
    if options.prompt_id is None:
        return
    if call.surface.codec != "chat":
        raise UnsupportedParameter("'prompt_id' is for requests with messages. Leave it out.", param="prompt_id")
    with call.patience.within(call.seconds(house), _slow):
        prompt = await house.prompts.find(options.prompt_id, options.prompt_version)
    messages = before(rendered(prompt, dict(options.prompt_variables)), call.request["messages"])
    call.rewrite(cast("Any", {**call.request, "messages": messages}))


def _slow() -> Overloaded:
    return Overloaded("The prompt did not come in time. Try again, or allow more time.", retry_after=1)
