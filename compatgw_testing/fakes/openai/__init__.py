"""The fake of OpenAI's API, and of the vendors that speak it with habits of their own."""

from compatgw_testing.fakes.openai.fake import FakeOpenAI
from compatgw_testing.fakes.openai.habit import Habit
from compatgw_testing.fakes.openai.habits import HABITS

__all__ = ["HABITS", "FakeOpenAI", "Habit"]
