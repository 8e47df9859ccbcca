/** The load generator: devices, and an application on MQTT. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect as tcpConnect } from "node:net";
import { connectAsync } from "mqtt";
import { openDatagrams } from "../lib/datagrams.mjs";
import { serve } from "../lib/serve.mjs";
import { residentKb } from "../lib/usage.mjs";
import { encodeConnect, encodeSubscribe, Frames } from "../mqtt/wire.mjs";
import * as wire from "./wire.mjs";

const now = () => performance.now();
const pause = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** @typedef {{send(bytes: Uint8Array): void, close(): void, on(event: "message", hear: (message: Buffer) => void): void}} DeviceSocket */
/** @typedef {{socket: DeviceSocket, ep: string, id: number, observed: Buffer | undefined, registered: () => void, count: number}} Device */
/** @type {Device[]} */
let devices = [];

/**
 * A socket of its own.
 * @param {number} port
 * @param {string} bind
 */
async function socketTo(port, bind) {
  const socket = createSocket({ type: "udp4" });
  socket.bind(0, bind);
  await once(socket, "listening");
  socket.connect(port, "127.0.0.1");
  await once(socket, "connect");
  return socket;
}

/**
 * @param {DeviceSocket} socket
 * @param {string} ep
 * @returns {Device}
 */
function deviceOn(socket, ep) {
  /** @type {Device} */
  const device = {
    socket,
    ep,
    id: Math.floor(Math.random() * 0x10000),
    observed: undefined,
    registered: () => {},
    count: 1,
  };
  socket.on("message", (received) => {
    const code = received[1] ?? 0;
    const type = ((received[0] ?? 0) >> 4) & 3;
    if (code === 0x41 && type === wire.ACK) device.registered();
    else if (code > 0 && code < 0x20) {
      if (wire.isObserve(received))
        device.observed = Buffer.from(received.subarray(4, 4 + ((received[0] ?? 0) & 15)));
      socket.send(wire.answerTo(received, "21.5"));
    }
  });
  return device;
}

/** @param {Device} device */
async function register(device) {
  await new Promise((resolve) => {
    device.id++;
    const message = wire.register(device.ep, device.id);
    const repeat = setInterval(() => device.socket.send(message), 2000);
    device.registered = () => {
      clearInterval(repeat);
      resolve(undefined);
    };
    device.socket.send(message);
  });
}

/**
 * So many devices, each with a registration of its own; what the gateway's resident memory grew.
 * @param {{port: number, count: number, pid: number, prefix: string, net: number, settle: number, together?: boolean}} how
 *   `together`: behind one socket, where that is possible, so that the generator costs less
 */
async function fleet({ port, count, pid, prefix, net, settle, together = false }) {
  const datagrams = together ? openDatagrams(port) : undefined;
  const before = residentKb(pid);
  const began = now();
  let next = 0;
  const lane = async () => {
    for (let index = next++; index < count; index = next++) {
      const bind = `127.${net}.${1 + Math.floor(index / 5000)}.1`;
      const device = deviceOn(
        datagrams === undefined ? await socketTo(port, bind) : datagrams.device(index),
        `${prefix}${index}`,
      );
      devices.push(device);
      await register(device);
    }
  };
  await Promise.all(Array.from({ length: 64 }, lane));
  const seconds = (now() - began) / 1000;
  await pause(settle * 1000);
  return { seconds, bytesEach: ((residentKb(pid) - before) * 1024) / count };
}

/** Closes all sockets. */
async function disband() {
  for (const device of devices) device.socket.close();
  devices = [];
}

/**
 * Registrations a second: each device registers again and again.
 * @param {{seconds: number, warmup: number}} how
 */
async function registrations({ seconds, warmup }) {
  let done = 0;
  let going = true;
  const lanes = devices.map(async (device) => {
    while (going) {
      await register(device);
      done++;
    }
  });
  const figures = await window(seconds, warmup, () => done);
  going = false;
  await Promise.all(lanes);
  return figures;
}

/**
 * Reads a second: one outstanding for each device.
 * @param {{mqttPort: number, seconds: number, warmup: number}} how
 */
async function reads({ mqttPort, seconds, warmup }) {
  const client = await connectAsync(`mqtt://127.0.0.1:${mqttPort}`, { protocolVersion: 5 });
  let answers = 0;
  let going = true;
  const ask = (/** @type {string} */ ep) =>
    client.publish(`lwm2m/${ep}/dn/r`, '{"reqID":1,"msgType":"read","data":{"path":"/3303/0/5700"}}');
  client.on("message", (topic, payload) => {
    if (!payload.includes('"read"')) return;
    answers++;
    if (going) ask(topic.slice(6, topic.indexOf("/", 6)));
  });
  await client.subscribeAsync("lwm2m/+/up/resp");
  for (const device of devices) ask(device.ep);
  const figures = await window(seconds, warmup, () => answers);
  going = false;
  await client.endAsync(true);
  return figures;
}

/**
 * Notifications a second to an MQTT subscriber: every device is observed and sends as long as few are under way.
 * @param {{mqttPort: number, seconds: number, warmup: number, window: number}} how
 */
async function notifications({ mqttPort, seconds, warmup, window: size }) {
  const client = await connectAsync(`mqtt://127.0.0.1:${mqttPort}`, { protocolVersion: 5 });
  let heard = 0;
  let sent = 0;
  for (const { ep } of devices) {
    client.publish(`lwm2m/${ep}/dn/o`, '{"reqID":1,"msgType":"observe","data":{"path":"/3303/0/5700"}}');
  }
  while (devices.some((device) => device.observed === undefined)) await pause(50);
  // Counted, not decoded: that would cost more than what is measured.
  const subscriber = tcpConnect({ port: mqttPort, host: "127.0.0.1", noDelay: true });
  const frames = new Frames((bytes, at) => {
    if (((bytes[at] ?? 0) & 0xf0) === 0x30) heard++;
  });
  subscriber.on("data", (chunk) => frames.feed(chunk, chunk.length));
  await once(subscriber, "connect");
  subscriber.write(encodeConnect("bench-subscriber", 4));
  subscriber.write(encodeSubscribe("lwm2m/+/up/notify", 0, 4));
  await pause(200);
  let going = true;
  let turn = 0;
  let stuckAt = 0;
  const pump = () => {
    if (!going) return;
    // What was lost on the way is written off after a while without progress.
    if (sent - heard >= size && now() - stuckAt > 1000) sent = heard;
    while (sent - heard < size) {
      const device = devices[turn++ % devices.length];
      if (device?.observed === undefined) continue;
      device.socket.send(wire.notification(device.observed, ++device.count));
      sent++;
      stuckAt = now();
    }
    setImmediate(pump);
  };
  pump();
  const figures = await window(seconds, warmup, () => heard);
  going = false;
  subscriber.destroy();
  await client.endAsync(true);
  return figures;
}

/**
 * @param {number} seconds
 * @param {number} warmup
 * @param {() => number} count
 */
async function window(seconds, warmup, count) {
  await pause(warmup * 1000);
  const before = count();
  const began = now();
  const usage = process.cpuUsage();
  await pause(seconds * 1000);
  const elapsed = now() - began;
  const { user, system } = process.cpuUsage(usage);
  return { perSecond: ((count() - before) * 1000) / elapsed, loadBusy: (user + system) / 1000 / elapsed };
}

serve({ fleet, disband, registrations, reads, notifications });
