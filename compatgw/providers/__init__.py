"""Providers and models as data: rows, never code. The only folder that knows a provider's name."""
