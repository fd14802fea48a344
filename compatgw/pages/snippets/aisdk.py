"""Snippets for the Vercel AI SDK (`ai`, `@ai-sdk/openai-compatible`).

What does not live here: how they are filled in (`__init__.py`).
"""

from __future__ import annotations


def _begin(names: str, *lines: str) -> str:
    imports = (*lines, 'import { createOpenAICompatible } from "@ai-sdk/openai-compatible";')
    return (
        "\n".join((*imports, f'import {{ {names} }} from "ai";'))
        + """

const gateway = createOpenAICompatible({
  name: "gateway",
  baseURL: "<<base>>",
  apiKey: process.env.GATEWAY_API_KEY,
});
"""
    )


_READ = 'import { readFile } from "node:fs/promises";'

CHAT = (
    _begin("generateText")
    + """\
const { text } = await generateText({
  model: gateway("<<chat>>"),
  prompt: "Say hello in one word.",
});
console.log(text);
"""
)

STREAM = (
    _begin("streamText")
    + """\
const { textStream } = streamText({
  model: gateway("<<chat>>"),
  prompt: "Count to five.",
});
for await (const text of textStream) process.stdout.write(text);
"""
)

TOOLS = (
    _begin("generateText, tool").replace('from "ai";', 'from "ai";\nimport { z } from "zod";')
    + """\
const { text, toolCalls } = await generateText({
  model: gateway("<<chat>>"),
  prompt: "What is the weather in Hanoi?",
  tools: {
    weather: tool({
      description: "The weather in a city",
      inputSchema: z.object({ city: z.string() }),
      execute: async ({ city }) => `It is sunny in ${city}.`,
    }),
  },
});
for (const call of toolCalls) console.log(call.toolName, call.input);
console.log(text);
"""
)

IMAGE = (
    _begin("generateText", _READ)
    + """\
const { text } = await generateText({
  model: gateway("<<chat>>"),
  messages: [{ role: "user", content: [
    { type: "text", text: "What is in this picture?" },
    { type: "image", image: await readFile("photo.png"), mediaType: "image/png" },
  ] }],
});
console.log(text);
"""
)

PDF = (
    _begin("generateText", _READ)
    + """\
const { text } = await generateText({
  model: gateway("<<chat>>"),
  messages: [{ role: "user", content: [
    { type: "text", text: "Summarise this document." },
    { type: "file", data: await readFile("report.pdf"), mediaType: "application/pdf", filename: "report.pdf" },
  ] }],
});
console.log(text);
"""
)

EMBEDDINGS = (
    _begin("embedMany")
    + """\
const { embeddings } = await embedMany({
  model: gateway.embeddingModel("<<embedding>>"),
  values: ["A cat on a mat", "A dog in the fog"],
});
for (const vector of embeddings) console.log(vector.length, vector.slice(0, 3));
"""
)

IMAGES = (
    _begin("generateImage", 'import { writeFile } from "node:fs/promises";')
    + """\
const { image } = await generateImage({
  model: gateway.imageModel("<<image>>"),
  prompt: "A lighthouse at dusk, in watercolour",
});
await writeFile("picture.png", image.uint8Array);
"""
)
