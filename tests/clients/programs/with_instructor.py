"""Instructor: structured answers by tools, by JSON and by JSON schema, whole and in part, and over responses."""

import instructor
import openai
from pydantic import BaseModel
from telling import PERSON, run


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def by(mode):
    def ask(at):
        client = instructor.from_openai(openai.OpenAI(base_url=at.url, api_key=at.key, max_retries=0), mode=mode)
        got = client.chat.completions.create(
            model=at.model, response_model=Person, messages=[{"role": "user", "content": PERSON}], max_retries=0
        )
        return got.model_dump()

    return ask


def partial(at):
    client = instructor.from_openai(openai.OpenAI(base_url=at.url, api_key=at.key, max_retries=0))
    parts = client.chat.completions.create_partial(
        model=at.model, response_model=Person, messages=[{"role": "user", "content": PERSON}], max_retries=0
    )
    return list(parts)[-1].model_dump()


async def asynchronous(at):
    client = instructor.from_openai(openai.AsyncOpenAI(base_url=at.url, api_key=at.key, max_retries=0))
    got = await client.chat.completions.create(
        model=at.model, response_model=Person, messages=[{"role": "user", "content": PERSON}], max_retries=0
    )
    return got.model_dump()


run(
    structured_by_tool=by(instructor.Mode.TOOLS),
    structured_by_JSON=by(instructor.Mode.JSON),
    structured_by_schema=by(instructor.Mode.JSON_SCHEMA),
    structured_in_part=partial,
    structured_async=asynchronous,
    responses_structured=by(instructor.Mode.RESPONSES_TOOLS),
)
