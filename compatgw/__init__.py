"""An OpenAI-compatible AI gateway that you mount instead of deploy.

    from compatgw import Gateway
    app.mount("/ai", Gateway(keys=["..."]))

`Gateway` is an ASGI application; `from_config` makes one for `uvicorn --factory`;
`Principal` and `anonymous` serve an `authenticate=` of the host's own.

Names are imported when they are first used: an application that only has this package
installed, and every pytest run that loads its plugin, pays next to nothing for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from compatgw.version import __version__

if TYPE_CHECKING:
    from compatgw.config import ConfigError
    from compatgw.errors import GatewayError
    from compatgw.gateway import Gateway, from_config
    from compatgw.policy.access import Principal
    from compatgw.state.base import StateError
    from compatgw.telemetry.base import Ended
    from compatgw.web.identify import anonymous

__all__ = [
    "ConfigError",
    "Ended",
    "Gateway",
    "GatewayError",
    "Principal",
    "StateError",
    "__version__",
    "anonymous",
    "from_config",
]

_HOMES = {
    "ConfigError": "compatgw.config",
    "Ended": "compatgw.telemetry.base",
    "Gateway": "compatgw.gateway",
    "GatewayError": "compatgw.errors",
    "Principal": "compatgw.policy.access",
    "StateError": "compatgw.state.base",
    "anonymous": "compatgw.web.identify",
    "from_config": "compatgw.gateway",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'compatgw' has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
