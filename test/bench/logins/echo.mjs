/** Clients that are connected already, and hear their own messages: how long that takes. A process of its own. */
import { once } from "node:events";
import { connect } from "node:net";
import { serve } from "../lib/serve.mjs";
import { percentile } from "../lib/statistics.mjs";

/** @param {string} text */
const field = (text) => Buffer.concat([Buffer.from([0, text.length]), Buffer.from(text)]);
/** @param {number} first @param {Buffer} body */
const packet = (first, body) => Buffer.concat([Buffer.from([first, body.length]), body]);

/** @type {{socket: import("node:net").Socket, message: Buffer, sent: number}[]} */
let clients = [];
/** @type {number[]} */
let times = [];
/** How long after its time each message was sent: what this process adds of its own. @type {number[]} */
let late = [];
/** @type {NodeJS.Timeout | undefined} */
let pace;

/** @param {{port: number, count: number}} how */
async function open({ port, count }) {
  for (let index = 0; index < count; index++) {
    const name = `echo-${index}`;
    const socket = connect(port, "127.0.0.1");
    socket.setNoDelay(true);
    await once(socket, "connect");
    socket.write(packet(0x10, Buffer.concat([field("MQTT"), Buffer.from([4, 2, 0, 0]), field(name)])));
    await once(socket, "data");
    socket.write(packet(0x82, Buffer.concat([Buffer.from([0, 1]), field(name), Buffer.from([0])])));
    await once(socket, "data");
    const client = { socket, message: packet(0x30, Buffer.concat([field(name), Buffer.from("x")])), sent: 0 };
    socket.on("data", () => {
      if (client.sent > 0) times.push(performance.now() - client.sent);
      client.sent = 0;
    });
    clients.push(client);
  }
}

/** Each in turn, `rate` messages a second, by the clock: one that is sent late makes no other late. @param {{rate: number}} how */
function begin({ rate }) {
  times = [];
  late = [];
  const apart = 1_000 / rate;
  let next = 0;
  let due = performance.now();
  const send = () => {
    const now = performance.now();
    for (; due <= now; due += apart) {
      const client = clients[next++ % clients.length];
      if (client === undefined || client.sent > 0) continue;
      late.push(now - due);
      client.sent = performance.now();
      client.socket.write(client.message);
    }
    pace = setTimeout(send, due - performance.now());
  };
  send();
}

function end() {
  clearTimeout(pace);
  const sorted = Float64Array.from(times).sort();
  return {
    echoes: sorted.length,
    p50: percentile(sorted, 0.5),
    p99: percentile(sorted, 0.99),
    most: sorted.at(-1) ?? Number.NaN,
    late: percentile(Float64Array.from(late).sort(), 0.99),
  };
}

function close() {
  for (const { socket } of clients) socket.destroy();
  clients = [];
}

serve({ open, begin, end, close });
