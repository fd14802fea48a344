"""What guardrails find and what they cost: `python -m tests.bench.guardrails`.

Times are of the processor, as whatever else runs on the machine does not count. Printed are precision and recall of each kind of personal data over 500 made-up cases and the near misses, the
speed of each guardrail over ordinary text, what one piece of a stream waits for it, and the worst time for a
megabyte over texts that are made to be slow.

What does not live here: whether any of it is right (`tests/guardrails/`).
"""

from __future__ import annotations

import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping

from faker import Faker

from compatgw.guardrails.base import Checker, Guardrail, Spot, settled, whole
from compatgw.guardrails.moderation import WordList
from compatgw.guardrails.pii import Pii
from compatgw.guardrails.schema import SchemaGuard, Shape
from tests.guardrails.corpus import KINDS, LOCALES, NEAR_MISSES, Case, cases

MEGABYTE = 1_000_000
ANSWER = Spot("output", "content", "assistant")
WORDS = {"violence": [f"word{number}" for number in range(500)] + ["kill yourself", "bomb*"]}


def found(guardrail: Pii, text: str) -> Counter[tuple[str, str]]:
    """What a restoring guardrail took out of a text: kind and spelling of each."""
    watch = guardrail.open()
    checker = watch.over(Spot())
    assert checker is not None
    said = settled(whole(checker, text)).text
    out: Counter[tuple[str, str]] = Counter()
    for placeholder, original in watch.originals.items():  # type: ignore[attr-defined]  # its own watch
        kind = placeholder[1:].rpartition("_")[0].lower()
        out[kind, original] += said.count(placeholder)
    return out


def scores(guardrail: Pii, corpus: list[Case]) -> Mapping[str, tuple[int, int, int]]:
    """True positives, false positives and misses of each kind."""
    sums = {kind: [0, 0, 0] for kind in KINDS}
    for case in corpus:
        got, wanted = found(guardrail, case.text), Counter(case.expected)
        for kind in KINDS:
            mine = Counter({key: n for key, n in got.items() if key[0] == kind})
            theirs = Counter({key: n for key, n in wanted.items() if key[0] == kind})
            hits = (mine & theirs).total()
            sums[kind][0] += hits
            sums[kind][1] += mine.total() - hits
            sums[kind][2] += theirs.total() - hits
    return {kind: (one[0], one[1], one[2]) for kind, one in sums.items()}


def print_scores(title: str, table: Mapping[str, tuple[int, int, int]]) -> None:
    """Precision and recall, a line for each kind."""
    print(f"\n{title}\n  {'kind':12} {'precision':>9} {'recall':>7}   found  wrong missed")
    for kind, (hits, wrong, missed) in table.items():
        precision = hits / (hits + wrong) if hits + wrong else 1.0
        recall = hits / (hits + missed) if hits + missed else 1.0
        print(f"  {kind:12} {precision:9.3f} {recall:7.3f} {hits:7} {wrong:6} {missed:6}")


def ordinary(size: int = MEGABYTE) -> str:
    """Prose with something personal in every tenth sentence."""
    fake = Faker("en_US")
    fake.seed_instance(1)
    lines = [fake.sentence(nb_words=12) + (f" Write to {fake.email()}." if n % 10 == 0 else "") for n in range(2000)]
    text = " ".join(lines)
    return (text * (size // len(text) + 1))[:size]


def slow_texts() -> Mapping[str, str]:
    """Texts that are made to be slow, about a megabyte each in UTF-8."""
    draw = random.Random(2)
    number = "".join(draw.choice("0123456789") for _ in range(MEGABYTE))
    return {
        "one run of digits": number,
        "full-width digits": "".join(chr(0xFF10 + int(each)) for each in number[: MEGABYTE // 3]),
        "digits and spaces": " ".join(number[: MEGABYTE // 2]),
        "groups of four": " ".join(number[at : at + 4] for at in range(0, MEGABYTE * 4 // 5, 4)),
        "groups with dots": ".".join(number[at : at + 3] for at in range(0, MEGABYTE * 3 // 4, 3)),
        "valid cards": "4111 1111 1111 1111, " * (MEGABYTE // 21),
        "cards that fail": "4111 1111 1111 1112 " * (MEGABYTE // 20),
        "telephones": "".join(f"+4930{number[at : at + 7]} " for at in range(0, MEGABYTE * 7 // 13, 7)),
        "plus signs": "+1" * (MEGABYTE // 2),
        "brackets": "(+(" * (MEGABYTE // 3),
        "at signs": "a@" * (MEGABYTE // 2),
        "addresses": "a@b.co " * (MEGABYTE // 7),
        "dots after @": "a@" + "b." * (MEGABYTE // 2),
        "letters": "a" * MEGABYTE,
        "colons": "a:" * (MEGABYTE // 2),
        "hexadecimal": "dead:beef:" * (MEGABYTE // 10),
        "invisible": "a\u200b" * (MEGABYTE // 4),
        "placeholders": "[EMAIL_1" * (MEGABYTE // 8),
        "escapes": "\\u0061" * (MEGABYTE // 6),
        "quotes": '"' * MEGABYTE,
        "backslashes": "\\" * MEGABYTE,
        "half pairs": "\\ud83d" * (MEGABYTE // 6),
    }


def checker_of(guardrail: Guardrail, spot: Spot) -> Checker:
    """A new checker."""
    checker = guardrail.open().over(spot)
    assert checker is not None
    return checker


def seconds(run: Callable[[], object], rounds: int = 3) -> float:
    """The best of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        before = time.process_time()
        run()
        best = min(best, time.process_time() - before)
    return best


def throughput(name: str, guardrail: Guardrail, text: str) -> None:
    """Megabytes a second, whole and in pieces of four characters, and what a piece costs."""
    alone = seconds(lambda: settled(whole(checker_of(guardrail, ANSWER), text)))
    part = text[:100_000].replace("@", " at ")
    pieces = [part[at : at + 4] for at in range(0, len(part), 4)]
    checker, times, held = checker_of(guardrail, ANSWER), [], []
    fed = given = 0
    for piece in pieces:
        before = time.perf_counter()
        verdict = checker.feed(piece)
        times.append(time.perf_counter() - before)
        fed += len(piece)
        given += len(getattr(verdict, "text", ""))
        held.append(max(0, fed - given))
    print(
        f"  {name:20} {len(text) / alone / MEGABYTE:8.1f} MB/s whole  {len(part) / sum(times) / MEGABYTE:7.2f} MB/s in fours  "
        f"{statistics.median(times) * 1e6:7.1f} us a piece (99 %: {statistics.quantiles(times, n=100)[98] * 1e6:.1f}), "
        f"{statistics.median(held):.0f} characters held"
    )


def worst(guardrails: Mapping[str, Guardrail]) -> None:
    """Seconds for a megabyte of each slow text, of all guardrails, whole."""
    print("\nSeconds for a megabyte that is made to be slow")
    print(f"  {'':20}" + "".join(f"{name:>18}" for name in guardrails))
    top: dict[str, tuple[float, str]] = {}
    for title, text in slow_texts().items():
        row = []
        for name, guardrail in guardrails.items():
            spot = Spot("output", "arguments", json=True) if name.endswith("json") else Spot()
            taken = seconds(lambda g=guardrail, s=spot, t=text: settled(whole(checker_of(g, s), t)), rounds=1)  # type: ignore[misc]  # bound early
            row.append(taken)
            top[name] = max(top.get(name, (0.0, "")), (taken, title))
        print(f"  {title:20}" + "".join(f"{taken:18.3f}" for taken in row))
    for name, (taken, title) in top.items():
        print(f"  worst of {name}: {taken:.3f} s/MB ({title})")


def main() -> None:
    """Everything."""
    corpus = cases()
    print_scores("500 cases, all regions known", scores(Pii("restore", regions=tuple(LOCALES.values())), corpus))
    print_scores("500 cases, no region known", scores(Pii("restore"), corpus))
    misses = [Case(text, ()) for text in NEAR_MISSES]
    wrong = Counter(key for case in misses for key in found(Pii("restore"), case.text).elements())
    print(f"\nNear misses: {len(misses)} texts, taken for personal data: {dict(wrong) or 'nothing'}")

    text = ordinary()
    print("\nSpeed over prose with an address in every tenth sentence")
    throughput("pii", Pii(), text)
    throughput("pii, five regions", Pii(regions=("US", "DE", "FR", "GB", "JP")), text)
    throughput("word list of 502", WordList(WORDS, action="redact"), text)
    array = '["' + '", "'.join(text[:5000].split()) + '"]'
    shape = SchemaGuard(Shape({"type": "array", "items": {"type": "string"}}))
    throughput("schema, 5 KB", shape, array)
    worst(
        {
            "pii": Pii(),
            "pii, region": Pii(regions=("DE",)),
            "pii in json": Pii(),
            "word list": WordList(WORDS, action="redact"),
        }
    )


if __name__ == "__main__":
    main()
