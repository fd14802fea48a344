"""The fake of Anthropic's API."""

from compatgw_testing.fakes.anthropic.fake import FakeAnthropic

__all__ = ["FakeAnthropic"]
