"""Log lines as JSON, by the standard library's logging: one object a line, for machines that collect them.

    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.getLogger("compatgw").addHandler(handler)

Lines of this package that are about a call begin with its id, which is how it comes to be a member of its own. What
looks like a credential is masked, whoever wrote the line. There is no text of a prompt in any line of this package.

What does not live here: who logs, and handlers: a library leaves these to its host.
"""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from typing import Any

import orjson

_ID = re.compile(r"[A-Za-z0-9._:@/+=-]{1,128}")
_ABOUT_A_CALL = "%s "
_PACKAGE = "compatgw"
_MASK = "[hidden]"
# What keys, tokens and passwords look like.
_SECRETS = re.compile(
    r"""
      (?<=://)[^/\s:@]*:[^/\s@]+(?=@)                                   # the user and password of a URL
    | (?i:(?<=bearer\ )|(?<=basic\ ))[A-Za-z0-9._~+/=-]{8,}             # a header that authorises
    | \beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*         # a token of three parts
    | \b(?:sk|pk|rk|csk|cgw|cai|gsk|xai|hf|r8|nvapi|ghp|glpat)[-_][A-Za-z0-9_.-]{12,}
    | \bAIza[A-Za-z0-9_-]{30,}
    | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b
    """,
    re.VERBOSE,
)
# Members of every record; what else is there came by `extra`.
_OWN = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message"})


class JsonFormatter(logging.Formatter):
    """Writes `time` (ISO 8601 in UTC), `level`, `logger`, `message`; `request_id` where a line is about a call;
    `exception` with the trace, as text; and what a line was given as `extra`.

    Args:
        members: Further members of every line, such as `{"service": "shop"}`.
    """

    def __init__(self, members: dict[str, Any] | None = None) -> None:
        super().__init__()
        self._members = dict(members or {})

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON without an end of line."""
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": masked(_message(record)),
        }
        if (id := _request_id(record)) is not None:
            told["request_id"] = id
        if record.exc_info:
            told["exception"] = masked(self.formatException(record.exc_info))
        elif record.exc_text:
            told["exception"] = masked(record.exc_text)
        if record.stack_info:
            told["stack"] = masked(self.formatStack(record.stack_info))
        told.update(self._members)
        for name, value in vars(record).items():
            if name not in _OWN and name not in told:
                told[name] = _clean(value)
        return _written(told)


def masked(text: str) -> str:
    """`text` without what looks like a credential."""
    return _SECRETS.sub(_MASK, text)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        # Somebody's placeholders do not fit; the line is worth more than its form.
        return f"{record.msg} {record.args}"


def _request_id(record: logging.LogRecord) -> str | None:
    """The id that a line of this package about a call begins with."""
    if record.name.partition(".")[0] != _PACKAGE or not isinstance(record.args, tuple) or not record.args:
        return None
    first, text = record.args[0], record.msg
    if isinstance(text, str) and text.startswith(_ABOUT_A_CALL) and isinstance(first, str) and _ID.fullmatch(first):
        return first
    return None


def _written(told: dict[str, Any]) -> str:
    try:
        return orjson.dumps(told, default=_shown, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:
        # Half a character, a number beyond 64 bits, or something that nests without end.
        return orjson.dumps({name: _sound(_shown(value)) for name, value in told.items()}).decode()


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {name: _clean(each) for name, each in value.items()}
    return [_clean(each) for each in value] if isinstance(value, (list, tuple)) else value


def _shown(value: Any) -> str:
    try:
        return masked(str(value))
    except Exception:  # noqa: BLE001 - the host's own object; a line that cannot show it is still a line
        return f"<{type(value).__name__}>"


def _sound(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
