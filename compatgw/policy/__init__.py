"""Decisions, pure: what they need to know comes in as arguments, what they decide goes out as a value."""
