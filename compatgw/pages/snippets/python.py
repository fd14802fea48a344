"""Snippets for Python with the official `openai` package.

What does not live here: how they are filled in (`__init__.py`).
"""

from __future__ import annotations

_CLIENT = """\
import os

from openai import OpenAI

client = OpenAI(base_url="<<base>>", api_key=os.environ["GATEWAY_API_KEY"])
"""

_CLIENT_AND_FILES = """\
import base64
import os
from pathlib import Path

from openai import OpenAI

client = OpenAI(base_url="<<base>>", api_key=os.environ["GATEWAY_API_KEY"])
"""

CHAT = (
    _CLIENT
    + """\
answer = client.chat.completions.create(
    model="<<chat>>",
    messages=[{"role": "user", "content": "Say hello in one word."}],
)
print(answer.choices[0].message.content)
"""
)

STREAM = (
    _CLIENT
    + """\
stream = client.chat.completions.create(
    model="<<chat>>",
    messages=[{"role": "user", "content": "Count to five."}],
    stream=True,
)
for chunk in stream:
    print(chunk.choices[0].delta.content or "", end="", flush=True)
"""
)

TOOLS = (
    _CLIENT
    + """\
weather = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
answer = client.chat.completions.create(
    model="<<chat>>",
    messages=[{"role": "user", "content": "What is the weather in Hanoi?"}],
    tools=[weather],
)
message = answer.choices[0].message
for call in message.tool_calls or []:
    print(call.function.name, call.function.arguments)
print(message.content or "")
"""
)

IMAGE = (
    _CLIENT_AND_FILES
    + """\
photo = base64.b64encode(Path("photo.png").read_bytes()).decode()
answer = client.chat.completions.create(
    model="<<chat>>",
    messages=[{"role": "user", "content": [
        {"type": "text", "text": "What is in this picture?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{photo}"}},
    ]}],
)
print(answer.choices[0].message.content)
"""
)

PDF = (
    _CLIENT_AND_FILES
    + """\
report = base64.b64encode(Path("report.pdf").read_bytes()).decode()
answer = client.chat.completions.create(
    model="<<chat>>",
    messages=[{"role": "user", "content": [
        {"type": "text", "text": "Summarise this document."},
        {"type": "file", "file": {
            "filename": "report.pdf",
            "file_data": f"data:application/pdf;base64,{report}",
        }},
    ]}],
)
print(answer.choices[0].message.content)
"""
)

EMBEDDINGS = (
    _CLIENT
    + """\
answer = client.embeddings.create(
    model="<<embedding>>",
    input=["A cat on a mat", "A dog in the fog"],
)
for item in answer.data:
    print(len(item.embedding), item.embedding[:3])
"""
)

IMAGES = (
    _CLIENT_AND_FILES
    + """\
answer = client.images.generate(
    model="<<image>>",
    prompt="A lighthouse at dusk, in watercolour",
)
picture = answer.data[0]
if picture.b64_json:
    Path("picture.png").write_bytes(base64.b64decode(picture.b64_json))
else:
    print(picture.url)
"""
)
