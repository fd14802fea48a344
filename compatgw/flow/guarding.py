"""The guardrails of a call: which it has, and what happens to its request and its answer because of them.

Policy comes first: what the settings demand of all calls, of a team's, of a key's. A caller can add to these and
cannot change them. They run in one order, wherever they were asked for: `pii`, then the operator's own, then
`content_moderation`, so that none that asks a model sees personal data, and `schema_validation` last.

A guardrail that raises, hangs or answers nonsense fails the call, or lets the text pass, as `on_failure` says.

Requests to other endpoints than chat go through the guardrails of the way in, too; their answers go through none.

What does not live here: the guardrails (`guardrails/`), how they are asked for (`surfaces/guards.py`).
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import TYPE_CHECKING, Any, TypeVar

from compatgw.dialects.base import Answer, Piece, Result
from compatgw.errors import GatewayError, InvalidRequest, UnsupportedParameter
from compatgw.flow.aside import aside
from compatgw.flow.attempts import answered
from compatgw.flow.several import summed
from compatgw.guardrails.base import Nonsense, Own
from compatgw.guardrails.pipeline import Blocked, Pipeline
from compatgw.guardrails.schema import SchemaGuard, Shape, instruction, repair
from compatgw.surfaces import guards
from compatgw.surfaces.guards import NONE, Guards
from compatgw.surfaces.moderations import MODERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from compatgw.flow.call import Call, Headers, House
    from compatgw.flow.source import Source
    from compatgw.guardrails.base import Ask, Guardrail, Steps
    from compatgw.guardrails.moderation import Judged
    from compatgw.policy.access import Caller
    from compatgw.sections import DemandSettings, GuardrailSettings
    from compatgw.surfaces.guards import Guard
    from compatgw.wire.chat import Usage

_log = logging.getLogger("compatgw")
_PII, _MODERATION, _SCHEMA = "pii", "content_moderation", "schema_validation"
Done = TypeVar("Done")
# Guardrails that are kept once made. Callers choose kinds and thresholds: there is no end to them.
_MADE = 256


class Policy:
    """The guardrails of one gateway.

    Args:
        settings: What is demanded, and how each guardrail is configured.
        own: The operator's, by name, in their order.
    """

    def __init__(self, settings: GuardrailSettings, own: Mapping[str, Guardrail]) -> None:
        self.settings = settings
        self._own = own
        self._order = {name: place for place, name in enumerate((_PII, *own, _MODERATION, _SCHEMA))}
        self._demanded = _demanded(settings, "guardrails")
        self._teams = {name: _demanded(own, f"guardrails.teams.{name}") for name, own in settings.teams.items()}
        self._keys = {name: _demanded(own, f"guardrails.keys.{name}") for name, own in settings.keys.items()}
        self._any = any(all_of != NONE for all_of in self._all())
        self._made: dict[Guard, Guardrail] = {}
        for wish in {guard.name: guard for all_of in self._all() for guard in (*all_of.input, *all_of.output)}.values():
            if wish.name != _SCHEMA:
                self._of(wish)

    def _all(self) -> Iterator[Guards]:
        yield from (self._demanded, *self._teams.values(), *self._keys.values())

    def demanded(self, caller: Caller) -> Guards:
        """What calls of `caller` have in any case."""
        found = self._demanded + self._teams.get(caller.team, NONE) + self._keys.get(caller.key, NONE)
        return found + self._keys.get(caller.name, NONE)

    def guard(self, call: Call) -> Guarding | None:
        """The guardrails of `call`; None when it has none.

        Raises:
            InvalidRequest: It asks for one that is not there, or in a way that it does not work.
            UnsupportedParameter: It asks for what no answer of this kind can have.
        """
        asked_for = call.options.guardrails
        if not self._any and asked_for is NONE:
            return None
        wanted = self.demanded(call.caller) + asked_for
        if call.surface.codec != "chat":
            if asked_for.output:
                raise UnsupportedParameter(
                    "'guardrails.output' is for answers of chat models. Leave it out.", param="guardrails.output"
                )
            wanted = Guards(wanted.input)
        if wanted == NONE:
            return None
        shapes = [one for one in wanted.output if one.name == _SCHEMA]
        if misplaced := [one for one in wanted.input if one.name == _SCHEMA]:
            raise InvalidRequest(
                "The guardrail 'schema_validation' looks at answers. Ask for it under 'output'.",
                param=misplaced[0].param,
            )
        rails = {one.name: _schema(one, call) for one in shapes}
        made = [
            [rails.get(one.name) or self._of(one) for one in self._sorted(way)] for way in (wanted.input, wanted.output)
        ]
        return Guarding(made[0], made[1], schema_of(shapes[0], call) if shapes else None)

    def _sorted(self, guards: Sequence[Guard]) -> list[Guard]:
        return sorted(guards, key=lambda guard: self._order.get(guard.name, len(self._order)))

    def _of(self, wish: Guard) -> Guardrail:
        if (known := self._made.get(wish)) is not None:
            return known
        try:
            made = self._new(wish)
        except ValueError as error:
            raise InvalidRequest(f"'{wish.param}': {error}", param=wish.param) from None
        except ImportError as error:
            raise InvalidRequest(
                f"The guardrail '{wish.name}' needs {error.name}, which this gateway does not have. Its operator "
                "installs compatgw[guardrails].",
                param=wish.param,
            ) from None
        if len(self._made) < _MADE:
            self._made[wish] = made
        return made

    def _new(self, wish: Guard) -> Guardrail:
        settings = self.settings
        if wish.name in self._own:
            return self._own[wish.name]
        if wish.name == _PII:
            from compatgw.guardrails.pii import Pii

            kinds: Any = wish.kinds or settings.pii.kinds
            return Pii(wish.action or settings.pii.action, kinds=kinds, regions=settings.pii.regions)
        if wish.name == _MODERATION:
            from compatgw.guardrails.moderation import Judged, WordList

            own = settings.moderation
            if own.model is not None:
                threshold = wish.threshold if wish.threshold is not None else own.threshold
                return Judged(own.model, own.thresholds, threshold, own.window)
            if own.words:
                return WordList(own.words, action="redact" if wish.action == "redact" else "block")
            raise InvalidRequest(
                "The guardrail 'content_moderation' has neither a model nor words here. The gateway's operator sets "
                "'guardrails.moderation'.",
                param=wish.param,
            )
        known = ", ".join(self._order)
        raise InvalidRequest(f"There is no guardrail '{wish.name}'. Known: {known}.", param=wish.param)


def _demanded(settings: DemandSettings, where: str) -> Guards:
    return guards.read({"input": settings.input, "output": settings.output}, where)


def schema_of(wish: Guard, call: Call) -> Any:
    """The schema that an answer has to follow; None where nobody says."""
    if wish.schema is not None:
        return wish.schema
    wanted = call.request.get("response_format") or {}
    return (wanted.get("json_schema") or {}).get("schema")


def _schema(wish: Guard, call: Call) -> SchemaGuard:
    schema = schema_of(wish, call)
    if schema is None:
        raise InvalidRequest(
            "The guardrail 'schema_validation' needs a schema: give it one as 'schema', or send a 'response_format' "
            "of the type 'json_schema'.",
            param=wish.param,
            code="missing_parameter",
        )
    return SchemaGuard(Shape(schema, param=f"{wish.param}.schema"), repair=wish.repair)


class Guarding:
    """The guardrails of one call."""

    def __init__(self, input: Sequence[Guardrail], output: Sequence[Guardrail], schema: Any = None) -> None:
        self._pipeline = Pipeline(input, output)
        self._schema = schema
        self._shapes = [one for one in output if isinstance(one, SchemaGuard)]

    @property
    def rounds(self) -> int:
        """Rounds in which a model may mend its answer."""
        return max((shape.repair for shape in self._shapes), default=0)

    def failures(self, text: str) -> tuple[str, ...]:
        """What is wrong with a text that has to follow schemas."""
        return tuple(failure for one in self._shapes for failure in one.shape.check(text))

    def key(self) -> str:
        """What of it changes which answer is kept."""
        return repr((self._schema, self.rounds)) if self.rounds else ""

    async def request(self, call: Call, house: House) -> None:
        """Lets the request through, changed where it has to be.

        Raises:
            Blocked: It may not go on.
        """
        if call.surface.codec != "chat":
            changed = await _driven(self._pipeline.body(call.request), call, house)
            if changed is not call.request:
                call.rewrite(changed)
            return
        request = await _driven(self._pipeline.request(call.request), call, house)
        if self._shapes and "response_format" not in request:
            told: Any = {"role": "system", "content": instruction(self._schema)}
            request = {**request, "messages": [told, *request["messages"]]}
        if request is not call.request or self._pipeline.answers:
            call.rewrite(request)

    async def over(self, found: Source, call: Call, house: House) -> Source:
        """An answer as its client may have it.

        Raises:
            Blocked: It may have nothing of it.
        """
        if not self._pipeline.answers:
            return found
        guarded = _Guarded(found, self._pipeline, call, house)
        await guarded.begin()
        return guarded

    def status(self, *, told: bool = False) -> str:
        """For `X-Guardrail-Status`; of a stream that has not ended only what is known of the way in."""
        return self._pipeline.status(None if told else "input")


class _Guarded:
    """A source whose answer goes through guardrails."""

    def __init__(self, found: Source, pipeline: Pipeline, call: Call, house: House) -> None:
        self._found = found
        self._pipeline = pipeline
        self._call = call
        self._house = house
        self._over = False
        self.held: list[Any] = []

    @property
    def over(self) -> bool:
        return self._over

    @property
    def about(self) -> Headers:
        return self._found.about

    async def begin(self) -> None:
        """Reads until there is something for the client.

        Raises:
            Blocked: There is nothing that it may have.
        """
        self.held = await self._through(self._found.held)
        while not self._over and not self.held:
            self.held = await self.next()

    async def next(self) -> list[Any]:
        return await self._through(await self._found.next())

    async def aclose(self) -> None:
        await self._found.aclose()

    async def _through(self, items: list[Any]) -> list[Any]:
        out: list[Any] = []
        for item in items:
            if isinstance(item, Answer):
                completion = await self._run(self._pipeline.completion(item.completion))
                out.append(item if completion is item.completion else Answer(completion))
            elif isinstance(item, Piece):
                chunks = await self._run(self._pipeline.chunk(item.chunk))
                out += [item if chunk is item.chunk else Piece(chunk) for chunk in chunks]
            else:
                out.append(item)
        if self._found.over and not self._over:
            out += [Piece(chunk) for chunk in await self._run(self._pipeline.finish())]
            self._over = True
        return out

    async def _run(self, steps: Steps[Done]) -> Done:
        return await _driven(steps, self._call, self._house)


async def guarded(call: Call, house: House) -> None:
    """Takes the request of `call` through its guardrails, if it has any.

    Raises:
        Blocked: It may not go on.
        InvalidRequest: It asks for guardrails that are not there.
    """
    call.guard = house.guards.guard(call)
    if call.guard is not None:
        await call.guard.request(call, house)


async def mended(call: Call, house: House, rounds: int) -> Answer:
    """A whole answer that follows its schema, as far as the model can be brought to that in so many rounds.

    Raises:
        GatewayError: No upstream answered.
    """
    guard, messages = call.guard, call.request["messages"]
    request = {name: value for name, value in call.request.items() if name not in ("stream", "stream_options")}
    usages: list[Usage] = []
    while True:
        part = call.part({**request, "messages": messages})
        found = await answered(part, house)
        call.join([part])
        if not isinstance(found, Answer) or guard is None:
            raise RuntimeError("a call that is not streamed has a whole answer")
        if (usage := found.completion.get("usage")) is not None:
            usages.append(usage)
        text = found.completion["choices"][0]["message"].get("content") or ""
        failures = guard.failures(text)
        if not failures or rounds == 0 or found.completion["choices"][0]["message"].get("tool_calls"):
            total: Any = {**found.completion, "usage": summed(usages)} if usages else found.completion
            return Answer(total)
        rounds -= 1
        messages = [*request["messages"], *repair(text, failures)]


# --- what has to be awaited ------------------------------------------------------------------


async def _driven(steps: Steps[Done], call: Call, house: House) -> Done:
    """Runs steps to their end, and answers what they ask on the way."""
    try:
        ask = next(steps)
        while True:
            if ask is None:
                # A long text: others run before it goes on.
                await asyncio.sleep(0)
                ask = next(steps)
                continue
            name, reply = ask.guardrail.name, await _replied(ask, call, house)
            try:
                ask = steps.send(reply)
            except Nonsense as error:
                _log.error("%s %s", call.id, error)
                raise _broken(name) from None
    except StopIteration as end:
        done: Done = end.value
        return done


async def _replied(ask: Ask, call: Call, house: House) -> object:
    from compatgw.guardrails.moderation import Judged

    settings = house.guards.settings
    try:
        async with asyncio.timeout(settings.timeout):
            if isinstance(ask.guardrail, Own):
                return await _called(ask.guardrail, ask)
            if isinstance(ask.guardrail, Judged):
                return await _judged(ask.guardrail, ask.text, call, house)
    except Exception as error:
        _log.warning("%s the guardrail '%s' failed: %s", call.id, ask.guardrail.name, type(error).__name__)
        if settings.on_failure == "fail_open":
            return None
        raise _broken(ask.guardrail.name) from error
    raise RuntimeError(f"nobody can answer the guardrail {ask.guardrail.name}")


async def _called(own: Own, ask: Ask) -> object:
    if inspect.iscoroutinefunction(own.function):
        return await own.function(ask.text, ask.spot)
    # It may compute for long, or wait: not in the loop.
    found = await asyncio.to_thread(own.function, ask.text, ask.spot)
    return await found if inspect.isawaitable(found) else found


async def _judged(judge: Judged, text: str, call: Call, house: House) -> object:
    # What judging costs is the operator's: who answers chooses to have it judged, and how often.
    found = (await aside(call, house, MODERATIONS, {"model": judge.model, "input": text}, "judged")).answer
    return found.body if isinstance(found, Result) else None


def _broken(name: str) -> GatewayError:
    return GatewayError(f"The guardrail '{name}' failed, and nothing passes without it. The gateway's operator looks.")


__all__ = ["Blocked", "Guarding", "Policy", "guarded", "mended"]
