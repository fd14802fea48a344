"""Responses that a fake keeps, so that later requests can build on them.

What does not live here: reading and answering requests.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from compatgw_testing.fakes.answer import Json
from compatgw_testing.fakes.openai.wording import refuse

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One response that is kept.

    Attributes:
        response: The response, finished.
        inputs: The items of its request, each with an id.
        previous: Id of the response before it.
        background: It is worked on in the background until it is asked for.
    """

    response: Json
    inputs: tuple[Json, ...] = ()
    previous: str | None = None
    background: bool = False


@dataclass(slots=True)
class Store:
    """The responses of one fake, by id."""

    _kept: dict[str, Kept] = field(default_factory=dict)
    _trusted: set[str] = field(default_factory=set)

    def keep(self, kept: Kept) -> None:
        """Keeps a response."""
        self._kept[kept.response["id"]] = kept

    def trust(self, *ids: str) -> None:
        """Takes ids for those of responses or items that were kept once, with nothing in them."""
        self._trusted.update(ids)

    def clear(self) -> None:
        """Forgets all."""
        self._kept.clear()
        self._trusted.clear()

    def knows(self, id: str) -> bool:
        """A response of this id is kept."""
        return id in self._kept

    def get(self, id: str) -> Kept:
        """A response.

        Raises:
            Refused: There is none of this id.
        """
        kept = self._kept.get(id)
        if kept is None:
            raise refuse(f"Response with id '{id}' not found.", None, None, 404)
        return kept

    def delete(self, id: str) -> None:
        """Forgets one response.

        Raises:
            Refused: There is none of this id.
        """
        self.get(id)
        del self._kept[id]

    def cancel(self, id: str) -> Json:
        """Ends one that is worked on in the background.

        Raises:
            Refused: There is none of this id, or it was never in the background.
        """
        kept = self.get(id)
        if not kept.response["background"]:
            raise refuse("Cannot cancel a synchronous response.")
        if kept.background:
            cancelled = {**kept.response, "status": "cancelled", "output": [], "completed_at": None, "usage": None}
            self._kept[id] = replace(kept, response=cancelled, background=False)
        return self._kept[id].response

    def finish(self, id: str) -> Json:
        """A response as it is by now: what was in the background is done."""
        kept = self.get(id)
        self._kept[id] = replace(kept, background=False)
        return kept.response

    def before(self, id: str | None) -> list[Json]:
        """Every item of a conversation up to and with a response: what was sent and what was said.

        Raises:
            Refused: There is no response of this id.
        """
        chain: list[Kept] = []
        while id is not None and id not in self._trusted:
            if id not in self._kept:
                raise refuse(
                    f"Previous response with id '{id}' not found.",
                    "previous_response_id",
                    "previous_response_not_found",
                )
            chain.append(self._kept[id])
            id = chain[-1].previous
        return [item for kept in reversed(chain) for item in (*kept.inputs, *kept.response["output"])]

    def item(self, id: str) -> Json | None:
        """An item that was kept; empty if it is only trusted, None if there is none of this id."""
        found = next((one for one in self._items() if one.get("id") == id), None)
        return {} if found is None and id in self._trusted else found

    def _items(self) -> Iterator[Json]:
        for kept in self._kept.values():
            yield from kept.inputs
            yield from kept.response["output"]
