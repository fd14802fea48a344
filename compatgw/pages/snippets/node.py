"""Snippets for Node with the official `openai` package.

What does not live here: how they are filled in (`__init__.py`).
"""

from __future__ import annotations

_CLIENT = """\
import OpenAI from "openai";

const client = new OpenAI({ baseURL: "<<base>>", apiKey: process.env.GATEWAY_API_KEY });
"""

_CLIENT_AND_FILES = """\
import { readFile, writeFile } from "node:fs/promises";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: "<<base>>", apiKey: process.env.GATEWAY_API_KEY });
"""

CHAT = (
    _CLIENT
    + """\
const answer = await client.chat.completions.create({
  model: "<<chat>>",
  messages: [{ role: "user", content: "Say hello in one word." }],
});
console.log(answer.choices[0].message.content);
"""
)

STREAM = (
    _CLIENT
    + """\
const stream = await client.chat.completions.create({
  model: "<<chat>>",
  messages: [{ role: "user", content: "Count to five." }],
  stream: true,
});
for await (const chunk of stream) {
  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
}
"""
)

TOOLS = (
    _CLIENT
    + """\
const answer = await client.chat.completions.create({
  model: "<<chat>>",
  messages: [{ role: "user", content: "What is the weather in Hanoi?" }],
  tools: [{
    type: "function",
    function: {
      name: "weather",
      description: "The weather in a city",
      parameters: {
        type: "object",
        properties: { city: { type: "string" } },
        required: ["city"],
      },
    },
  }],
});
const { content, tool_calls } = answer.choices[0].message;
for (const call of tool_calls ?? []) console.log(call.function.name, call.function.arguments);
console.log(content ?? "");
"""
)

IMAGE = (
    _CLIENT_AND_FILES
    + """\
const photo = await readFile("photo.png", "base64");
const answer = await client.chat.completions.create({
  model: "<<chat>>",
  messages: [{ role: "user", content: [
    { type: "text", text: "What is in this picture?" },
    { type: "image_url", image_url: { url: `data:image/png;base64,${photo}` } },
  ] }],
});
console.log(answer.choices[0].message.content);
"""
)

PDF = (
    _CLIENT_AND_FILES
    + """\
const report = await readFile("report.pdf", "base64");
const answer = await client.chat.completions.create({
  model: "<<chat>>",
  messages: [{ role: "user", content: [
    { type: "text", text: "Summarise this document." },
    { type: "file", file: {
      filename: "report.pdf",
      file_data: `data:application/pdf;base64,${report}`,
    } },
  ] }],
});
console.log(answer.choices[0].message.content);
"""
)

EMBEDDINGS = (
    _CLIENT
    + """\
const answer = await client.embeddings.create({
  model: "<<embedding>>",
  input: ["A cat on a mat", "A dog in the fog"],
});
for (const item of answer.data) console.log(item.embedding.length, item.embedding.slice(0, 3));
"""
)

IMAGES = (
    _CLIENT_AND_FILES
    + """\
const answer = await client.images.generate({
  model: "<<image>>",
  prompt: "A lighthouse at dusk, in watercolour",
});
const [picture] = answer.data;
if (picture.b64_json) await writeFile("picture.png", picture.b64_json, "base64");
else console.log(picture.url);
"""
)
