"""Guardrails on the way of a call: what goes upstream, what comes back, and what clients are told."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import orjson
import pytest

from compatgw import ConfigError, Gateway
from compatgw.guardrails.base import Spot, Verdict
from compatgw_testing import FakeOpenAI
from compatgw_testing.harness import KEY, gateway_over
from tests.canned import DONE, Canned, chunk
from tests.flow.paying import Open
from tests.flow.upstreams import Turns, error_event, error_of, events, good, post, several, streamed

MAIL = "Write to ann.lee@example.org today."
PII: dict[str, Any] = {"input": ["pii"], "output": ["pii"]}


def user(text: str) -> list[dict[str, Any]]:
    """One message."""
    return [{"role": "user", "content": text}]


def house(up: Any, **settings: Any) -> Gateway:
    """One upstream."""
    return several({"one": up}, **settings)


async def test_personal_data_does_not_go_upstream() -> None:
    """A placeholder stands in its place, and the header says what was done."""
    up = good()
    got = await post(house(up), messages=user(MAIL), guardrails={"input": ["pii"]})

    assert up.asked[0]["messages"][0]["content"] == "Write to [EMAIL_1] today."
    assert got.headers["x-guardrail-status"] == "pii:redact"


@pytest.mark.parametrize("stream", [False, True])
async def test_what_was_taken_out_is_put_back_in_the_answer(stream: bool) -> None:
    """Also where the placeholder is cut by pieces of a stream."""
    up = streamed("I wrote to [EM", "AIL_", "1], ok") if stream else good("I wrote to [EMAIL_1], ok")
    wish = {"input": [{"name": "pii", "action": "restore"}]}
    got = await post(house(up), messages=user(MAIL), guardrails=wish, stream=stream)
    text = text_of_all(got) if stream else got.json()["choices"][0]["message"]["content"]

    assert up.asked[0]["messages"][0]["content"] == "Write to [EMAIL_1] today."
    assert text == "I wrote to ann.lee@example.org, ok"


def text_of_all(got: Any) -> str:
    """The text of a stream that ends with a comment."""
    chunks = [orjson.loads(event[6:]) for event in events(got) if event.startswith(b"data: {")]
    return "".join(choice["delta"].get("content") or "" for value in chunks for choice in value["choices"])


async def test_a_stream_says_at_its_end_what_was_done_to_it() -> None:
    """In a comment, which no client takes for an event; the head has what was known then."""
    up = streamed("Call ann.", "lee@exam", "ple.org now")
    got = await post(house(up), messages=user("hi"), guardrails=PII, stream=True)

    assert text_of_all(got) == "Call [EMAIL_1] now"
    assert got.headers["x-guardrail-status"] == "pii:pass"
    assert events(got)[-2:] == [b": guardrails pii:redact\n\n", DONE]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_blocked_request_is_refused_before_anybody_is_asked(stream: bool) -> None:
    """400 `content_blocked`, with the place."""
    up = good()
    wish = {"input": [{"name": "pii", "action": "block"}]}
    got = await post(house(up), messages=user(MAIL), guardrails=wish, stream=stream)

    assert (got.status_code, error_of(got)["code"]) == (400, "content_blocked")
    assert error_of(got)["param"] == "messages[0].content"
    assert "ann.lee" not in got.text
    assert up.asked == []


async def test_a_blocked_answer_is_refused_whole() -> None:
    """Nothing of it is told."""
    wish = {"output": [{"name": "pii", "action": "block"}]}
    got = await post(house(good(MAIL)), messages=user("hi"), guardrails=wish)

    assert (got.status_code, error_of(got)["code"]) == (400, "content_blocked")
    assert "ann.lee" not in got.text


async def test_a_stream_that_has_begun_ends_with_an_error_when_it_is_blocked() -> None:
    """What went before was harmless; what is blocked is not told, and no end mark follows."""
    up = streamed("All is well here. ", "Write to ann.lee@", "example.org now. ", "More.")
    wish = {"output": [{"name": "pii", "action": "block"}]}
    got = await post(house(up), messages=user("hi"), guardrails=wish, stream=True)

    assert error_event(got)["code"] == "content_blocked"
    assert b"All is well" in got.content
    assert b"ann.lee" not in got.content


async def test_the_header_asks_for_both_ways() -> None:
    """`X-Guardrails: pii`."""
    up = good(MAIL)
    got = await post(house(up), {"X-Guardrails": "pii"}, messages=user(MAIL))

    assert up.asked[0]["messages"][0]["content"] == "Write to [EMAIL_1] today."
    assert got.json()["choices"][0]["message"]["content"] == "Write to [EMAIL_1] today."


async def test_a_caller_cannot_take_away_what_is_demanded() -> None:
    """Nor weaken it: the demand's own wish stands."""
    up = good()
    app = house(up, guardrails={"input": [{"name": "pii", "action": "block"}]})
    wishes: list[dict[str, Any]] = [
        {},
        {"guardrails": {"input": []}},
        {"guardrails": {"input": [{"name": "pii", "action": "redact"}]}},
    ]
    for wish in wishes:
        got = await post(app, messages=user(MAIL), **wish)
        assert (got.status_code, error_of(got)["code"]) == (400, "content_blocked")
    assert up.asked == []


async def test_demands_of_a_key_hold_for_that_key() -> None:
    """By its name; another key has none."""
    up = good()
    keys = [{"key": "k", "name": "careful"}, {"key": "o", "name": "other"}]
    app = house(up, keys=keys, guardrails={"keys": {"careful": {"input": ["pii"]}}})
    await post(app, messages=user(MAIL))
    await post(app, {"authorization": "Bearer o"}, messages=user(MAIL))

    assert [asked["messages"][0]["content"] for asked in up.asked] == ["Write to [EMAIL_1] today.", MAIL]


async def test_without_guardrails_nothing_is_said() -> None:
    """No header, and the upstream's own bytes."""
    got = await post(house(good()))

    assert "x-guardrail-status" not in got.headers


@pytest.mark.parametrize(
    ("wish", "param", "code"),
    [
        ({"input": ["nope"]}, "guardrails.input[0]", "invalid_value"),
        ({"input": "pii"}, "guardrails.input", "invalid_type"),
        ({"inputs": []}, "guardrails.inputs", "invalid_value"),
        ({"input": [{"action": "redact"}]}, "guardrails.input[0].name", "missing_parameter"),
        ({"input": [{"name": "pii", "action": "eat"}]}, "guardrails.input[0].action", "invalid_value"),
        ({"input": [{"name": "pii", "kinds": ["dna"]}]}, "guardrails.input[0]", "invalid_value"),
        ({"input": ["pii", "pii"]}, "guardrails.input", "invalid_value"),
        ({"input": ["schema_validation"]}, "guardrails.input[0]", "invalid_value"),
        ({"output": ["schema_validation"]}, "guardrails.output[0]", "missing_parameter"),
        ({"output": [{"name": "schema_validation", "schema": {}, "repair": 4}]}, "guardrails.output[0].repair", None),
        ({"input": ["content_moderation"]}, "guardrails.input[0]", "invalid_value"),
        ("pii", "guardrails", "invalid_type"),
    ],
)
async def test_a_wish_that_is_none_is_refused_with_its_place(wish: Any, param: str, code: str | None) -> None:
    """And nobody is asked without the guardrail."""
    up = good()
    got = await post(house(up), guardrails=wish)

    assert (got.status_code, error_of(got)["param"]) == (400, param)
    assert code is None or error_of(got)["code"] == code
    assert up.asked == []


def test_a_demand_that_cannot_be_met_is_said_at_the_start() -> None:
    """Not at the first call."""
    with pytest.raises(ConfigError, match="guardrails"):
        house(good(), guardrails={"input": ["nope"]})


# --- of one's own ---


async def test_an_own_guardrail_sees_and_changes_texts() -> None:
    """A function, sync or async, by its name."""
    seen: list[Spot] = []

    def shout(text: str, spot: Spot) -> str:
        seen.append(spot)
        return text.upper()

    async def no(text: str, spot: Spot) -> Verdict | None:
        return Verdict("block", categories=("rude",), reason="Be kind.") if "RUDE" in text else None

    up = good("fine")
    app = house(up, own_guardrails={"shout": shout, "kind": no}, guardrails={"input": ["shout", "kind"]})
    got = await post(app, messages=user("hi"))
    rude = await post(app, messages=user("rude"))

    assert got.headers["x-guardrail-status"] == "shout:redact,kind:pass"
    assert [asked["messages"][0]["content"] for asked in up.asked] == ["HI"]
    assert (rude.status_code, error_of(rude)["code"]) == (400, "content_blocked")
    assert "rude" in error_of(rude)["message"]
    assert seen[0].path == ("messages", 0, "content")


def raising(text: str, spot: Spot) -> str:
    """Breaks."""
    raise ValueError(text)


async def hanging(text: str, spot: Spot) -> str:
    """Never answers."""
    await asyncio.Event().wait()
    return text


def nonsense(text: str, spot: Spot) -> Any:
    """Answers with what is no answer."""
    return 7


@pytest.mark.parametrize("function", [raising, hanging, nonsense])
@pytest.mark.parametrize("way", ["fail_closed", "fail_open"])
async def test_a_guardrail_that_fails_fails_the_call_or_lets_it_pass(
    function: Any, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As it is set; what it was about is in no log and no error."""
    up = good()
    app = house(
        up,
        own_guardrails={"mine": function},
        guardrails={"input": ["mine"], "timeout": 0.05 if function is hanging else 30, "on_failure": way},
    )
    began = time.monotonic()
    got = await post(app, messages=user("my secret"))

    assert time.monotonic() - began < 5
    passes = way == "fail_open" and function is not nonsense
    assert got.status_code == (200 if passes else 500)
    assert len(up.asked) == (1 if passes else 0)
    assert "my secret" not in caplog.text + (got.text if not passes else "")


# --- schemas ---

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_model_may_mend_an_answer_that_does_not_follow_the_schema(stream: bool) -> None:
    """It is told what is wrong, and all rounds are in the usage."""
    up = Turns(good('{"n": "one"}'), good('{"n": 1}'))
    wish = {"output": [{"name": "schema_validation", "schema": SCHEMA, "repair": 2}]}
    got = await post(
        house(up), guardrails=wish, stream=stream, stream_options={"include_usage": True} if stream else None
    )

    assert up.calls == 2
    if stream:
        assert text_of_all(got) == '{"n": 1}'
    else:
        assert got.json()["choices"][0]["message"]["content"] == '{"n": 1}'
        assert got.json()["usage"]["total_tokens"] == 10
    first, second = [answer.asked[0] for answer in up.answers]
    assert first["messages"][0]["role"] == "system"
    assert second["messages"][-2] == {"role": "assistant", "content": '{"n": "one"}'}
    assert "n" in second["messages"][-1]["content"]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_stays_wrong_is_refused(stream: bool) -> None:
    """After so many rounds, honestly."""
    answers = [good("no json at all") for _ in range(3)]
    up = Turns(*answers)
    wish = {"output": [{"name": "schema_validation", "schema": SCHEMA, "repair": 1}]}
    got = await post(house(up), guardrails=wish, stream=stream)

    assert up.calls == 2
    assert (got.status_code, error_of(got)["code"]) == (400, "content_blocked")


async def test_the_schema_of_the_response_format_is_a_promise() -> None:
    """Where the guardrail names none."""
    format = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
    good_one = await post(house(good('{"n": 1}')), guardrails={"output": ["schema_validation"]}, response_format=format)
    bad_one = await post(house(good("{}")), guardrails={"output": ["schema_validation"]}, response_format=format)

    assert (good_one.status_code, good_one.headers["x-guardrail-status"]) == (200, "schema_validation:pass")
    assert bad_one.status_code == 400


# --- by a model ---


def judging(flagged: bool) -> Canned:
    """A moderation model."""
    return Canned(
        orjson.dumps(
            {
                "id": "modr-1",
                "model": "m",
                "results": [
                    {
                        "flagged": flagged,
                        "categories": {"violence": flagged},
                        "category_scores": {"violence": 0.9 if flagged else 0.0},
                    }
                ],
            }
        )
    )


@pytest.mark.parametrize("flagged", [False, True])
async def test_a_moderation_model_judges(flagged: bool) -> None:
    """It is asked for the gateway, whatever the caller may call itself."""
    judge, up = judging(flagged), good()
    app = several(
        {"one": up, "two": judge},
        keys=[{"key": "k", "name": "k", "models": ["one/*"]}],
        guardrails={"input": ["content_moderation"], "moderation": {"model": "two/m"}},
    )
    got = await post(app, messages=user("a text"))

    assert judge.asked[0]["input"] == "a text"
    assert (got.status_code, len(up.asked)) == ((400, 0) if flagged else (200, 1))
    if flagged:
        assert "violence" in error_of(got)["message"]


async def test_words_judge_without_a_network() -> None:
    """A list of the settings."""
    app = house(
        streamed("go ", "kill ", "them"),
        guardrails={"output": ["content_moderation"], "moderation": {"words": {"violence": ["kill*"]}}},
    )
    got = await post(app, messages=user("hi"), stream=True)

    assert error_event(got)["code"] == "content_blocked"
    assert b"kill" not in got.content


# --- with the rest of the way ---


async def test_a_kept_answer_goes_through_the_callers_own_guardrails() -> None:
    """What is kept is what the model said: each caller gets back what it sent itself."""
    up = good("Sent to [EMAIL_1].")
    app = house(up, cache={"enabled": True})
    wish = {"input": [{"name": "pii", "action": "restore"}]}
    first = await post(app, messages=user("Mail a@example.org"), guardrails=wish)
    second = await post(app, messages=user("Mail b@example.org"), guardrails=wish)

    assert second.headers["x-cache"] == "HIT"
    assert len(up.asked) == 1
    assert [got.json()["choices"][0]["message"]["content"] for got in (first, second)] == [
        "Sent to a@example.org.",
        "Sent to b@example.org.",
    ]


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses", "/v1/completions"])
async def test_they_hold_on_every_surface(path: str) -> None:
    """Although the protocol is another one."""
    up = good(MAIL)
    app = house(up, guardrails=PII)
    body: dict[str, Any] = {"model": "one/m"}
    if path == "/v1/messages":
        body |= {"max_tokens": 50, "messages": user(MAIL)}
    else:
        body["input" if path == "/v1/responses" else "prompt"] = MAIL
    async with app.client(api_key="k") as client:
        got = await client.post(path, json=body)

    assert got.status_code == 200, got.text
    assert "ann.lee" not in got.text
    assert "[EMAIL_1]" in got.text
    assert "ann.lee" not in orjson.dumps(up.asked).decode()


async def test_tool_arguments_are_looked_at() -> None:
    """In a stream, inside of JSON."""
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "send", "arguments": ""}}
    pieces = ['{"to": "ann.', "lee@example", '.org"}']
    up = Canned(
        [
            chunk({"role": "assistant", "content": None, "tool_calls": [call]}),
            *[chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}) for piece in pieces],
            chunk({}, "tool_calls"),
            DONE,
        ],
        kind="text/event-stream",
    )
    got = await post(house(up), messages=user("hi"), guardrails=PII, stream=True)
    chunks = [orjson.loads(event[6:]) for event in events(got) if event.startswith(b"data: {")]
    arguments = "".join(
        one["function"].get("arguments") or ""
        for value in chunks
        for choice in value["choices"]
        for one in choice["delta"].get("tool_calls") or ()
    )

    assert orjson.loads(arguments) == {"to": "[EMAIL_1]"}


# --- with a ledger ---


@pytest.mark.parametrize("stream", [False, True])
async def test_the_record_of_a_call_says_what_they_did(open_sqlite_shop: Open, stream: bool) -> None:
    """Of both ways, also where a header could not know it yet."""
    up = streamed("Write to ann.lee@", "example.org") if stream else good(MAIL)
    one = open_sqlite_shop(up, guardrails=PII)
    await one.post(await one.key(), messages=user(MAIL), stream=stream)
    (row,) = await one.rows()

    assert row.guardrails == "pii:redact"


async def test_a_teams_demand_holds_for_its_keys(open_sqlite_shop: Open) -> None:
    """And a blocked call is recorded, at no cost."""
    up = good()
    one = open_sqlite_shop(up, guardrails={"teams": {"t1": {"input": [{"name": "pii", "action": "block"}]}}})
    got = await one.post(await one.key(wallet="10"), messages=user(MAIL))
    (row,) = await one.rows()

    assert (got.status_code, up.asked) == (400, [])
    assert (row.status, row.code, row.guardrails) == (400, "content_blocked", "pii:block")
    assert row.charge == 0


async def test_all_rounds_of_a_repair_are_paid(open_sqlite_shop: Open) -> None:
    """The tokens of both answers are on one record."""
    up = Turns(good("no json"), good('{"n": 1}'))
    one = open_sqlite_shop(up)
    wish = {"output": [{"name": "schema_validation", "schema": SCHEMA, "repair": 1}]}
    got = await one.post(await one.key(wallet="10"), guardrails=wish)
    (row,) = await one.rows()

    assert (got.status_code, up.calls) == (200, 2)
    assert (row.input, row.output) == (6, 4)
    assert row.charge == row.cost
    assert row.charge > 0


# --- other endpoints ---


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", {"input": ["fine", MAIL]}),
        ("/v1/images/generations", {"prompt": MAIL}),
        ("/v1/rerank", {"query": MAIL, "documents": ["a", {"text": MAIL}]}),
        ("/v1/moderations", {"input": MAIL}),
        ("/v1/audio/speech", {"input": MAIL, "voice": "alloy"}),
    ],
)
async def test_what_goes_to_other_endpoints_is_looked_at_too(path: str, body: dict[str, Any]) -> None:
    """A demand that held for chat alone would be no demand."""
    up = Canned(b"{}", 500)
    app = house(up, guardrails=PII)
    async with app.client(api_key="k") as client:
        await client.post(path, json={"model": "one/m", **body})
        refused = await client.post(path, json={"model": "one/m", **body, "guardrails": {"output": ["pii"]}})

    sent = orjson.dumps(up.asked[0]).decode()
    assert "[EMAIL_1]" in sent
    assert "ann.lee" not in sent
    assert (refused.status_code, error_of(refused)["param"]) == (400, "guardrails.output")


@pytest.mark.parametrize("demanded", [True, False])
async def test_what_is_counted_is_looked_at_as_well(demanded: bool) -> None:
    """Whether the settings demand it or the caller asks: what was changed is estimated, the rest is asked upstream."""
    up = Canned(b'{"input_tokens": 7}')
    app = Gateway(
        providers={"anthropic": {"app": up, "base_url": "http://a", "api_key": "a", "models": ["m"]}},
        keys=["k"],
        environ={},
        guardrails=PII if demanded else {},
    )
    asking = {} if demanded else {"X-Guardrails": "pii"}
    body = {"model": "anthropic/m", "messages": user(MAIL)}
    async with app.client(api_key="k") as client:
        got = await client.post("/v1/messages/count_tokens", json=body, headers=asking)

    assert got.status_code == 200, got.text
    assert up.asked == []
    assert got.json()["input_tokens"] > 0


async def test_a_count_that_is_blocked_is_refused() -> None:
    """As the message itself would be."""
    up = Canned(b'{"input_tokens": 7}')
    app = house(up, guardrails={"input": [{"name": "pii", "action": "block"}]})
    async with app.client(api_key="k") as client:
        got = await client.post("/v1/messages/count_tokens", json={"model": "one/m", "messages": user(MAIL)})

    assert (got.status_code, up.asked) == (400, [])


async def test_a_form_is_looked_at_as_well() -> None:
    """Its prompt; what is said in a recording nobody reads here."""
    fake = FakeOpenAI()
    app = gateway_over({"openai": fake}, options={"guardrails": PII})
    async with app.client(api_key=KEY) as client:
        sound = (
            await client.post("/v1/audio/speech", json={"model": "openai/tts-1", "input": "a", "voice": "alloy"})
        ).content
        await client.post(
            "/v1/audio/transcriptions",
            data={"model": "openai/whisper-1", "prompt": MAIL},
            files={"file": ("a.mp3", sound)},
        )

    assert b"ann.lee" not in fake.calls[-1].raw
    assert b"[EMAIL_1]" in fake.calls[-1].raw
