// A client of devsynthd: many requests at once over one connection, in MessagePack over ZeroMQ.
//
//   const client = await Client.connect();
//   const { models } = await client.ask("list");
//   for await (const { text } of client.stream("Why is the sky blue?")) console.log(text);
//   client.close();

import { once } from "node:events";
import { connect } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { decode, encode } from "@msgpack/msgpack";
import { Dealer } from "zeromq";
import { socketPath } from "./address.js";

const SILENCE_LIMIT_MS = 10_000; // a daemon that took the connection may just be starting
const NEVER_MS = 7 * 24 * 3600 * 1000;

/** What the daemon tells of a failure, or what this client found out about the daemon itself. */
export class DevsynthError extends Error {
  constructor({ code, message, hint = null, retryable = false, details = {} }) {
    super(message);
    Object.assign(this, { name: "DevsynthError", code, hint, retryable, details });
  }
}

export class Client {
  #dealer;
  #path;
  #inboxes = new Map(); // by the id of the request
  #lastId = 0;
  #sent = Promise.resolve(); // a socket of zeromq.js takes one message at a time
  #ended = null; // the error that ended the connection
  #signalEnd;

  /** Resolves with the reason, a DevsynthError, as soon as the connection has ended. */
  closed = new Promise((done) => (this.#signalEnd = done));

  /**
   * Connect to the daemon; fails at once with `daemon_unreachable` if there is none.
   * @param {string} path of its socket
   */
  static async connect(path = socketPath()) {
    await knock(path);
    const client = new Client(path);
    const message = `the daemon at ${path} stays silent`;
    const silent = new DevsynthError({ code: "no_answer", message, retryable: true });
    const timer = setTimeout(() => client.#end(silent), SILENCE_LIMIT_MS);
    try {
      await client.ask("ping");
    } finally {
      clearTimeout(timer);
    }
    return client;
  }

  /** Use `Client.connect`, which looks first whether a daemon is there. */
  constructor(path) {
    this.#path = path;
    // It never connects again by itself: to another daemon, what was asked would be unknown.
    this.#dealer = new Dealer({ linger: 0, reconnectInterval: NEVER_MS });
    // A Dealer does not tell that its peer is gone, only its monitor does.
    for (const end of ["disconnect", "handshake:error:other", "handshake:error:protocol"]) {
      this.#dealer.events.on(end, () => this.#lost());
    }
    this.#dealer.connect(`ipc://${path}`);
    this.#receive();
  }

  /** Ask one question and return its result, a plain object. Options: see `replies`. */
  async ask(op, fields = {}, options = {}) {
    const replies = this.replies(op, fields, options);
    for (;;) {
      const { done, value } = await replies.next();
      if (done) return value;
    }
  }

  /**
   * Iterate over the chunks of an answer. The fields are those of `generate`.
   * Leaving the loop early cancels the request: the model stops.
   */
  stream(prompt, fields = {}, options = {}) {
    return this.replies("generate", { prompt, ...fields, stream: true }, options);
  }

  /**
   * Ask, and iterate over what comes before the result (chunks, progress, events); the generator's
   * return value is the result.
   * @param {AbortSignal} [options.signal] cancels: the request then fails with `cancelled`, and
   *   `details.text` has what came of an answer
   */
  async *replies(op, fields = {}, { signal } = {}) {
    signal?.throwIfAborted();
    if (this.#ended) throw this.#ended;
    const id = ++this.#lastId;
    const inbox = new Inbox();
    this.#inboxes.set(id, inbox);
    const cancel = () => this.#cancel(id);
    let over = false;
    try {
      await this.#send({ op, id, client: "devsynthd-example/1", ...fields });
      signal?.addEventListener("abort", cancel, { once: true });
      if (signal?.aborted) cancel(); // while it was sent
      for (;;) {
        const reply = await inbox.next();
        over = reply.type === "result" || reply.type === "error";
        if (reply.type === "result") return reply.result;
        if (reply.type === "error") throw new DevsynthError(reply.error);
        yield reply;
      }
    } finally {
      signal?.removeEventListener("abort", cancel);
      this.#inboxes.delete(id);
      if (!over) cancel();
    }
  }

  /** Hang up; the daemon cancels what is under way. */
  close() {
    this.#end(new DevsynthError({ code: "closed", message: "the connection was closed" }));
  }

  #cancel(id) {
    if (!this.#ended) this.ask("cancel", { target: id }).catch(() => {}); // it may be over by now
  }

  async #send(request) {
    const turn = this.#sent.then(() => {
      if (this.#ended) throw this.#ended;
      return this.#dealer.send(encode(request));
    });
    this.#sent = turn.catch(() => {});
    await turn;
  }

  async #receive() {
    try {
      for await (const frames of this.#dealer) {
        const reply = decode(frames.at(-1));
        this.#inboxes.get(reply.id)?.put(reply);
      }
    } catch (error) {
      this.#end(error);
    }
  }

  async #lost() {
    while (!this.#ended && this.#dealer.readable) await nextTurn(); // its last words
    const message = `the daemon at ${this.#path} went away`;
    this.#end(new DevsynthError({ code: "connection_lost", message, retryable: true }));
  }

  #end(error) {
    if (this.#ended) return;
    this.#ended = error;
    for (const inbox of this.#inboxes.values()) inbox.fail(error);
    this.#dealer.close();
    this.#signalEnd(error);
  }
}

/** The replies to one request, in the order in which they came. */
class Inbox {
  #replies = [];
  #error = null;
  #wake = () => {};

  put(reply) {
    this.#replies.push(reply);
    this.#wake();
  }

  fail(error) {
    this.#error = error;
    this.#wake();
  }

  async next() {
    while (this.#replies.length === 0) {
      if (this.#error) throw this.#error;
      await new Promise((wake) => (this.#wake = wake));
    }
    return this.#replies.shift();
  }
}

/** Make sure that somebody listens at *path*: ZeroMQ would wait for ever, and say nothing. */
async function knock(path) {
  const socket = connect(path);
  try {
    await once(socket, "connect");
  } catch (error) {
    throw new DevsynthError({
      code: "daemon_unreachable",
      message: `no daemon listens at ${path} (${error.code})`,
      hint: "start it with `devsynthd`, or say where it is with DEVSYNTH_SOCKET",
      retryable: true,
    });
  } finally {
    socket.destroy();
  }
}
