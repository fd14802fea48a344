"""`python -m tests.soak.node PORT FILE`: one gateway process, with the settings that stand in FILE as JSON.

What is killed is this process; the name under which it holds money goes into `FILE.owner` first, so
that what it leaves behind can be told from what others hold.

What does not live here: the settings (`cluster.py`).
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import orjson
import uvicorn

from compatgw import Gateway
from compatgw.state.sql import SqlLedger


def main() -> None:
    """Serves until it is stopped."""
    port, file = int(sys.argv[1]), Path(sys.argv[2])
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    gateway = Gateway(environ={}, **orjson.loads(file.read_bytes()))
    ledger = gateway._standing.house.ledger
    if isinstance(ledger, SqlLedger):
        file.with_suffix(".owner").write_text(ledger.owner)
    uvicorn.run(
        gateway,
        host="127.0.0.1",
        port=port,
        http="httptools",
        access_log=False,
        log_level="warning",
        log_config=None,
        lifespan="on",
        timeout_graceful_shutdown=20,
    )


if __name__ == "__main__":
    main()
