"""The fake server: routes, keys, errors and models of Gemini.

What does not live here: request rules (`rules.py`, `turns.py`), answers (`answers.py`).
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Unpack

from compatgw_testing.fakes.answer import Answer, Headers, Json, Problem, Refused
from compatgw_testing.fakes.base import MIB, Fake, Options, Route
from compatgw_testing.fakes.gemini.answers import BLOCKED, GeminiChat
from compatgw_testing.fakes.gemini.catalogue import entry_of, page_of
from compatgw_testing.fakes.gemini.embeddings import (
    MANY,
    ONE,
    check_batch,
    check_embed,
    check_predict,
    read_embed,
    read_predict,
    tokens_of,
    values_of,
)
from compatgw_testing.fakes.gemini.embeddings import embeds as could_embed
from compatgw_testing.fakes.gemini.errors import KEY, NAMES, STATUSES, TOKEN, problem_of
from compatgw_testing.fakes.gemini.imagen import check_paint, painted, paints, read_paint
from compatgw_testing.fakes.gemini.reading import read_generate
from compatgw_testing.fakes.gemini.rules import canonical, check_count, check_request
from compatgw_testing.fakes.gemini.schema import COUNTED, REQUEST, VERTEX
from compatgw_testing.fakes.gemini.turns import Signatures
from compatgw_testing.script import Turn, dump

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from compatgw_testing.journal import Call
    from compatgw_testing.request import Request
    from compatgw_testing.script import Failure

# In errors each verb goes by the name of the method that it belongs to.
_METHODS = {"streamGenerateContent": "generateContent", "batchEmbedContents": "embedContent"}


class FakeGemini(Fake):
    """A fake of the Gemini API, under `v1`, `v1beta` and `v1alpha`, and on Vertex; arguments as in `Fake`."""

    dialect: ClassVar[str] = "gemini"
    base_path = "/v1beta"
    default_key: ClassVar[str] = "AIza-fake-gemini"
    default_models: ClassVar[tuple[str, ...]] = (
        "gemini-2.5-flash",
        "gemini-2.5-pro",
        "gemini-3-pro-preview",
        "gemini-embedding-001",
    )
    max_body: ClassVar[int] = 100 * MIB
    failures: ClassVar[Mapping[str, Problem]] = NAMES
    routes: ClassVar[tuple[Route, ...]] = (
        Route("POST", "/models/(.+):generateContent", "_generate"),
        Route("POST", "/models/(.+):streamGenerateContent", "_stream"),
        Route("POST", "/models/(.+):countTokens", "_count"),
        Route("POST", "/models/(.+):embedContent", "_embed"),
        Route("POST", "/models/(.+):batchEmbedContents", "_embed_many"),
        Route("POST", "/models/(.+):predict", "_predict"),
        Route("GET", "/models", "_list"),
        Route("GET", "/models/([^:]+)", "_retrieve"),
    )

    def __init__(self, key: str | None = None, **options: Unpack[Options]) -> None:
        super().__init__(key, **options)
        self.signatures = Signatures()

    def block(self, reason: str = "SAFETY") -> Self:
        """Answers a call by blocking its prompt: `promptFeedback` and no candidates."""
        return self.enqueue(Turn(finish=f"{BLOCKED}{reason}"))

    def prefixes(self) -> tuple[str, ...]:
        """Patterns of what may stand before a route."""
        return ("/v1(?:beta|alpha)?", "/v1(?:beta1)?/(?:projects/[^/]+/locations/[^/]+/)?publishers/google")

    def authorize(self, call: Call) -> None:
        """The key in `x-goog-api-key` or in the query, a wrong one is a 400; on Vertex as a bearer token, too."""
        given = call.headers.get("x-goog-api-key") or call.query.get("key")
        if _on_vertex(call) and not given:
            token = self.bearer(call.headers.get("authorization", ""))
            if not secrets.compare_digest(token.encode(), self.api_key.encode()):
                raise Refused(TOKEN)
            return
        if not given:
            message = (
                "Method doesn't allow unregistered callers. Please use API Key or other form of API consumer identity."
            )
            raise Refused(replace(STATUSES[403], message=message))
        if not secrets.compare_digest(given.encode(), self.api_key.encode()):
            raise Refused(KEY)

    def problem(self, failure: Failure) -> Problem:
        """What Gemini means by a scripted failure; how long to wait stands in the details."""
        return problem_of(failure, self.retry_headers)

    def no_route(self, call: Call, *, method: bool) -> Problem:
        """Google's front end answers unknown paths itself; `error` writes its page."""
        return Problem(status=404, message="Not Found", type=None)

    def no_model(self, call: Call, model: str) -> Problem:
        """Gemini's answer to an unknown model."""
        if _on_vertex(call):
            name = call.path.partition("/projects/")[2].partition(":")[0]
            return replace(STATUSES[404], message=f"Publisher Model `projects/{name}` not found.")
        version, _, _ = call.path.lstrip("/").partition("/")
        verb = call.path.rpartition(":")[2]
        method = _METHODS.get(verb, verb) if call.method == "POST" else "getModel"
        return replace(
            STATUSES[404],
            message=f"models/{model} is not found for API version {version}, or is not supported for {method}. Call "
            "ListModels to see the list of available models and their supported methods.",
        )

    def bad_json(self, call: Call) -> Problem:
        """Gemini's answer to a body that is no JSON."""
        return replace(STATUSES[400], message="Invalid JSON payload received. Unexpected token.")

    def envelope(self, call: Call, problem: Problem) -> Json:
        """The body of an error answer."""
        error: Json = {"code": problem.status, "message": problem.message, "status": problem.type}
        if problem.details:
            error["details"] = list(problem.details)
        return {"error": error}

    def error(self, call: Call, problem: Problem) -> Answer:
        """An error answer: a page for unknown paths, a list for streams that are arrays."""
        if problem.type is None:
            page = b"<!DOCTYPE html><title>Error 404 (Not Found)!!1</title><p>The requested URL was not found."
            return Answer(status=problem.status, headers=[("content-type", "text/html; charset=UTF-8")], body=page)
        body: object = self.envelope(call, problem)
        sse = call.query.get("alt") == "sse"
        if call.path.endswith(":streamGenerateContent") and not sse:
            body = [body]
        kind = "text/event-stream" if sse else "application/json; charset=UTF-8"
        text = json.dumps(body, ensure_ascii=False, indent=2) + "\n"
        headers = [("content-type", kind), *self.headers(call), *problem.headers.items()]
        return Answer(status=problem.status, headers=headers, body=text.encode())

    def headers(self, call: Call) -> Headers:
        """Service tier and timing; Gemini sends no request id."""
        return [("x-gemini-service-tier", "standard"), ("server-timing", "gfet4t7; dur=12")]

    def stream_headers(self) -> Headers:
        """Headers of an event stream."""
        return [("content-type", "text/event-stream"), ("content-disposition", "attachment")]

    # Routes.

    def _generate(self, call: Call, model: str) -> Answer:
        return self._play(call, model, streamed=False)

    def _stream(self, call: Call, model: str) -> Answer:
        answer = self._play(call, model, streamed=True)
        if answer.frames is not None and call.query.get("alt") != "sse" and answer.status == 200:
            answer.headers = [
                (name, "application/json; charset=UTF-8" if name == "content-type" else value)
                for name, value in answer.headers
            ]
        return answer

    def _play(self, call: Call, model: str, *, streamed: bool) -> Answer:
        self.require_model(call, model)
        vertex = _on_vertex(call)
        body = canonical(call.body, VERTEX if vertex else REQUEST)
        if self.strict:
            self._require(call, model, embeds=False)
            check_request(body, model, self.signatures, vertex=vertex)
        chat = self.read(
            lambda: GeminiChat(
                call,
                self.ids(call),
                body=body,
                model=model,
                streamed=streamed,
                sse=call.query.get("alt") == "sse",
                vertex_at=self.now(call) if vertex else None,
                signatures=self.signatures,
                envelope=lambda problem: self.envelope(call, problem),
            )
        )
        return self.play(call, chat)

    def _require(self, call: Call, model: str, *, embeds: bool) -> None:
        """A model that is known to be of another sort is not found."""
        if not could_embed(model) if embeds else "embedding" in model or paints(model):
            raise Refused(self.no_model(call, model))

    def _count(self, call: Call, model: str) -> Answer:
        self.require_model(call, model)
        vertex = _on_vertex(call)
        body = canonical(call.body, VERTEX if vertex else COUNTED)
        if self.strict:
            body = check_count(body, model, vertex=vertex)
        whole = self.read(lambda: body.get("generateContentRequest") or body)
        request = self.read(lambda: read_generate(whole, model, surface="tokens"))
        # As many as a request for content of the same is said to have read.
        tokens = len(dump(request.prompt)) // 4 + 1
        counted: Json = {"totalTokens": tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}]}
        if vertex:
            letters = sum(len(one.text) for one in request.messages)
            counted["totalBillableCharacters"] = letters
        return self.serve(call, request, lambda _: self.json_answer(call, counted))

    def _embed(self, call: Call, model: str) -> Answer:
        body = canonical(call.body, ONE)
        self._require_embeddings(call, model, lambda: check_embed(body, model))
        request = self.read(lambda: read_embed([body], model))

        def make(values: list[list[float]], tokens: int) -> Json:
            if not _on_vertex(call):
                return {"embedding": {"values": values[0]}, **_embedding_usage(model, tokens)}
            details = [{"modality": "TEXT", "tokenCount": tokens}]
            usage = {"promptTokenCount": tokens, "totalTokenCount": tokens, "promptTokensDetails": details}
            return {"embedding": {"values": values[0]}, "usageMetadata": usage}

        return self._embedded(call, request, make)

    def _embed_many(self, call: Call, model: str) -> Answer:
        body = canonical(call.body, MANY)
        self._require_embeddings(call, model, lambda: check_batch(body, model))
        request = self.read(lambda: read_embed(body["requests"], model))

        def make(values: list[list[float]], tokens: int) -> Json:
            return {"embeddings": [{"values": one} for one in values], **_embedding_usage(model, tokens)}

        return self._embedded(call, request, make)

    def _predict(self, call: Call, model: str) -> Answer:
        if paints(model):
            return self._paint(call, model)
        if not _on_vertex(call):
            raise Refused(self.no_model(call, model))
        self._require_embeddings(call, model, lambda: check_predict(call.body, model))
        request = self.read(lambda: read_predict(call.body, model))

        def make(values: list[list[float]], tokens: int) -> Json:
            counts = [tokens_of(one) for one in request.inputs]
            return {
                "predictions": [
                    {"embeddings": {"values": one, "statistics": {"truncated": False, "token_count": count}}}
                    for one, count in zip(values, counts, strict=True)
                ],
                "metadata": {"billableCharacterCount": sum(len(one) for one in request.inputs)},
            }

        return self._embedded(call, request, make)

    def _paint(self, call: Call, model: str) -> Answer:
        self.require_model(call, model)
        if self.strict:
            check_paint(call.body, model, vertex=_on_vertex(call))
        request = self.read(lambda: read_paint(call.body, model))

        def make(turn: Turn | None) -> Answer:
            said, refusal = (None, None) if turn is None else (turn.text, turn.refusal)
            return self.json_answer(call, self.read(lambda: painted(call.body, self.seed, said, refusal)))

        return self.serve(call, request, make)

    def _require_embeddings(self, call: Call, model: str, check: Callable[[], None]) -> None:
        self.require_model(call, model)
        if self.strict:
            self._require(call, model, embeds=True)
            check()

    def _embedded(self, call: Call, request: Request, make: Callable[[list[list[float]], int], Json]) -> Answer:
        def answer(turn: Turn | None) -> Answer:
            tokens = sum(tokens_of(one) for one in request.inputs)
            if self.limits is not None:
                self.limits.spend(tokens)
            return self.json_answer(call, make(values_of(self.vectors, request), tokens))

        return self.serve(call, request, answer)

    def _list(self, call: Call) -> Answer:
        self._developers_only(call)
        return self.json_answer(call, page_of(self.models, call.query))

    def _retrieve(self, call: Call, model: str) -> Answer:
        self._developers_only(call)
        self.require_model(call, model)
        return self.json_answer(call, entry_of(model))

    def _developers_only(self, call: Call) -> None:
        if _on_vertex(call):
            raise Refused(self.no_route(call, method=False))


def _on_vertex(call: Call) -> bool:
    return "/publishers/google/" in call.path


def _embedding_usage(model: str, tokens: int) -> Json:
    """The first models do not count."""
    if re.search(r"embedding-00\d|embedding-2-preview", model):
        return {}
    details = [{"modality": "TEXT", "tokenCount": tokens}]
    return {"usageMetadata": {"promptTokenCount": tokens, "promptTokenDetails": details}}
