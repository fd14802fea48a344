"""Asking by hand, for vendors without an SDK that could ask in this process: JSON out, JSON or bytes back."""

from __future__ import annotations

from typing import Any, NamedTuple

from httpx import Client, Response


class Refusal(Exception):
    """The answer was an error; the text is its status."""


class ByHand(NamedTuple):
    """A client of one vendor.

    Attributes:
        http: What asks.
        url: Where the vendor's API begins.
        key: Sent as a bearer token.
    """

    http: Client
    url: str
    key: str

    def post(self, path: str, body: Any) -> Response:
        """The answer to one request.

        Raises:
            Refusal: It is an error.
        """
        headers = {"authorization": f"Bearer {self.key}"}
        answer = self.http.post(f"{self.url}{path}", json=body, headers=headers)
        if answer.status_code >= 400:
            raise Refusal(f"{answer.status_code}: {answer.text}")
        return answer
