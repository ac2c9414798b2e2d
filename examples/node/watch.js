// Tells what happens to the models and to the server behind the daemon, also when the daemon itself
// goes away and comes back. Ends with Ctrl-C.
//
//   npm install
//   node watch.js

import { setTimeout as pause } from "node:timers/promises";
import { Client } from "./devsynth.js";

const RETRY_MS = 500;

const [word] = process.argv.slice(2);
if (word !== undefined) {
  const helps = word === "-h" || word === "--help";
  (helps ? console.log : console.error)("usage: node watch.js");
  process.exit(helps ? 0 : 2);
}
process.stdout.on("error", () => process.exit(141)); // nobody reads on

const tell = {
  models: ({ models, selection }) =>
    console.log(`${models.length} models, ${selection.model ?? "none"} answers`),
  upstream: ({ api_base, reachable }) =>
    console.log(`${api_base} is ${reachable ? "reachable" : "not reachable"}`),
};

let told = ""; // once a cause, not twice a second
for (;;) {
  let client;
  try {
    client = await Client.connect();
    for await (const event of client.replies("subscribe", { topics: ["models", "upstream"] })) {
      told = "";
      tell[event.topic]?.(event.data);
    }
  } catch (error) {
    if (!error.retryable) throw error;
    if (told !== error.code) console.log(`${error.message}; waiting for it`);
    told = error.code;
    await pause(RETRY_MS);
  } finally {
    client?.close();
  }
}
