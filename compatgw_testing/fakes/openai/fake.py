"""The fake server: every surface of OpenAI, of which a vendor with its protocol has those of its habit.

What does not live here: what surfaces share (`vendor.py`), each of them (`embeddings.py`, `images.py`, ...), chat's
rules and answers (`rules.py`, `answers.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from compatgw_testing.fakes.base import Route
from compatgw_testing.fakes.openai.answers import OpenAIChat
from compatgw_testing.fakes.openai.audio import AudioSurface
from compatgw_testing.fakes.openai.completions import CompletionsSurface
from compatgw_testing.fakes.openai.embeddings import EmbeddingsSurface
from compatgw_testing.fakes.openai.images import ImagesSurface
from compatgw_testing.fakes.openai.moderations import ModerationsSurface
from compatgw_testing.fakes.openai.rerank import RerankSurface
from compatgw_testing.fakes.openai.responses.surface import ResponsesSurface
from compatgw_testing.fakes.openai.rules import check_request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw_testing.fakes.answer import Answer
    from compatgw_testing.fakes.openai.habit import Surface
    from compatgw_testing.journal import Call

_CHAT = (Route("POST", "/chat/completions", "_chat"),)
_MODELS = (Route("GET", "/models", "_list"), Route("GET", "/models/(.+)", "_retrieve"))


class FakeOpenAI(
    ResponsesSurface,
    EmbeddingsSurface,
    ModerationsSurface,
    ImagesSurface,
    AudioSurface,
    CompletionsSurface,
    RerankSurface,
):
    """A fake of OpenAI's API, or of a vendor that speaks it.

    Args:
        key: The one key that is accepted.
        habit: A name in `HABITS` (`groq`, `mistral`, `deepseek`, `xai`, `ollama`, ...), or a row.
        seed, strict, models, pace: As in `Fake`.
    """

    surfaces: ClassVar[Mapping[Surface, tuple[Route, ...]]] = {
        "chat": _CHAT,
        "responses": ResponsesSurface.responses_routes,
        "embeddings": EmbeddingsSurface.embeddings_routes,
        "moderations": ModerationsSurface.moderations_routes,
        "images": ImagesSurface.images_routes,
        "audio": AudioSurface.audio_routes,
        "completions": CompletionsSurface.completions_routes,
        "models": _MODELS,
        "rerank": RerankSurface.rerank_routes,
    }
    routes: ClassVar[tuple[Route, ...]] = tuple(route for routes in surfaces.values() for route in routes)

    def _chat(self, call: Call) -> Answer:
        if self.strict:
            check_request(call.body, self.habit)
        ids, created = self.ids(call), self.now(call)
        chat = self.read(
            lambda: OpenAIChat(call, ids, self.habit, created, lambda problem: self.envelope(call, problem))
        )
        self.require_model(call, chat.model)
        return self.play(call, chat)

    def _list(self, call: Call) -> Answer:
        head = {} if "object" in self.habit.model_without else {"object": "list"}
        return self.json_answer(call, {**head, "data": [self.entry(name) for name in self.models]})

    def _retrieve(self, call: Call, model: str) -> Answer:
        self.require_model(call, model)
        return self.json_answer(call, self.entry(model))
