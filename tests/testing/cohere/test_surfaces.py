"""FakeCohere beside chat: embeddings, ranking, tokens, models, and what is refused there."""

import base64
import struct
from typing import Any

import pytest

from compatgw_testing import FakeCohere, VirtualClock
from compatgw_testing.fakes.cohere.pictures import size_of
from tests.testing.cohere import places
from tests.testing.cohere.cases import CASES, IMAGE, OLD, TAKEN, embedding, picture, ranking
from tests.testing.driver import ask
from tests.testing.surfaces import put, refused

FORMS = ["float", "int8", "uint8", "binary", "ubinary", "base64"]


@pytest.mark.parametrize("rule", CASES)
async def test_refused(rule: str) -> None:
    """A request against the rule is refused with a flat body."""
    reply = await refused(FakeCohere(), CASES[rule])

    assert set(reply.json) == {"id", "message"}


@pytest.mark.parametrize("place", places.CASES)
async def test_refused_in_each_place(place: str) -> None:
    """A good request that is changed in one place is refused with words about that place."""
    path, body, status, hint = places.CASES[place]

    reply = await put(FakeCohere(), path, body)

    assert reply.status == status
    assert hint in reply.json["message"]


@pytest.mark.parametrize("name", places.GOOD)
async def test_the_good_requests_are_taken(name: str) -> None:
    """Otherwise the test above would say nothing."""
    reply = await put(FakeCohere(), *places.GOOD[name])

    assert reply.status == 200, reply.raw


@pytest.mark.parametrize("rule", TAKEN)
async def test_taken(rule: str) -> None:
    """What Cohere takes, the fake takes."""
    reply = await put(FakeCohere(), *TAKEN[rule])

    assert reply.status == 200, reply.raw


async def test_embeddings_in_every_form() -> None:
    """All forms say the same vector: floats, whole numbers, bits, base64."""
    answer = (await put(FakeCohere(), "/v2/embed", embedding(embedding_types=FORMS, output_dimension=256))).json

    forms: dict[str, Any] = {name: vectors[0] for name, vectors in answer["embeddings"].items()}
    vector = forms["float"]
    assert [len(forms[name]) for name in FORMS[:5]] == [256, 256, 256, 32, 32]
    assert sum(one * one for one in vector) == pytest.approx(1)
    most = max(map(abs, vector))
    assert all(abs(level / 127 * most - one) < most / 100 for level, one in zip(forms["int8"], vector, strict=True))
    assert forms["uint8"] == [level + 128 for level in forms["int8"]]
    bits = [f"{byte:08b}" for byte in forms["ubinary"]]
    assert "".join(bits) == "".join("1" if one > 0 else "0" for one in vector)
    assert forms["binary"] == [byte - 128 for byte in forms["ubinary"]]
    packed = struct.unpack("<256f", base64.b64decode(forms["base64"]))
    assert packed == pytest.approx(vector, abs=1e-6)


async def test_the_answer_tells_texts_and_what_is_billed() -> None:
    """Floats by default, as long as the model's; headers count letters and tokens."""
    fake = FakeCohere()

    new = await put(fake, "/v2/embed", embedding(texts=["Hello, world!", "b"]))
    old = await put(fake, "/v2/embed", embedding(model=OLD))
    light = await put(fake, "/v2/embed", embedding(model="embed-english-light-v3.0"))

    assert [len(one.json["embeddings"]["float"][0]) for one in (new, old, light)] == [1536, 1024, 384]
    assert new.json["texts"] == ["Hello, world!", "b"]
    assert new.json["meta"]["billed_units"] == {"input_tokens": 5.0, "image_tokens": 0.0}
    assert (new.headers["num_chars"], new.headers["num_tokens"]) == ("14", "5")
    assert "image_tokens" not in old.json["meta"]["billed_units"]


async def test_images_are_told_with_their_size() -> None:
    """Alone and among inputs."""
    fake = FakeCohere()

    alone = (await put(fake, "/v2/embed", embedding(texts=None, images=[IMAGE]))).json
    mixed = (await put(fake, "/v2/embed", embedding(texts=None, inputs=[picture(IMAGE)]))).json

    assert alone["images"] == mixed["images"] == [{"width": 1, "height": 1, "format": "png", "bit_depth": 32}]
    assert alone["meta"]["billed_units"]["images"] == 1.0


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"GIF89a\x03\x00\x02\x00\xf7" + b"\x00" * 9, (3, 2, "gif", 8)),
        (
            b"\xff\xd8\xff\xe0\x00\x04\x00\x00\xff\xc0\x00\x11\x08\x00\x02\x00\x03\x03" + b"\x00" * 9,
            (3, 2, "jpeg", 24),
        ),
        (b"\xff\xd8\xff\xe0\x00", (0, 0, "jpeg", 0)),
        (b"RIFF\x00\x00\x00\x00WEBP", (0, 0, "webp", 0)),
        (b"nothing", (0, 0, "", 0)),
    ],
)
def test_sizes_of_pictures(data: bytes, size: tuple[int, int, str, int]) -> None:
    """From their first bytes; 0 where those do not say."""
    assert tuple(size_of(data).values()) == size


async def test_documents_are_ranked_by_how_near_they_are() -> None:
    """The cosine, from -1 to 1, gives the score, from 0 to 1; equal texts come first."""
    fake = FakeCohere().similar("cats", "dogs", cos=0.6).similar("cats", "tax", cos=-1)
    documents = ["tax", "dogs", "something else", "cats"]

    answer = (await put(fake, "/v2/rerank", ranking(query="cats", documents=documents))).json
    best = (await put(fake, "/v2/rerank", ranking(query="cats", documents=documents, top_n=2))).json

    scores = {documents[one["index"]]: one["relevance_score"] for one in answer["results"]}
    assert list(scores) == ["cats", "dogs", "something else", "tax"]
    assert [scores[name] for name in ("cats", "dogs", "tax")] == pytest.approx([1, 0.8, 0], abs=1e-6)
    assert 0.3 < scores["something else"] < 0.7
    assert best["results"] == answer["results"][:2]
    assert answer["meta"]["billed_units"] == {"search_units": 1.0}
    assert fake.calls[0].request is not None
    assert fake.calls[0].request.inputs == ("cats", *documents)


async def test_a_hundred_documents_are_a_unit() -> None:
    """The next one begins another."""
    answer = (await put(FakeCohere(), "/v2/rerank", ranking(documents=["a"] * 101))).json

    assert answer["meta"]["billed_units"]["search_units"] == 2.0
    assert [one["index"] for one in answer["results"]] == list(range(101))


async def test_tokens_are_words() -> None:
    """Joined they are the text again; the same word is the same token."""
    answer = (await put(FakeCohere(), "/v1/tokenize", {"text": "a cat and a cat", "model": "command-a-03-2025"})).json

    assert "".join(answer["token_strings"]) == "a cat and a cat"
    assert answer["tokens"][1] == answer["tokens"][4] != answer["tokens"][2]


async def test_keys_can_be_checked() -> None:
    """The right one is valid."""
    assert (await put(FakeCohere(), "/v1/check-api-key")).json["valid"] is True


async def test_models_by_endpoint() -> None:
    """All of them, or those for one endpoint; page by page."""
    fake = FakeCohere()

    async def names(query: str) -> list[str]:
        return [one["name"] for one in (await put(fake, f"/v1/models?{query}", method="GET")).json["models"]]

    everything = await names("")
    first = (await put(fake, "/v1/models?page_size=3", method="GET")).json

    assert await names("endpoint=embed") == ["embed-v4.0", "embed-english-v3.0"]
    assert await names("endpoint=rerank") == ["rerank-v3.5"]
    assert await names("endpoint=classify") == []
    assert await names("default_only=true") == []
    assert await names("endpoint=chat") == [name for name in everything if name.startswith("command")]
    assert await names(f"page_token={first['next_page_token']}") == everything[3:]
    entries = {one["name"]: one for one in (await put(fake, "/v1/models", method="GET")).json["models"]}
    assert entries["rerank-v3.5"]["features"] is None
    assert "reasoning" in entries["command-a-reasoning-08-2025"]["features"]


async def test_a_key_with_a_quota_is_a_trial_key() -> None:
    """The headers tell what is left; after that it is a 429."""
    clock = VirtualClock()
    fake = FakeCohere(clock=clock).quota(rpm=1)

    good, much = await put(fake, "/v2/embed", embedding()), await put(fake, "/v2/rerank", ranking())
    clock.advance(60)
    later = await ask(fake)
    free = await ask(FakeCohere())

    assert good.headers["x-trial-endpoint-call-limit"] == "1"
    assert good.headers["x-trial-endpoint-call-remaining"] == "0"
    assert [one.status for one in (good, much, later)] == [200, 429, 200]
    assert "x-trial-endpoint-call-limit" not in free.headers


async def test_failures_and_rules_of_each_surface() -> None:
    """A scripted failure happens to any call, a rule to those of its surface; tokens count for a quota."""
    fake = FakeCohere().quota(tpm=100)
    fake.on(surface="rerank", input="a").fail(500)
    fake.fail(503)

    embedded = await put(fake, "/v2/embed", embedding())
    ranked = await put(fake, "/v2/rerank", ranking())
    spent = await put(fake, "/v2/embed", embedding(texts=["a" * 390]))
    much = await put(fake, "/v2/embed", embedding(texts=["a" * 390]))

    assert [one.status for one in (embedded, ranked, spent, much)] == [503, 500, 200, 429]


async def test_an_error_in_a_stream_tells_its_type() -> None:
    """As recorded: within the end event."""
    reply = await ask(FakeCohere().fault("One two", error_after=2, error="context_length"), stream=True)

    end = reply.events[-1]
    assert (end["type"], end["delta"]["finish_reason"]) == ("message-end", "ERROR")
    assert end["delta"]["error_type"] == "TOO_MANY_TOKENS"


async def test_without_strictness_anything_readable_is_served() -> None:
    """And what cannot be read is a 400."""
    fake = FakeCohere(strict=False)

    loose = [
        await put(fake, "/v2/embed", {"model": "embed-v4.0", "texts": ["a"] * 97}),
        await put(fake, "/v2/rerank", {**ranking(), "return_documents": True}),
        await put(fake, "/v1/tokenize", {"text": "", "model": "m"}),
    ]
    unreadable = [await put(fake, path, {}) for path in ("/v2/embed", "/v2/rerank", "/v1/tokenize")]

    assert [one.status for one in (*loose, *unreadable)] == [200, 200, 200, 400, 400, 400]
