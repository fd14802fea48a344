// Vercel's AI SDK with three of its providers: openai (chat and responses), openai-compatible, anthropic.

import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, experimental_generateSpeech, experimental_transcribe, generateImage } from "ai";
import { generateObject, generateText, stepCountIs, streamObject, streamText, tool } from "ai";
import { z } from "zod";
import { BONJOUR, PERSON, WEATHER, run } from "./telling.mjs";

const Person = z.object({ name: z.string(), age: z.int() });
const maxRetries = 0;

const openai = (at) => createOpenAI({ baseURL: at.url, apiKey: at.key });
const compatible = (at) =>
  createOpenAICompatible({
    name: "gateway", baseURL: at.url, apiKey: at.key, includeUsage: true, supportsStructuredOutputs: true,
  });
const models = {
  chat: (at) => openai(at).chat(at.model),
  responses: (at) => openai(at).responses(at.model),
  compatible: (at) => compatible(at).chatModel(at.model),
  messages: (at) => createAnthropic({ baseURL: at.url, apiKey: at.key })(at.model),
};

async function plain(model) {
  const { text, usage } = await generateText({ model, prompt: BONJOUR, maxRetries });
  if (!usage.totalTokens) throw new Error("it told of no usage");
  return text;
}

async function streamed(model) {
  const pieces = [];
  let failed;
  const got = streamText({ model, prompt: BONJOUR, maxRetries, onError: ({ error }) => (failed = error) });
  for await (const piece of got.textStream) pieces.push(piece);
  if (failed) throw failed;
  if (!(await got.usage).totalTokens) throw new Error("it told of no usage");
  if ((await got.finishReason) !== "stop") throw new Error(`it finished with ${await got.finishReason}`);
  return pieces;
}

function weather(called) {
  return tool({
    description: "The weather of a city.",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => (called.push(city), `Rain in ${city}.`),
  });
}

async function tools(model) {
  const called = [];
  const stopWhen = stepCountIs(3);
  const got = await generateText({ model, prompt: WEATHER, maxRetries, stopWhen, tools: { get_weather: weather(called) } });
  return { called, text: got.text };
}

async function toolsStreamed(model) {
  const called = [];
  const stopWhen = stepCountIs(3);
  const got = streamText({ model, prompt: WEATHER, maxRetries, stopWhen, tools: { get_weather: weather(called) } });
  await got.consumeStream();
  return { called, text: await got.text };
}

async function structured(model) {
  return (await generateObject({ model, schema: Person, prompt: PERSON, maxRetries })).object;
}

async function structuredStreamed(model) {
  const got = streamObject({ model, schema: Person, prompt: PERSON, maxRetries });
  let parts = 0;
  for await (const _ of got.partialObjectStream) parts += 1;
  if (!parts) throw new Error("no part came");
  return await got.object;
}

async function embeddings(at, provider) {
  if (!at.embedding) return undefined;
  const model = provider(at).embeddingModel(at.embedding);
  return (await embedMany({ model, values: ["one", "two"], maxRetries })).embeddings;
}

const onlyAt = (name, call) => (at) => (at.model.startsWith(name) ? call(at) : undefined);
const surfaces = {};
for (const [name, model] of Object.entries(models)) {
  surfaces[name] = (at) => plain(model(at));
  surfaces[`${name}_stream`] = (at) => streamed(model(at));
  surfaces[`${name}_tools`] = (at) => tools(model(at));
  surfaces[`${name}_tools_streamed`] = (at) => toolsStreamed(model(at));
  surfaces[`${name}_structured`] = (at) => structured(model(at));
  surfaces[`${name}_structured_streamed`] = (at) => structuredStreamed(model(at));
}

run({
  ...surfaces,
  embeddings: (at) => embeddings(at, openai),
  compatible_embeddings: (at) => embeddings(at, compatible),
  image: onlyAt("openai/", async (at) => {
    const model = openai(at).image("openai/gpt-image-1");
    return (await generateImage({ model, prompt: "a cat", maxRetries })).image.base64.slice(0, 20);
  }),
  speech: onlyAt("openai/", async (at) => {
    const model = openai(at).speech("openai/tts-1");
    return (await experimental_generateSpeech({ model, text: "Hi", maxRetries })).audio.uint8Array.length;
  }),
  transcription: onlyAt("openai/", async (at) => {
    const model = openai(at).transcription("openai/whisper-1");
    return (await experimental_transcribe({ model, audio: new Uint8Array(50_000), maxRetries })).text;
  }),
});
