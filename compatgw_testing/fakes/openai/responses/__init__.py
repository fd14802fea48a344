"""OpenAI's Responses: rules, reading, answers, what is stored, the routes."""
