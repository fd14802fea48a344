"""The end of every call, however it ended: what was seen is written down once.

What does not live here: money and usage records, which join with the ledger.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from compatgw.errors import Blame, UpstreamFailure

if TYPE_CHECKING:
    from compatgw.flow.call import Call, House

_log = logging.getLogger("compatgw.calls")


def settle(call: Call, house: House) -> None:
    """Notes how `call` went: the provider's health, and one line in the log without any text of the prompt."""
    took = house.monotonic() - call.started
    failure = call.failure
    if call.route is not None and call.outgoing is not None:
        name = call.route.deployment.name
        if failure is None:
            house.health.answered(name, call.first_token if call.first_token is not None else took)
        elif isinstance(failure, UpstreamFailure) and failure.blame not in (Blame.CALLER, Blame.CONTEXT):
            house.health.failed(name, failure.code, house.clock())
    if failure is not None and isinstance(failure, UpstreamFailure) and failure.blame is Blame.CREDENTIAL:
        _log.warning("%s %s", call.id, failure.message)
    if _log.isEnabledFor(logging.INFO):
        usage = call.usage
        _log.info(
            "%s model=%r provider=%s stream=%s outcome=%s seconds=%.3f tokens=%s",
            call.id,
            call.request["model"],
            call.route.deployment.name if call.route is not None else "-",
            call.stream,
            "ok" if failure is None else failure.code,
            took,
            f"{usage['prompt_tokens']}+{usage['completion_tokens']}" if usage is not None else "-",
        )
