"""Recipe: retrieval over embeddings that are deterministic, and near each other where the test says so."""

import math

import openai

from compatgw_testing import FakeLLM, contains

DOCUMENTS = ["Cats purr when they are content.", "The Oslo metro opened in 1966.", "Basalt is a volcanic rock."]


def answer(question: str) -> str:
    """The application under test: finds the document that is nearest to the question, and asks with it."""
    with openai.OpenAI() as client:
        made = client.embeddings.create(model="text-embedding-3-small", input=[*DOCUMENTS, question], dimensions=64)
        *stored, asked = [one.embedding for one in made.data]
        nearest = max(range(len(DOCUMENTS)), key=lambda index: near(stored[index], asked))
        said = client.chat.completions.create(
            model="gpt-4o-mini",
            messages=[{"role": "system", "content": DOCUMENTS[nearest]}, {"role": "user", "content": question}],
        )
    return said.choices[0].message.content or ""


def test_the_nearest_document_is_asked_with(fake_llm: FakeLLM) -> None:
    """The question is near to one document, and that one reaches the model."""
    question = "When did the underground open?"
    fake_llm.openai.similar(question, DOCUMENTS[1], cos=0.9)
    fake_llm.openai.similar(question, DOCUMENTS[0], cos=0.3)
    fake_llm.openai.on(system=contains("1966")).reply("In 1966.")

    assert answer(question) == "In 1966."


def test_embeddings_are_the_same_everywhere(fake_llm: FakeLLM) -> None:
    """Of length one, equal for equal texts, and as near as they were set to be."""
    fake_llm.openai.similar("a", "b", cos=0.9)
    with openai.OpenAI() as client:
        made = client.embeddings.create(model="text-embedding-3-small", input=["a", "b", "a", "c"])
    a, b, again, c = (one.embedding for one in made.data)

    assert a == again
    assert math.isclose(near(a, a), 1, abs_tol=1e-5)
    assert math.isclose(near(a, b), 0.9, abs_tol=1e-5)
    assert abs(near(a, c)) < 0.2


def near(one: list[float], other: list[float]) -> float:
    """Cosine of two vectors of length one."""
    return sum(a * b for a, b in zip(one, other, strict=True))
