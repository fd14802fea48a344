"""Texts with personal data that is known, made by a seeded `faker` in eight locales, and near misses made by hand.

What does not live here: what a guardrail makes of them (`test_pii.py`, the benchmark).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from faker import Faker

LOCALES = {
    "en_US": "US", "de_DE": "DE", "fr_FR": "FR", "es_ES": "ES", "ja_JP": "JP", "pt_BR": "BR", "ru_RU": "RU", "zh_CN": "CN",
}  # fmt: skip
KINDS = ("email", "phone", "us_ssn", "credit_card", "ip")


@dataclass(frozen=True)
class Case:
    """A text, and what personal data it has: kind and spelling of each."""

    text: str
    expected: tuple[tuple[str, str], ...]


def cases(count: int = 500, seed: int = 20261121) -> list[Case]:
    """That many cases: eight locales in turn, five kinds in turn, one to three values in a text."""
    draw = random.Random(seed)
    fakers = []
    for locale in LOCALES:
        fake = Faker(locale)
        fake.seed_instance(draw.random())
        fakers.append((locale, fake))
    made = []
    for number in range(count):
        locale, fake = fakers[number % len(fakers)]
        kinds = [KINDS[(number // len(fakers)) % len(KINDS)], *draw.sample(KINDS, draw.randint(0, 2))]
        parts, expected = [fake.sentence(nb_words=4)], []
        for kind in kinds:
            value = spelled(kind, locale, fake, draw)
            expected.append((kind, value))
            space = (
                draw.choice((" ", ": ", " (", '"', "\n"))
                if locale not in ("ja_JP", "zh_CN")
                else draw.choice(("", " ", "："))
            )
            parts += [space, value, draw.choice((" ", ", ", ". ", ")", '"', "\n", "; ")), fake.sentence(nb_words=3)]
        made.append(Case("".join(parts), tuple(expected)))
    return made


def spelled(kind: str, locale: str, fake: Faker, draw: random.Random) -> str:
    """A value in one of the spellings that people use."""
    if kind == "email":
        return str(draw.choice((fake.email, fake.company_email, fake.ascii_free_email))())
    if kind == "phone":
        return phone(LOCALES[locale], draw)
    if kind == "us_ssn":
        area = draw.choice([number for number in range(1, 900) if number != 666])
        mark = draw.choice("---- .")
        return f"{area:03}{mark}{draw.randint(1, 99):02}{mark}{draw.randint(1, 9999):04}"
    if kind == "credit_card":
        digits = str(fake.credit_card_number())
        while len(digits) < 13:
            digits = str(fake.credit_card_number())
        mark = draw.choice(("", " ", "-"))
        groups = (4, 6, 5) if len(digits) == 15 else (4, 6, 4) if len(digits) == 14 else (4, 4, 4, 4, 4)
        out, at = [], 0
        for size in groups:
            out.append(digits[at : at + size])
            at += size
        return mark.join(part for part in out if part)
    return str(draw.choice((fake.ipv4, fake.ipv4_private, fake.ipv6))())


def phone(region: str, draw: random.Random) -> str:
    """A number that the region could give out, in its international or national form."""
    import phonenumbers

    while True:
        example = phonenumbers.example_number_for_type(
            region, draw.choice((phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE))
        )
        assert example is not None
        national = str(example.national_number)
        changed = national[:-4] + f"{draw.randint(0, 9999):04}"
        number = phonenumbers.PhoneNumber(
            country_code=example.country_code,
            national_number=int(changed),
            italian_leading_zero=example.italian_leading_zero,
        )
        if phonenumbers.is_valid_number(number):
            break
    form = draw.choice(
        (
            phonenumbers.PhoneNumberFormat.INTERNATIONAL,
            phonenumbers.PhoneNumberFormat.E164,
            phonenumbers.PhoneNumberFormat.NATIONAL,
        )
    )
    return str(phonenumbers.format_number(number, form))


NEAR_MISSES = (
    "Version 1.2.3.4 came after version 1.2.3.",
    "v10.0.19041.1 is a build, 256.1.1.1 and 1.2.3.4.5 are nothing.",
    "Order 4155552671 and order 4111111111111112 were sent on 2026-11-21 at 12:30:45.",
    "The card 1234 5678 9012 3456 is in no range; 4111 1111 1111 1112 has a wrong digit.",
    "000-12-3456, 666-12-3456, 900-12-3456, 123-00-4567 and 123-45-0000 are never given.",
    "ISBN 978-3-16-148410-0, ISSN 2049-3630, DOI 10.1000/182, UUID 123e4567-e89b-12d3-a456-426614174000.",
    "a@b, @handle, user@localhost, foo@bar.1, x @ y.com, decorator @cached.property and C++ std::vector<a::b>.",
    "Ratio 3:4:5, slice [1::2], time 10:20:30, MAC 00:1a:2b:3c:4d:5e, key a:b:c:d.",
    "Numbers 1 2 3 4 5 6 7 8 9 10 11 12, sums 1,000,000.00 and 1.000.000,00, years 2019-2026.",
    "Commit 4f5e6d7c8b9a0123456789abcdef0123456789ab, epoch 1700000000, 1700000000123.",
    "Coordinates 52.5200 13.4050, price 19.99, part no. 12-345-6789, section 4.1.1.",
    "123-45-67890 and 1123-45-6789 and 123-45-6789-01 are longer numbers; +1 is a vote, +12 too.",
)
