"""The routes of OpenAI's Responses: create, retrieve, delete, cancel, list what was sent.

What does not live here: rules, reading, answers, the store itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Unpack

from compatgw_testing.fakes.base import Options, Route
from compatgw_testing.fakes.openai.responses.answers import ResponseChat
from compatgw_testing.fakes.openai.responses.reading import items_of, whole
from compatgw_testing.fakes.openai.responses.rules import check_items, check_response
from compatgw_testing.fakes.openai.responses.store import Kept, Store
from compatgw_testing.fakes.openai.vendor import Vendor
from compatgw_testing.fakes.openai.wording import refuse
from compatgw_testing.script import dump

if TYPE_CHECKING:
    from compatgw_testing.fakes.answer import Answer, Json
    from compatgw_testing.fakes.openai.habit import Habit
    from compatgw_testing.journal import Call


class ResponsesSurface(Vendor):
    """`POST /responses` and what may be done with a response that is kept."""

    responses_routes: ClassVar[tuple[Route, ...]] = (
        Route("POST", "/responses", "_respond"),
        Route("POST", "/responses/input_tokens", "_count"),
        Route("GET", "/responses/([^/]+)", "_recall"),
        Route("DELETE", "/responses/([^/]+)", "_forget"),
        Route("POST", "/responses/([^/]+)/cancel", "_cancel", "none"),
        Route("GET", "/responses/([^/]+)/input_items", "_inputs"),
    )

    def __init__(self, key: str | None = None, *, habit: str | Habit = "openai", **options: Unpack[Options]) -> None:
        super().__init__(key, habit=habit, **options)
        self.stored = Store()

    def reset(self) -> None:
        """Forgets script, rules, quota, journal and the responses that were kept."""
        super().reset()
        self.stored.clear()

    def _respond(self, call: Call) -> Answer:
        chat = self._asked(call)
        self.require_model(call, chat.request.model)
        return self.play(call, chat)

    def _asked(self, call: Call) -> ResponseChat:
        if self.strict:
            check_response(call.body, self.habit)
        body: Json = call.body
        given = self.read(lambda: items_of(body))
        before = self.read(lambda: self.stored.before(body.get("previous_response_id")))
        items = [*before, *self._resolved(given)]
        if self.strict and not self._trusts(body):
            check_items(items, self.habit)
        ids, created = self.ids(call), self.now(call)
        sent = self.read(lambda: whole(given, ids))

        def keep(response: Json) -> None:
            if response["store"]:
                previous, waits = body.get("previous_response_id"), bool(body.get("background"))
                self.stored.keep(Kept(response=response, inputs=sent, previous=previous, background=waits))

        return self.read(lambda: ResponseChat(call, ids, self.habit, created, items, keep))

    def _trusts(self, body: Json) -> bool:
        """The request builds on a response of which nothing but the id is known."""
        before = body.get("previous_response_id")
        return before is not None and not self.stored.knows(before)

    def _resolved(self, items: list[Json]) -> list[Json]:
        """Items, those that only refer to others put in their place."""
        found: list[Json] = []
        for item in items:
            if item.get("type") != "item_reference":
                found.append(item)
                continue
            known = self.stored.item(str(item.get("id")))
            if known is None:
                raise refuse(
                    f"Item with id '{item.get('id')}' not found. Items are not persisted when 'store' is false.",
                    "input",
                    None,
                    404,
                )
            found += [known] if known else []
        return found

    def _count(self, call: Call) -> Answer:
        chat = self._asked(call)
        request = chat.request
        tokens = len(dump(request.prompt)) // 4 + 1
        answer = {"object": "response.input_tokens", "input_tokens": tokens}
        counted = replace(request, surface="tokens", stream=False)
        return self.serve(call, counted, lambda turn: self.json_answer(call, answer))

    def _recall(self, call: Call, id: str) -> Answer:
        return self.json_answer(call, self.stored.finish(id))

    def _forget(self, call: Call, id: str) -> Answer:
        self.stored.delete(id)
        return self.json_answer(call, {"id": id, "object": "response", "deleted": True})

    def _cancel(self, call: Call, id: str) -> Answer:
        return self.json_answer(call, self.stored.cancel(id))

    def _inputs(self, call: Call, id: str) -> Answer:
        kept = self.stored.get(id)
        items = list(kept.inputs)
        if call.query.get("order", "desc") == "desc":
            items.reverse()
        if (after := call.query.get("after")) is not None:
            at = next((number for number, one in enumerate(items) if one["id"] == after), len(items) - 1)
            items = items[at + 1 :]
        limit = call.query.get("limit", "20")
        if not limit.isdigit() or not 1 <= int(limit) <= 100:
            raise refuse(f"Invalid 'limit': expected 1 to 100, got {limit}.", "limit", "invalid_value")
        page = items[: int(limit)]
        ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": None, "last_id": None}
        more = len(items) > len(page)
        return self.json_answer(call, {"object": "list", "data": page, **ends, "has_more": more})
