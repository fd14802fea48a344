"""The official SDK in the same process as the fake."""

from tests.testing.inprocess import connect

__all__ = ["connect"]
