"""Vendors without a fake of their own, as strict as their documents and recordings show them to be.

Each takes one request at its one path and refuses every member that it does not document.
"""

from __future__ import annotations

import base64
import struct
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable


class Refused(Exception):
    """What the vendor answers with a status of its own."""

    def __init__(self, status: int, detail: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.body = {"detail": detail}


class Vendor:
    """An ASGI application: paths, each with what it answers to a body."""

    def __init__(self, **paths: Callable[[dict[str, Any]], Any]) -> None:
        self._paths = {"/v1/" + name: answer for name, answer in paths.items()}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI application."""
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        try:
            answer = self._paths.get(scope["path"])
            if answer is None:
                raise Refused(404, f"no path {scope['path']}")
            status, told = 200, answer(orjson.loads(body))
        except Refused as refused:
            status, told = refused.status, refused.body
        head = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": orjson.dumps(told)})


def _only(body: dict[str, Any], types: dict[str, Any], needed: set[str], status: int) -> None:
    for name, value in body.items():
        if name not in types:
            raise Refused(status, f"Extra inputs are not permitted: {name}")
        if not isinstance(value, types[name]) or (isinstance(value, bool) and types[name] is not bool):
            raise Refused(status, f"{name} has a wrong type")
    if missing := needed - body.keys():
        raise Refused(status, f"Field required: {sorted(missing)[0]}")


def _texts(given: Any, most: int, status: int) -> list[str]:
    texts = [given] if isinstance(given, str) else given
    if not texts or len(texts) > most or not all(isinstance(one, str) and one for one in texts):
        raise Refused(status, f"input has to hold 1 to {most} texts")
    return texts


def vector(text: str, size: int) -> list[float]:
    """A vector that tells texts apart, each number exact in 32 bits."""
    return [len(text) + 0.5, *([float(ord(text[0]))] * (size - 1))]


def _packed(values: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


def _rows(texts: list[str], size: int, packed: bool) -> list[dict[str, Any]]:
    vectors = [vector(text, size) for text in texts]
    return [
        {"object": "embedding", "index": index, "embedding": _packed(one) if packed else one}
        for index, one in enumerate(vectors)
    ]


def voyage_embeddings(body: dict[str, Any]) -> Any:
    """`POST /v1/embeddings` of Voyage."""
    types = {
        "input": (str, list), "model": str, "input_type": str, "truncation": bool, "output_dimension": int,
        "output_dtype": str, "encoding_format": str,
    }  # fmt: skip
    _only(body, types, {"input", "model"}, 400)
    if body["model"] == "nonexistent":
        raise Refused(400, "Model nonexistent is not supported. Supported models are ['voyage-4'].")
    if body.get("input_type") not in (None, "query", "document"):
        raise Refused(400, "input_type must be query or document")
    if body.get("encoding_format") not in (None, "base64"):
        raise Refused(400, "encoding_format must be base64")
    texts = _texts(body["input"], 1000, 400)
    size = body.get("output_dimension", 4)
    whole = body.get("output_dtype", "float") != "float"
    rows = _rows(texts, size, body.get("encoding_format") == "base64")
    if whole:
        rows = [{**row, "embedding": [-7] * size} for row in rows]
    return {"object": "list", "data": rows, "model": body["model"], "usage": {"total_tokens": 3 * len(texts)}}


def voyage_rerank(body: dict[str, Any]) -> Any:
    """`POST /v1/rerank` of Voyage: the longest document is the best."""
    types = {"query": str, "documents": list, "model": str, "top_k": int, "return_documents": bool, "truncation": bool}
    _only(body, types, {"query", "documents", "model"}, 400)
    ranked = _ranked(_texts(body["documents"], 1000, 400), body.get("top_k"))
    return {"object": "list", "data": ranked, "model": body["model"], "usage": {"total_tokens": 43}}


def _ranked(documents: list[str], top: int | None) -> list[dict[str, Any]]:
    order = sorted(range(len(documents)), key=lambda index: -len(documents[index]))
    return [{"relevance_score": len(documents[index]) / 100, "index": index} for index in order[:top]]


def jina_embeddings(body: dict[str, Any]) -> Any:
    """`POST /v1/embeddings` of Jina."""
    types = {
        "input": list, "model": str, "task": str, "dimensions": int, "embedding_type": str, "late_chunking": bool,
        "truncate": bool, "normalized": bool,
    }  # fmt: skip
    _only(body, types, {"input", "model"}, 422)
    tasks = ("retrieval.query", "retrieval.passage", "text-matching", "classification", "separation")
    if body.get("task", tasks[0]) not in tasks:
        raise Refused(422, "task is none of those that are known")
    if body.get("embedding_type") not in (None, "float", "base64", "binary", "ubinary"):
        raise Refused(422, "embedding_type is none of those that are known")
    texts = _texts(body["input"], 2048, 422)
    rows = _rows(texts, body.get("dimensions", 4), body.get("embedding_type") == "base64")
    usage = {"total_tokens": 5 * len(texts), "prompt_tokens": 5 * len(texts)}
    return {"model": body["model"], "object": "list", "usage": usage, "data": rows}


def jina_rerank(body: dict[str, Any]) -> Any:
    """`POST /v1/rerank` of Jina: the longest document is the best, and each is repeated unless told not to."""
    types = {"query": str, "documents": list, "model": str, "top_n": int, "return_documents": bool, "truncation": bool}
    _only(body, types, {"query", "documents", "model"}, 422)
    texts = [one if isinstance(one, str) else one.get("text", one.get("image", "")) for one in body["documents"]]
    ranked = _ranked(texts, body.get("top_n"))
    if body.get("return_documents", True):
        ranked = [{**one, "document": {"text": texts[one["index"]]}} for one in ranked]
    return {"model": body["model"], "object": "list", "usage": {"total_tokens": 38}, "results": ranked}


def mistral_moderations(body: dict[str, Any]) -> Any:
    """`POST /v1/moderations` of Mistral: the word `hate` is hate, `@` is personal."""
    _only(body, {"model": str, "input": (str, list)}, {"model", "input"}, 422)
    names = (
        "sexual", "hate_and_discrimination", "violence_and_threats", "dangerous", "criminal", "selfharm", "health",
        "financial", "law", "pii", "jailbreaking",
    )  # fmt: skip
    found = []
    for text in _texts(body["input"], 512, 422):
        on = {"hate_and_discrimination": "hate" in text, "pii": "@" in text, "criminal": "steal" in text}
        flags = {name: on.get(name, False) for name in names}
        found.append(
            {"categories": flags, "category_scores": {name: 0.9 if flag else 0.01 for name, flag in flags.items()}}
        )
    usage = {"prompt_tokens": 9, "total_tokens": 98, "completion_tokens": 0, "request_count": 1}
    return {"id": "4d71", "usage": usage, "model": body["model"], "results": found}


def mistral_embeddings(body: dict[str, Any]) -> Any:
    """`POST /v1/embeddings` of Mistral, asked without a form."""
    types = {"model": str, "input": (str, list), "output_dimension": int, "output_dtype": str}
    _only(body, types, {"model", "input"}, 422)
    texts = _texts(body["input"], 10_000, 422)
    usage = {"prompt_audio_seconds": None, "prompt_tokens": 21, "total_tokens": 21, "completion_tokens": 0}
    rows = _rows(texts, body.get("output_dimension", 4), False)
    return {"id": "d565", "object": "list", "data": rows, "model": body["model"], "usage": usage}


VOYAGE = Vendor(embeddings=voyage_embeddings, rerank=voyage_rerank)
JINA = Vendor(embeddings=jina_embeddings, rerank=jina_rerank)
MISTRAL = Vendor(embeddings=mistral_embeddings, moderations=mistral_moderations)
