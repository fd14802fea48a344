"""The fake of the Gemini API."""

from compatgw_testing.fakes.gemini.fake import FakeGemini

__all__ = ["FakeGemini"]
