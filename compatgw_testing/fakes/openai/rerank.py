"""Ranking of documents, as vendors have it whose embeddings are like OpenAI's: rules, answers, the route.

What does not live here: the vectors that it compares (`vectors.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from compatgw_testing.fakes.base import Route
from compatgw_testing.fakes.openai.vendor import Vendor
from compatgw_testing.fakes.openai.wording import members_of
from compatgw_testing.fakes.shape import Arr, Bool, Either, Num, Obj, Str
from compatgw_testing.request import Request

if TYPE_CHECKING:
    from compatgw_testing.fakes.answer import Answer, Json
    from compatgw_testing.fakes.openai.habit import Habit
    from compatgw_testing.fakes.shape import Shape
    from compatgw_testing.journal import Call
    from compatgw_testing.script import Turn

_MOST = 1000
_DOCUMENT = Either({"string": Str(), "object": Obj({"text": Str()}, ("text",))})
_REQUIRED = ("model", "query", "documents")


def check_rerank(body: Any, habit: Habit) -> None:
    """Raises Refused at the first thing in a request that the vendor would not take."""
    fields: dict[str, Shape] = {
        "model": Str(low=1),
        "query": Str(low=1),
        "documents": Arr(_DOCUMENT if habit.rerank == "results" else Str(), low=1, high=_MOST),
        habit.rerank_top: Num(1, whole=True),
        "return_documents": Bool(),
        "truncation": Bool(),
    }
    members_of(body, fields, _REQUIRED, habit)


class RerankSurface(Vendor):
    """`POST /rerank`."""

    rerank_routes: ClassVar[tuple[Route, ...]] = (Route("POST", "/rerank", "_rerank"),)

    def _rerank(self, call: Call) -> Answer:
        if self.strict:
            check_rerank(call.body, self.habit)
        request = self.read(lambda: self._ranking(call.body))
        self.require_model(call, request.model)

        def make(turn: Turn | None) -> Answer:
            return self.json_answer(call, self._ranked(call.body, request))

        return self.serve(call, request, make)

    def _ranking(self, body: Json) -> Request:
        texts = [str(one["text"]) if isinstance(one, dict) else str(one) for one in body["documents"]]
        top = body.get(self.habit.rerank_top)
        return Request(
            model=str(body["model"]),
            surface="rerank",
            inputs=(str(body["query"]), *texts),
            settings={} if top is None else {"top_n": int(top)},
            prompt=[body["query"], *texts],
        )

    def _ranked(self, body: Json, request: Request) -> Json:
        habit, (query, *documents) = self.habit, request.inputs
        top = request.settings.get("top_n")
        found = self.vectors.ranked(query, documents)[: top if isinstance(top, int) else None]
        entries: list[Json] = [{"index": index, "relevance_score": score} for index, score in found]
        if body.get("return_documents", habit.rerank_repeats):
            for entry in entries:
                text = documents[entry["index"]]
                entry["document"] = {"text": text} if habit.rerank == "results" else text
        tokens = sum(len(one) // 4 + 1 for one in request.inputs)
        if self.limits is not None:
            self.limits.spend(tokens)
        return {"object": "list", habit.rerank: entries, "model": request.model, "usage": {"total_tokens": tokens}}
