"""Real requests and answers of every surface are what the document says of them."""

import base64
from typing import Any

import httpx
import pytest

from compatgw import Gateway
from tests.admin.desk import *  # noqa: F403
from tests.openapi.checking import Judge
from tests.pages.visiting import KEY, gateway, visitor
