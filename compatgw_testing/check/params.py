"""Assertions on request members: each is taken, or refused by name; none is ignored where that shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw_testing.check import asks
from compatgw_testing.check.base import Blocked, Skips, dig, expect, gathered, is_text, may, must, short, should

if TYPE_CHECKING:
    from compatgw_testing.check.probe import Probe
    from compatgw_testing.check.wire import Answer


async def _taken(probe: Probe, name: str, value: object) -> Answer:
    """Takes the member, or refuses it with 400 and its name in `param` or message."""
    answer = await probe.ask(**{name: value})
    error = answer.error
    told = dig(error, "param") == name or name in str(dig(error, "message"))
    expect(answer.status == 200 or (answer.status in (400, 422) and told), answer.said)
    return answer


@must("params.temperature")
async def temperature(probe: Probe) -> None:
    """`temperature` is taken, or refused by name."""
    await _taken(probe, "temperature", 0.5)


@must("params.temperature_zero")
async def temperature_zero(probe: Probe) -> None:
    """`temperature: 0` is taken, or refused by name."""
    await _taken(probe, "temperature", 0)


@must("params.top_p")
async def top_p(probe: Probe) -> None:
    """`top_p` is taken, or refused by name."""
    await _taken(probe, "top_p", 0.9)


@must("params.stop")
async def stop(probe: Probe) -> None:
    """`stop` as a string is taken, or refused by name."""
    await _taken(probe, "stop", "###")


@must("params.stop_list")
async def stop_list(probe: Probe) -> None:
    """`stop` as a list is taken, or refused by name."""
    await _taken(probe, "stop", ["###", "END"])


@must("params.stop_cuts")
async def stop_cuts(probe: Probe) -> None:
    """The text ends before a stop sequence and does not contain it."""
    answer = await probe.optional("stop", messages=asks.user(asks.COUNT), stop=["four", "Four"])
    if answer.status != 200:
        raise Blocked(f"it was answered {answer.said}")
    text = dig(answer.body(), "choices", 0, "message", "content") or ""
    expect("four" not in text.lower(), f"the text is {short(text)}")


@should("params.seed")
async def seed(probe: Probe) -> None:
    """`seed` is taken, or refused by name."""
    await _taken(probe, "seed", 7)


@should("params.penalties")
async def penalties(probe: Probe) -> None:
    """`presence_penalty` and `frequency_penalty` are taken, or refused by name."""
    await _taken(probe, "presence_penalty", 0.1)
    await _taken(probe, "frequency_penalty", 0.1)


@should("params.user")
async def user(probe: Probe) -> None:
    """`user` is taken, or refused by name."""
    await _taken(probe, "user", "ada-1815")


@should("params.metadata")
async def metadata(probe: Probe) -> None:
    """`metadata` is taken, or refused by name."""
    await _taken(probe, "metadata", {"purpose": "check"})


@may("params.effort")
async def effort(probe: Probe) -> None:
    """`reasoning_effort` is taken, or refused by name."""
    await _taken(probe, "reasoning_effort", "low")


@may("params.logit_bias")
async def logit_bias(probe: Probe) -> None:
    """`logit_bias` is taken, or refused by name."""
    await _taken(probe, "logit_bias", {"100": -1})


@should("params.logprobs")
async def logprobs(probe: Probe) -> None:
    """`logprobs` gives a list of tokens, each with its logarithm, or is refused; it is not ignored."""
    answer = await probe.optional("logprobs", logprobs=True, top_logprobs=2)
    expect(answer.status == 200, answer.said)
    if "logprobs" in answer.headers.get("x-dropped-params", ""):
        raise Skips("the server left logprobs out and said so")
    tokens = dig(answer.body(), "choices", 0, "logprobs", "content")
    expect(isinstance(tokens, list) and bool(tokens), f"choices[0].logprobs.content is {short(tokens)}")
    for one in tokens:
        number = dig(one, "logprob")
        expect(isinstance(number, (int, float)) and is_text(dig(one, "token")), f"a token is {short(one)}")


@must("params.null")
async def null(probe: Probe) -> None:
    """Optional members that are null count as absent."""
    names = ("temperature", "top_p", "stop", "tools", "tool_choice", "response_format", "stream_options", "user")
    answer = await probe.ask(**dict.fromkeys(names))
    expect(answer.status == 200, answer.said)


@should("params.null_stream")
async def null_stream(probe: Probe) -> None:
    """`stream: null` counts as false."""
    answer = await probe.ask(stream=None)
    expect(answer.status == 200 and answer.media_type == "application/json", answer.said)


@may("params.no_tools")
async def no_tools(probe: Probe) -> None:
    """An empty list of tools is taken as none, or refused by name."""
    await _taken(probe, "tools", [])


ASSERTIONS = gathered(globals())
