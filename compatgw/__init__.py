"""An OpenAI-compatible AI gateway that you mount instead of deploy."""
