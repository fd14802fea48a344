"""Snippets for LlamaIndex (`llama-index-llms-openai-like`, `llama-index-embeddings-openai-like`).

What does not live here: how they are filled in (`__init__.py`).
"""

from __future__ import annotations

from compatgw.pages.snippets import python

_MODEL = """\
import os

from llama_index.llms.openai_like import OpenAILike

llm = OpenAILike(
    model="<<chat>>",
    api_base="<<base>>",
    api_key=os.environ["GATEWAY_API_KEY"],
    is_chat_model=True,
    is_function_calling_model=True,
)
"""

_BLOCKS = """\
import os

from llama_index.core.llms import ChatMessage, {block}, TextBlock
from llama_index.llms.openai_like import OpenAILike

llm = OpenAILike(
    model="<<chat>>",
    api_base="<<base>>",
    api_key=os.environ["GATEWAY_API_KEY"],
    is_chat_model=True,
)
"""

CHAT = (
    _MODEL
    + """\
print(llm.complete("Say hello in one word.").text)
"""
)

STREAM = (
    _MODEL
    + """\
for piece in llm.stream_complete("Count to five."):
    print(piece.delta, end="", flush=True)
"""
)

TOOLS = (
    _MODEL.replace("import os\n\n", "import os\n\nfrom llama_index.core.tools import FunctionTool\n")
    + """

def weather(city: str) -> str:
    \"\"\"The weather in a city.\"\"\"
    return f"It is sunny in {city}."


answer = llm.chat_with_tools(
    [FunctionTool.from_defaults(weather)],
    user_msg="What is the weather in Hanoi?",
)
for call in llm.get_tool_calls_from_response(answer, error_on_no_tool_call=False):
    print(call.tool_name, call.tool_kwargs)
print(answer.message.content or "")
"""
)

IMAGE = (
    _BLOCKS.replace("{block}", "ImageBlock")
    + """\
message = ChatMessage(role="user", blocks=[
    TextBlock(text="What is in this picture?"),
    ImageBlock(path="photo.png", image_mimetype="image/png"),
])
print(llm.chat([message]).message.content)
"""
)

PDF = (
    _BLOCKS.replace("{block}, TextBlock", "DocumentBlock, TextBlock")
    + """\
message = ChatMessage(role="user", blocks=[
    TextBlock(text="Summarise this document."),
    DocumentBlock(path="report.pdf", title="report.pdf", document_mimetype="application/pdf"),
])
print(llm.chat([message]).message.content)
"""
)

EMBEDDINGS = """\
import os

from llama_index.embeddings.openai_like import OpenAILikeEmbedding

embeddings = OpenAILikeEmbedding(
    model_name="<<embedding>>",
    api_base="<<base>>",
    api_key=os.environ["GATEWAY_API_KEY"],
)
for vector in embeddings.get_text_embedding_batch(["A cat on a mat", "A dog in the fog"]):
    print(len(vector), vector[:3])
"""

IMAGES = "# LlamaIndex makes no pictures: use the openai package beside it.\n" + python.IMAGES
