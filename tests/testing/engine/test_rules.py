"""Rules: which call gets which answer, in every dialect; and what is said of calls that get none."""

import asyncio
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest
from cohere.core.api_error import ApiError
from google.genai import errors as google

from compatgw_testing import Fake, FakeOpenAI, ScriptError, fail, fault, reply, tool_call
from compatgw_testing.request import Request
from compatgw_testing.rules import RuleError, contains, glob, regex, when
from tests.testing.doors.sdks import stream_text
from tests.testing.driver import MODELS, PNG, ask, question
from tests.testing.engine.asking import chat, hear, message_of, say, text_of

HI = ("user", "Hi")


async def test_words_are_exact_unless_said(fake: Fake) -> None:
    """`user="Hi"` is not `Hi there`; a matcher says what else is meant."""
    fake.on(user="Hi").reply("exact")
    fake.on(user=contains("weather")).reply("contains")
    fake.on(user=regex(r"^\d+$")).reply("regex")
    fake.on(user=glob("Hi *")).reply("glob")

    heard = [await hear(fake, ("user", text)) for text in ("Hi", "the weather?", "42", "Hi there")]

    assert heard == ["exact", "contains", "regex", "glob"]
    assert [call.rule for call in fake.calls] == [
        "on(user='Hi')",
        "on(user=contains('weather'))",
        r"on(user=regex('^\\d+$'))",
        "on(user=glob('Hi *'))",
    ]


async def test_the_model_may_be_a_form(fake: Fake) -> None:
    """A star in a model stands for anything."""
    model = MODELS[fake.dialect]
    fake.on(model="other-*").reply("other")
    fake.on(model=f"{model[:4]}*").reply("mine")

    assert await hear(fake, HI) == "mine"


async def test_every_condition_of_a_request(fake: Fake) -> None:
    """System text, tools, results, turn, stream, and anything else."""
    fake.on(system="Be brief.").reply("system")
    fake.on(tools=["get_time", "get_weather"]).reply("two tools")
    fake.on(tool_result="get_weather", result=contains("21")).reply("warm")
    fake.on(turn=1, user="And now?").reply("second turn")
    fake.on(where=lambda request: request.limit == 7 or request.settings.get("temperature") == 0.7).reply("where")
    weather = ("call", "get_weather", {"city": "Rome"})
    temperature: dict[str, Any] = {"temperature": 0.7}
    if fake.dialect == "gemini":
        temperature = {"generationConfig": {"temperature": 0.7}}

    assert await hear(fake, HI, tools=["get_weather"]) != "two tools"
    heard = [
        await hear(fake, ("system", "Be brief."), HI),
        await hear(fake, HI, tools=["get_weather", "get_time", "more"]),
        await hear(fake, HI, weather, ("result", "get_weather", "21 degrees"), tools=["get_weather"]),
        await hear(fake, HI, ("assistant", "Yes."), ("user", "And now?")),
        await hear(fake, ("user", "warmer"), **temperature),
    ]

    assert heard == ["system", "two tools", "warm", "second turn", "where"]
    fake.verify()


async def test_whether_it_streams(fake: Fake) -> None:
    """A stream may be answered otherwise than a plain call."""
    fake.on(stream=True).fail(503)
    fake.on(stream=False).reply("plain")

    assert (await ask(fake, stream=True)).status == 503
    assert await hear(fake, HI) == "plain"


async def test_how_many_results_wait() -> None:
    """Parallel calls come back together."""
    fake = FakeOpenAI()
    fake.on(results=2).reply("both")
    fake.on(results=0).tool_calls(("a", {}), ("b", {}))
    calls = [{"id": f"call_{one}", "type": "function", "function": {"name": one, "arguments": "{}"}} for one in "ab"]
    results = [{"role": "tool", "tool_call_id": f"call_{one}", "content": one} for one in "ab"]
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "tool_calls": calls}, *results]

    assert await hear(fake, HI) == "a({}) b({})"
    assert (await ask(fake, {"model": "gpt-4o", "messages": messages})).json["choices"][0]["message"][
        "content"
    ] == "both"


async def test_media_by_their_type() -> None:
    """`image/*` fits any image."""
    fake = FakeOpenAI(unscripted="fail")
    fake.on(media="image/*").reply("a picture")
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    picture = {"model": "gpt-4o", "messages": [{"role": "user", "content": [part]}]}

    assert (await ask(fake, picture)).json["choices"][0]["message"]["content"] == "a picture"
    assert (await ask(fake)).status == 400


async def test_more_conditions_go_first(fake: Fake) -> None:
    """And of as many, those with more exact ones; the order of writing means nothing."""
    fake.on().always("anything")
    fake.on(user=contains("Hi")).always("about")
    fake.on(user="Hi").always("exactly")
    fake.on(user="Hi", turn=0).reply("both")

    heard = [await hear(fake, HI) for _ in range(2)]
    heard += [await hear(fake, ("user", "Hi you")), await hear(fake, ("user", "Bye"))]

    assert heard == ["both", "exactly", "about", "anything"]


async def test_two_rules_that_fit_equally_well_are_an_error(fake: Fake) -> None:
    """Nothing is guessed: the client gets the vendor's 400, the test a complaint that names both."""
    fake.on(user=contains("pie")).reply("one")
    fake.on(user=contains("chart")).reply("two")

    answer = await say(fake, ("user", "a pie chart"))

    assert answer.status == 400
    assert "ambiguous" in message_of(fake.dialect, answer.json)
    with pytest.raises(AssertionError, match=r"ambiguous: .*contains\('pie'\).*contains\('chart'\)"):
        fake.verify()


async def test_a_spent_rule_makes_room(fake: Fake) -> None:
    """When its answers are given, a less specific rule or the script serves."""
    fake.on(user="Hi").reply("rule", times=2)
    fake.reply("script")

    assert [await hear(fake, HI) for _ in range(3)] == ["rule", "rule", "script"]


async def test_steps_of_a_rule_are_played_in_order(fake: Fake) -> None:
    """A rule has a script of its own, with every verb."""
    fake.on(user="Hi").fail(429, retry_after=1).tool_call("f", x=1).refuse("No.").fault("cut", cut_after=0).raw(b"{}")

    answers = [await ask(fake) for _ in range(5)]

    assert [one.status for one in answers] == [429, 200, 200, 200, 200]
    assert answers[3].failure is not None
    assert answers[4].raw == b"{}"
    fake.verify()


async def test_rules_go_before_the_script(fake: Fake) -> None:
    """What is said to no rule waits for the calls that no rule fits."""
    fake.reply("script")
    fake.on(user="Rule").reply("rule")

    assert [await hear(fake, ("user", one)) for one in ("Rule", "Hi")] == ["rule", "script"]


async def test_an_unmatched_call_names_the_three_nearest_rules(fake: Fake) -> None:
    """Each with the conditions that missed, and what came instead; the nearest first."""
    fake.unscripted = "fail"
    fake.on(user="What is the weather in Paris?").reply("a")
    fake.on(user="Sing a song", turn=3).reply("b")
    fake.on(user="Hi", tools="get_weather").reply("c")
    fake.on(user="Something else altogether", system="Be rude.", turn=9).reply("d")

    answer = await say(fake, ("user", "What is the weather in Rome?"))

    text = message_of(fake.dialect, answer.json)
    lines = text.splitlines()
    assert answer.status == 400
    assert "has no answer" in lines[0]
    assert lines[2].strip() == (
        "on(user='What is the weather in Paris?'): user='What is the weather in Paris?', "
        "got 'What is the weather in Rome?'"
    )
    assert len(lines) == 5
    assert "Be rude" not in text
    assert "compatgw_testing" in text
    with pytest.raises(AssertionError, match="nearest rules"):
        fake.verify()


async def test_a_spent_rule_is_nearest_and_says_so(fake: Fake) -> None:
    """One call more than was scripted."""
    fake.unscripted = "fail"
    fake.on(user="Hi").reply("a")
    fake.on(user="Ho")

    await ask(fake)
    text = message_of(fake.dialect, (await ask(fake)).json)
    other = message_of(fake.dialect, (await say(fake, ("user", "Ho"))).json)

    assert "on(user='Hi'): it is spent: the only answer was given" in text.splitlines()[2]
    assert "on(user='Ho'): nothing is scripted for it" in other


async def test_an_unscripted_call_says_what_to_script(fake: Fake) -> None:
    """Without any rule, and after everything was given."""
    fake.unscripted = "fail"

    first = message_of(fake.dialect, (await ask(fake)).json)
    fake.reply("a")
    await ask(fake)
    third = message_of(fake.dialect, (await ask(fake)).json)

    assert "nothing is scripted" in first
    assert "everything scripted was given to the 2 calls before" in third
    assert len(fake.complaints) == 2


def test_an_sdk_gets_the_vendors_error_and_does_not_retry(fake: Fake, sdk: Callable[..., Any]) -> None:
    """An unmatched call is the vendor's 400, whatever retries are on; the message reaches the developer."""
    fake.unscripted = "fail"
    fake.on(user="Other").reply("a")
    client = sdk(fake, retries=2)
    expected = {
        "openai": openai.BadRequestError,
        "anthropic": anthropic.BadRequestError,
        "gemini": google.ClientError,
        "cohere": ApiError,
    }[fake.dialect]

    with pytest.raises(expected, match=r"on\(user='Other'\)"):
        stream_text(client, fake.dialect)

    assert len(fake.calls) == 1
    assert fake.last.outcome == "refused"
    assert len(fake.complaints) == 1


async def test_an_unmatched_openai_error_has_a_code_of_its_own() -> None:
    """A client can tell it from the vendor's own."""
    answer = await ask(FakeOpenAI(unscripted="fail"))

    assert answer.json["error"]["code"] == "no_rule_matched"


async def test_a_rule_that_never_answers_fails_the_test(fake: Fake) -> None:
    """Also one that has answers left."""
    fake.on(user="Hi").reply("a", times=3)
    fake.on(user="Never").always("b")
    fake.on(user="Used").always("c")
    await ask(fake)
    await hear(fake, ("user", "Used"))

    with pytest.raises(AssertionError) as caught:
        fake.verify()

    assert str(caught.value).splitlines() == [
        f"the fake {fake.dialect}:",
        "  never used: on(user='Hi') (2 answers left)",
        "  never used: on(user='Never')",
    ]


async def test_a_tool_loop_is_found(fake: Fake) -> None:
    """A standing tool call that fires again on its own result would never end."""
    fake.on(user="Weather?").always(tool_call("get_weather", city="Rome"))
    said = (("user", "Weather?"), ("call", "get_weather", {"city": "Rome"}), ("result", "get_weather", "21"))

    assert await hear(fake, said[0], tools=["get_weather"]) == 'get_weather({"city": "Rome"})'
    answer = await say(fake, *said, tools=["get_weather"])

    assert answer.status == 400
    assert "tool loop" in message_of(fake.dialect, answer.json)
    with pytest.raises(AssertionError, match="would call get_weather again on its own result"):
        fake.verify()


async def test_a_tool_loop_of_the_standing_answer_is_found(fake: Fake) -> None:
    """The same without a rule."""
    fake.always(tool_call("f", x=1))

    first = await hear(fake, HI, tools=["f"])
    answer = await say(fake, HI, ("call", "f", {"city": "a"}), ("result", "f", "1"), tools=["f"])

    assert first == 'f({"x": 1})'
    assert answer.status == 400
    assert "tool loop: always(...)" in message_of(fake.dialect, answer.json)


async def test_a_loop_that_is_meant_is_allowed(fake: Fake) -> None:
    """`repeat=True`, or calls that are queued one by one, or the result of another tool."""
    fake.on(user="again", repeat=True).always(tool_call("f"))
    fake.on(user="twice").tool_call("f", n=1).tool_call("f", n=2)
    fake.on(user="other").always(tool_call("g"))

    for user in ("again", "twice", "other"):
        for said in ([("user", user)], [("user", user), ("call", "f", {"n": 1}), ("result", "f", "1")]):
            assert (await say(fake, *said, tools=["f", "g"])).status == 200


async def test_a_rule_for_the_result_ends_the_loop(fake: Fake) -> None:
    """The way that an agent is scripted."""
    fake.on(user="Weather?").always(tool_call("get_weather", city="Rome"))
    fake.on(user="Weather?", tool_result="get_weather").always("It is warm.")
    said = (("user", "Weather?"), ("call", "get_weather", {"city": "Rome"}), ("result", "get_weather", "21"))

    assert await hear(fake, *said, tools=["get_weather"]) == "It is warm."


async def test_conversations_run_side_by_side(fake: Fake) -> None:
    """Twenty of them at once, each told by its own history, though later words are the same."""
    for name in ("Ann", "Bob"):
        fake.conversation(
            (when(user=f"I am {name}"), f"Hello {name}"),
            (when(user="Who am I?"), f"You are {name}"),
            (when(user="Sure?"), [fail(503), reply(f"Yes, {name}")]),
            times=10,
        )

    async def talk(name: str) -> None:
        turns = [
            (f"I am {name}", f"Hello {name}"),
            ("Who am I?", f"You are {name}"),
            ("Sure?", f"Yes, {name}"),
        ]
        said: list[Any] = []
        for user, expected in turns:
            said.append(("user", user))
            answer = await say(fake, *said)
            while answer.status == 503:
                await asyncio.sleep(0)
                answer = await say(fake, *said)
            assert text_of(fake.dialect, answer.json) == expected
            said.append(("assistant", expected))

    await asyncio.gather(*(talk(name) for _ in range(10) for name in ("Ann", "Bob")))

    fake.verify()
    assert sum(call.status == 503 for call in fake.calls) == 20


async def test_a_conversation_with_another_beginning_does_not_go_on(fake: Fake) -> None:
    """The message says which earlier turn was otherwise."""
    fake.unscripted = "fail"
    fake.conversation((when(user="One"), "1"), (when(user="Two"), "2"))

    answer = await say(fake, ("user", "Uno"), ("assistant", "1"), ("user", "Two"))

    assert "before, at turn 0: user='One', got 'Uno'" in message_of(fake.dialect, answer.json)


async def test_a_conversation_with_tools(fake: Fake) -> None:
    """The turn after a tool result has the user's first words still; parallel runs do not matter."""
    fake.conversation(
        (when(user="Weather?", tools="f"), tool_call("f", city="Rome")),
        (when(tool_result="f"), reply("Warm.")),
        (when(user="Thanks"), reply("Bye.")),
    )
    said: list[Any] = [("user", "Weather?")]

    first = await hear(fake, *said, tools=["f"])
    said += [("call", "f", {"city": "Rome"}), ("result", "f", "21")]
    second = await hear(fake, *said, tools=["f"])
    said += [("assistant", "Warm."), ("user", "Thanks")]
    third = await hear(fake, *said)

    assert [first, second, third] == ['f({"city": "Rome"})', "Warm.", "Bye."]
    fake.verify()


async def test_a_condition_that_fails_is_named(fake: Fake) -> None:
    """An error in a test's own predicate does not look like the vendor's."""

    def broken(request: Any) -> bool:
        return bool(request.nothing)

    fake.on(where=broken).reply("a")

    answer = await ask(fake)

    assert answer.status == 400
    with pytest.raises(AssertionError, match=r"where=.*broken failed: AttributeError"):
        fake.verify()


def test_an_unknown_condition_is_refused_in_the_script(fake: Fake) -> None:
    """A typing error does not become a rule that fits everything."""
    with pytest.raises(ScriptError, match="no condition 'users'; there are input, media, model"):
        fake.on(users="Hi")  # type: ignore[call-arg]
    with pytest.raises(ScriptError, match="no failure named 'meltdown'"):
        fake.on(user="Hi").fail("meltdown")


async def test_reset_forgets_rules(fake: Fake) -> None:
    """And their complaints."""
    fake.on(user=contains("a")).always("x")
    fake.on(user=contains("b")).always("y")
    await say(fake, ("user", "ab"))

    fake.reset()
    await say(fake, ("user", "ab"))

    fake.verify()
    assert len(fake.rules) == 0


# Chaos.


async def struck(fake: Fake, texts: list[str]) -> list[int]:
    """The statuses of calls with these texts, one after the other."""
    return [(await say(fake, ("user", one))).status for one in texts]


async def test_chaos_is_the_same_for_the_same_seed(fake: Fake) -> None:
    """And another one for another."""
    texts = [f"text {number}" for number in range(40)]
    twin, other = type(fake)(), type(fake)()
    for one, seed in ((fake, 3), (twin, 3), (other, 4)):
        one.always("fine").chaos(0.4, fail(500), fail(503), seed=seed)

    statuses = await struck(fake, texts)

    assert statuses == await struck(twin, texts)
    assert statuses != await struck(other, texts)
    assert {200, 500, 503} == set(statuses)
    assert 6 <= sum(one != 200 for one in statuses) <= 26


async def test_chaos_does_not_depend_on_the_order_of_calls_at_once(fake: Fake) -> None:
    """Which of them arrives first is chance; who is struck is not."""
    texts = [f"text {number}" for number in range(20)]
    twin = type(fake)()
    for one in (fake, twin):
        one.always("fine").chaos(0.5, fail(500), seed=1)

    there = dict(zip(texts, await struck(fake, texts), strict=True))
    back = dict(zip(texts[::-1], await struck(twin, texts[::-1]), strict=True))

    assert there == back


async def test_chaos_strikes_retries_anew() -> None:
    """The same request is not struck for ever."""
    fake = FakeOpenAI().always("fine").chaos(0.5, fail(500), seed=2)

    statuses = await struck(fake, ["same"] * 30)

    assert set(statuses) == {200, 500}


async def test_chaos_takes_nothing_from_the_script(fake: Fake) -> None:
    """The answer that a call would have got waits for its retry."""
    fake.unscripted = "fail"
    fake.reply("one").on(user="rule").reply("two")
    fake.chaos(1.0, fail(503))

    struck_ones = [(await say(fake, ("user", text))).status for text in ("Hi", "rule")]
    fake.chaos(0.0, fail(503))

    assert struck_ones == [503, 503]
    assert [call.rule for call in fake.calls] == ["chaos(p=1)", "chaos(p=1)"]
    assert [await hear(fake, ("user", text)) for text in ("Hi", "rule")] == ["one", "two"]
    fake.verify()


async def test_a_bare_fault_of_chaos_happens_to_the_answer(fake: Fake) -> None:
    """The answer is played, and goes wrong."""
    fake.reply("One two three four").chaos(1.0, fault(truncate_after=2))

    answer = await ask(fake, stream=True)

    assert len(answer.pieces) == 2
    assert fake.unused == ()


def test_chaos_needs_a_chance_and_a_step(fake: Fake) -> None:
    """Mistakes are named where they are written."""
    with pytest.raises(ScriptError, match=r"a probability from 0 to 1 and a step, got p=1\.5 and 1 steps"):
        fake.chaos(1.5, fail(500))
    with pytest.raises(ScriptError, match="and 0 steps"):
        fake.chaos(0.5)


# The parts by themselves.


@pytest.mark.parametrize(
    ("matcher", "fits", "misses", "words"),
    [
        (contains("a b"), "xa by", "ab", "contains('a b')"),
        (contains("Hi"), "Hi", "hi", "contains('Hi')"),
        (regex("^a+$"), "aa", "ab", "regex('^a+$')"),
        (glob("gpt-?o*"), "gpt-4o-mini", "gpt-4", "glob('gpt-?o*')"),
    ],
)
def test_matchers(matcher: Any, fits: str, misses: str, words: str) -> None:
    """Each fits what it says, and says what it fits."""
    assert matcher.fits(fits)
    assert not matcher.fits(misses)
    assert repr(matcher) == words


async def test_other_surfaces_have_rules_of_their_own() -> None:
    """A rule is for chat unless it says which surface it is for."""
    fake = FakeOpenAI()
    fake.on(surface="embeddings", input="x").fail(429)
    fake.on(input="x").reply("never")

    rule = fake.rules.choose(_request(surface="embeddings", inputs=("x", "y")))

    assert rule is not None
    assert repr(rule) == "on(input='x', surface='embeddings')"
    assert fake.rules.nearest(_request(inputs=("z",)), 1)[0].startswith("on(input='x'): input='x', got [\"z\"]")
    assert "it is for embeddings, the call wants chat" in fake.rules.nearest(_request())[1]


def _request(**members: Any) -> Any:
    return Request(**{"model": "m", **members})


def test_a_rule_with_nothing_left_says_so() -> None:
    """Only the fake itself can ask it."""
    rule = FakeOpenAI().on(user="Hi")

    with pytest.raises(RuleError, match=r"on\(user='Hi'\) has nothing left to answer"):
        rule.take(_request())


async def test_the_helper_builds_what_the_driver_builds(fake: Fake) -> None:
    """So that what holds for one holds for the other."""
    twin = type(fake)()

    ours = await ask(fake, chat(fake.dialect, HI))
    theirs = await ask(twin, question(fake.dialect, "Hi"))

    assert ours.status == theirs.status == 200
    assert fake.last.request is not None
    assert twin.last.request is not None
    assert fake.last.request.messages == twin.last.request.messages
