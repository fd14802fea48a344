"""How a scorecard is shown: as text, with colours on a terminal, and as JSON.

What does not live here: judging (`scorecard.py`), the command's arguments (`command.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw_testing.check.base import Result
    from compatgw_testing.check.scorecard import Scorecard

# Version of the JSON form: members are only ever added under one number.
FORM = 1
Paint = Callable[[str, str], str]
_CODES = {"red": "31", "green": "32", "yellow": "33", "dim": "2", "bold": "1"}


def painter(stream: TextIO, environ: Mapping[str, str]) -> Paint:
    """Colours for a terminal; none where the output is no terminal, NO_COLOR is set or TERM is dumb."""
    if not stream.isatty() or environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return lambda _, text: text
    return lambda colour, text: f"\x1b[{_CODES[colour]}m{text}\x1b[0m"


def progress(stream: TextIO, total: int) -> Callable[[Result], None]:
    """Shows on a terminal how far the run is; says nothing elsewhere."""
    if not stream.isatty():
        return lambda _: None
    done = 0

    def tell(result: Result) -> None:
        nonlocal done
        done += 1
        line = f"{done}/{total} {result.assertion.id}"
        stream.write(f"\r\x1b[K{line[:78]}" if done < total else "\r\x1b[K")
        stream.flush()

    return tell


def as_text(card: Scorecard, paint: Paint) -> str:
    """The scorecard for people: a line for each group, what failed, what was skipped, the sum."""
    lines = [paint("bold", f"{card.url}  model {card.model}"), ""]
    groups = list(dict.fromkeys(one.assertion.group for one in card.results))
    width = max((len(name) for name in groups), default=0)
    for name in groups:
        good, bad, out = (card.count(state, group=name) for state in ("pass", "fail", "skip"))
        musts = card.count("fail", "must", name)
        colour = "red" if musts else "yellow" if bad else "green" if good else "dim"
        parts = [paint(colour, f"{good:>3}/{good + bad:<3}")]
        parts += [f"{bad} failed"] if bad else []
        parts += [paint("dim", f"{out} skipped")] if out else []
        lines.append(f"  {name:<{width}}  {'  '.join(parts)}")
    lines += _failed(card, paint)
    lines += _skipped(card, paint)
    lines += ["", _sum(card, paint)]
    return "\n".join(lines)


def _failed(card: Scorecard, paint: Paint) -> list[str]:
    lines: list[str] = []
    for severity, colour in (("must", "red"), ("should", "yellow"), ("may", "dim")):
        for one in card.results:
            if one.state == "fail" and one.assertion.severity == severity:
                lines.append("")
                lines.append(f"{paint(colour, f'FAIL {severity}')}  {one.assertion.id}: {one.assertion.says}")
                lines.append(f"      {one.evidence}")
    return lines


def _skipped(card: Scorecard, paint: Paint) -> list[str]:
    reasons: dict[tuple[bool, str], list[str]] = {}
    for one in card.results:
        if one.state == "skip":
            reasons.setdefault((not one.blocked, one.evidence), []).append(one.assertion.id)
    lines = [""] if reasons else []
    for (option, reason), ids in sorted(reasons.items()):
        word = paint("dim", "skipped") if option else paint("yellow", "not judged")
        lines.append(f"{word}  {', '.join(ids)}")
        lines.append(paint("dim", f"      {reason}"))
    return lines


def _sum(card: Scorecard, paint: Paint) -> str:
    good, bad, out = (card.count(state) for state in ("pass", "fail", "skip"))
    musts = card.count("fail", "must")
    judged = good + bad
    share = f" ({100 * good // judged} %)" if judged else ""
    text = f"{good} of {judged} assertions hold{share}, {out} skipped; {card.requests} requests, {card.seconds:.1f} s"
    if card.blocked:
        text += f"; {card.blocked} could not be judged because of other failures"
    if card.ok:
        return f"{paint('green', 'CONFORMS')}  {text}"
    why = f"{musts} must failed" if musts else "a must could not be judged"
    return f"{paint('red', 'DOES NOT CONFORM')}  {text}; {why}"


def as_json(card: Scorecard) -> str:
    """The scorecard for programs: one object, the same members in each run."""
    groups = list(dict.fromkeys(one.assertion.group for one in card.results))
    states = ("pass", "fail", "skip")
    value: dict[str, Any] = {
        "form": FORM,
        "url": card.url,
        "model": card.model,
        "ok": card.ok,
        "counts": {
            **{state: card.count(state) for state in states},
            "must_failed": card.count("fail", "must"),
            "blocked": card.blocked,
        },
        "requests": card.requests,
        "seconds": round(card.seconds, 3),
        "groups": [{"group": name, **{state: card.count(state, group=name) for state in states}} for name in groups],
        "results": [
            {
                "id": one.assertion.id,
                "group": one.assertion.group,
                "severity": one.assertion.severity,
                "says": one.assertion.says,
                "state": one.state,
                "blocked": one.blocked,
                "evidence": one.evidence,
                "seconds": round(one.seconds, 3),
            }
            for one in card.results
        ],
    }
    return json.dumps(value, ensure_ascii=False, indent=1)
