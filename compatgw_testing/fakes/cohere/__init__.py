"""The fake of Cohere's API, version 2."""

from compatgw_testing.fakes.cohere.fake import FakeCohere

__all__ = ["FakeCohere"]
