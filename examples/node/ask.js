// Lists the models, or streams an answer; Ctrl-C cancels it.
//
//   npm install
//   node ask.js                            # the models
//   node ask.js "Why is the sky blue?"     # an answer, as it comes
//
// The exit status: 0 done, 3 no daemon, 130 cancelled, 141 nobody reads on, 1 any other failure.

import { Client } from "./devsynth.js";

const EXITS = { daemon_unreachable: 3, connection_lost: 3, no_answer: 3, cancelled: 130 };

const USAGE = `usage: node ask.js             the models
       node ask.js PROMPT...   an answer, as it comes`;

async function list(client) {
  const { models, source } = await client.ask("list");
  for (const model of models) {
    console.log(`${model.selected ? "*" : " "} ${model.id}${model.loaded ? " (loaded)" : ""}`);
  }
  if (source.stale) console.error(`${source.api_base} does not answer: this is its last list`);
}

async function answer(client, prompt) {
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort()); // a second Ctrl-C ends the program
  try {
    for await (const chunk of client.stream(prompt, {}, { signal: stop.signal })) {
      process.stdout.write(chunk.text ?? ""); // a chunk may hold reasoning or a tool call instead
    }
  } finally {
    process.stdout.write("\n");
  }
}

// Whoever reads this may leave, as `head` does: the daemon then stops the model.
process.stdout.on("error", () => process.exit(141));

const words = process.argv.slice(2);
if (words[0] === "-h" || words[0] === "--help") {
  console.log(USAGE);
  process.exit();
}

let client;
try {
  client = await Client.connect();
  const prompt = words.join(" ");
  await (prompt ? answer(client, prompt) : list(client));
} catch (error) {
  console.error(`${error.code ?? "failed"}: ${error.message}`);
  if (error.hint) console.error(error.hint);
  process.exitCode = EXITS[error.code] ?? 1;
} finally {
  client?.close();
}
