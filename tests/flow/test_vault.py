"""Reasoning comes back to models whose clients drop it: whole tool loops against fakes that check every signature.

Named after the threads of other gateways' users that asked for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest

from compatgw.dialects import assemble
from compatgw.dialects.base import Answer, Context, Quirks, Target
from compatgw.dialects.table import DIALECTS
from compatgw.errors import UpstreamFailure, UpstreamRejected
from compatgw.flow.vault import Vault
from compatgw.policy import reasoning
from compatgw.providers.table import PROVIDERS
from compatgw.state.memory import MemoryCounters
from compatgw.state.redis import RedisCounters
from compatgw_testing import FakeLLM
from compatgw_testing.harness import KEY, gateway_over
from tests.state.making import Clock

TOOL: Any = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
DUMMY = "skip_thought_signature_validator"
# Of an answer, what nearly every client keeps.
_KNOWN = ("role", "content", "tool_calls")
_HEADERS = {
    "bearer": ("authorization", "Bearer "),
    "x-api-key": ("x-api-key", ""),
    "x-goog-api-key": ("x-goog-api-key", ""),
}


class Lane:
    """The way to one fake, as an attempt goes it: what is foreign left out, what was dropped put back, once more without.

    Attributes:
        sent: Bodies that went out.
    """

    def __init__(self, fake: Any, provider: str, model: str, vault: Vault | None, *, tenant: str = "team a") -> None:
        row = PROVIDERS[provider]
        self.dialect = DIALECTS[row.dialect]
        self.target = Target(provider, model, row.quirks)
        self._row, self._fake, self._vault, self._tenant = row, fake, vault, tenant
        self.sent: list[Any] = []

    async def ask(self, request: Any, *, stream: bool = False, away: bool = False) -> Any:
        """The answer's message."""
        asked: Any = {**request, "model": "m", "stream": stream}
        wanted = reasoning.for_target(asked, self.dialect, self.target, away=away)
        if self._vault is not None:
            wanted = await self._vault.restored(self._tenant, wanted, self.dialect, self.target)
        try:
            completion = await self._try(wanted)
        except UpstreamFailure as failure:
            plain = reasoning.stripped(wanted)
            if not reasoning.refused(failure) or plain is wanted:
                raise
            completion = await self._try(plain)
        if self._vault is not None:
            await self._vault.remember(self._tenant, request, self.dialect, self.target, completion)
        return completion["choices"][0]["message"]

    async def _try(self, request: Any) -> Any:
        codec = self.dialect.chat
        assert codec is not None
        out = codec.encode(request, self.target)
        self.sent.append(orjson.loads(out.body))
        name, prefix = _HEADERS[self._row.auth]
        headers = {"content-type": "application/json", name: prefix + self._fake.api_key, **dict(out.headers)}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=self._fake)) as client:
            got = await client.post(self._row.base_url + out.path, content=out.body, headers=headers)
        if got.status_code != 200:
            raise codec.error(got.status_code, dict(got.headers), got.content, self.target)
        context = Context(self.target, "chatcmpl-1", 1, out.memo)
        if not request.get("stream"):
            answer = codec.decode(got.content, context)
            assert isinstance(answer, Answer)
            return answer.completion
        decoder = codec.stream(context)
        pieces = decoder.feed(got.content)
        return assemble.completion(piece.chunk for piece in [*pieces, *decoder.finish()])


def asked(**members: Any) -> dict[str, Any]:
    """A first question, with thinking."""
    return {"messages": [{"role": "user", "content": "How is the weather in Paris?"}], "tools": [TOOL], **members}


def forgetful(message: Any) -> dict[str, Any]:
    """The message as a plain client keeps it: members that OpenAI knows, arguments written anew."""
    kept = {name: message[name] for name in _KNOWN if message.get(name) is not None}
    for call in kept.get("tool_calls", ()):
        call.pop("extra_content", None)
        call["function"]["arguments"] = orjson.dumps(orjson.loads(call["function"]["arguments"])).decode()
    return kept


def answered(request: dict[str, Any], message: dict[str, Any]) -> dict[str, Any]:
    """The request of the next turn: the client has run the tools."""
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "sunny"} for call in message["tool_calls"]]
    return {**request, "messages": [*request["messages"], message, *results]}


@pytest.fixture(params=["memory", "redis"])
async def vault(request: pytest.FixtureRequest) -> AsyncIterator[Vault]:
    """A vault in each kind of counters."""
    if request.param == "memory":
        yield Vault(MemoryCounters())
        return
    counters = RedisCounters(request.getfixturevalue("redis_url"), prefix=f"vault-{uuid4().hex}")
    yield Vault(counters)
    await counters.aclose()


def claude(llm: FakeLLM, vault: Vault | None, model: str = "claude-sonnet-4-5", **more: Any) -> Lane:
    """The way to Anthropic's fake."""
    return Lane(llm.anthropic, "anthropic", model, vault, **more)


def gemini(llm: FakeLLM, vault: Vault | None, model: str = "gemini-3-pro-preview", **more: Any) -> Lane:
    """The way to Gemini's fake."""
    return Lane(llm.gemini, "gemini", model, vault, **more)


def thought_in(body: Any) -> list[str]:
    """Signatures of thinking blocks in a body to Anthropic."""
    return [
        block["signature"]
        for message in body["messages"]
        for block in (message["content"] if isinstance(message["content"], list) else ())
        if block["type"] == "thinking"
    ]


def signatures_in(body: Any) -> list[str]:
    """Signatures in a body to Gemini."""
    return [
        part["thoughtSignature"]
        for content in body["contents"]
        for part in content["parts"]
        if "thoughtSignature" in part
    ]


# --- thread 15: BerriAI/litellm#16893, #25322; OpenHands/software-agent-sdk#1500; crmne/ruby_llm#591 ---


@pytest.mark.parametrize("stream", [False, True])
async def test_thread_15_gemini_gets_its_thought_signatures_back_from_a_client_that_drops_them(
    vault: Vault, stream: bool
) -> None:
    """The very signature stands on its call in the second turn, not the stand-in for foreign history."""
    llm = FakeLLM()
    lane = gemini(llm, vault)
    llm.gemini.reply(calls=[("weather", {"city": "Paris"}), ("weather", {"city": "Oslo"})], reasoning="Two cities.")
    llm.gemini.reply("Sunny in both.")
    message = await lane.ask(asked(), stream=stream)
    signature = message["tool_calls"][0]["extra_content"]["google"]["thought_signature"]
    final = await lane.ask(answered(asked(), forgetful(message)), stream=stream)
    assert final["content"] == "Sunny in both."
    assert signatures_in(lane.sent[1]) == [signature]
    assert "thoughtSignature" in lane.sent[1]["contents"][1]["parts"][-2]


async def test_thread_15_without_the_vault_the_stand_in_is_the_last_resort() -> None:
    """The call still succeeds."""
    llm = FakeLLM()
    lane = gemini(llm, None)
    llm.gemini.reply(calls=[("weather", {"city": "Paris"})])
    llm.gemini.reply("Sunny.")
    message = await lane.ask(asked())
    await lane.ask(answered(asked(), forgetful(message)))
    assert signatures_in(lane.sent[1]) == [DUMMY]


@pytest.mark.parametrize("stream", [False, True])
async def test_thread_15_claude_gets_its_thinking_blocks_back(vault: Vault, stream: bool) -> None:
    """Unchanged, first in its turn; thinking stays on through a whole loop of tools."""
    llm = FakeLLM()
    lane = claude(llm, vault)
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 2000}}
    llm.anthropic.reply(calls=[("weather", {"city": "Paris"})], reasoning="Paris first.")
    llm.anthropic.reply(calls=[("weather", {"city": "Oslo"})], reasoning="Then Oslo.")
    llm.anthropic.reply("Sunny in both.")
    request = asked(**thinking)
    first = await lane.ask(request, stream=stream)
    request = answered(request, forgetful(first))
    second = await lane.ask(request, stream=stream)
    final = await lane.ask(answered(request, forgetful(second)), stream=stream)
    assert final["content"] == "Sunny in both."
    signed = [entry["signature"] for message in (first, second) for entry in message["reasoning_details"]]
    assert len(signed) == 2
    assert thought_in(lane.sent[1]) == signed[:1]
    assert thought_in(lane.sent[2]) == signed
    assert all(body["thinking"]["type"] == "enabled" for body in lane.sent)


async def test_thread_15_turns_without_tools_are_known_by_their_text(vault: Vault) -> None:
    """In a conversation that began with other words the same answer is another one."""
    llm = FakeLLM()
    lane = gemini(llm, vault)
    for _ in range(3):
        llm.gemini.reply("Sunny.", reasoning="Look outside.")
    message = await lane.ask(asked())
    more = {"role": "user", "content": "And tomorrow?"}
    await lane.ask({"messages": [*asked()["messages"], forgetful(message), more]})
    assert len(signatures_in(lane.sent[1])) == 1
    await lane.ask({"messages": [{"role": "user", "content": "Rain?"}, forgetful(message), more]})
    assert signatures_in(lane.sent[2]) == []


async def test_what_one_team_thought_no_other_team_gets(vault: Vault) -> None:
    """Even with the same call."""
    llm = FakeLLM()
    llm.gemini.reply(calls=[("weather", {"city": "Paris"})])
    llm.gemini.reply("Sunny.")
    message = await gemini(llm, vault).ask(asked())
    other = gemini(llm, vault, tenant="team b")
    await other.ask(answered(asked(), forgetful(message)))
    assert signatures_in(other.sent[0]) == [DUMMY]


# --- thread 18: vercel/ai#15308, and openclaw#107221, quotio#218 ---


async def test_thread_18_signatures_of_another_credential_are_tried_once_and_then_left_out() -> None:
    """Behind one name the next call may go to another account, which knows nothing of what the first one signed."""
    first, second = FakeLLM(), FakeLLM()
    vault = Vault(MemoryCounters())
    request = asked(thinking={"type": "enabled", "budget_tokens": 2000})
    first.anthropic.reply(calls=[("weather", {"city": "Paris"})], reasoning="Paris.")
    message = await claude(first, vault).ask(request)
    second.anthropic.reply("Sunny.")
    lane = claude(second, vault)
    final = await lane.ask(answered(request, forgetful(message)))
    assert final["content"] == "Sunny."
    assert [len(thought_in(body)) for body in lane.sent] == [1, 0]


async def test_thread_18_the_same_with_gemini() -> None:
    """A wrong signature is refused there, a missing one has its stand-in."""
    first, second = FakeLLM(), FakeLLM()
    first.gemini.reply(calls=[("weather", {"city": "Paris"})])
    vault = Vault(MemoryCounters())
    message = await gemini(first, vault).ask(asked())
    second.gemini.reply("Sunny.")
    lane = gemini(second, vault)
    assert (await lane.ask(answered(asked(), forgetful(message))))["content"] == "Sunny."
    assert signatures_in(lane.sent[0]) != [DUMMY] == signatures_in(lane.sent[1])


async def test_a_refusal_of_something_else_is_not_repeated() -> None:
    """Once is once, and a request with nothing signed in it is the same request."""
    llm = FakeLLM()
    lane = claude(llm, Vault(MemoryCounters()))
    llm.anthropic.fail(400, "messages.1.content.0: Invalid `signature` in `thinking` block")
    with pytest.raises(UpstreamRejected):
        await lane.ask(asked())
    assert len(lane.sent) == 1


@pytest.mark.parametrize("brought", [False, True])
async def test_on_a_fallback_to_another_vendor_foreign_signatures_stay_behind(brought: bool) -> None:
    """Whether the client brings them or the vault has them; every vendor answers at once."""
    llm = FakeLLM()
    vault = Vault(MemoryCounters())
    request = asked(reasoning_effort="low")
    ways = (
        (llm.anthropic, claude(llm, vault), llm.gemini, gemini(llm, vault)),
        (llm.gemini, gemini(llm, vault), llm.anthropic, claude(llm, vault)),
    )
    for fake, lane, other_fake, other in ways:
        fake.reply(calls=[("weather", {"city": "Paris"})], reasoning="Paris.")
        message = await lane.ask(request)
        next_turn = answered(request, message if brought else forgetful(message))
        signed = [entry.get("signature") or entry["data"] for entry in message.get("reasoning_details", ())]
        for call in message["tool_calls"]:
            signed += call.get("extra_content", {}).get("google", {}).values()
        assert signed
        away = [
            (other_fake, other),
            (llm.openai, Lane(llm.openai, "openai", "gpt-4o", vault)),
            (llm.cohere, Lane(llm.cohere, "cohere", "command-a-03-2025", vault)),
        ]
        for target_fake, target_lane in away:
            target_fake.reply("Sunny.")
            assert (await target_lane.ask(next_turn, away=True))["content"] == "Sunny."
            assert len(target_lane.sent) == 1
            assert not any(one in orjson.dumps(target_lane.sent).decode() for one in signed)
            target_lane.sent.clear()
        lane.sent.clear()


async def test_reasoning_that_nobody_signed_comes_back_where_upstreams_want_it() -> None:
    """DeepSeek refuses a turn of tools without it."""
    vault = Vault(MemoryCounters())
    dialect = DIALECTS["openai"]
    target = Target("deepseek", "deepseek-reasoner", PROVIDERS["deepseek"].quirks)
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message: Any = {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "tool_calls": [call],
        "reasoning_content": "Hm.",
    }
    completion: Any = {"choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls"}]}
    request: Any = asked(model="m")
    assert await vault.remember("t", request, dialect, target, completion) == 1
    back = await vault.restored("t", answered(request, forgetful(message)), dialect, target)  # type: ignore[arg-type]
    assert dialect.chat is not None
    sent = orjson.loads(dialect.chat.encode(back, target).body)
    assert sent["messages"][1]["reasoning_content"] == "Hm."


# --- bounds ---


def entry() -> Any:
    """An answer worth keeping."""
    message = {"role": "assistant", "content": "Sunny.", "extra_content": {"google": {"thought_signature": "s" * 900}}}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}


async def test_entries_end_by_time_and_by_size() -> None:
    """What is gone is missed in silence."""
    clock = Clock()
    counters = MemoryCounters(clock=clock)
    dialect, target, request = DIALECTS["gemini"], Target("gemini", "gemini-3-pro"), asked(model="m")
    bare: Any = {**request, "messages": [*request["messages"], {"role": "assistant", "content": "Sunny."}]}
    short = Vault(counters, keep=60)
    assert await short.remember("t", request, dialect, target, entry()) == 1  # type: ignore[arg-type]
    assert await short.restored("t", bare, dialect, target) is not bare
    clock.now += 61
    assert await short.restored("t", bare, dialect, target) is bare
    assert await Vault(counters, max_entry=512).remember("t", request, dialect, target, entry()) == 0  # type: ignore[arg-type]


async def test_a_vault_that_is_lost_fails_nobody() -> None:
    """Neither when something is to be kept nor when it is looked for."""
    counters = RedisCounters("redis://127.0.0.1:1/0")
    vault = Vault(counters)
    dialect, target, request = DIALECTS["gemini"], Target("gemini", "gemini-3-pro"), asked(model="m")
    bare: Any = {**request, "messages": [*request["messages"], {"role": "assistant", "content": "Sunny."}] * 3}
    assert await vault.remember("t", request, dialect, target, entry()) == 0  # type: ignore[arg-type]
    assert await vault.restored("t", bare, dialect, target) is bare
    await counters.aclose()


async def test_a_value_that_is_not_ours_is_a_miss() -> None:
    """Another program's, another version's, one that was cut."""
    counters = MemoryCounters()
    vault = Vault(counters)
    dialect, target, request = DIALECTS["gemini"], Target("gemini", "gemini-3-pro"), asked(model="m")
    bare: Any = {**request, "messages": [*request["messages"], {"role": "assistant", "content": "Sunny."}]}
    await vault.remember("t", request, dialect, target, entry())  # type: ignore[arg-type]
    (want,) = reasoning.wanted("t", bare)
    good = await counters.get(want.key)
    assert good is not None
    for value in (b"", b"{}", good[:-1], good + b"x", good.replace(b"thought", b"answer", 1)):
        await counters.put(want.key, value, 60)
        assert await vault.restored("t", bare, dialect, target) is bare
    await counters.put(want.key, good, 60)
    assert await vault.restored("t", bare, dialect, target) is not bare


async def test_what_cannot_be_written_is_not_kept() -> None:
    """Half a character, and nesting that no JSON is written with."""
    deep: Any = {}
    for _ in range(300):
        deep = {"a": deep}
    vault, dialect, target, request = (
        Vault(MemoryCounters()),
        DIALECTS["gemini"],
        Target("gemini", "g"),
        asked(model="m"),
    )
    for extra in ({"x": "\ud800"}, deep):
        answer = entry()
        answer["choices"][0]["message"]["extra_content"] = extra
        assert await vault.remember("t", request, dialect, target, answer) == 0  # type: ignore[arg-type]


async def test_targets_that_take_nothing_back_cost_nothing() -> None:
    """Nothing is looked for and nothing kept."""
    counters = RedisCounters("redis://127.0.0.1:1/0")
    vault, dialect, target = Vault(counters), DIALECTS["openai"], Target("v", "m", Quirks())
    request: Any = asked(model="m")
    assert await vault.remember("t", request, dialect, target, entry()) == 0
    assert await vault.restored("t", request, dialect, target) is request
    await counters.aclose()


# --- through whole gateways ---


async def post(app: Any, request: Any, *, stream: bool = False) -> Any:
    """The answer's message."""
    async with app.client(api_key=KEY) as client:
        got = await client.post("/v1/chat/completions", json={**request, "stream": stream})
    assert got.status_code == 200, got.text
    if not stream:
        return got.json()["choices"][0]["message"]
    events = [orjson.loads(event[6:]) for event in got.content.split(b"\n\n") if event.startswith(b"data: {")]
    return assemble.completion(events)["choices"][0]["message"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("keep", [True, False])
async def test_a_gateway_gives_models_back_what_clients_drop(stream: bool, keep: bool) -> None:
    """Unless its operator wants nothing kept."""
    llm = FakeLLM()
    app = gateway_over(gemini=llm.gemini, options={} if keep else {"reasoning": {"keep": 0}})
    llm.gemini.reply(calls=[("weather", {"city": "Paris"})])
    llm.gemini.reply("Sunny.")
    request = asked(model="gemini/gemini-3-pro-preview")
    message = await post(app, request, stream=stream)
    signature = message["tool_calls"][0]["extra_content"]["google"]["thought_signature"]
    final = await post(app, answered(request, forgetful(message)), stream=stream)
    assert final["content"] == "Sunny."
    assert signatures_in(llm.gemini.calls[-1].body) == [signature if keep else DUMMY]


@pytest.mark.parametrize("stream", [False, True])
async def test_thread_18_a_gateway_asks_once_more_without_what_was_refused(stream: bool) -> None:
    """A signature that the upstream does not know costs the caller nothing; one that is always refused, one call more."""
    llm = FakeLLM()
    app = gateway_over(anthropic=llm.anthropic)
    entry = {
        "type": "reasoning.text",
        "text": "Hm.",
        "signature": "bm9ib2R5",
        "format": "anthropic-claude-v1",
        "index": 0,
    }
    call = {"id": "toolu_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_details": [entry]}
    request = answered(asked(model="anthropic/claude-sonnet-4-5"), message)
    llm.anthropic.reply("Sunny.")
    assert (await post(app, request, stream=stream))["content"] == "Sunny."
    assert [len(thought_in(sent.body)) for sent in llm.anthropic.calls] == [1, 0]
