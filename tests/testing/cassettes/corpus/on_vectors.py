"""The scenarios of vendors that make vectors and rankings and no chat."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Mapping
from typing import Any

from tests.testing.cassettes.corpus.plain import ByHand
from tests.testing.cassettes.corpus.scenario import Said, Scenario, failing, refused

TEXTS = ["Paris", "Rome"]
DOCUMENTS = ["Paris is in France.", "Rome is in Italy.", "Berlin is in Germany."]
QUESTION = "Which city is in Italy?"


def vectors(**members: Any) -> Callable[[ByHand, str], Said]:
    """How long the vectors are, and how they begin, as numbers or as base64 of floats."""

    def ask(client: ByHand, model: str) -> Said:
        found = client.post("/embeddings", {"model": model, "input": TEXTS, **members}).json()["data"]
        read = [_floats(one["embedding"]) for one in found]
        return Said(str([(len(one), round(one[0], 4)) for one in read]))

    return ask


def _floats(given: Any) -> list[float]:
    if isinstance(given, list):
        return given
    data = base64.b64decode(given)
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def ranking(under: str, **members: Any) -> Callable[[ByHand, str], Said]:
    """Which documents are the nearest."""

    def ask(client: ByHand, model: str) -> Said:
        body = {"model": model, "query": QUESTION, "documents": DOCUMENTS, **members}
        found = client.post("/rerank", body).json()[under]
        return Said(str([(one["index"], one.get("document")) for one in found]))

    return ask


def _errors(ask: Callable[[ByHand, str], Said], model: str) -> dict[str, Scenario]:
    return {f"error_{status}": Scenario(refused(ask), failing(status), model, live=False) for status in (400, 401, 429)}


VOYAGE: Mapping[str, Scenario] = {
    "embeddings": Scenario(
        vectors(input_type="document", output_dimension=256, truncation=True), lambda fake: fake, "voyage-4"
    ),
    "embeddings_base64": Scenario(
        vectors(input_type="query", output_dimension=256, encoding_format="base64"), lambda fake: fake, "voyage-4"
    ),
    "rerank": Scenario(ranking("data", top_k=2), lambda fake: fake, "rerank-2.5"),
    "rerank_documents": Scenario(ranking("data", return_documents=True), lambda fake: fake, "rerank-2.5"),
    **_errors(vectors(), "voyage-4"),
}
JINA: Mapping[str, Scenario] = {
    "embeddings": Scenario(vectors(task="retrieval.passage", dimensions=256), lambda fake: fake, "jina-embeddings-v3"),
    "embeddings_base64": Scenario(
        vectors(task="retrieval.query", dimensions=256, embedding_type="base64"),
        lambda fake: fake,
        "jina-embeddings-v3",
    ),
    "rerank": Scenario(ranking("results", top_n=2, return_documents=False), lambda fake: fake, "jina-reranker-v3"),
    "rerank_documents": Scenario(ranking("results"), lambda fake: fake, "jina-reranker-v3"),
    **_errors(vectors(), "jina-embeddings-v3"),
}
