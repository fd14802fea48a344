"""A fake of Amazon Bedrock's Converse: `FakeBedrock`."""

from compatgw_testing.fakes.bedrock.fake import FakeBedrock

__all__ = ["FakeBedrock"]
