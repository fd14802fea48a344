// What every program for Node here does; `telling.py` says it all.

import { readFileSync } from "node:fs";

export const BONJOUR = "Please say bonjour.";
export const WEATHER = "What is the weather in Paris?";
export const PERSON = "Tell me of one person.";

// What libraries print goes elsewhere: the output is the lines alone.
console.log = console.info = console.error;
globalThis.AI_SDK_LOG_WARNINGS = false;

export async function run(surfaces) {
  const told = JSON.parse(readFileSync(0, "utf8"));
  for (const [upstream, names] of Object.entries(told.upstreams)) {
    const at = { origin: told.origin, url: `${told.origin}/v1`, key: told.key, ...names };
    for (const [name, call] of Object.entries(surfaces)) {
      const line = { surface: name.replaceAll("_", " "), upstream };
      try {
        const got = await call(at);
        if (got === undefined) continue;
        line.got = got;
      } catch (error) {
        console.error(error);
        line.error = `${error?.name}: ${error?.message}`.slice(0, 1500);
      }
      process.stdout.write(`${JSON.stringify(line)}\n`);
    }
  }
}
