"""From what people already have to settings of ours: the `config.yaml` of a LiteLLM proxy, and variables. Pure.

    litellm(document) -> Imported      the document as YAML gives it
    env(environ)      -> Imported
    Imported.toml()   -> str           a `compatgw.toml`; what could not be carried over stands in it as comments

A key that was a reference to a variable stays one (`secret:NAME`); a key that was written out is written out.

What does not live here: reading YAML and writing files (`cli/bring.py`), what settings mean (`config.py`), what a
LiteLLM provider is called here (`imported.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from compatgw.imported import (
    COMPATIBLE,
    ENVIRONMENT,
    OFFICIAL,
    Found,
    base_url,
    provider_of,
    quirks_of,
    reference,
    secret_of,
)
from compatgw.providers import address
from compatgw.providers.table import PROVIDERS

_MILLION = Decimal(1_000_000)
_MOST_RETRIES = 5
_HEAVIEST = 1_000_000
# Members of `litellm_params` that `_place` and `_model` carry over.
_CARRIED = frozenset(
    {
        "model", "custom_llm_provider", "api_key", "api_base", "base_url", "api_version", "organization",
        "aws_region_name", "aws_access_key_id", "aws_secret_access_key", "aws_session_token", "vertex_project",
        "vertex_location", "vertex_credentials", "extra_headers", "input_cost_per_token", "output_cost_per_token",
        "max_retries", "num_retries", "weight",
    }
)  # fmt: skip
_PER_REQUEST = "callers send it with their requests"
_REASONS: Mapping[str, str] = {
    "rpm": "limits here are those of callers: set 'requests' of a key or a plan",
    "tpm": "limits here are those of callers: set 'tokens' of a key or a plan",
    "timeout": "one bound holds for all models: [timeouts]",
    "stream_timeout": "one bound holds for all models: [timeouts]",
    "max_tokens": _PER_REQUEST,
    "temperature": _PER_REQUEST,
    "drop_params": "one rule holds for all models: 'unsupported'",
}


@dataclass(slots=True)
class Imported:
    """Settings that were found.

    Attributes:
        source: What they were read from, for the file's first line.
        values: The settings, as `Gateway(config=values)` takes them.
        notes: What could not be carried over, or has to be looked at: where it stood, and why.
    """

    source: str
    values: dict[str, Any] = field(default_factory=dict)
    notes: list[tuple[str, str]] = field(default_factory=list)

    def note(self, where: str, why: str) -> None:
        """Says something of what stood at `where`."""
        if (where, why) not in self.notes:
            self.notes.append((where, why))

    def put(self, path: str, value: object) -> None:
        """Sets `a.b`."""
        *tables, last = path.split(".")
        place = self.values
        for name in tables:
            place = place.setdefault(name, {})
        place[last] = value

    def toml(self) -> str:
        """The file."""
        lines = [f"# Made by 'compatgw import' from {_line(self.source)}."]
        if self.notes:
            lines += ["#", "# What was not carried over, or has to be looked at:"]
            lines += [f"#   {_line(where)}: {_line(why)}" for where, why in self.notes]
        lines.append("")
        _table(lines, (), self.values)
        return "\n".join(lines).rstrip("\n") + "\n"


# --- LiteLLM ---------------------------------------------------------------------------------------


def litellm(document: object, source: str = "a LiteLLM configuration") -> Imported:
    """The settings that a LiteLLM `config.yaml` means here.

    Args:
        document: What YAML makes of it.
        source: Its name.

    Raises:
        ValueError: It is no such configuration.
    """
    if not isinstance(document, Mapping) or not any(name in document for name in _SECTIONS):
        raise ValueError(f"This is no LiteLLM configuration: none of {', '.join(_SECTIONS)} is in it.")
    out = Imported(source)
    # Models first: other sections are about them.
    for name, given in sorted(document.items(), key=lambda pair: pair[0] != "model_list"):
        reader = _SECTIONS.get(str(name))
        if reader is None:
            out.note(str(name), "nothing here is like it")
        elif given is not None:
            reader(out, given)
    return out


def _models(out: Imported, given: object) -> None:
    places: dict[tuple[object, ...], str] = {}
    groups: dict[str, list[tuple[str, Found, Mapping[str, Any], str]]] = {}
    for number, entry in enumerate(_list(out, "model_list", given)):
        where = f"model_list[{number}]"
        params = entry.get("litellm_params") if isinstance(entry, Mapping) else None
        if not isinstance(params, Mapping) or not isinstance(params.get("model"), str):
            out.note(where, "it has no litellm_params.model")
            continue
        where = f"{where} ({entry.get('model_name', params['model'])})"
        found = provider_of(params["model"], params)
        if found is None:
            out.note(where, f"the provider of '{params['model']}' is not known here, and no api_base says where it is")
            continue
        provider = _place(out, places, found, params, where)
        groups.setdefault(str(entry.get("model_name", params["model"])), []).append((provider, found, entry, where))
        for member in params:
            if member not in _CARRIED:
                why = _REASONS.get(str(member), "nothing here is like it")
                out.note(f"{where} litellm_params.{member}", why)
    for name, members in groups.items():
        _model(out, name, members)


def _place(
    out: Imported, places: dict[tuple[object, ...], str], found: Found, params: Mapping[str, Any], where: str
) -> str:
    """The name of the provider that `params` mean, which is added when it is a new one."""
    url = params.get("api_base") or params.get("base_url")
    if url and found.row in OFFICIAL and not str(url).startswith(OFFICIAL[found.row]):
        # A server that only speaks OpenAI's protocol has none of OpenAI's peculiarities.
        found = found._replace(row=COMPATIBLE)
    region = params.get("aws_region_name") or params.get("vertex_location") or found.region
    headers = dict(_as_mapping(params.get("extra_headers")))
    if params.get("organization"):
        headers["OpenAI-Organization"] = secret_of(params["organization"])
    members: dict[str, Any] = {
        "base_url": base_url(found.row, url) if url else None,
        "region": secret_of(region) if region else None,
        "project": secret_of(params["vertex_project"]) if params.get("vertex_project") else None,
        "headers": {str(name): secret_of(value) for name, value in headers.items()} or None,
    }
    if url and reference(url):
        out.note(f"{where} litellm_params.api_base", "see that what the variable holds ends as 'base_url' must here")
    if params.get("api_version"):
        out.note(f"{where} litellm_params.api_version", "the API that this leads to needs none")
    id = (found.row, *(repr(value) for value in members.values()))
    name = places.get(id)
    own = {name: value for name, value in members.items() if value is not None}
    if name is None:
        taken = out.values.setdefault("providers", {})
        number, name = 1, found.row
        while name in taken:
            number += 1
            name = f"{found.row}-{number}"
        places[id] = name
        taken[name] = {**(_as_row(found.row) if number > 1 else {}), **own}
        if number > 1 and "base_url" not in taken[name]:
            taken[name]["base_url"] = _usual_url(found.row, own)
    _key(out, name, found, params, where)
    return name


def _as_row(row: str) -> dict[str, Any]:
    """What a second provider of a kind has to say of itself, where the first one's row says it."""
    kind = PROVIDERS.get(row)
    if kind is None:
        return {}
    told: dict[str, Any] = {"dialect": kind.dialect, "auth": kind.auth}
    if kind.headers:
        told["headers"] = dict(kind.headers)
    if quirks := quirks_of(kind.quirks):
        told["quirks"] = quirks
    return told


def _usual_url(row: str, own: Mapping[str, Any]) -> str:
    kind = PROVIDERS.get(row)
    return address.address(kind, own, {}).base_url or kind.base_url if kind is not None else ""


def _key(out: Imported, name: str, found: Found, params: Mapping[str, Any], where: str) -> None:
    own = out.values["providers"][name]
    given = params.get("api_key")
    parts = [params.get(member) for member in ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")]
    if given is None and parts[0] and parts[1]:
        if any(reference(part) for part in parts if part):
            out.note(f"{where} litellm_params.aws_*", "keys of AWS are read from their usual variables alone")
            return
        given = ":".join(str(part) for part in parts if part)
    if given is None and params.get("vertex_credentials"):
        credentials = params["vertex_credentials"]
        if isinstance(credentials, Mapping):
            given = orjson.dumps(dict(credentials)).decode()
        elif reference(credentials) or str(credentials).lstrip().startswith("{"):
            given = credentials
        else:
            own["key_file"] = str(credentials)
            return
    if given in (None, ""):
        row = PROVIDERS.get(name)
        if row is None:
            own.setdefault("auth", "none")
        return
    key = secret_of(given)
    row = PROVIDERS.get(name)
    if row is not None and reference(given) in row.key_env[:1]:
        # Found under its usual name in any case.
        return
    if "api_key" not in own:
        own["api_key"] = key
        if own.get("auth") == "none":
            del own["auth"]
    elif key != own["api_key"] and key not in own.get("api_keys", ()):
        own.setdefault("api_keys", []).append(key)


def _model(out: Imported, name: str, members: Sequence[tuple[str, Found, Mapping[str, Any], str]]) -> None:
    provider, found, entry, where = members[0]
    if "*" in name or "*" in found.model:
        out.note(where, f"every model of a provider is there under its own name: '{provider}/MODEL'")
        return
    shares: dict[str, float] = {}
    for provider, found, each, _ in members:
        weight = each["litellm_params"].get("weight")
        known = isinstance(weight, (int, float)) and 0 < weight <= _HEAVIEST
        shares.setdefault(f"{provider}/{found.model}", weight if known else 1)
    targets = list(shares)
    table = _facts(out, entry, where)
    if len(targets) > 1:
        table["load_balance"] = "weighted"
        if set(shares.values()) != {1}:
            table["weights"] = list(shares.values())
    target = targets if len(targets) > 1 else targets[0]
    out.values.setdefault("models", {})[name] = {"target": target, **table} if table else target


def _facts(out: Imported, entry: Mapping[str, Any], where: str) -> dict[str, Any]:
    info = entry.get("model_info")
    known = {**(info if isinstance(info, Mapping) else {}), **entry["litellm_params"]}
    table: dict[str, Any] = {}
    info = info if isinstance(info, Mapping) else {}
    for ours, theirs in (("max_output", ("max_output_tokens", "max_tokens")), ("context", ("max_input_tokens",))):
        value = next((info[name] for name in theirs if info.get(name)), None)
        if isinstance(value, int) and value > 0:
            table[ours] = value
    price = {}
    for ours, theirs_ in (("input", "input_cost_per_token"), ("output", "output_cost_per_token")):
        if known.get(theirs_) is not None and (each := _per_million(known[theirs_])) is not None:
            price[ours] = each
        elif known.get(theirs_) is not None:
            out.note(f"{where} {theirs_}", "it is no amount")
    if price:
        table["price"] = price
    return table


def _per_million(value: object) -> str | None:
    try:
        found = Decimal(str(value)) * _MILLION
    except InvalidOperation:
        return None
    return f"{found.normalize():f}" if found.is_finite() and found >= 0 else None


def _list(out: Imported, where: str, given: object) -> Sequence[Any]:
    if isinstance(given, list):
        return given
    out.note(where, "it is no list")
    return ()


def _router(out: Imported, given: object) -> None:
    for name, value in _members(out, "router_settings", given):
        where = f"router_settings.{name}"
        if name == "model_group_alias" and isinstance(value, Mapping):
            models = out.values.setdefault("models", {})
            for alias, group in value.items():
                group = group.get("model") if isinstance(group, Mapping) else group
                models[str(alias)] = models.get(str(group), str(group))
        elif name == "routing_strategy":
            _strategy(out, where, str(value))
        elif name == "redis_url":
            out.put("state.counters", secret_of(value))
        elif name == "redis_host":
            _redis(out, where, _as_mapping(given), "redis_")
        elif name in ("redis_port", "redis_password"):
            continue
        elif name == "allowed_fails" and isinstance(value, int):
            out.put("breaker.streak", value + 1)
        elif name == "cooldown_time" and _is_seconds(value):
            out.put("breaker.open_for", float(value))
        else:
            _shared(out, where, name, value)


_STRATEGIES: Mapping[str, str] = {
    "simple-shuffle": "weighted",
    "least-busy": "least-latency",
    "latency-based-routing": "least-latency",
    "usage-based-routing": "weighted",
    "usage-based-routing-v2": "weighted",
}


def _strategy(out: Imported, where: str, value: str) -> None:
    """How one of several is picked, in all models that have several."""
    if (strategy := _STRATEGIES.get(value)) is None:
        out.note(where, f"nothing here is like '{value}'; callers can say what matters: 'optimise', 'load_balance'")
        return
    for table in out.values.get("models", {}).values():
        if isinstance(table, dict) and "load_balance" in table:
            table["load_balance"] = strategy


def _settings(out: Imported, given: object) -> None:
    for name, value in _members(out, "litellm_settings", given):
        where = f"litellm_settings.{name}"
        if name == "drop_params":
            if value is True:
                out.put("unsupported", "drop")
        elif name == "cache":
            out.put("cache.enabled", bool(value))
        elif name == "cache_params":
            _cache(out, where, _as_mapping(value))
        elif name in ("callbacks", "success_callback", "failure_callback"):
            for each in value if isinstance(value, list) else [value]:
                _callback(out, where, str(each))
        elif name == "request_timeout" and _is_seconds(value):
            out.put("timeouts.total", float(value))
        else:
            _shared(out, where, name, value)


def _shared(out: Imported, where: str, name: str, value: object) -> None:
    """What may stand in either section."""
    if name == "num_retries" and isinstance(value, int) and not isinstance(value, bool):
        out.put("retries.most", max(0, min(value, _MOST_RETRIES)))
        if value > _MOST_RETRIES:
            out.note(where, f"{_MOST_RETRIES} is the most")
    elif name == "timeout" and _is_seconds(value):
        out.put("timeouts.total", float(str(value)))
    elif name == "fallbacks":
        for each in value if isinstance(value, list) else [value]:
            for model, others in _as_mapping(each).items():
                _fall_back(out, where, str(model), others)
    elif name == "default_fallbacks":
        for model in list(out.values.get("models", ())):
            _fall_back(out, where, model, value)
    elif name in ("context_window_fallbacks", "content_policy_fallbacks"):
        out.note(where, "a fallback is for every failure, prompts that are too long among them: 'models.NAME.fallback'")
    else:
        out.note(where, "nothing here is like it")


def _fall_back(out: Imported, where: str, model: str, given: object) -> None:
    """Notes what takes over from a model, unless something does already."""
    named = [str(each) for each in given if str(each) != model] if isinstance(given, list) else [str(given)]
    models = out.values.setdefault("models", {})
    if model == "*":
        for each in list(models):
            _fall_back(out, where, each, given)
        return
    before = models.get(model, {})
    table = dict(before) if isinstance(before, dict) else {"target": before}
    if named and "fallback" not in table:
        models[model] = {**table, "fallback": named}


def _callback(out: Imported, where: str, name: str) -> None:
    if name == "prometheus":
        out.put("telemetry.metrics", "keys")
    elif name == "otel":
        out.put("telemetry.otel", True)
    else:
        out.note(where, f"'{name}' is not told of calls; on_call= of Gateway tells whom you like")


def _cache(out: Imported, where: str, given: Mapping[str, Any]) -> None:
    kind = given.get("type", "local")
    if kind not in ("local", "redis"):
        out.note(
            f"{where}.type", f"'{kind}' is not there; answers are kept in memory or on Redis, by identical request"
        )
    ttl = given.get("ttl")
    if isinstance(ttl, (int, float)) and ttl >= 1:
        out.put("cache.ttl", int(min(ttl, 86_400)))
    if kind == "redis":
        if given.get("url"):
            out.put("state.counters", secret_of(given["url"]))
        elif given.get("host"):
            _redis(out, where, given, "")
        else:
            out.note(where, "name the server in 'state.counters'")
    for name in given:
        if name not in ("type", "ttl", "url", "host", "port", "password"):
            out.note(f"{where}.{name}", "nothing here is like it")


def _redis(out: Imported, where: str, given: Mapping[str, Any], prefix: str) -> None:
    host, port, password = (given.get(prefix + name) for name in ("host", "port", "password"))
    if any(reference(part) for part in (host, port, password) if part):
        out.note(where, "an address is not put together of variables: set COMPATGW_STATE__COUNTERS=redis://...")
        return
    secret = f":{password}@" if password else ""
    out.put("state.counters", f"redis://{secret}{host}:{port or 6379}/0")


def _general(out: Imported, given: object) -> None:
    for name, value in _members(out, "general_settings", given):
        where = f"general_settings.{name}"
        if name == "master_key":
            out.values["keys"] = [{"key": secret_of(value), "name": "master"}]
            out.note(where, "it calls models; for management give another key the scope 'admin'")
        elif name == "database_url":
            out.note(where, "its tables are others: name a database of its own in 'state.ledger'")
        elif name == "max_parallel_requests" and isinstance(value, int) and value > 0:
            out.put("max_in_flight", value)
        else:
            out.note(where, "nothing here is like it")


def _variables(out: Imported, given: object) -> None:
    for name, _ in _members(out, "environment_variables", given):
        out.note(f"environment_variables.{name}", "set it where the gateway is started")


_SECTIONS = {
    "model_list": _models,
    "router_settings": _router,
    "litellm_settings": _settings,
    "general_settings": _general,
    "environment_variables": _variables,
}


def _as_mapping(given: object) -> Mapping[str, Any]:
    return given if isinstance(given, Mapping) else {}


def _members(out: Imported, where: str, given: object) -> list[tuple[str, Any]]:
    if not isinstance(given, Mapping):
        out.note(where, "it is no table")
        return []
    return [(str(name), value) for name, value in given.items() if value is not None]


def _is_seconds(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


# --- variables -------------------------------------------------------------------------------------


def env(environ: Mapping[str, str]) -> Imported:
    """The settings that the variables of other programs mean here; keys stay where they are.

    Args:
        environ: The environment.
    """
    out = Imported("the environment")
    providers: dict[str, dict[str, Any]] = out.values.setdefault("providers", {})
    used: set[str] = set()
    for row in PROVIDERS.values():
        used.update(row.key_env)
        if address.awake(row, environ) or (row.key_parts and row.wakes and address.key(row, environ)):
            providers[row.name] = {}
    for variable, (name, member, row_name) in ENVIRONMENT.items():
        used.add(variable)
        value = environ.get(variable, "")
        if not value:
            continue
        own = providers.setdefault(name, {})
        if member == "api_key":
            if not address.key(PROVIDERS[name], environ):
                own["api_key"] = f"secret:{variable}"
        elif member == "base_url":
            own.setdefault("base_url", base_url(row_name, value))
        else:
            own.setdefault("headers", {})[member] = value
    for name in [name for name, own in providers.items() if not _complete(name, own, environ)]:
        out.note(f"provider '{name}'", "no variable holds its key, or says where it is")
        del providers[name]
    if master := environ.get("LITELLM_MASTER_KEY"):
        used.add("LITELLM_MASTER_KEY")
        out.values["keys"] = [{"key": "secret:LITELLM_MASTER_KEY", "name": "master"}] if master else []
    for variable in sorted(environ):
        if variable.endswith("_API_KEY") and variable not in used and not variable.startswith("COMPATGW_"):
            out.note(variable, "no provider here has its key under this name")
    if not providers:
        del out.values["providers"]
    return out


def _complete(name: str, own: Mapping[str, Any], environ: Mapping[str, str]) -> bool:
    row = PROVIDERS[name]
    keyed = row.local or bool(own.get("api_key") or address.key(row, environ))
    keyed = keyed or any(environ.get(variable) for variable in row.key_files)
    return keyed and bool(address.address(row, {}, environ, own.get("base_url", "")).base_url)


# --- TOML ------------------------------------------------------------------------------------------


def _table(lines: list[str], path: tuple[str, ...], values: Mapping[str, Any]) -> None:
    plain = {name: value for name, value in values.items() if not isinstance(value, Mapping)}
    tables = {name: value for name, value in values.items() if isinstance(value, Mapping)}
    if path and (plain or not tables):
        lines.append(f"[{'.'.join(map(_name, path))}]")
    for name, value in plain.items():
        lines.append(f"{_name(name)} = {_value(value)}")
    if (path and (plain or not tables)) or plain:
        lines.append("")
    for name, value in tables.items():
        _table(lines, (*path, name), value)


def _name(name: str) -> str:
    bare = name.isascii() and name.replace("-", "a").replace("_", "a").isalnum()
    return name if bare else _text(name)


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case Mapping():
            return "{ " + ", ".join(f"{_name(str(name))} = {_value(each)}" for name, each in value.items()) + " }"
        case list() | tuple():
            return f"[{', '.join(map(_value, value))}]"
        case _:
            return _text(str(value))


def _text(text: str) -> str:
    whole = text.encode("utf-8", "replace").decode()
    return orjson.dumps(whole).decode().replace("\x7f", "\\u007f")


def _line(text: str) -> str:
    """`text` in one line of a comment."""
    return "".join(each if each.isprintable() else " " for each in text)
