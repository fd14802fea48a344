// The official OpenAI SDK for Node: every surface that it has and the gateway serves.

import OpenAI, { toFile } from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { BONJOUR, PERSON, WEATHER, run } from "./telling.mjs";

const Person = z.object({ name: z.string(), age: z.int() });
const PARAMETERS = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const DESCRIBED = { name: "get_weather", description: "The weather of a city.", parameters: PARAMETERS };

const client = (at) => new OpenAI({ baseURL: at.url, apiKey: at.key, maxRetries: 0 });
const messages = (text) => [{ role: "user", content: text }];
const tool = { type: "function", function: DESCRIBED };

async function tools(at) {
  const chat = client(at).chat.completions;
  const history = messages(WEATHER);
  const first = (await chat.create({ model: at.model, messages: history, tools: [tool] })).choices[0].message;
  history.push(first);
  const called = [];
  for (const call of first.tool_calls) {
    called.push(JSON.parse(call.function.arguments).city);
    history.push({ role: "tool", tool_call_id: call.id, content: "Rain in Paris." });
  }
  const last = await chat.create({ model: at.model, messages: history, tools: [tool] });
  return { called, text: last.choices[0].message.content };
}

async function runner(at) {
  const called = [];
  const get_weather = ({ city }) => (called.push(city), `Rain in ${city}.`);
  const running = client(at).chat.completions.runTools({
    model: at.model,
    messages: messages(WEATHER),
    stream: true,
    tools: [{ type: "function", function: { ...DESCRIBED, function: get_weather, parse: JSON.parse } }],
  });
  return { called, text: await running.finalContent() };
}

async function stream(at) {
  const pieces = [];
  const asked = { model: at.model, messages: messages(BONJOUR), stream: true, stream_options: { include_usage: true } };
  let usage;
  for await (const chunk of await client(at).chat.completions.create(asked)) {
    if (chunk.choices.length) pieces.push(chunk.choices[0].delta.content ?? "");
    usage = chunk.usage ?? usage;
  }
  if (!usage?.total_tokens) throw new Error("the stream told of no usage");
  return pieces;
}

async function accumulated(at) {
  const streamed = client(at).chat.completions.stream({ model: at.model, messages: messages(BONJOUR) });
  const pieces = [];
  streamed.on("content", (piece) => pieces.push(piece));
  if ((await streamed.finalContent()) !== pieces.join("")) throw new Error("the accumulator saw something else");
  return pieces;
}

async function structured(at) {
  const response_format = zodResponseFormat(Person, "person");
  const got = await client(at).chat.completions.parse({ model: at.model, messages: messages(PERSON), response_format });
  return got.choices[0].message.parsed;
}

async function embeddings(at) {
  if (!at.embedding) return undefined;
  // Base64 on the wire, its default.
  const got = await client(at).embeddings.create({ model: at.embedding, input: ["one", "two"] });
  return got.data.map((row) => row.embedding);
}

async function models(at) {
  const found = [];
  for await (const model of client(at).models.list()) found.push(model.id);
  return found;
}

async function responsesStream(at) {
  const pieces = [];
  for await (const event of await client(at).responses.create({ model: at.model, input: BONJOUR, stream: true })) {
    if (event.type === "response.output_text.delta") pieces.push(event.delta);
  }
  return pieces;
}

async function responsesAccumulated(at) {
  const pieces = [];
  const streamed = client(at).responses.stream({ model: at.model, input: BONJOUR });
  streamed.on("response.output_text.delta", (event) => pieces.push(event.delta));
  const whole = await streamed.finalResponse();
  if (whole.output_text !== pieces.join("")) throw new Error("the accumulator saw something else");
  return pieces;
}

async function responsesTools(at) {
  const responses = client(at).responses;
  const asked = { model: at.model, tools: [{ type: "function", ...DESCRIBED, strict: false }] };
  const first = await responses.create({ ...asked, input: WEATHER });
  const calls = first.output.filter((item) => item.type === "function_call");
  const input = calls.map((call) => ({ type: "function_call_output", call_id: call.call_id, output: "Rain in Paris." }));
  const last = await responses.create({ ...asked, previous_response_id: first.id, input });
  return { called: calls.map((call) => JSON.parse(call.arguments).city), text: last.output_text };
}

async function responsesStructured(at) {
  const text = { format: zodTextFormat(Person, "person") };
  return (await client(at).responses.parse({ model: at.model, input: PERSON, text })).output_parsed;
}

const onlyAt = (name, call) => (at) => (at.model.startsWith(name) ? call(at) : undefined);

run({
  chat: async (at) =>
    (await client(at).chat.completions.create({ model: at.model, messages: messages(BONJOUR) })).choices[0].message
      .content,
  stream,
  stream_accumulated: accumulated,
  tools,
  tools_streamed: runner,
  structured,
  embeddings,
  models,
  responses: async (at) => (await client(at).responses.create({ model: at.model, input: BONJOUR })).output_text,
  responses_stream: responsesStream,
  responses_stream_accumulated: responsesAccumulated,
  responses_tools: responsesTools,
  responses_structured: responsesStructured,
  image: onlyAt("openai/", async (at) => {
    const got = await client(at).images.generate({ model: "openai/gpt-image-1", prompt: "a cat" });
    return got.data[0].b64_json.slice(0, 20);
  }),
  speech: onlyAt("openai/", async (at) => {
    const got = await client(at).audio.speech.create({ model: "openai/tts-1", voice: "alloy", input: "Hi" });
    return (await got.arrayBuffer()).byteLength;
  }),
  transcription: onlyAt("openai/", async (at) => {
    const file = await toFile(new Uint8Array(50_000), "a.wav");
    return (await client(at).audio.transcriptions.create({ model: "openai/gpt-4o-transcribe", file })).text;
  }),
});
