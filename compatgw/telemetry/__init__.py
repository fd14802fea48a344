"""What is told of calls to whoever watches: numbers for Prometheus, traces for OpenTelemetry, lines of JSON.

What does not live here: what is written down for people who pay (`state/`), the moment of telling (`flow/`).
"""
