"""What Gemini refuses beside what `test_strict_gemini.py` holds: embeddings, counting, listing, Vertex."""

from typing import Any

from tests.testing.surfaces import Case
from tests.testing.test_strict_gemini import NEW, OLD, USER, config, declared, function, talk

EMBEDDER, FIRST = "gemini-embedding-2", "gemini-embedding-001"
PAINTER = "imagen-4.0-generate-001"
PLACE = "/v1/projects/p/locations/global/publishers/google"
TEXT = {"parts": [{"text": "Hi"}]}
# In place of the key, what Vertex takes.
BEARER = {"x-goog-api-key": "", "authorization": "Bearer AIza-fake-gemini"}


def path(verb: str, model: str = EMBEDDER) -> str:
    """Where a model is asked for something."""
    return f"/v1beta/models/{model}:{verb}"


def one(hint: str, model: str = EMBEDDER, **members: Any) -> Case:
    """A text to embed, with these members."""
    return Case(path("embedContent", model), {"content": TEXT, **members}, hint)


def many(hint: str, *requests: Any, **members: Any) -> Case:
    """Texts to embed."""
    return Case(path("batchEmbedContents"), {"requests": list(requests), **members}, hint)


def item(**members: Any) -> dict[str, Any]:
    """One of several texts to embed."""
    return {"model": f"models/{EMBEDDER}", "content": TEXT, **members}


def counted(hint: str, body: Any) -> Case:
    """A request for a count."""
    return Case(path("countTokens", OLD), body, hint)


def predicted(hint: str, body: Any, status: int = 400, place: str = PLACE) -> Case:
    """Vertex's older form of a request to embed."""
    return Case(f"{place}/models/text-embedding-005:predict", body, hint, status)


def painted(hint: str, model: str = PAINTER, place: str = PLACE, **parameters: Any) -> Case:
    """A request for images of Imagen's."""
    body: dict[str, Any] = {"instances": [{"prompt": "a cat"}], "parameters": parameters}
    if labels := parameters.pop("labels", None):
        body["labels"] = labels
    return Case(f"{place}/models/{model}:predict", body, hint)


def on_vertex(hint: str, body: Any, model: str = OLD, status: int = 400) -> Case:
    """A request for content on Vertex."""
    return Case(f"{PLACE}/models/{model}:generateContent", body, hint, status)


def listed(query: str, hint: str) -> Case:
    """A list that is asked for wrongly."""
    return Case(f"/v1beta/models?{query}", None, hint, method="GET")


SEARCH = {"tools": [{"googleSearch": {}}, {"functionDeclarations": [function()]}]}
CASES: dict[str, Case] = {
    "content is needed": Case(path("embedContent"), {}, "EmbedContentRequest.content: content is not specified"),
    "parts are needed": one("contents.parts must not be empty", content={"parts": []}),
    "a part is not empty": one("empty Part", content={"parts": [{"text": ""}]}),
    "unknown member": one('Unknown name \\"dimensions\\"', dimensions=3),
    "unknown task": one("Invalid value at 'task_type'", taskType="SEARCH"),
    "title is text": one("Invalid value at 'title'", title=1),
    "a title belongs to documents": one("title: only allowed when task_type is RETRIEVAL_DOCUMENT", title="A"),
    "a title belongs to no query": one("title: only allowed when", title="A", taskType="RETRIEVAL_QUERY"),
    "also in the configuration": one("embed_content_config.title: only allowed", embedContentConfig={"title": "A"}),
    "dimensions are whole": one("Invalid value at 'output_dimensionality'", outputDimensionality=1.5),
    "dimensions are above 0": one("output_dimensionality: must be at least 1", outputDimensionality=0),
    "at most those of the model": one("output_dimensionality: must be from 1 to 3072", outputDimensionality=3073),
    "at least 128 of the first": one("must be from 128 to 3072, got 127", FIRST, outputDimensionality=127),
    "at most 768 of old ones": one("must be from 1 to 768", "text-embedding-004", outputDimensionality=769),
    "a model of content does not embed": Case(
        path("embedContent", OLD), {"content": TEXT}, "is not supported for embedContent", 404
    ),
    "a model of embeddings says nothing": Case(
        path("generateContent"), {"contents": [USER]}, "is not supported for generateContent", 404
    ),
    "a batch is not empty": many("BatchEmbedContentsRequest.requests: must be at least 1"),
    "a batch is needed": Case(path("batchEmbedContents"), {}, "requests: requests is not specified"),
    "at most 100": many("requests: at most 100 items, got 101", *[item()] * 101),
    "each names the model": many("requests[1].model: unexpected model name format", item(), {"content": TEXT}),
    "with its prefix": many(f"requests[0].model: {EMBEDDER} is not the model", item(model=EMBEDDER)),
    "the same model": many("requests[0].model: models/a is not the model", item(model="models/a")),
    "each has content": many("requests[0].content: content is not specified", {"model": f"models/{EMBEDDER}"}),
    "each has dimensions of the model": many("requests[0].output_dimensionality", item(outputDimensionality=5000)),
    "counting needs contents": counted("CountTokensRequest.contents: contents is not specified", {}),
    "counting needs contents inside": counted(
        "contents is not specified", {"generateContentRequest": {"model": f"models/{OLD}"}}
    ),
    "counting needs the model inside": counted(
        "generate_content_request.model: unexpected model name", {"generateContentRequest": {"contents": [USER]}}
    ),
    "contents stand once": counted(
        "Only one of contents", {"contents": [USER], "generateContentRequest": {"model": OLD, "contents": [USER]}}
    ),
    "counting takes no system instruction outside": counted(
        'Unknown name \\"systemInstruction\\"', {"contents": [USER], "systemInstruction": TEXT}
    ),
    "counting knows the roles": counted("Please use a valid role", {"contents": [{"role": "tool", **TEXT}]}),
    "a page has a size": listed("pageSize=many", "Invalid value at 'page_size'"),
    "a page has a token": listed("pageToken=x", "Invalid page token"),
    "Vertex has its own members": Case(
        path("generateContent", OLD), config(audioTimestamp=True), 'Unknown name \\"audioTimestamp\\"'
    ),
    "and methods of safety": Case(
        path("generateContent", OLD),
        talk(USER, safetySettings=[{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF", "method": "SEVERITY"}]),
        'Unknown name \\"method\\"',
    ),
    "Vertex has no invocations": on_vertex(
        'Unknown name \\"includeServerSideToolInvocations\\"',
        {**SEARCH, "contents": [USER], "toolConfig": {"includeServerSideToolInvocations": True}},
        NEW,
    ),
    "Vertex judges contents": on_vertex("contents is not specified", {}),
    "Vertex judges roles": on_vertex("Please use a valid role", talk({"role": "invalid_role", **TEXT})),
    "Vertex judges tools": on_vertex("Duplicate function declaration", declared(function(), function())),
    "predictions need instances": predicted("PredictRequest.instances: instances is not specified", {}),
    "predictions are of texts": predicted("instances[0].content", {"instances": [{}]}),
    "of some": predicted("instances: must be at least 1", {"instances": []}),
    "of at most 250": predicted("instances: at most 250 items", {"instances": [{"content": "a"}] * 251}),
    "of dimensions of the model": predicted(
        "parameters.output_dimensionality: must be from 1 to 768",
        {"instances": [{"content": "a"}], "parameters": {"outputDimensionality": 769}},
    ),
    "only Vertex predicts": predicted("is not supported for predict", {"instances": [{"content": "a"}]}, 404, "/v1"),
    "Imagen paints, and does not talk": Case(
        path("generateContent", PAINTER), talk(USER), "is not supported for generateContent", 404
    ),
    "Imagen embeds nothing": Case(path("embedContent", PAINTER), {"content": TEXT}, "for embedContent", 404),
    "no seed beside a watermark": painted("parameters.seed: not supported together with a watermark", seed=5),
    "fast ones have one resolution": painted("one resolution", "imagen-4.0-fast-generate-001", sampleImageSize="2K"),
    "so have older ones": painted("one resolution", "imagen-3.0-generate-002", sampleImageSize="2K"),
    "what is not wanted is no parameter any more": painted("negative_prompt: not supported by", negativePrompt="dogs"),
    "the Gemini API marks always": painted(
        "add_watermark: not supported in the Gemini", place="/v1beta", addWatermark=False
    ),
    "and knows no labels": painted("labels: not supported in the Gemini API", place="/v1beta", labels={"a": "b"}),
    "Vertex lists no models here": Case(f"{PLACE}/models", None, "Not Found", 404, "GET"),
    "Vertex wants a token": Case(
        f"{PLACE}/models/{OLD}:generateContent", talk(USER), "UNAUTHENTICATED", 401, headers={"x-goog-api-key": ""}
    ),
    "a wrong one is told": Case(
        f"{PLACE}/models/{OLD}:generateContent",
        talk(USER),
        "ACCESS_TOKEN_TYPE_UNSUPPORTED",
        401,
        headers={"x-goog-api-key": "", "authorization": "Bearer no"},
    ),
    "a key is needed": Case(path("embedContent"), {}, "PERMISSION_DENIED", 403, headers={"x-goog-api-key": ""}),
    "a wrong key is told": Case(path("embedContent"), {}, "API_KEY_INVALID", headers={"x-goog-api-key": "no"}),
    "beta1 is Vertex's": Case(f"/v1beta1/models/{OLD}:generateContent", talk(USER), "Not Found", 404),
}
# Path and body of what is taken, so that no rule takes too much.
TAKEN: dict[str, tuple[str, Any]] = {
    "snake case": (path("embedContent"), {"content": TEXT, "output_dimensionality": 8, "task_type": "CLUSTERING"}),
    "a title of a document": (path("embedContent"), {"content": TEXT, "title": "A", "taskType": "RETRIEVAL_DOCUMENT"}),
    "a hundred": (path("batchEmbedContents"), {"requests": [item(outputDimensionality=8)] * 100}),
    "a picture": (
        path("embedContent"),
        {"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}},
    ),
    "a model that nobody knows": (path("embedContent", "my-model"), {"content": TEXT}),
    "counting on Vertex counts all": (
        f"{PLACE}/models/{OLD}:countTokens",
        {"contents": [USER], "systemInstruction": TEXT, "tools": [{"functionDeclarations": [function()]}]},
    ),
    "Vertex searches beside functions": (
        f"{PLACE}/models/{NEW}:generateContent",
        {"contents": [USER], **SEARCH},
    ),
    "express mode of Vertex": (f"/v1beta1/publishers/google/models/{OLD}:generateContent", talk(USER)),
    "members of Vertex": (
        f"{PLACE}/models/{OLD}:generateContent",
        config(audioTimestamp=True, routingConfig={}) | {"labels": {"a": "b"}},
    ),
    "all of Imagen's": (
        f"{PLACE}/models/{PAINTER}:predict",
        {
            "instances": [{"prompt": "a cat"}],
            "parameters": {
                "sampleCount": 2,
                "aspectRatio": "16:9",
                "sampleImageSize": "2K",
                "personGeneration": "ALLOW_ADULT",
                "safetySetting": "block_only_high",
                "guidanceScale": 7.5,
                "seed": 5,
                "addWatermark": False,
                "includeRaiReason": True,
                "includeSafetyAttributes": True,
                "language": "auto",
                "enhancePrompt": False,
                "storageUri": "gs://a/b",
                "outputOptions": {"mimeType": "image/jpeg", "compressionQuality": 80},
            },
            "labels": {"a": "b"},
        },
    ),
    "Imagen on the Gemini API": (
        f"/v1beta/models/{PAINTER}:predict",
        {"instances": [{"prompt": "a cat"}], "parameters": {"sampleCount": 1, "personGeneration": "allow_adult"}},
    ),
    "what is not wanted, to an old one": (
        f"{PLACE}/models/imagen-3.0-generate-001:predict",
        {"instances": [{"prompt": "a cat"}], "parameters": {"sampleCount": 1, "negativePrompt": "dogs"}},
    ),
    "the third version": (f"/v1alpha/models/{OLD}:generateContent", talk(USER)),
}
