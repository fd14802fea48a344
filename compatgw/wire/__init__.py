"""Shapes and framing: what travels, and how bytes become events. No logic of any provider."""
