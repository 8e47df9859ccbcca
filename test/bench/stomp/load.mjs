/** The load generator: a process of its own, raw sockets, frames encoded before a cell starts. */
import { once } from "node:events";
import { connect as tcpConnect } from "node:net";
import { serve } from "../lib/serve.mjs";
import { percentile } from "../lib/statistics.mjs";
import { residentKb } from "../lib/usage.mjs";

const BODY = "x".repeat(64);
/** Frames that one write may carry. */
const BATCH = 64;
/** A client in mode `client` acknowledges this many messages with one ACK. */
const CUMULATIVE = 50;
const SOURCES = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"];
const CONNECT_WIDTH = 64;

const pause = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** @typedef {import("node:net").Socket} Socket */

let serial = 0;
/**
 * A connection that has logged in and, with a subscription, been told that it stands.
 * @param {number} port
 * @param {string} [subscribe]   headers of SUBSCRIBE
 * @returns {Promise<Socket>}
 */
async function open(port, subscribe) {
  const localAddress = /** @type {string} */ (SOURCES[serial++ % SOURCES.length]);
  const socket = tcpConnect({ port, host: "127.0.0.1", localAddress, noDelay: true });
  socket.on("error", (error) => {
    throw error;
  });
  await once(socket, "connect");
  socket.write("CONNECT\naccept-version:1.2\nhost:/\nlogin:guest\npasscode:guest\n\n\0");
  await answer(socket, "CONNECTED");
  if (subscribe === undefined) return socket;
  socket.write(`SUBSCRIBE\nid:0\nreceipt:s\n${subscribe}\n\n\0`);
  await answer(socket, "RECEIPT");
  return socket;
}

/**
 * @param {Socket} socket
 * @param {string} command
 */
async function answer(socket, command) {
  const [bytes] = await once(socket, "data");
  const text = String(bytes).trimStart();
  if (!text.startsWith(command)) throw new Error(`${command} was expected, not ${text}`);
}

/** A publisher, its subscriber, and what is under way between them. */
class Pair {
  sent = 0;
  delivered = 0;
  receipts = 0;
  sentAt = 0;
  going = false;
  /** @type {Buffer} */
  #rest = Buffer.alloc(0);
  #unacknowledged = 0;

  /**
   * @param {Socket} publisher
   * @param {Socket} subscriber
   * @param {{destination: string, receipt: boolean, ack: string, window: number}} how
   * @param {number[] | undefined} times   where round trips are collected
   */
  constructor(publisher, subscriber, how, times) {
    this.publisher = publisher;
    this.subscriber = subscriber;
    this.how = how;
    this.times = times;
    const receipt = how.receipt ? "receipt:1\n" : "";
    this.frame = Buffer.from(
      `SEND\ndestination:${how.destination}\n${receipt}content-length:${BODY.length}\n\n${BODY}\0`,
    );
    this.batch = Buffer.concat(Array.from({ length: BATCH }, () => this.frame));
    publisher.on("data", (bytes) => {
      this.receipts += nuls(bytes);
      if (this.times !== undefined && this.going) this.times.push(performance.now() - this.sentAt);
      this.pump();
    });
    subscriber.on("data", (bytes) => {
      if (how.ack === "auto") this.delivered += nuls(bytes);
      else this.#acknowledge(bytes);
      this.pump();
    });
  }

  /** Messages that may be sent now. */
  get room() {
    const ahead = this.how.window * (this.how.receipt && this.how.window > 1 ? 2 : 1);
    const room = ahead - (this.sent - this.delivered);
    return this.how.receipt ? Math.min(room, this.how.window - (this.sent - this.receipts)) : room;
  }

  pump() {
    if (!this.going) return;
    for (let room = this.room; room > 0; room = this.room) {
      const count = Math.min(room, BATCH);
      this.sentAt = performance.now();
      this.publisher.write(this.batch.subarray(0, count * this.frame.length));
      this.sent += count;
    }
  }

  /** @param {Buffer} bytes */
  #acknowledge(bytes) {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    let acks = "";
    let start = 0;
    for (let end = all.indexOf(0); end !== -1; end = all.indexOf(0, start)) {
      this.delivered++;
      if (this.how.ack === "client-individual" || ++this.#unacknowledged === CUMULATIVE) {
        this.#unacknowledged = 0;
        const at = all.indexOf("\nack:", start, "latin1") + 5;
        acks += `ACK\nid:${all.toString("latin1", at, all.indexOf(10, at))}\n\n\0`;
      }
      start = end + 1;
    }
    this.#rest = all.subarray(start);
    if (acks !== "") this.subscriber.write(acks);
  }
}

/** @param {Buffer} bytes */
function nuls(bytes) {
  let count = 0;
  for (let at = bytes.indexOf(0); at !== -1; at = bytes.indexOf(0, at + 1)) count++;
  return count;
}

/**
 * @param {{port: number, pairs: number, queue: boolean, receipt: boolean, ack: string, window: number, seconds: number, warmup: number}} how
 */
async function flow({ port, pairs, queue, receipt, ack, window, seconds, warmup }) {
  const times = window === 1 ? /** @type {number[]} */ ([]) : undefined;
  const all = [];
  for (let index = 0; index < pairs; index++) {
    const destination = `/${queue ? "queue" : "topic"}/bench-${process.pid}-${serial}`;
    const prefetch = ack === "auto" ? "" : "\nprefetch-count:200";
    const subscriber = await open(port, `destination:${destination}\nack:${ack}${prefetch}`);
    all.push(new Pair(await open(port), subscriber, { destination, receipt, ack, window }, times));
  }
  for (const pair of all) {
    pair.going = true;
    pair.pump();
  }
  await pause(warmup * 1000);
  const count = () => all.reduce((sum, pair) => sum + pair.delivered, 0);
  const before = count();
  const usage = process.cpuUsage();
  const began = performance.now();
  if (times !== undefined) times.length = 0;
  await pause(seconds * 1000);
  const measured = (performance.now() - began) / 1000;
  const deliveries = count() - before;
  const { user, system } = process.cpuUsage(usage);
  const whole = count();
  for (const pair of all) pair.going = false;
  await pause(300);
  for (const pair of all) {
    pair.publisher.destroy();
    pair.subscriber.destroy();
  }
  await pause(100);
  const sorted = Float64Array.from(times ?? []).sort();
  return {
    perSecond: deliveries / measured,
    /** Deliveries since the start, warm-up included: what CPU time is divided by. */
    whole,
    ...(times === undefined ? {} : { p50: percentile(sorted, 0.5) }),
    loadBusy: (user + system) / 1e6 / measured,
  };
}

/** @type {Socket[]} */
let idlers = [];

/** @param {{port: number, pid: number, count: number}} how */
async function idle({ port, pid, count }) {
  const before = residentKb(pid);
  let next = 0;
  const lane = async () => {
    while (next < count) {
      next++;
      idlers.push(await open(port));
    }
  };
  await Promise.all(Array.from({ length: CONNECT_WIDTH }, lane));
  await pause(3000);
  const perConnection = (residentKb(pid) - before) / count;
  for (const socket of idlers) socket.destroy();
  idlers = [];
  return { perConnection };
}

serve({ flow, idle });
