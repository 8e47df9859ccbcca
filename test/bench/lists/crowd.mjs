/** Many clients that have been there, some that are, and one whose messages to itself say how long others wait. */
import { once } from "node:events";
import { connect } from "node:net";
import { generate, parser } from "mqtt-packet";
import { serve } from "../lib/serve.mjs";
import { percentile } from "../lib/statistics.mjs";

/** Handshakes under way at once. */
const WIDTH = 64;
/** Seconds that a session outlives its connection. */
const EXPIRY = 86_400;
const ADDRESSES = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"];

const connectOf = (/** @type {string} */ clientId, /** @type {number} */ keepalive) =>
  generate({
    ...{ cmd: "connect", protocolId: "MQTT", protocolVersion: 5, clean: false, clientId, keepalive },
    properties: { sessionExpiryInterval: EXPIRY },
  });
const subscribeOf = (/** @type {string} */ topic) =>
  generate({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic, qos: 0 }] }, { protocolVersion: 5 });
const GOODBYE = generate({ cmd: "disconnect", reasonCode: 0 }, { protocolVersion: 5 });

/** @type {import("node:net").Socket[]} */
const there = [];

/**
 * Comes, subscribes to a topic of its own, and stays, says goodbye, or breaks off.
 * @param {number} port
 * @param {number} number
 * @param {"stays" | "leaves" | "breaks"} how
 */
async function come(port, number, how) {
  const clientId = `crowd-${String(number).padStart(6, "0")}`;
  const localAddress = ADDRESSES[number % ADDRESSES.length];
  const socket = connect({
    port,
    host: "127.0.0.1",
    ...(localAddress === undefined ? {} : { localAddress }),
  });
  const packets = parser({ protocolVersion: 5 });
  const ready = new Promise((resolve, reject) => {
    packets.on("packet", ({ cmd }) => cmd === "suback" && resolve(undefined));
    socket.once("close", () => reject(new Error(`${clientId} was refused`)));
  });
  socket.on("data", (chunk) => packets.parse(chunk));
  socket.on("error", () => {});
  // Who breaks off has promised to be heard every second: it is overdue soon.
  socket.write(
    Buffer.concat([connectOf(clientId, how === "breaks" ? 1 : 3600), subscribeOf(`own/${clientId}`)]),
  );
  await ready;
  if (how === "stays") there.push(socket);
  else {
    if (how === "leaves") socket.end(GOODBYE);
    else socket.destroy();
    await once(socket, "close");
  }
}

/** @param {{port: number, stay: number, leave: number, break: number}} crowd */
async function fill({ port, stay, leave, break: broken }) {
  const all = stay + leave + broken;
  let next = 0;
  const lane = async () => {
    while (next < all) {
      const number = next++;
      await come(port, number, number < stay ? "stays" : number < stay + leave ? "leaves" : "breaks");
    }
  };
  await Promise.all(Array.from({ length: WIDTH }, lane));
}

let echoing = false;
/** @type {number[]} */
let times = [];
/** @type {Promise<void> | undefined} */
let echo;

/** One message after the other to itself, until `echoed`. @param {{port: number}} where */
async function begin({ port }) {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  const packets = parser({ protocolVersion: 5 });
  /** @type {(cmd: string) => void} */
  let heard = () => {};
  packets.on("packet", ({ cmd }) => heard(cmd));
  socket.on("data", (chunk) => packets.parse(chunk));
  const next = (/** @type {string} */ cmd) =>
    new Promise((resolve) => {
      heard = (got) => got === cmd && resolve(undefined);
    });
  socket.write(Buffer.concat([connectOf("echo", 3600), subscribeOf("echo")]));
  await next("suback");
  const message = generate(
    { cmd: "publish", topic: "echo", payload: "x", qos: 0, dup: false, retain: false },
    { protocolVersion: 5 },
  );
  echoing = true;
  times = [];
  echo = (async () => {
    while (echoing) {
      const came = next("publish");
      const sent = performance.now();
      socket.write(message);
      await came;
      times.push(performance.now() - sent);
    }
    socket.destroy();
  })();
}

/** Milliseconds. */
async function echoed() {
  echoing = false;
  await echo;
  const sorted = Float64Array.from(times).sort();
  return {
    p50: percentile(sorted, 0.5),
    p99: percentile(sorted, 0.99),
    longest: sorted.at(-1) ?? Number.NaN,
  };
}

serve({ fill, begin, echoed });
