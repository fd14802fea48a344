"""Prompt templates on their way into a call: found where they are kept, remembered for a while, filled in.

A template that is remembered is used at once, and fetched anew behind the calls when it is older than `fresh`.
While its source is away the last one known goes on; one that was never had is 503. What changes in the ledger
is fetched anew before the next call, as soon as this process hears of it.

What does not live here: filling in (`policy/prompts.py`), Langfuse (`upstream/langfuse.py`), changing the ledger's
(`admin/prompts.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from compatgw.config import ConfigError
from compatgw.errors import GatewayError, InvalidRequest, NotFound, Overloaded, UnsupportedParameter
from compatgw.flow.storage import told
from compatgw.policy.prompts import before, chosen, label_fault, of_record, rendered
from compatgw.state.base import PROMPTS, StateError
from compatgw.surfaces.extensions import MAX_NAME
from compatgw.wire.prompts import PRODUCTION, Prompt, PromptMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from compatgw.flow.call import Call, House
    from compatgw.flow.tasks import Tasks
    from compatgw.sections import PromptSettings
    from compatgw.state.base import Ledger

    Key = tuple[str, int | str | None]

_log = logging.getLogger("compatgw")
# Names are the callers' own.
_REMEMBERED = 1_000
# Characters of all templates that are remembered.
_MEMORY = 64 << 20
# Seconds for which a name that nobody has is not asked for again.
_MISSED = 5.0
# Seconds after which the ledger is asked again for its changes when it could not be.
_BLIND = 5.0
_SHOWN = 80


class PromptSource(Protocol):
    """Where templates are kept."""

    async def prompt(self, name: str, version: int | str | None) -> Prompt | None:
        """The version of that number or label (None: `production`); None when there is none.

        Raises:
            GatewayError: It cannot be asked now.
        """
        ...


class Changes(Protocol):
    """Tells what changes in the ledger, within seconds (`state/watch.py`)."""

    def tell(self, listener: Callable[[Collection[str] | None], None]) -> None:
        """Tells `listener` the ids from now on; None: anything may have changed."""
        ...

    def is_fresh(self) -> bool:
        """True when it has looked lately."""
        ...

    async def refresh(self) -> None:
        """Looks."""
        ...


class Configured:
    """Templates of the configuration.

    Args:
        prompts: All versions by name.
    """

    def __init__(self, prompts: Mapping[str, Sequence[Prompt]]) -> None:
        self._prompts = prompts

    @classmethod
    def of(cls, settings: Mapping[str, PromptSettings | list[PromptSettings]]) -> Configured:
        """Those of the settings.

        Raises:
            ConfigError: A name or a label that no call can ask for, or a version that leaves open what it is.
        """
        return cls({name: _versions(name, given) for name, given in settings.items()})

    async def prompt(self, name: str, version: int | str | None) -> Prompt | None:
        """As `PromptSource`."""
        return chosen(self._prompts.get(name, ()), version)


class Recorded:
    """Templates of the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def prompt(self, name: str, version: int | str | None) -> Prompt | None:
        """As `PromptSource`."""
        number, label = (version, PRODUCTION) if isinstance(version, int) else (None, version or PRODUCTION)
        try:
            found = await self._ledger.prompt(name, number, label)
        except StateError as error:
            raise told(error) from error
        return None if found is None else of_record(found)


def _versions(name: str, given: PromptSettings | list[PromptSettings]) -> list[Prompt]:
    where = f"Setting 'prompts.{name[:_SHOWN]}'"
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise ConfigError(f"{where}: a name has 1 to {MAX_NAME} printable characters.")
    found: list[Prompt] = []
    for one in given if isinstance(given, list) else [given]:
        if (one.text is None) == (not one.messages):
            raise ConfigError(f"{where}: give each version either 'text' or 'messages'.")
        messages = [PromptMessage(message["role"], message["content"]) for message in one.messages]
        if one.text is not None:
            messages = [PromptMessage("system", one.text)]
        for label in one.labels:
            if (fault := label_fault(label)) is not None:
                raise ConfigError(f"{where}: {fault}")
        found.append(Prompt(name=name, version=one.version, labels=frozenset(one.labels), messages=tuple(messages)))
    if not found:
        raise ConfigError(f"{where} has no version. Give one, or leave it out.")
    if len({prompt.version for prompt in found}) < len(found):
        raise ConfigError(f"{where}: two versions have one number. Give each its own 'version'.")
    labels = [label for prompt in found for label in prompt.labels]
    if len(set(labels)) < len(labels):
        raise ConfigError(f"{where}: two versions have one label. Leave it at one of them.")
    return found


@dataclass(slots=True)
class _Known:
    """A template as last heard of.

    Attributes:
        at: When, on the clock.
        asking: It is fetched anew behind the calls.
        changed: It may have changed: the next call waits until it is fetched anew.
    """

    prompt: Prompt
    at: float
    asking: bool = False
    changed: bool = False


class Prompts:
    """The templates of one gateway.

    Args:
        sources: In the order in which they are asked. One that cannot be asked is not passed over: who comes after
            it may have another template of that name.
        tasks: Owns what is fetched.
        clock: Seconds since 1970.
        fresh: Seconds for which a template is not asked for again.
        changes: Of the ledger; None without one.
    """

    def __init__(
        self,
        sources: Sequence[PromptSource],
        tasks: Tasks,
        *,
        clock: Callable[[], float],
        fresh: float = 60.0,
        changes: Changes | None = None,
    ) -> None:
        self._sources = sources
        self._tasks = tasks
        self._clock = clock
        self._fresh = fresh
        self._changes = changes
        self._blind = float("-inf")
        # Counts changes: what was asked for before one may be of the time before.
        self._age = 0
        self._known: OrderedDict[Key, _Known] = OrderedDict()
        self._size = 0
        self._missed: dict[Key, float] = {}
        self._under_way: dict[tuple[asyncio.AbstractEventLoop, int, Key], asyncio.Task[Prompt]] = {}
        if changes is not None:
            changes.tell(self._hear)

    async def find(self, name: str, version: int | str | None) -> Prompt:
        """A template.

        Raises:
            NotFound: Nobody has it.
            Overloaded: It was never had, and who may have it cannot be asked.
        """
        if self._changes is not None and not self._changes.is_fresh():
            await self._look(self._changes)
        key: Key = (name, version)
        known = self._known.get(key)
        if known is None:
            if self._clock() - self._missed.get(key, float("-inf")) < min(_MISSED, self._fresh):
                raise _missing(name, version)
            return await asyncio.shield(self._fetching(key))
        self._known.move_to_end(key)
        if known.changed:
            return await self._anew(key, known)
        if self._clock() - known.at >= self._fresh and not known.asking:
            known.asking = True
            self._tasks.start(self._renew(key, known))
        return known.prompt

    def forget(self) -> None:
        """The next call asks for every template anew: one of them was changed."""
        self._age += 1
        self._missed.clear()
        for known in self._known.values():
            known.changed = True

    def _hear(self, ids: Collection[str] | None) -> None:
        if ids is None or PROMPTS in ids:
            self.forget()

    async def _look(self, changes: Changes) -> None:
        """Hears of changes; while the ledger is away, what is known goes on."""
        if self._clock() - self._blind < _BLIND:
            return
        try:
            await changes.refresh()
        except StateError as error:
            self._blind = self._clock()
            _log.warning("Changes of prompts are not heard of: %s", error)

    def _fetching(self, key: Key) -> asyncio.Task[Prompt]:
        """The one task of this loop that asks for a template, begun after the last change that was heard of."""
        place = (asyncio.get_running_loop(), self._age, key)
        if (task := self._under_way.get(place)) is None:
            task = self._under_way[place] = self._tasks.start(self._fetched(key))
            task.add_done_callback(lambda over: self._under_way.pop(place, None))
        return task

    async def _fetched(self, key: Key) -> Prompt:
        name, version = key
        age = self._age
        for source in self._sources:
            try:
                found = await source.prompt(name, version)
            except GatewayError as failure:
                raise Overloaded(
                    f"The prompt '{name[:_SHOWN]}' cannot be had now: {failure.message}",
                    code="upstream_unavailable",
                    retry_after=failure.retry_after or 5,
                ) from failure
            if found is not None:
                # What is of the time before a change takes no place of what may be of the time after it.
                if age == self._age or key not in self._known:
                    self._remember(key, found, changed=age != self._age)
                return found
        if age == self._age:
            self._drop(key)
            if len(self._missed) >= _REMEMBERED:
                self._missed.pop(next(iter(self._missed)))
            self._missed[key] = self._clock()
        raise _missing(name, version)

    async def _anew(self, key: Key, known: _Known) -> Prompt:
        """The template as it is after a change; as it was, where that cannot be had."""
        try:
            return await asyncio.shield(self._fetching(key))
        except Overloaded as failure:
            _log.warning("%s The last version known goes on.", failure.message)
            known.at, known.changed = self._clock(), False
            return known.prompt

    async def _renew(self, key: Key, known: _Known) -> None:
        try:
            await self._fetching(key)
        except NotFound:
            _log.info("The prompt '%s' is not there any more.", key[0])
        except GatewayError as failure:
            _log.warning("%s The last version known goes on.", failure.message)
        finally:
            # Whatever came of it, the next try is a while away; what was fetched has taken its place by now.
            known.at, known.asking = self._clock(), False

    def _remember(self, key: Key, prompt: Prompt, *, changed: bool) -> None:
        self._drop(key)
        self._missed.pop(key, None)
        self._known[key] = _Known(prompt, self._clock(), changed=changed)
        self._size += _size(prompt)
        while len(self._known) > _REMEMBERED or (self._size > _MEMORY and len(self._known) > 1):
            self._drop(next(iter(self._known)))

    def _drop(self, key: Key) -> None:
        if (known := self._known.pop(key, None)) is not None:
            self._size -= _size(known.prompt)


async def prompted(call: Call, house: House) -> None:
    """Puts the template that `call` names before its messages.

    Raises:
        NotFound, Overloaded: It cannot be had.
        InvalidRequest: No template is named, a variable is missing, or all of it is too long.
        UnsupportedParameter: What was asked takes no template.
    """
    options = call.options
    if options.prompt_id is None:
        if options.prompt_version is not None or options.prompt_variables:
            raise InvalidRequest(
                "'prompt_version' and 'prompt_variables' say something of a prompt. Name it in 'prompt_id'.",
                param="prompt_id",
                code="missing_parameter",
            )
        return
    if call.surface.codec != "chat":
        raise UnsupportedParameter("'prompt_id' is for requests with messages. Leave it out.", param="prompt_id")
    with call.patience.within(call.seconds(house), _slow):
        prompt = await house.prompts.find(options.prompt_id, options.prompt_version)
    own = rendered(prompt, dict(options.prompt_variables), most=house.settings.max_body)
    call.rewrite(cast("Any", {**call.request, "messages": before(own, call.request["messages"])}))


def _size(prompt: Prompt) -> int:
    return sum(len(message.content) for message in prompt.messages)


def _missing(name: str, version: int | str | None) -> NotFound:
    which = "in production" if version is None else f"of version '{str(version)[:_SHOWN]}'"
    return NotFound(
        f"There is no prompt '{name[:_SHOWN]}' {which}. Check 'prompt_id' and 'prompt_version'.",
        param="prompt_id",
        code="prompt_not_found",
    )


def _slow() -> Overloaded:
    return Overloaded("The prompt did not come in time. Try again, or allow more time.", retry_after=1)
