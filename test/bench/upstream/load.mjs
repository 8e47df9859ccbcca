/**
 * The load generator: devices with a UDP socket each, MQTT-SN or CoAP, that have a session, publish and are published to;
 * and an MQTT client on the other side that publishes to each and hears all.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect as tcpConnect } from "node:net";
import * as coap from "../coap/wire.mjs";
import { serve } from "../lib/serve.mjs";
import { cpuMicros, residentKb } from "../lib/usage.mjs";
import { encodeConnect, encodeSubscribe, Frames } from "../mqtt/wire.mjs";
import * as sn from "../mqtt-sn/wire.mjs";

/** Requests under way at a time. */
const WIDTH = 64;
/** Repeated after this, as devices do. */
const REPEAT_MS = 4000;
const PAYLOAD = "x".repeat(64);

const now = () => performance.now();
const pause = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** One device with a socket of its own, and at most one request under way. */
class Device {
  /** @type {((message: Buffer) => void) | undefined} */
  answered = undefined;
  id = 0;

  /** @param {string} name */
  constructor(name) {
    this.name = name;
    this.socket = createSocket("udp4");
    this.socket.on("message", (message) => this.came(message));
  }

  /** @param {number} port */
  async open(port) {
    this.socket.bind(0, "127.0.0.1");
    await once(this.socket, "listening");
    this.socket.connect(port, "127.0.0.1");
    await once(this.socket, "connect");
  }

  /**
   * @param {Buffer} message
   * @returns {Promise<Buffer>}
   */
  ask(message) {
    return new Promise((resolve) => {
      const repeat = setInterval(() => this.socket.send(message), REPEAT_MS);
      this.answered = (answer) => {
        clearInterval(repeat);
        this.answered = undefined;
        resolve(answer);
      };
      this.socket.send(message);
    });
  }

  /** @param {Buffer} _message */
  came(_message) {}
}

class SnDevice extends Device {
  topic = 0;

  async connect() {
    await this.ask(sn.encodeConnect(this.name, true));
    const registered = await this.ask(sn.encodeRegister(`up/${this.name}`));
    this.topic = registered.readUInt16BE(2);
    await this.ask(sn.encodeSubscribe(`down/${this.name}`));
  }

  publish() {
    this.id++;
    return this.ask(sn.encodePublish(1, this.topic, this.id, Buffer.from(PAYLOAD)));
  }

  /** @param {Buffer} message */
  came(message) {
    if (message[1] === sn.PUBLISH) {
      received++;
      this.socket.send(Buffer.from([7, sn.PUBACK, ...message.subarray(3, 7), 0]));
    } else this.answered?.(message);
  }
}

class CoapDevice extends Device {
  /** @param {Buffer} message */
  request(message) {
    coap.stamp(message, ++this.id);
    return this.ask(message);
  }

  async connect() {
    const query = `clientid=${this.name}`;
    const answer = await this.request(
      coap.request(coap.GET, `ps/down/${this.name}`, { observe: true, query }),
    );
    if (answer[1] !== 0x45) throw new Error(`${this.name}: observing is answered with ${answer[1]}`);
  }

  async publish() {
    const query = `clientid=${this.name}`;
    const answer = await this.request(
      coap.request(coap.PUT, `ps/up/${this.name}`, { payload: PAYLOAD, query }),
    );
    if ((answer[1] ?? 0) >> 5 !== 2) throw new Error(`${this.name}: a PUT is answered with ${answer[1]}`);
  }

  /** @param {Buffer} message */
  came(message) {
    const [type, code] = [coap.typeOf(message), message[1] ?? 0];
    // What is confirmable is acknowledged; a notification bears the token of the first request.
    if (type === 0) this.socket.send(coap.empty(message, 2));
    if (code === 0) return;
    if (this.answered !== undefined && message.readUInt32BE(4) === this.id) this.answered(message);
    else received++;
  }
}

/** @type {Device[]} */
let devices = [];
/** Of what was published to devices. */
let received = 0;
/** Of what devices published. */
let heard = 0;
/** @type {import("node:net").Socket | undefined} */
let app;

/** @param {number} port */
async function openApp(port) {
  const socket = tcpConnect({ port, host: "127.0.0.1", noDelay: true });
  const frames = new Frames((bytes, at) => {
    if (((bytes[at] ?? 0) & 0xf0) === 0x30) heard++;
  });
  socket.on("data", (chunk) => frames.feed(chunk, chunk.length));
  await once(socket, "connect");
  socket.write(encodeConnect("bench-app", 4));
  socket.write(encodeSubscribe("up/#", 0, 4));
  app = socket;
  await pause(200);
}

/**
 * A QoS 0 or 1 PUBLISH of MQTT 3.1.1.
 * @param {string} topic
 * @param {number} flags
 */
function publication(topic, flags) {
  const qos = (flags >> 1) & 3;
  const name = Buffer.from(topic);
  const body = [Buffer.from([name.length >> 8, name.length & 255]), name];
  if (qos > 0) body.push(Buffer.from([0, 1]));
  body.push(Buffer.from(PAYLOAD));
  const rest = Buffer.concat(body);
  return Buffer.concat([Buffer.from([0x30 | flags, rest.length]), rest]);
}

/** @param {(device: Device) => Promise<unknown>} run */
async function each(run) {
  let next = 0;
  const lane = async () => {
    for (let device = devices[next++]; device !== undefined; device = devices[next++]) await run(device);
  };
  await Promise.all(Array.from({ length: WIDTH }, lane));
}

/**
 * What is done takes so long, and costs the process so much for each device.
 * @param {number} pid
 * @param {() => Promise<unknown>} run
 */
async function cost(pid, run) {
  const [began, before] = [now(), cpuMicros(pid)];
  await run();
  const seconds = (now() - began) / 1000;
  return { rate: devices.length / seconds, micros: (cpuMicros(pid) - before) / devices.length };
}

/**
 * @param {{protocol: "mqtt-sn" | "coap", port: number, appPort: number, pid: number, count: number, settle: number}} how
 */
async function sessions({ protocol, port, appPort, pid, count, settle }) {
  await openApp(appPort);
  const Kind = protocol === "coap" ? CoapDevice : SnDevice;
  devices = Array.from({ length: count }, (_, index) => new Kind(`d${index}`));
  [received, heard] = [0, 0];
  // An observer is answered with the last value.
  if (protocol === "coap") for (const { name } of devices) app?.write(publication(`down/${name}`, 1));
  await Promise.all(devices.map((device) => device.open(port)));
  await pause(settle * 1000);
  const before = residentKb(pid);
  const connects = await cost(pid, () => each((device) => /** @type {SnDevice} */ (device).connect()));
  await pause(settle * 1000);
  const perSession = (residentKb(pid) - before) / count;
  received = 0;
  const up = await cost(pid, async () => {
    await each((device) => /** @type {SnDevice} */ (device).publish());
    while (heard < count) await pause(10);
  });
  const down = await cost(pid, async () => {
    for (let index = 0; index < count; index++) {
      app?.write(publication(`down/${devices[index]?.name}`, protocol === "coap" ? 3 : 2));
      // No more than so many on their way: what is asked is what a message costs, not what is dropped.
      while (index - received > 500) await pause(1);
    }
    while (received < count) await pause(10);
  });
  for (const { socket } of devices) socket.close();
  app?.destroy();
  devices = [];
  return { connects, perSession, up, down };
}

serve({ sessions });
