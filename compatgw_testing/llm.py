"""All fakes of one test together: made when first asked for, scripted and verified as one.

What does not live here: the fakes (`fakes/`), the port they are served on (`server.py`), the
fixtures (`plugin.py`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

from compatgw_testing.clock import VirtualClock
from compatgw_testing.doors.lifespan import answer_lifespan
from compatgw_testing.fakes import FakeAnthropic, FakeBedrock, FakeCohere, FakeGemini, FakeOpenAI
from compatgw_testing.fakes.openai.habits import HABITS
from compatgw_testing.verdict import graded

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping
    from typing import Any, Self, Unpack

    from compatgw_testing.doors.exchange import Receive, Send
    from compatgw_testing.fakes import Fake
    from compatgw_testing.fakes.scripted import Unscripted
    from compatgw_testing.journal import Call
    from compatgw_testing.verdict import Grade, Limits

Made = TypeVar("Made", bound="Fake")
DIALECTS = ("openai", "anthropic", "gemini", "cohere", "bedrock")
# The key that each fake accepts, by the name of the fake.
KEYS = {
    "anthropic": FakeAnthropic.default_key,
    "gemini": FakeGemini.default_key,
    "cohere": FakeCohere.default_key,
    "bedrock": FakeBedrock.default_key,
    **dict.fromkeys(HABITS, FakeOpenAI.default_key),
}


class FakeLLM:
    """Fakes of every vendor.

    Args:
        seed: From which ids, times and made-up texts follow.
        unscripted: What a chat call gets that nothing is scripted for: a made-up `answer`, or `fail`.
        clock: One for all fakes. Default: it stands still until `fake_llm.clock.advance(seconds)`.
    """

    def __init__(
        self,
        *,
        seed: int | str = 0,
        unscripted: Unscripted = "answer",
        clock: VirtualClock | None = None,
    ) -> None:
        self.seed = seed
        self.clock = VirtualClock() if clock is None else clock
        self._unscripted: Unscripted = unscripted
        self._fakes: dict[str, Fake] = {}
        # Where the fakes are served, each below its name; empty while they are not.
        self.origin = ""

    @property
    def openai(self) -> FakeOpenAI:
        """The fake of OpenAI."""
        return self.vendor("openai")

    @property
    def anthropic(self) -> FakeAnthropic:
        """The fake of Anthropic."""
        return self._of("anthropic", FakeAnthropic)

    @property
    def gemini(self) -> FakeGemini:
        """The fake of Gemini."""
        return self._of("gemini", FakeGemini)

    @property
    def cohere(self) -> FakeCohere:
        """The fake of Cohere."""
        return self._of("cohere", FakeCohere)

    @property
    def bedrock(self) -> FakeBedrock:
        """The fake of Amazon Bedrock."""
        return self._of("bedrock", FakeBedrock)

    def vendor(self, name: str) -> FakeOpenAI:
        """The fake of a vendor that speaks OpenAI's protocol, in that vendor's ways: `groq`, `mistral`, ...

        Raises:
            ScriptError: There are no ways of this name.
        """
        return self._of(name, partial(FakeOpenAI, habit=name))

    def dialect(self, name: str) -> Fake:
        """The fake of a dialect or vendor by name."""
        if name == "anthropic":
            return self.anthropic
        if name == "gemini":
            return self.gemini
        if name == "bedrock":
            return self.bedrock
        return self.cohere if name == "cohere" else self.vendor(name)

    @property
    def fakes(self) -> dict[str, Fake]:
        """Those that were asked for, by name."""
        return dict(self._fakes)

    @property
    def calls(self) -> list[tuple[str, Call]]:
        """Every call with the name of its fake, in the order of arrival."""
        found = [(name, call) for name, fake in self._fakes.items() for call in fake.calls]
        return sorted(found, key=lambda one: one[1].arrived)

    def improvise(self) -> Self:
        """From now on, every fake makes up an answer for calls that nothing is scripted for."""
        self._unscripted = "answer"
        for fake in self._fakes.values():
            fake.unscripted = "answer"
        return self

    def verify(self) -> None:
        """Everything scripted was played, and nothing came that the scripts do not know.

        Raises:
            AssertionError: Otherwise; the message lists every complaint, fake by fake.
        """
        found: list[str] = []
        for fake in self._fakes.values():
            try:
                fake.verify()
            except AssertionError as error:
                found.append(str(error))
        if found:
            raise AssertionError("\n".join(found))

    def grade(self, **limits: Unpack[Limits]) -> Grade:
        """How the client behaved towards all fakes; what its user saw is told to one fake's own `grade`.

        Args:
            limits: Where a finding begins; see `verdict.Limits`.
        """
        return graded({name: fake.grade(**limits) for name, fake in self._fakes.items()})

    def reset(self) -> None:
        """Forgets scripts, rules and journals."""
        for fake in self._fakes.values():
            fake.reset()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serves every fake under its name, as an ASGI application: `/openai/v1/...`, `/gemini/v1/...`."""
        if scope["type"] == "lifespan":
            await answer_lifespan(receive, send)
            return
        root = str(scope.get("root_path", ""))
        name, _, _ = str(scope["path"]).removeprefix(root).lstrip("/").partition("/")
        if name not in DIALECTS and name not in HABITS:
            body = f"There is no fake {name!r} here; there are {', '.join(sorted({*DIALECTS, *HABITS}))}.\n".encode()
            await send({"type": "http.response.start", "status": 404, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": body, "more_body": False})
            return
        await self.dialect(name)({**scope, "root_path": f"{root}/{name}"}, receive, send)

    def _of(self, name: str, make: Callable[..., Made]) -> Made:
        """The fake of this name, which is always of one kind."""
        if name not in self._fakes:
            self._fakes[name] = make(seed=self.seed, unscripted=self._unscripted, clock=self.clock)
        return cast("Made", self._fakes[name])
