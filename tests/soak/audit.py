"""Holds the ledger against what clients were told: the claims that all runs with money share.

What does not live here: the load, and what is done to the processes meanwhile.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from tests.soak.verdict import some

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.soak.asking import Told
    from tests.soak.books import Books, Row, Watcher
    from tests.soak.verdict import Verdict


@dataclass(slots=True)
class Findings:
    """What does not agree.

    Attributes:
        lost: Whole answers of wallet teams without exactly one charge. wrong: Charged another amount than it cost.
        unrecorded: Whole answers without exactly one usage row. twice: Calls that were charged more than once.
        unasked: Charges that belong to no call of a client. beyond: Calls that cost more than they may.
        headers: Answers that say another cost than the wish's.
        refused: Calls that were answered with an error before any of their answer came, and charged all the same.
    """

    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    unrecorded: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)
    beyond: list[str] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


class Audit:
    """The ledger after a run beside what its clients saw.

    Args:
        books: The ledger. log: What became of every call.
        starts: What was put into each wallet, in billionths.
    """

    def __init__(self, books: Books, log: Iterable[Told], starts: Mapping[str, int]) -> None:
        self.books = books
        self.log = list(log)
        self.starts = starts
        self.rows: dict[str, list[Row]] = defaultdict(list)
        for row in books.usage:
            self.rows[row["request"]].append(row)
        requests = {row["id"]: row["request"] for row in books.usage}
        self.charges: dict[str, list[Row]] = defaultdict(list)
        self.unasked: list[str] = []
        asked = {told.id for told in self.log}
        for charge in books.charges():
            request = requests.get(charge["reservation"])
            if request is None or request not in asked:
                self.unasked.append(f"{charge['reservation']} of {charge['team']}")
            else:
                self.charges[request].append(charge)

    def found(self) -> Findings:
        """Goes through every call."""
        out = Findings(unasked=self.unasked)
        for told in self.log:
            charges, rows = self.charges.get(told.id, []), self.rows.get(told.id, [])
            taken = -sum(int(charge["amount"]) for charge in charges)
            paying = told.question.team in self.starts
            if len(charges) > 1:
                out.twice.append(told.id)
            if told.whole:
                self._whole(told, charges, rows, taken, out)
            elif told.code and told.status != 200 and charges:
                out.refused.append(f"{told.id} ({told.status} {told.code})")
            wish = told.question.wish
            if paying and taken > max(wish.cost, wish.most):
                out.beyond.append(f"{told.id} ({taken})")
        return out

    def _whole(self, told: Told, charges: list[Row], rows: list[Row], taken: int, out: Findings) -> None:
        cost = told.question.wish.cost
        if len(rows) != 1:
            out.unrecorded.append(f"{told.id} ({len(rows)} rows)")
        elif int(rows[0]["cost"]) != cost or rows[0]["status"] != 200:
            out.wrong.append(f"{told.id} (row: {rows[0]['cost']} of {cost}, status {rows[0]['status']})")
        if told.cost is None or int(Decimal(told.cost).scaleb(9)) != cost:
            out.headers.append(f"{told.id} (said {told.cost}, cost {cost})")
        if told.question.team not in self.starts:
            return
        if len(charges) != 1:
            short = self._shortfall(rows)
            # What a dry wallet could not pay at all leaves no entry, and a reservation that says so.
            if charges or short != cost:
                out.lost.append(f"{told.id} ({len(charges)} charges)")
        elif taken + self._shortfall(rows) != cost:
            out.wrong.append(f"{told.id} (charged {taken} of {cost})")

    def _shortfall(self, rows: list[Row]) -> int:
        found = self.books.reservations.get(rows[0]["id"]) if rows else None
        return int(found["shortfall"]) if found is not None else 0


def claim_money(verdict: Verdict, audit: Audit, watcher: Watcher | None) -> Findings:
    """What must hold of money, whatever happened."""
    books, starts = audit.books, audit.starts
    apart = []
    for team, start in starts.items():
        charged = -sum(int(charge["amount"]) for charge in books.charges() if charge["team"] == team)
        balance = int(books.wallets[team]["balance"])
        verdict.figure(f"{team}: start {_shown(start)}, charged {_shown(charged)}, balance {_shown(balance)}")
        if balance != start - charged:
            apart.append(team)
    verdict.claim(not apart, f"{len(starts)} wallets end at exactly start minus the sum of charges{some(apart)}")
    steps = _missteps(books)
    verdict.claim(not steps, f"{len(books.entries)} entries add up one by one{some(steps)}")
    if watcher is not None:
        low = ", ".join(f"{team} {_shown(least)}" for team, least in sorted(watcher.lowest.items()))
        verdict.figure(f"lowest balances seen: {low}")
        verdict.claim(
            watcher.looks > 0 and not watcher.wrong,
            f"in {watcher.looks} looks no wallet was below zero, none held more than it had, entries and open "
            f"reservations always added up{some(watcher.wrong)}",
        )
    verdict.claim(books.reserved == 0, f"reserved is {_shown(books.reserved)} at the end")
    out = audit.found()
    whole = [told for told in audit.log if told.whole and told.question.team in starts]
    verdict.claim(
        not out.lost, f"{len(whole)} answers whose last byte a wallet client has: each is charged once{some(out.lost)}"
    )
    verdict.claim(not out.wrong, f"each of them is charged and recorded at what it cost{some(out.wrong)}")
    verdict.claim(not out.twice, f"no call is charged twice, of {len(books.charges())} charges{some(out.twice)}")
    verdict.claim(not out.unasked, f"nothing is charged that no client asked for{some(out.unasked)}")
    verdict.claim(not out.beyond, f"no call costs more than was reserved or used{some(out.beyond)}")
    verdict.claim(not out.headers, f"what answers say of their cost is what they cost{some(out.headers)}")
    return out


def claim_usage(verdict: Verdict, out: Findings, log: list[Told]) -> None:
    """Each whole answer is in the usage, once."""
    whole = sum(told.whole for told in log)
    verdict.claim(not out.unrecorded, f"{whole} whole answers: each has one usage row{some(out.unrecorded)}")


def outcomes(log: Iterable[Told]) -> str:
    """How calls ended, in numbers."""
    counted: Counter[str] = Counter()
    for told in log:
        if told.whole:
            counted["whole streams" if told.question.stream else "whole answers"] += 1
        elif told.left:
            counted["left by the client"] += 1
        elif told.unreached:
            counted["not reached"] += 1
        elif told.code:
            counted[f"{told.status} {told.code}"] += 1
        else:
            counted[f"cut ({told.cut})"] += 1
    return ", ".join(f"{count} {name}" for name, count in counted.most_common())


def _missteps(books: Books) -> list[str]:
    """Entries whose balance is not the one before and their amount."""
    found = []
    before: dict[str, int] = {}
    for entry in books.entries:
        after = before.get(entry["team"], 0) + int(entry["amount"])
        if after != int(entry["balance"]):
            found.append(f"{entry['team']}: {entry['balance']} where {after} is due")
        before[entry["team"]] = after
    return found


def _shown(nano: int) -> str:
    return f"{Decimal(nano).scaleb(-9):f}"
