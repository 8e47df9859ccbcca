/**
 * The load generator: a process of its own with many devices, and an MQTT subscriber on the gateway's other side that
 * counts what really arrives.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect as tcpConnect } from "node:net";
import { openDatagrams } from "../lib/datagrams.mjs";
import { serve } from "../lib/serve.mjs";
import { percentile } from "../lib/statistics.mjs";
import { residentKb } from "../lib/usage.mjs";
import { Frames, encodeConnect as mqttConnect, encodeSubscribe as mqttSubscribe } from "../mqtt/wire.mjs";
import * as wire from "./wire.mjs";

const PAYLOAD = Buffer.alloc(32, 0x78);
const TOPIC = "bench/topic0";
/** Requests without an answer are repeated after this, as devices do (a shorter T_RETRY). */
const REPEAT_MS = 2000;

const now = () => performance.now();
const pause = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** One device, and at most one open request. */
class Device {
  /** @type {(message: Buffer) => void} */
  onMessage = () => {};
  sentAt = 0;
  id = 0;
  busy = false;
  /** @type {any} */
  socket;

  /** @param {number} index */
  constructor(index) {
    this.name = `d${index}`;
    // Two in turn: the one that is on its way must not change.
    this.frames = [0, 1].map(() => wire.encodePublish(1, 1, 0, PAYLOAD));
  }

  /**
   * A socket of its own.
   * @param {number} port
   * @param {string} [bind]
   * @param {number} [from]   own port
   */
  async open(port, bind = "127.0.0.1", from = 0) {
    const socket = createSocket("udp4");
    socket.bind(from, bind);
    await once(socket, "listening");
    socket.connect(port, "127.0.0.1");
    await once(socket, "connect");
    this.use(socket);
  }

  /** @param {{send(bytes: Uint8Array): void, close(): void, on(event: "message", hear: (message: Buffer) => void): void}} socket */
  use(socket) {
    this.socket = socket;
    socket.on("message", (message) => this.onMessage(message));
  }

  /**
   * @param {Buffer} message
   * @param {number} type   of the answer that is waited for
   */
  ask(message, type) {
    return new Promise((resolve) => {
      const repeat = setInterval(() => this.socket.send(message), REPEAT_MS);
      this.onMessage = (answer) => {
        if (answer[1] !== type) return;
        clearInterval(repeat);
        resolve(answer);
      };
      this.socket.send(message);
    });
  }

  publish() {
    this.id = this.id === 0xffff ? 1 : this.id + 1;
    this.busy = true;
    this.sentAt = now();
    this.send();
  }

  send() {
    const frame = /** @type {Buffer} */ (this.frames[this.id & 1]);
    frame.writeUInt16BE(this.id, 5);
    this.socket.send(frame);
  }
}

/** @type {Device[]} */
let devices = [];
/** @type {ReturnType<typeof openDatagrams>} */
let datagrams;
let delivered = 0;
/** @type {import("node:net").Socket | undefined} */
let subscriber;

/** @param {number | undefined} port   none: nobody listens, as in front of the null gateway */
async function subscribe(port) {
  subscriber?.destroy();
  subscriber = undefined;
  if (port === undefined) return;
  const socket = tcpConnect({ port, host: "127.0.0.1", noDelay: true });
  subscriber = socket;
  const frames = new Frames((bytes, at) => {
    if (((bytes[at] ?? 0) & 0xf0) === 0x30) delivered++;
  });
  socket.on("data", (chunk) => frames.feed(chunk, chunk.length));
  socket.on("error", () => {});
  await once(socket, "connect");
  socket.write(mqttConnect("bench-subscriber", 4));
  socket.write(mqttSubscribe("bench/#", 0, 4));
  await pause(200);
}

/**
 * Opens so many devices, 64 at a time; answers how long their CONNECTs took.
 * @param {{port: number, mqttPort?: number, count: number}} how
 */
async function open({ port, mqttPort, count }) {
  for (const device of devices) device.socket.close();
  datagrams?.close();
  datagrams = openDatagrams(port);
  devices = Array.from({ length: count }, (_, index) => new Device(index));
  for (const [index, device] of devices.entries()) {
    if (datagrams === undefined) await device.open(port);
    else device.use(datagrams.device(index));
  }
  const began = now();
  await inBatches(devices, 64, (device) => device.ask(wire.encodeConnect(device.name, true), wire.CONNACK));
  const seconds = (now() - began) / 1000;
  await inBatches(devices, 64, (device) => device.ask(wire.encodeRegister(TOPIC), wire.REGACK));
  await subscribe(mqttPort);
  return { connectSeconds: seconds };
}

/**
 * @template Item
 * @param {readonly Item[]} items
 * @param {number} width
 * @param {(item: Item) => Promise<unknown>} run
 */
async function inBatches(items, width, run) {
  let next = 0;
  const lane = async () => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) await run(item);
  };
  await Promise.all(Array.from({ length: width }, lane));
}

/** Counts, once the window is open. */
class Meter {
  exchanges = 0;
  repeats = 0;
  /** @type {number[]} */
  latencies = [];
  open = false;

  /** @param {Device} device */
  done(device) {
    if (!this.open) return;
    this.exchanges++;
    this.latencies.push(now() - device.sentAt);
  }

  /** @param {number} seconds */
  figures(seconds) {
    const sorted = Float64Array.from(this.latencies).sort();
    return {
      perSecond: this.exchanges / seconds,
      p50: percentile(sorted, 0.5),
      p99: percentile(sorted, 0.99),
      repeats: this.repeats,
    };
  }
}

/** @param {Meter} meter */
function repeatLost(meter) {
  return setInterval(() => {
    const late = now() - REPEAT_MS;
    for (const device of devices) {
      if (!device.busy || device.sentAt > late) continue;
      device.sentAt = now();
      meter.repeats++;
      device.send();
    }
  }, 250);
}

/**
 * Each device has one QoS 1 message open all the time.
 * @param {{seconds: number, warmup: number}} how
 */
async function closedLoop({ seconds, warmup }) {
  const meter = new Meter();
  let going = true;
  for (const device of devices) {
    device.onMessage = (answer) => {
      if (answer[1] !== wire.PUBACK || answer.readUInt16BE(4) !== device.id || !device.busy) return;
      device.busy = false;
      meter.done(device);
      acknowledged++;
      if (going) device.publish();
    };
  }
  let acknowledged = 0;
  const deliveredBefore = delivered;
  const timer = repeatLost(meter);
  for (const device of devices) device.publish();
  const { measured, cpu } = await window(meter, seconds, warmup);
  going = false;
  await pause(devices.some((device) => device.busy) ? 400 : 100);
  clearInterval(timer);
  for (const device of devices) device.busy = false;
  const missing = subscriber === undefined ? 0 : Math.max(0, acknowledged - (delivered - deliveredBefore));
  return { ...meter.figures(measured), missing, loadBusy: cpu };
}

/**
 * @param {Meter} meter
 * @param {number} seconds
 * @param {number} warmup
 */
async function window(meter, seconds, warmup) {
  await pause(warmup * 1000);
  const began = now();
  const usage = process.cpuUsage();
  meter.open = true;
  await pause(seconds * 1000);
  meter.open = false;
  const measured = (now() - began) / 1000;
  const { user, system } = process.cpuUsage(usage);
  return { measured, cpu: (user + system) / 1e6 / measured };
}

/**
 * So many QoS 1 messages a second over all devices, whatever the answers do.
 * @param {{rate: number, seconds: number, warmup: number}} how
 */
async function paced({ rate, seconds, warmup }) {
  const meter = new Meter();
  let acknowledged = 0;
  for (const device of devices) {
    device.onMessage = (answer) => {
      if (answer[1] !== wire.PUBACK || answer.readUInt16BE(4) !== device.id || !device.busy) return;
      device.busy = false;
      acknowledged++;
      meter.done(device);
    };
  }
  const deliveredBefore = delivered;
  const timer = repeatLost(meter);
  const end = now() + (seconds + warmup) * 1000;
  const sending = pace(rate, end, (index) => {
    const device = /** @type {Device} */ (devices[index % devices.length]);
    if (!device.busy) device.publish();
  });
  const { measured, cpu } = await window(meter, seconds, warmup);
  await sending;
  await pause(400);
  clearInterval(timer);
  for (const device of devices) device.busy = false;
  const missing = subscriber === undefined ? 0 : Math.max(0, acknowledged - (delivered - deliveredBefore));
  return { ...meter.figures(measured), missing, loadBusy: cpu };
}

/**
 * @param {number} rate
 * @param {number} end
 * @param {(index: number) => void} send
 */
async function pace(rate, end, send) {
  const began = now();
  let sent = 0;
  while (now() < end) {
    const due = Math.floor(((now() - began) / 1000) * rate);
    for (let burst = 0; sent < due && burst < 64; burst++) send(sent++);
    await turn();
  }
  return sent;
}

/**
 * QoS 0: nothing comes back, so the subscriber alone says what arrived.
 * @param {{rate: number, seconds: number}} how
 */
async function unacknowledged({ rate, seconds }) {
  const frame = wire.encodePublish(0, 1, 0, PAYLOAD);
  const before = delivered;
  const began = now();
  const usage = process.cpuUsage();
  const sent = await pace(rate, began + seconds * 1000, (index) =>
    devices[index % devices.length]?.socket.send(frame),
  );
  const elapsed = (now() - began) / 1000;
  const { user, system } = process.cpuUsage(usage);
  for (let wait = 0; wait < 40 && delivered - before < sent; wait++) await pause(50);
  const arrived = delivered - before;
  return {
    perSecond: sent / elapsed,
    arrivedPerSecond: arrived / elapsed,
    lost: subscriber === undefined ? 0 : (sent - arrived) / sent,
    loadBusy: (user + system) / 1e6 / elapsed,
  };
}

/**
 * So many devices connect, subscribe and sleep, each from an address of its own; answers what each costs.
 * @param {{port: number, pid: number, count: number, settle: number}} how
 */
async function sleepers({ port, pid, count, settle }) {
  await pause(settle * 1000);
  const before = residentKb(pid);
  const began = now();
  const numbers = Array.from({ length: count }, (_, index) => index);
  await inBatches(numbers, 128, async (index) => {
    const device = new Device(index);
    // The kernel would give the same port twice, and this gateway takes that for another device.
    await device.open(port, `127.0.${1 + Math.floor(index / 20_000)}.1`, 10_000 + (index % 20_000));
    await device.ask(wire.encodeConnect(device.name, false), wire.CONNACK);
    await device.ask(wire.encodeSubscribe(`to/${device.name}`), wire.SUBACK);
    await device.ask(wire.encodeSleep(60_000), wire.DISCONNECT);
    device.socket.close();
  });
  const seconds = (now() - began) / 1000;
  await pause(settle * 1000);
  const after = residentKb(pid);
  return {
    bytesEach: ((after - before) * 1024) / count,
    residentMb: after / 1024,
    asleepPerSecond: count / seconds,
  };
}

/**
 * Devices that sleep wake up, each from a new port, all within a second; answers how long PINGRESP takes.
 * @param {{port: number, count: number}} how
 */
async function storm({ port, count }) {
  const awake = Array.from({ length: count }, (_, index) => new Device(index));
  await inBatches(awake, 64, (device) => device.open(port, "127.0.200.1"));
  /** @type {number[]} */
  const latencies = [];
  for (const device of awake) {
    device.onMessage = (answer) => {
      if (answer[1] !== wire.PINGRESP || !device.busy) return;
      device.busy = false;
      latencies.push(now() - device.sentAt);
    };
  }
  const began = now();
  await pace(count, began + 1200, (index) => {
    const device = awake[index];
    if (device === undefined) return;
    device.sentAt = now();
    device.busy = true;
    device.socket.send(wire.encodePingreq(device.name));
  });
  let repeats = 0;
  for (let wait = 1; wait < 400 && latencies.length < count; wait++) {
    await pause(20);
    if (wait % 100 !== 0) continue;
    for (const device of awake.filter((each) => each.busy)) {
      repeats++;
      device.socket.send(wire.encodePingreq(device.name));
    }
  }
  const sorted = Float64Array.from(latencies).sort();
  for (const device of awake) device.socket.close();
  return {
    answered: latencies.length,
    repeats,
    p50: percentile(sorted, 0.5),
    p99: percentile(sorted, 0.99),
  };
}

serve({ open, closedLoop, paced, unacknowledged, sleepers, storm });
