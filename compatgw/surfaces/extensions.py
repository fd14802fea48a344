"""The gateway's own request members and headers, taken out of a request as one `CallOptions`.

A member may stand at the top level of the body or inside one object `gateway` (also accepted
under the name `cailos`); none of them ever reaches an upstream. What stands in that object and is
no member of ours is refused: accepting a wish without meeting it would be worse than an error.

What does not live here: what the options do (`flow/`, `policy/`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, cast

from compatgw.errors import InvalidRequest
from compatgw.surfaces import guards
from compatgw.surfaces.guards import NONE, Guards

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from compatgw.dialects.base import Policy

Optimise = Literal["quality", "speed", "cost"]
Speed = Literal["fast", "moderate", "slow"]
Strategy = Literal["weighted", "round-robin", "least-latency"]

OBJECTS = ("gateway", "cailos")
# This word is also a member of upstreams' own requests: only the object claims it.
OBJECT_ONLY = frozenset({"speed"})

MAX_TIMEOUT_MS = 300_000
MAX_RETRIES = 5
MAX_TRUST = 3
MAX_MODELS = 32
"""Most models that one list may name: planning looks at each of them."""
MAX_NAME = 512
MAX_WEIGHT = 1_000_000
MAX_VARIABLES = 200
_NO_VERSION = 1 << 31

_OPTIMISE = ("quality", "speed", "cost")
_SPEEDS = ("fast", "moderate", "slow")
_STRATEGIES = ("weighted", "round-robin", "least-latency")


@dataclass(frozen=True, slots=True)
class Share:
    """A model among others, and how much of the calls it gets where that counts."""

    model: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class LoadBalance:
    """How a call picks its model.

    Attributes:
        strategy: `weighted` by shares, `round-robin` in turn, `least-latency` by what was seen lately.
        models: To pick among; empty: all ways to call the model that was asked for.
    """

    strategy: Strategy
    models: tuple[Share, ...] = ()


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What a caller asked of the gateway itself.

    Attributes:
        timeout: Seconds: the whole request, or for a stream the wait for the first byte and
            then between chunks. None: as configured.
        unsupported: Overrides the configured policy for members that cannot be carried.
        exclude_reasoning: Reasoning text is left out of the answer.
        retries: Further attempts that a target may have after its first, 0 to 5. None: as configured.
        fallback: Models that are tried in order when the first fails.
        load_balance: How the model is picked.
        optimise: What decides among the providers of one name. None: quality.
        trust_level: The least trust tier, 0 to 3.
        require_tools: Only models that call tools. require_vision: Only ones that see images themselves.
        require_streaming: Only ones that answer bit by bit.
        speed: The least speed tier.
        model_hints: Models that are preferred, in order, among those that could be called anyway.
        prompt_id: A template whose messages come before the caller's.
        prompt_version: Its number, or a label. None: `production`.
        prompt_variables: What is filled in, names and texts.
        guardrails: Further guardrails, beside those that are demanded.
    """

    timeout: float | None = None
    unsupported: Policy | None = None
    exclude_reasoning: bool = False
    retries: int | None = None
    fallback: tuple[str, ...] = ()
    load_balance: LoadBalance | None = None
    optimise: Optimise | None = None
    trust_level: int = 0
    require_tools: bool = False
    require_vision: bool = False
    require_streaming: bool = False
    speed: Speed | None = None
    model_hints: tuple[str, ...] = ()
    prompt_id: str | None = None
    prompt_version: int | str | None = None
    prompt_variables: tuple[tuple[str, str], ...] = ()
    guardrails: Guards = NONE


DEFAULT = CallOptions()


def claim(body: dict[str, Any]) -> tuple[dict[str, Any], CallOptions]:
    """`body` without the gateway's members, and what those say.


    Raises:
        InvalidRequest: A member has a wrong type or range, or is not one of ours.
    """
    if TOP_LEVEL.isdisjoint(body) and OBJECTS[0] not in body and OBJECTS[1] not in body:
        return body, DEFAULT
    found: dict[str, tuple[str, Any]] = {name: (name, body[name]) for name in TOP_LEVEL & body.keys()}
    rest = {name: value for name, value in body.items() if name not in TOP_LEVEL and name not in OBJECTS}
    for holder in OBJECTS:
        if (inner := body.get(holder)) is None:
            continue
        if not isinstance(inner, dict):
            raise InvalidRequest(f"'{holder}' must be an object.", param=holder, code="invalid_type")
        for name, value in inner.items():
            found[name] = (f"{holder}.{name}", value)
    options: dict[str, Any] = {}
    # In the order of the table, so that the first thing wrong is the same whatever the order of the body.
    for name in sorted(found, key=_rank):
        param, value = found[name]
        if value is not None:
            member, meant = _read(name, value, param)
            if options.get(member, meant) != meant:
                raise InvalidRequest(
                    f"'{param}' says something else than its other spelling. Send one of the two.", param=param
                )
            options[member] = meant
    return rest, replace(DEFAULT, **options)


def _read(name: str, value: Any, param: str) -> tuple[str, Any]:
    """Which member of the options `name` is, and what it says."""
    if name == "reasoning" and isinstance(value, dict):
        return "exclude_reasoning", _boolean(value.get("exclude", False), f"{param}.exclude")
    parser = _PARSERS.get(name)
    if parser is None:
        raise InvalidRequest(f"'{param}' is not a member that the gateway knows. Leave it out.", param=param)
    return _MEMBERS.get(name, name), parser(value, param)


def from_headers(options: CallOptions, headers: Mapping[str, str]) -> CallOptions:
    """`options` with what the request headers add: `X-On-Unsupported: drop|reject`, `X-Guardrails: pii,...`.

    Raises:
        InvalidRequest: The header has another value.
    """
    if (named := headers.get("x-guardrails")) is not None:
        options = replace(options, guardrails=options.guardrails + guards.from_header(named))
    value = headers.get("x-on-unsupported")
    if value is None:
        return options
    if value not in ("drop", "reject", "hints"):
        raise InvalidRequest("The header X-On-Unsupported takes 'drop' or 'reject'.", param="X-On-Unsupported")
    return replace(options, unsupported=cast("Literal['drop', 'reject', 'hints']", value))


# --- one member each -------------------------------------------------------------------------


def _timeout(value: Any, param: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRequest(f"'{param}' must be a whole number of milliseconds.", param=param, code="invalid_type")
    if not 1 <= value <= MAX_TIMEOUT_MS:
        raise InvalidRequest(f"'{param}' must lie between 1 and {MAX_TIMEOUT_MS} milliseconds.", param=param)
    return value / 1000


def _boolean(value: Any, param: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequest(f"'{param}' must be true or false.", param=param, code="invalid_type")
    return value


def _retries(value: Any, param: str) -> int:
    return _whole(value, param, MAX_RETRIES)


def _trust(value: Any, param: str) -> int:
    return _whole(value, param, MAX_TRUST)


def _whole(value: Any, param: str, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRequest(f"'{param}' must be a whole number from 0 to {most}.", param=param, code="invalid_type")
    if not 0 <= value <= most:
        raise InvalidRequest(f"'{param}' must lie between 0 and {most}.", param=param)
    return value


def _optimise(value: Any, param: str) -> str:
    return _word(value, param, _OPTIMISE)


def _speed(value: Any, param: str) -> str:
    return _word(value, param, _SPEEDS)


def _word(value: Any, param: str, words: Sequence[str]) -> str:
    text = f"'{param}' must be one of {', '.join(repr(word) for word in words)}."
    if not isinstance(value, str):
        raise InvalidRequest(text, param=param, code="invalid_type")
    if value not in words:
        raise InvalidRequest(text, param=param)
    return value


def _models(value: Any, param: str) -> tuple[str, ...]:
    names = tuple(_model(name, f"{param}[{place}]") for place, name in enumerate(_list(value, param)))
    return tuple(dict.fromkeys(names))


def _list(value: Any, param: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidRequest(f"'{param}' must be a list.", param=param, code="invalid_type")
    if len(value) > MAX_MODELS:
        raise InvalidRequest(f"'{param}' may name {MAX_MODELS} models at most.", param=param)
    return value


def _model(value: Any, param: str) -> str:
    if not isinstance(value, str):
        raise InvalidRequest(f"'{param}' must be a model's name.", param=param, code="invalid_type")
    if not 1 <= len(value) <= MAX_NAME:
        raise InvalidRequest(f"'{param}' must have 1 to {MAX_NAME} characters.", param=param)
    return value


def _prompt(value: Any, param: str) -> str:
    if not isinstance(value, str):
        raise InvalidRequest(f"'{param}' must be a prompt's name.", param=param, code="invalid_type")
    if not 1 <= len(value) <= MAX_NAME or not value.isprintable():
        raise InvalidRequest(f"'{param}' must have 1 to {MAX_NAME} printable characters.", param=param)
    return value


def _version(value: Any, param: str) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InvalidRequest(
            f"'{param}' must be a version's number, or a label such as 'production'.", param=param, code="invalid_type"
        )
    if isinstance(value, int):
        if not 1 <= value < _NO_VERSION:
            raise InvalidRequest(f"'{param}' must be 1 or more.", param=param)
        return value
    return _prompt(value, param)


def _variables(value: Any, param: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise InvalidRequest(f"'{param}' must be an object.", param=param, code="invalid_type")
    if len(value) > MAX_VARIABLES:
        raise InvalidRequest(f"'{param}' may have {MAX_VARIABLES} members at most.", param=param)
    return tuple((name, _variable(one, f"{param}.{name[:128]}")) for name, one in value.items())


def _variable(value: Any, param: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    raise InvalidRequest(f"'{param}' must be a text, a number, true or false.", param=param, code="invalid_type")


def _load_balance(value: Any, param: str) -> LoadBalance:
    _object(value, param, ("strategy", "models"))
    if (strategy := value.get("strategy")) is None:
        raise _missing(f"{param}.strategy")
    word = cast("Strategy", _word(strategy, f"{param}.strategy", _STRATEGIES))
    if (given := value.get("models")) is None:
        return LoadBalance(word)
    entries = _list(given, f"{param}.models")
    shares = tuple(_share(entry, f"{param}.models[{place}]") for place, entry in enumerate(entries))
    if not shares:
        raise InvalidRequest(f"'{param}.models' must name a model, or be left out.", param=f"{param}.models")
    if len({share.model for share in shares}) < len(shares):
        raise InvalidRequest(f"'{param}.models' names a model twice. Give it one weight.", param=f"{param}.models")
    if word == "weighted" and not any(share.weight for share in shares):
        raise InvalidRequest(f"'{param}.models' must have at least one weight above 0.", param=f"{param}.models")
    return LoadBalance(word, shares)


def _share(value: Any, param: str) -> Share:
    _object(value, param, ("model", "weight"))
    if (model := value.get("model")) is None:
        raise _missing(f"{param}.model")
    name = _model(model, f"{param}.model")
    if (weight := value.get("weight")) is None:
        return Share(name)
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        raise InvalidRequest(f"'{param}.weight' must be a number.", param=f"{param}.weight", code="invalid_type")
    if not 0 <= weight <= MAX_WEIGHT:
        raise InvalidRequest(f"'{param}.weight' must lie between 0 and {MAX_WEIGHT}.", param=f"{param}.weight")
    return Share(name, float(weight))


def _object(value: Any, param: str, members: Sequence[str]) -> None:
    if not isinstance(value, dict):
        raise InvalidRequest(f"'{param}' must be an object.", param=param, code="invalid_type")
    for name in value:
        if name not in members:
            path = f"{param}.{name[:128]}"
            raise InvalidRequest(f"'{path}' is not known. Known are '{members[0]}' and '{members[1]}'.", param=path)


def _missing(param: str) -> InvalidRequest:
    return InvalidRequest(f"Missing required parameter: '{param}'.", param=param, code="missing_parameter")


_PARSERS: Mapping[str, Callable[[Any, str], Any]] = MappingProxyType(
    {
        "timeout": _timeout,
        "retries": _retries,
        "fallback": _models,
        "load_balance": _load_balance,
        "optimise": _optimise,
        "optimize": _optimise,
        "trust_level": _trust,
        "require_tools": _boolean,
        "require_vision": _boolean,
        "require_streaming": _boolean,
        "speed": _speed,
        "model_hints": _models,
        "prompt_id": _prompt,
        "prompt_version": _version,
        "prompt_variables": _variables,
        "guardrails": guards.read,
    }
)
# Two spellings of one word.
_MEMBERS: Mapping[str, str] = MappingProxyType({"optimize": "optimise"})
_ORDER = tuple(_PARSERS)

MEMBERS = frozenset(_PARSERS)
"""All members that are ours."""
TOP_LEVEL = MEMBERS - OBJECT_ONLY
"""Members that are ours wherever they stand."""


def _rank(name: str) -> tuple[int, str]:
    return (_ORDER.index(name) if name in MEMBERS else len(_ORDER), name)
