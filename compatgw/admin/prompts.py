"""Prompt templates of the ledger: versions that are never changed, and labels that move from one to another at once.

A version that is removed is kept, so that the audit log still leads somewhere, and its number is not given out again.

What does not live here: using them (`flow/prompts.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from compatgw.admin import documents, rules
from compatgw.admin.contention import TRIES, busy
from compatgw.errors import Conflict, NotFound
from compatgw.state.base import PROMPTS, Changed, Duplicate, Missing, Prompt

if TYPE_CHECKING:
    from compatgw.admin.audit import Auditor
    from compatgw.state.base import Ledger

_PAGE = 100
_SHOWN = 80
# So many fit every database's whole numbers.
_DIGITS = 9


class Templates:
    """Changes prompts; `Office` says what the arguments are."""

    def __init__(
        self,
        ledger: Ledger,
        audit: Auditor,
        clock: Callable[[], float],
        ids: Callable[[], str],
        changed: Callable[..., None],
    ) -> None:
        self._ledger = ledger
        self._audit = audit
        self._clock = clock
        self._ids = ids
        self._changed = changed

    async def add(
        self, name: str, *, text: object = None, messages: object = None, labels: Sequence[str] = (), by: str
    ) -> Prompt:
        """A new version of a prompt, which has the next number and takes the labels off the others.

        Args:
            text: A system message alone. messages: Several, with `role` and `content`. One of the two.

        Raises:
            InvalidRequest: A member that cannot be.
        """
        own = rules.id(name, "name")
        kind, body = rules.template(text, messages)
        marks = rules.labels(labels, "labels")
        newest = (await self._ledger.page(Prompt, where={"name": own}, limit=1)).items
        number = newest[0].number + 1 if newest else 1
        for _ in range(TRIES):
            prompt = Prompt(
                id=f"prompt-{self._ids()}",
                name=own,
                number=number,
                kind=kind,
                body=body,
                labels=marks,
                by=self._audit.name(by),
                created=self._clock(),
            )
            audit = self._audit.entry(by, "prompt.create", subject(prompt), after=documents.of_prompt_row(prompt))
            try:
                stored = await self._ledger.add(prompt, audit)
            except Duplicate:
                # Somebody else took the number.
                number += 1
                continue
            self._changed(stored.id, PROMPTS)
            return stored
        raise busy("prompt", own)

    async def find(self, name: str, version: str) -> Prompt:
        """The version of a number, written in digits, or of a label; `latest` is the newest.

        Raises:
            NotFound: There is none.
        """
        number = int(version) if version.isascii() and version.isdigit() and len(version) <= _DIGITS else None
        # Of a larger number there is no version, and no label is a number.
        found = await self._ledger.prompt(name, number, version)
        if found is None:
            raise NotFound(f"There is no version '{version[:_SHOWN]}' of a prompt '{name[:_SHOWN]}'.", code="not_found")
        return found

    async def label(self, name: str, label: str, number: int, *, by: str) -> Prompt:
        """Gives a label to a version; the one that had it has it no more, from the same moment on.

        Raises:
            InvalidRequest: No label. NotFound: No such version.
        """
        mark = rules.label(label, "label")

        def labelled(prompt: Prompt) -> Prompt:
            if mark in prompt.labels:
                return prompt
            return replace(prompt, labels=rules.labels((*prompt.labels, mark), "labels"))

        return await self._update(name, str(number), labelled, "prompt.label", by)

    async def unlabel(self, name: str, label: str, *, by: str) -> Prompt:
        """Takes a label off the version that has it.

        Raises:
            InvalidRequest: No label. NotFound: No version has it.
        """
        mark = rules.label(label, "label")

        def bare(prompt: Prompt) -> Prompt:
            return replace(prompt, labels=tuple(each for each in prompt.labels if each != mark))

        return await self._update(name, mark, bare, "prompt.unlabel", by)

    async def remove(self, name: str, number: int, *, by: str) -> Prompt:
        """Removes a version.

        Raises:
            NotFound: There is none. Conflict: It has labels, and calls that name these would fail.
        """

        def removed(prompt: Prompt) -> Prompt:
            if prompt.labels:
                raise Conflict(
                    f"Version {number} of the prompt '{name}' is labelled '{prompt.labels[0]}', and calls would miss "
                    "it. Give the label to another version first, or remove the whole prompt.",
                    code="in_use",
                    should_retry=False,
                )
            return replace(prompt, removed=True)

        return await self._update(name, str(number), removed, "prompt.remove", by)

    async def remove_all(self, name: str, *, by: str) -> int:
        """Removes all versions of a prompt, whatever their labels; how many there were.

        Raises:
            NotFound: There is none.
        """
        done = 0
        while True:
            page = await self._ledger.page(Prompt, where={"name": name, "removed": False}, limit=_PAGE)
            for found in page.items:
                try:
                    await self._update(
                        name,
                        str(found.number),
                        lambda prompt: replace(prompt, labels=(), removed=True),
                        "prompt.remove",
                        by,
                    )
                except NotFound:
                    # Somebody else was faster.
                    continue
                done += 1
            if not page.items:
                break
        if not done:
            raise NotFound(f"There is no prompt '{name[:_SHOWN]}'.", code="not_found")
        return done

    async def _update(self, name: str, version: str, make: Callable[[Prompt], Prompt], action: str, by: str) -> Prompt:
        """Replaces a version by what `make` makes of it, again and again until nobody was faster."""
        for _ in range(TRIES):
            before = await self.find(name, version)
            made = make(before)
            if made == before:
                return before
            after = replace(made, changed=self._clock(), changed_by=self._audit.name(by))
            audit = self._audit.entry(
                by,
                action,
                subject(before),
                before=documents.of_prompt_row(before),
                after=documents.of_prompt_row(replace(after, version=before.version + 1)),
            )
            try:
                stored = await self._ledger.change(after, audit)
            except (Changed, Missing):
                continue
            self._changed(stored.id, PROMPTS)
            return stored
        raise busy("prompt", name)


def subject(prompt: Prompt) -> str:
    """A version, as the audit log names it."""
    return f"{prompt.name}/{prompt.number}"
