"""What Cohere refuses beside what `test_strict_cohere.py` holds: embeddings, ranking, tokens, listing."""

from typing import Any

from tests.testing.driver import PNG
from tests.testing.surfaces import Case

IMAGE = f"data:image/png;base64,{PNG}"
NEW, OLD = "embed-v4.0", "embed-english-v3.0"


def embedding(**members: Any) -> dict[str, Any]:
    """The smallest request to embed, with these members; what is None is left out."""
    body = {"model": NEW, "input_type": "search_document", "texts": ["a"], **members}
    return {name: value for name, value in body.items() if value is not None}


def ranking(**members: Any) -> dict[str, Any]:
    """The smallest request to rank, with these members; what is None is left out."""
    body = {"model": "rerank-v3.5", "query": "a", "documents": ["a", "b"], **members}
    return {name: value for name, value in body.items() if value is not None}


def embed(hint: str, status: int = 400, **members: Any) -> Case:
    """A request to embed."""
    return Case("/v2/embed", embedding(**members), hint, status)


def rerank(hint: str, status: int = 400, **members: Any) -> Case:
    """A request to rank."""
    return Case("/v2/rerank", ranking(**members), hint, status)


def listed(query: str, hint: str) -> Case:
    """A list that is asked for wrongly."""
    return Case(f"/v1/models?{query}", None, hint, method="GET")


def picture(url: str) -> dict[str, Any]:
    """An input of one picture."""
    return {"content": [{"type": "image_url", "image_url": {"url": url}}]}


CASES: dict[str, Case] = {
    "the purpose is needed": embed("input_type must be provided", input_type=None),
    "the purpose is known": embed("invalid value for input_type", input_type="query"),
    "the model is needed": embed("model must be provided", model=None),
    "something is embedded": embed("exactly one of texts, images or inputs", texts=None),
    "only one sort is": embed("exactly one of texts, images or inputs", images=[IMAGE]),
    "some texts": embed("texts must hold at least 1", texts=[]),
    "at most 96": embed("texts may hold at most 96", texts=["a"] * 97),
    "no tokens": embed("parameter texts[0] is of type number", texts=[1]),
    "types are known": embed("invalid value for embedding_types[0]", embedding_types=["int4"]),
    "truncation is known": embed("invalid value for truncate", truncate="LEFT"),
    "dimensions are of the model": embed("output_dimension must be one of 256, 512", output_dimension=300),
    "dimensions are fixed before version 4": embed(
        "output_dimension is not supported", model=OLD, output_dimension=256
    ),
    "unknown member": embed("unknown field", 422, dimensions=3),
    "an image is one": embed("image 0 must be a base64 data URL", texts=None, images=["https://a.example/b.png"]),
    "an image is an image": embed("image 0 must be", texts=None, images=["data:text/plain;base64,AAAA"]),
    "one image before version 4": embed("at most 1 item", model=OLD, texts=None, images=[IMAGE, IMAGE]),
    "an image among inputs is one": embed("image 0 must be", texts=None, inputs=[picture("https://a.example/b.png")]),
    "inputs are not empty": embed("inputs[0].content must hold at least 1", texts=None, inputs=[{"content": []}]),
    "inputs are of known types": embed("inputs[0].content[0].type", texts=None, inputs=[{"content": [{"type": "a"}]}]),
    "at most 96 inputs": embed("inputs may hold at most 96", texts=None, inputs=[picture(IMAGE)] * 97),
    "a query is needed": rerank("query must be provided", query=None),
    "a query says something": rerank("query must be at least 1", query=""),
    "documents are needed": rerank("documents must be provided", documents=None),
    "some documents": rerank("documents must hold at least 1", documents=[]),
    "documents are texts": rerank("parameter documents[0] is of type object", documents=[{"text": "a"}]),
    "top_n is above 0": rerank("top_n must be at least 1", top_n=0),
    "documents are not echoed": rerank("unknown field", 422, return_documents=True),
    "a text is needed": Case("/v1/tokenize", {"model": "command-a-03-2025"}, "text must be provided"),
    "a text says something": Case("/v1/tokenize", {"text": "", "model": "m"}, "text must be at least 1"),
    "a text is not too long": Case("/v1/tokenize", {"text": "a" * 65_537, "model": "m"}, "at most 65536"),
    "tokens are of a model": Case("/v1/tokenize", {"text": "a"}, "model must be provided"),
    "a page has a size": listed("page_size=many", "page_size"),
    "at most 1000": listed("page_size=1001", "page_size"),
    "at least 1": listed("page_size=0", "page_size"),
    "a page has a token": listed("page_token=x", "page_token"),
    "an endpoint is known": listed("endpoint=paint", "endpoint must be one of chat, embed"),
    "a key is needed": Case("/v2/embed", {}, "no api key supplied", 401, headers={"authorization": ""}),
    "a key is checked": Case(
        "/v1/check-api-key", None, "Incorrect API key", 401, headers={"authorization": "Bearer no"}
    ),
    "version 1 is not faked": Case("/v1/embed", embedding(), "not found", 404),
}
# Path and body of what is taken, so that no rule takes too much.
TAKEN: dict[str, tuple[str, Any]] = {
    "96 texts": ("/v2/embed", embedding(texts=["a"] * 96, output_dimension=256)),
    "two images with version 4": ("/v2/embed", embedding(texts=None, images=[IMAGE, IMAGE], input_type="image")),
    "one image before": ("/v2/embed", embedding(model=OLD, texts=None, images=[IMAGE])),
    "text beside an image": (
        "/v2/embed",
        embedding(texts=None, inputs=[{"content": [{"type": "text", "text": "a"}, *picture(IMAGE)["content"]]}]),
    ),
    "members that are null": (
        "/v2/embed",
        {**embedding(), "max_tokens": None, "output_dimension": None, "images": None, "truncate": "NONE"},
    ),
    "more is asked for than there is": ("/v2/rerank", ranking(top_n=9)),
    "long documents": ("/v2/rerank", ranking(documents=["a" * 9000], max_tokens_per_doc=100)),
}
