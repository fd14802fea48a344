"""Snippets for LangChain (`langchain-openai`).

What does not live here: how they are filled in (`__init__.py`).
"""

from __future__ import annotations

from compatgw.pages.snippets import python

_MODEL = """\
import os

from langchain_openai import ChatOpenAI

model = ChatOpenAI(
    model="<<chat>>",
    base_url="<<base>>",
    api_key=os.environ["GATEWAY_API_KEY"],
)
"""

_MODEL_AND_FILES = """\
import base64
import os
from pathlib import Path

from langchain_openai import ChatOpenAI

model = ChatOpenAI(
    model="<<chat>>",
    base_url="<<base>>",
    api_key=os.environ["GATEWAY_API_KEY"],
)
"""

CHAT = (
    _MODEL
    + """\
print(model.invoke("Say hello in one word.").text)
"""
)

STREAM = (
    _MODEL
    + """\
for chunk in model.stream("Count to five."):
    print(chunk.text, end="", flush=True)
"""
)

TOOLS = (
    _MODEL.replace("import os\n", "import os\n\nfrom langchain_core.tools import tool").replace("tool\n\n", "tool\n")
    + """

@tool
def weather(city: str) -> str:
    \"\"\"The weather in a city.\"\"\"
    return f"It is sunny in {city}."


answer = model.bind_tools([weather]).invoke("What is the weather in Hanoi?")
for call in answer.tool_calls:
    print(call["name"], call["args"], weather.invoke(call["args"]))
print(answer.text)
"""
)

IMAGE = (
    _MODEL_AND_FILES
    + """\
photo = base64.b64encode(Path("photo.png").read_bytes()).decode()
answer = model.invoke([{"role": "user", "content": [
    {"type": "text", "text": "What is in this picture?"},
    {"type": "image", "base64": photo, "mime_type": "image/png"},
]}])
print(answer.text)
"""
)

PDF = (
    _MODEL_AND_FILES
    + """\
report = base64.b64encode(Path("report.pdf").read_bytes()).decode()
answer = model.invoke([{"role": "user", "content": [
    {"type": "text", "text": "Summarise this document."},
    {"type": "file", "base64": report, "mime_type": "application/pdf", "filename": "report.pdf"},
]}])
print(answer.text)
"""
)

EMBEDDINGS = """\
import os

from langchain_openai import OpenAIEmbeddings

embeddings = OpenAIEmbeddings(
    model="<<embedding>>",
    base_url="<<base>>",
    api_key=os.environ["GATEWAY_API_KEY"],
    check_embedding_ctx_length=False,  # sends text, not OpenAI's token numbers
)
for vector in embeddings.embed_documents(["A cat on a mat", "A dog in the fog"]):
    print(len(vector), vector[:3])
"""

IMAGES = "# LangChain makes no pictures: use the openai package beside it.\n" + python.IMAGES
