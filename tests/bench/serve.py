"""`python -m tests.bench.serve relay|gateway PORT UPSTREAM`: one application, served as `compatgw serve` does it.

The relay and the gateway run under the same server with the same options, so that what differs
between them is the gateway.
"""

from __future__ import annotations

import gc
import sys
from typing import Any

import uvicorn

from tests.bench.relay import Relay
from tests.bench.scenarios import KEY


def gateway(upstream: str) -> Any:
    """The gateway with keys on, over the same upstream as two providers."""
    from compatgw import Gateway

    provider = {"base_url": f"{upstream}/v1", "api_key": "k"}
    return Gateway(providers={"openai": provider, "anthropic": provider}, keys=[KEY], transport="aiohttp")


class Server(uvicorn.Server):
    """uvicorn that looks no more at what start-up made."""

    async def startup(self, sockets: Any = None) -> None:
        """Starts, then takes all objects of the start out of the garbage collector's sight."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)


def main() -> None:
    """Serves until it is stopped."""
    kind, port, upstream = sys.argv[1:]
    app = Relay(upstream) if kind == "relay" else gateway(upstream)
    Server(
        uvicorn.Config(
            app,
            host="127.0.0.1",
            port=int(port),
            http="httptools",
            access_log=False,
            log_level="warning",
            lifespan="on",
            server_header=False,
        )
    ).run()


if __name__ == "__main__":
    main()
