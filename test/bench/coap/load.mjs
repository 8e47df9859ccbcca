/** The load generator: clients with a number of CON requests outstanding each, or with an observation each. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect as tcpConnect } from "node:net";
import { secureSocketTo } from "../dtls/client.mjs";
import { openDatagrams } from "../lib/datagrams.mjs";
import { serve } from "../lib/serve.mjs";
import { percentile } from "../lib/statistics.mjs";
import { residentKb } from "../lib/usage.mjs";
import { encodeConnect, encodePublish } from "../mqtt/wire.mjs";
import * as wire from "./wire.mjs";

const now = () => performance.now();
const pause = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));
/** A request without an answer is given up and replaced after this. */
const LOST_MS = 1000;

/** @param {number} port */
async function socketTo(port, bind = "127.0.0.1") {
  const socket = createSocket({ type: "udp4", recvBufferSize: 1 << 20 });
  socket.bind(0, bind);
  await once(socket, "listening");
  socket.connect(port, "127.0.0.1");
  await once(socket, "connect");
  return socket;
}

/**
 * One request and its answer, repeated until there is one.
 * @param {{port: number, path: string, payload: string, query?: string}} how
 */
async function put({ port, path, payload, query }) {
  const socket = await socketTo(port);
  const message = wire.request(wire.PUT, path, { payload, ...(query === undefined ? {} : { query }) });
  wire.stamp(message, 1);
  const repeat = setInterval(() => socket.send(message), 500);
  socket.send(message);
  const [answer] = await once(socket, "message");
  clearInterval(repeat);
  socket.close();
  return answer[1];
}

/**
 * So many sockets with so many requests outstanding each, for a while.
 * @param {{port: number, path: string, method: "get" | "put", sockets: number, outstanding: number, seconds: number, warmup: number, secret?: import("../dtls/client.mjs").Secret}} how
 *   `secret`: over DTLS
 */
async function requests({ port, path, method, sockets, outstanding, seconds, warmup, secret }) {
  const datagrams = secret === undefined ? openDatagrams(port) : undefined;
  const connect = (/** @type {unknown} */ _, /** @type {number} */ index) =>
    secret !== undefined
      ? secureSocketTo({ port, bind: "127.0.0.1", secret })
      : (datagrams?.device(index) ?? socketTo(port));
  const clients = await Promise.all(Array.from({ length: sockets }, connect));
  let answers = 0;
  let refused = 0;
  let lost = 0;
  let open = false;
  let going = true;
  /** @type {number[]} */
  const latencies = [];
  const drivers = clients.map((socket) => {
    /** Sent at, by message id. */
    const flying = new Map();
    let id = Math.floor(Math.random() * 0x10000);
    const send = () => {
      // The kernel may still read the last one, so each request is its own.
      const message = wire.request(method === "get" ? wire.GET : wire.PUT, path, {
        payload: method === "get" ? "" : "21.5",
      });
      id = (id + 1) & 0xffff;
      wire.stamp(message, id);
      flying.set(id, now());
      socket.send(message);
    };
    socket.on("message", (/** @type {Buffer} */ message) => {
      if (wire.typeOf(message) === 0) {
        socket.send(wire.empty(message, 3));
        return;
      }
      const sentAt = flying.get(message.readUInt16BE(2));
      if (sentAt === undefined) return;
      flying.delete(message.readUInt16BE(2));
      if (open) {
        answers++;
        if ((message[1] ?? 0) >> 5 !== 2) refused++;
        if (answers % 16 === 0) latencies.push(now() - sentAt);
      }
      if (going) send();
    });
    for (let slot = 0; slot < outstanding; slot++) send();
    return () => {
      for (const [old, sentAt] of flying) {
        if (now() - sentAt < LOST_MS) continue;
        flying.delete(old);
        lost++;
        send();
      }
    };
  });
  const watch = setInterval(() => {
    for (const each of drivers) each();
  }, 250);
  await pause(warmup * 1000);
  open = true;
  const began = now();
  const usage = process.cpuUsage();
  await pause(seconds * 1000);
  open = false;
  going = false;
  const measured = (now() - began) / 1000;
  const { user, system } = process.cpuUsage(usage);
  clearInterval(watch);
  await pause(100);
  for (const socket of clients) socket.close();
  datagrams?.close();
  const sorted = Float64Array.from(latencies).sort();
  return {
    perSecond: answers / measured,
    p50: percentile(sorted, 0.5),
    p99: percentile(sorted, 0.99),
    refused,
    lost,
    loadBusy: (user + system) / 1e6 / measured,
  };
}

/**
 * Devices that come, shake hands, say goodbye and come again: so many at a time, so many in all.
 * @param {{port: number, lanes: number, count: number, secret: import("../dtls/client.mjs").Secret}} how
 */
async function handshakes({ port, lanes, count, secret }) {
  let left = count;
  const began = now();
  const lane = async () => {
    while (left-- > 0) {
      const socket = await secureSocketTo({ port, bind: "127.0.0.1", secret });
      await new Promise((resolve) => socket.close(() => resolve(undefined)));
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return { perSecond: count / ((now() - began) / 1000) };
}

/** @type {import("node:dgram").Socket[]} */
let observers = [];
let notified = 0;
/** @type {() => void} */
let heard = () => {};

/**
 * So many observers of one topic, each a socket of its own.
 * @param {{port: number, path: string, count: number, pid: number, settle: number}} how
 */
async function observe({ port, path, count, pid, settle }) {
  for (const socket of observers) socket.close();
  observers = [];
  await pause(settle * 1000);
  const before = residentKb(pid);
  let next = 0;
  const lane = async () => {
    for (let index = next++; index < count; index = next++) {
      const socket = await socketTo(port, `127.0.${1 + Math.floor(index / 20_000)}.1`);
      const message = wire.request(wire.GET, path, { observe: true });
      wire.stamp(message, index + 1);
      await new Promise((resolve) => {
        const repeat = setInterval(() => socket.send(message), 1000);
        socket.on("message", (received) => {
          const type = wire.typeOf(received);
          if (type === 0) socket.send(wire.empty(received, received[1] === 0 ? 3 : 2));
          if (type === 2) {
            clearInterval(repeat);
            resolve(undefined);
          } else if (received[1] !== 0) {
            notified++;
            heard();
          }
        });
        socket.send(message);
      });
      observers.push(socket);
    }
  };
  await Promise.all(Array.from({ length: 64 }, lane));
  await pause(settle * 1000);
  return { bytesEach: ((residentKb(pid) - before) * 1024) / count };
}

/**
 * Publishes over MQTT, one message after all observers have the one before.
 * @param {{mqttPort: number, topic: string, seconds: number, warmup: number}} how
 */
async function notify({ mqttPort, topic, seconds, warmup }) {
  const socket = tcpConnect({ port: mqttPort, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  socket.write(encodeConnect("bench-publisher", 4));
  await pause(200);
  const message = encodePublish(topic, 0, 0, Buffer.from("21.5"), 4);
  let lost = 0;
  const until = async (/** @type {number} */ end) => {
    while (now() < end) {
      const wanted = notified + observers.length;
      /** @type {Promise<void>} */
      const all = new Promise((resolve) => {
        heard = () => {
          if (notified >= wanted) resolve();
        };
      });
      socket.write(message);
      await Promise.race([all, pause(LOST_MS)]);
      lost += Math.max(0, wanted - notified);
    }
  };
  await until(now() + warmup * 1000);
  lost = 0;
  const before = notified;
  const began = now();
  await until(began + seconds * 1000);
  const measured = (now() - began) / 1000;
  socket.destroy();
  return { perSecond: (notified - before) / measured, lost };
}

serve({ put, requests, handshakes, observe, notify });
