"""The gateway's own OpenAPI document, made of what validates requests and types answers."""
