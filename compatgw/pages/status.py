"""`/docs/status`: how the gateway is, as everybody may see it.

What does not live here: the facts (`web/status.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from compatgw.pages.render import page, view_of
from compatgw.pages.words import text
from compatgw.state.base import iso
from compatgw.web.status import Overall, data_of

if TYPE_CHECKING:
    from compatgw.web.site import Site
    from compatgw.web.visit import Visit
