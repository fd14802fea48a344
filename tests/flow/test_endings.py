"""How a call ends whose end cannot be written down just then."""

from __future__ import annotations

from decimal import Decimal

from tests.canned import Canned
from tests.flow.breaking import Between, Locked, error_of, impatient, path_of
from tests.flow.paying import Open


async def test_a_failed_call_says_why_it_failed_even_while_the_ledger_is_away(open_sqlite_shop: Open) -> None:
    """Not 500, not 503: the upstream's failure. What it held comes back, and it is in the usage, once that can be written."""
    up = Between(Canned(b'{"error": {"message": "broken"}}', status=500))
    one = open_sqlite_shop(up)
    impatient(one)
    lock = Locked(path_of(one))
    up.do = lock.take
    got = await one.post(await one.key(wallet="10"))
    lock.give()
    (row,) = await one.rows()
    wallet = await one.wallet()

    assert (got.status_code, error_of(got)["code"]) == (502, "upstream_error")
    assert (wallet.balance, wallet.reserved) == (Decimal(10), Decimal(0))
    assert (row.status, row.charge, row.code) == (502, Decimal(0), "upstream_error")
    assert await one.charges() == []
