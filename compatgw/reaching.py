"""From settings to the providers that calls go to, and the names of models that lead there.

What does not live here: the rows (`providers/table.py`), everything else that a gateway is made of (`assembly.py`).
"""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from compatgw.config import ConfigError
from compatgw.dialects.base import Dialect, Quirks
from compatgw.dialects.table import DIALECTS
from compatgw.policy.directory import Deployment, Directory, OwnModel
from compatgw.providers import address, auth, catalogue
from compatgw.providers.table import PROVIDERS, generic
from compatgw.sections import ModelSettings, ProviderSettings
from compatgw.surfaces.extensions import LoadBalance
from compatgw.upstream.client import Endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw.config import Settings
    from compatgw.providers.prices import Prices
    from compatgw.providers.row import Provider

REGISTERED = "compatgw.dialects"
"""Entry points of other packages' dialects."""
# What calls are signed for where a row does not say.
_SERVICE = "bedrock"


def deployments_of(
    settings: Settings, environ: Mapping[str, str]
) -> tuple[dict[str, Deployment], dict[str, tuple[Endpoint, ...]]]:
    """The active providers: those of the settings, or every known one whose key is in the environment.

    Raises:
        ConfigError: One of them cannot be reached as it is set.
    """
    wanted = dict(settings.providers) or {
        row.name: ProviderSettings() for row in PROVIDERS.values() if address.awake(row, environ)
    }
    deployments, endpoints = {}, {}
    for name, own in wanted.items():
        row = PROVIDERS.get(name) or generic(name, own.base_url or "")
        dialect = _dialect(own.dialect or row.dialect, f"providers.{name}.dialect")
        deployments[name] = Deployment(name, dialect, _quirks(name, row.quirks, own.quirks), tuple(own.models))
        first = _endpoint(name, row, own, environ)
        endpoints[name] = (first, *_further(first, own))
    return deployments, endpoints


def _dialect(name: str, where: str) -> Dialect:
    """A dialect of ours, or one that another package registers in the entry point group `compatgw.dialects`."""
    if (found := DIALECTS.get(name)) is not None:
        return found
    registered = {entry.name: entry for entry in entry_points(group=REGISTERED)}
    if name not in registered:
        known = ", ".join(sorted({*DIALECTS, *registered}))
        raise ConfigError(f"Setting '{where}': '{name}' is not one of {known}.")
    loaded: object = registered[name].load()
    if not isinstance(loaded, Dialect):
        raise ConfigError(
            f"Setting '{where}': what {registered[name].value} registers is a {type(loaded).__name__}, not a "
            "compatgw.dialects.base.Dialect."
        )
    return loaded


def _endpoint(name: str, row: Provider, own: ProviderSettings, environ: Mapping[str, str]) -> Endpoint:
    if own.app is not None and not callable(own.app):
        raise ConfigError(f"Setting 'providers.{name}.app' must be an ASGI application.")
    scheme = own.auth or row.auth
    secret = _secret(name, row, own, environ)
    place = _address(name, row, own, environ, auth.project_of(secret) if scheme == auth.GOOGLE else "")
    if not secret and scheme != "none" and not row.local and own.app is None:
        where = f"the variable {row.key_env[0]} or " if row.key_env else ""
        raise ConfigError(
            f"Provider '{name}' has no key: set {where}'providers.{name}.api_key' (auth = \"none\": no key)."
        )
    plain, realm = (*row.headers, *own.headers.items()), f"{place.region}/{row.service or _SERVICE}"
    try:
        return Endpoint(name, place.base_url, plain, scheme, secret, own.app, realm, place.query)
    except ValueError as error:
        raise ConfigError(f"Setting 'providers.{name}.api_key': {error}") from None


def _further(first: Endpoint, own: ProviderSettings) -> list[Endpoint]:
    try:
        return [first.with_secret(key.get_secret_value()) for key in own.api_keys]
    except ValueError as error:
        raise ConfigError(f"Setting 'providers.{first.name}.api_keys': {error}") from None


def _address(
    name: str, row: Provider, own: ProviderSettings, environ: Mapping[str, str], project: str
) -> address.Address:
    """Where a provider is; `project` is the one of its key, for when nobody names another."""
    given = {member: getattr(own, member) for member in address.MEMBERS}
    if not given["project"] and not any(environ.get(variable) for variable in row.env.get("project", ())):
        given["project"] = project
    found = address.address(row, given, environ, own.base_url or "")
    if own.app is not None and not found.base_url:  # nobody needs to know where the server is that it stands in for
        given = {member: value or "app" for member, value in given.items()}
        found = address.address(row, given, environ, own.base_url or "")
    if not found.base_url:
        raise ConfigError(f"Setting 'providers.{name}.{_asked(found.missing)}' is needed. {row.note}".rstrip())
    if not found.base_url.startswith(("http://", "https://")):
        raise ConfigError(f"Setting 'providers.{name}.base_url' must begin with https:// or http://.")
    return found


def _asked(missing: str) -> str:
    return missing if missing in address.MEMBERS else "base_url"


def _secret(name: str, row: Provider, own: ProviderSettings, environ: Mapping[str, str]) -> str:
    if own.api_key is not None:
        return own.api_key.get_secret_value()
    if own.key_file is not None:
        return _from_file(own.key_file, f"Setting 'providers.{name}.key_file'")
    if found := address.key(row, environ):
        return found
    if own.app is not None:
        return ""
    variable = next((variable for variable in row.key_files if environ.get(variable)), None)
    return "" if variable is None else _from_file(environ[variable], f"Variable {variable}")


def _from_file(path: str, where: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except OSError as error:
        raise ConfigError(f"{where}: cannot read the file {path}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{where}: the file {path} is no text.") from None


def _quirks(name: str, row: Quirks, own: Mapping[str, Any]) -> Quirks:
    if not own:
        return row
    known = sorted(Quirks.__dataclass_fields__)
    for member in own:
        if member not in known:
            raise ConfigError(f"Setting 'providers.{name}.quirks.{member}' is not a quirk. Known: {', '.join(known)}.")
    merged = {**{member: getattr(row, member) for member in known}, **own}
    try:
        return TypeAdapter(Quirks).validate_python(merged)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise ConfigError(f"Setting 'providers.{name}.quirks.{problem['loc'][0]}': {problem['msg']}.") from None


def directory_of(settings: Settings, deployments: Mapping[str, Deployment], prices: Prices) -> Directory:
    """All that a model's name can mean."""
    return Directory(settings.name, deployments, _own_models(settings), catalogue.load(), frozenset(PROVIDERS), prices)


def _own_models(settings: Settings) -> dict[str, OwnModel]:
    return {
        name: _own(name, entry) if isinstance(entry, ModelSettings) else OwnModel(_listed(entry))
        for name, entry in settings.models.items()
    }


def _own(name: str, entry: ModelSettings) -> OwnModel:
    targets = _listed(entry.target or name)
    if entry.weights and len(entry.weights) != len(targets):
        raise ConfigError(
            f"Setting 'models.{name}.weights' has {len(entry.weights)} members, and 'target' names {len(targets)} "
            "models. Give each its weight.",
            ("models", name, "weights"),
        )
    return OwnModel(
        targets,
        entry.max_output,
        entry.context,
        entry.traits,
        tuple(dict.fromkeys(entry.fallback)),
        LoadBalance(entry.load_balance) if entry.load_balance is not None else None,
        tuple(entry.weights),
    )


def _listed(target: str | Sequence[str]) -> tuple[str, ...]:
    return (target,) if isinstance(target, str) else tuple(dict.fromkeys(target))
