"""Snippets for a shell.

What does not live here: how they are filled in (`__init__.py`).
"""

from __future__ import annotations

CHAT = """\
curl "<<base>>/chat/completions" \\
  -H "Authorization: Bearer $GATEWAY_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{
    "model": "<<chat>>",
    "messages": [{"role": "user", "content": "Say hello in one word."}]
  }'
"""

STREAM = """\
curl -N "<<base>>/chat/completions" \\
  -H "Authorization: Bearer $GATEWAY_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{
    "model": "<<chat>>",
    "stream": true,
    "messages": [{"role": "user", "content": "Count to five."}]
  }'
"""

TOOLS = """\
curl "<<base>>/chat/completions" \\
  -H "Authorization: Bearer $GATEWAY_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{
    "model": "<<chat>>",
    "messages": [{"role": "user", "content": "What is the weather in Hanoi?"}],
    "tools": [{
      "type": "function",
      "function": {
        "name": "weather",
        "description": "The weather in a city",
        "parameters": {
          "type": "object",
          "properties": {"city": {"type": "string"}},
          "required": ["city"]
        }
      }
    }]
  }'
"""

IMAGE = """\
curl "<<base>>/chat/completions" \\
  -H "Authorization: Bearer $GATEWAY_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{
    "model": "<<chat>>",
    "messages": [{"role": "user", "content": [
      {"type": "text", "text": "What is in this picture?"},
      {"type": "image_url", "image_url": {
        "url": "data:image/png;base64,'"$(base64 < photo.png | tr -d '\\n')"'"
      }}
    ]}]
  }'
"""

PDF = """\
curl "<<base>>/chat/completions" \\
  -H "Authorization: Bearer $GATEWAY_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{
    "model": "<<chat>>",
    "messages": [{"role": "user", "content": [
      {"type": "text", "text": "Summarise this document."},
      {"type": "file", "file": {
        "filename": "report.pdf",
        "file_data": "data:application/pdf;base64,'"$(base64 < report.pdf | tr -d '\\n')"'"
      }}
    ]}]
  }'
"""

EMBEDDINGS = """\
curl "<<base>>/embeddings" \\
  -H "Authorization: Bearer $GATEWAY_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{
    "model": "<<embedding>>",
    "input": ["A cat on a mat", "A dog in the fog"]
  }'
"""

IMAGES = """\
curl "<<base>>/images/generations" \\
  -H "Authorization: Bearer $GATEWAY_API_KEY" \\
  -H "Content-Type: application/json" \\
  -o picture.json \\
  -d '{
    "model": "<<image>>",
    "prompt": "A lighthouse at dusk, in watercolour"
  }'
"""
