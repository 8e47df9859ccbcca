/** Publishes at QoS 1 to a durable subscriber, connected or away, and times each PUBACK. Raw sockets, MQTT 3.1.1. */
import { once } from "node:events";
import { connect as tcpConnect } from "node:net";
import { serve } from "../lib/serve.mjs";
import { percentile } from "../lib/statistics.mjs";

const TOPIC = "bench/durable";
const pause = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** @param {string} id @param {boolean} clean */
function connectPacket(id, clean) {
  const name = Buffer.from(id);
  const head = Buffer.from([
    0x10,
    12 + name.length,
    0,
    4,
    77,
    81,
    84,
    84,
    4,
    clean ? 2 : 0,
    0,
    0,
    0,
    name.length,
  ]);
  return Buffer.concat([head, name]);
}

/**
 * @param {number} port @param {string} id @param {boolean} clean
 * @param {(type: number, packetId: number) => void} take   PUBACK, and PUBLISH at QoS 1
 */
async function open(port, id, clean, take) {
  const socket = tcpConnect({ port, host: "127.0.0.1", noDelay: true });
  socket.on("error", () => {});
  await once(socket, "connect");
  let rest = Buffer.alloc(0);
  /** @type {() => void} */
  let connected = () => {};
  const ready = new Promise((resolve) => {
    connected = () => resolve(undefined);
  });
  socket.on("data", (bytes) => {
    let at = 0;
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    while (rest.length - at >= 2) {
      let length = 0;
      let body = at + 1;
      for (let shift = 0; body < rest.length; shift += 7) {
        const octet = /** @type {number} */ (rest[body++]);
        length |= (octet & 127) << shift;
        if (octet < 128) break;
      }
      if (body + length > rest.length) break;
      const type = /** @type {number} */ (rest[at]) >> 4;
      if (type === 2 || type === 9) connected();
      else if (type === 4) take(4, rest.readUInt16BE(body));
      else if (type === 3) take(3, rest.readUInt16BE(body + 2 + rest.readUInt16BE(body)));
      at = body + length;
    }
    rest = rest.subarray(at);
  });
  socket.write(connectPacket(id, clean));
  await ready;
  return socket;
}

/**
 * A durable subscriber that acknowledges all it is given.
 * @param {number} port @param {() => void} [heard]
 */
async function subscriber(port, heard = () => {}) {
  let received = 0;
  /** @type {Buffer[]} */
  let acks = [];
  const socket = await open(port, "durable", false, (type, id) => {
    if (type !== 3) return;
    received++;
    if (acks.length === 0) {
      setImmediate(() => {
        socket.write(Buffer.concat(acks));
        acks = [];
        heard();
      });
    }
    acks.push(Buffer.from([0x40, 2, id >> 8, id & 255]));
  });
  const name = Buffer.from("bench/#");
  socket.write(
    Buffer.concat([Buffer.from([0x82, 5 + name.length, 0, 1, 0, name.length]), name, Buffer.from([1])]),
  );
  await pause(200);
  return { socket, received: () => received };
}

/** @param {string} topic @param {number} size @param {boolean} retain */
function publishPacket(topic, size, retain) {
  const name = Buffer.from(topic);
  const body = Buffer.alloc(2 + name.length + 2 + size, "x");
  body.writeUInt16BE(name.length, 0);
  name.copy(body, 2);
  const length = body.length < 128 ? [body.length] : [(body.length & 127) | 128, body.length >> 7];
  const packet = Buffer.concat([Buffer.from([retain ? 0x33 : 0x32, ...length]), body]);
  return { packet, idAt: 1 + length.length + 2 + name.length };
}

/**
 * Publishes with `window` unacknowledged and at most twice that undelivered, for a time or a number of messages.
 * @param {{port: number, window: number, size: number, seconds?: number, warmup?: number, count?: number, retained?: number}} how
 *   `retained`: topics whose value is written over and over, in turn
 * @param {{received: () => number, wake: () => void}} [other]   the subscriber; without it nothing need be delivered
 */
async function publish(
  { port, window, size, seconds = 3600, warmup = 0, count = Number.POSITIVE_INFINITY, retained = 0 },
  other,
) {
  const packets =
    retained === 0
      ? [publishPacket(TOPIC, size, false)]
      : Array.from({ length: retained }, (_, n) => publishPacket(`bench/retained/${n}`, size, true));
  const sentAt = new Float64Array(65_536);
  /** @type {number[]} */
  const latencies = [];
  let [sent, acked, measured, lastId] = [0, 0, 0, 0];
  let measuring = warmup === 0;
  let done = () => {};
  const finished = new Promise((resolve) => {
    done = () => resolve(undefined);
  });
  let ending = false;
  let scheduled = false;
  const pump = () => {
    scheduled = false;
    const batch = [];
    while (
      sent - acked < window &&
      sent < count &&
      !ending &&
      sent - (other?.received() ?? sent) < 2 * window
    ) {
      lastId = (lastId % 65_535) + 1;
      const { packet, idAt } = /** @type {typeof packets[number]} */ (packets[sent % packets.length]);
      packet.writeUInt16BE(lastId, idAt);
      batch.push(Buffer.from(packet));
      sentAt[lastId] = performance.now();
      sent++;
    }
    if (batch.length > 0) socket.write(Buffer.concat(batch));
  };
  const socket = await open(port, `publisher-${process.pid}-${Date.now()}`, true, (_type, id) => {
    acked++;
    if (measuring) {
      measured++;
      latencies.push(performance.now() - /** @type {number} */ (sentAt[id]));
    }
    if (acked >= count) done();
    if (!scheduled) {
      scheduled = true;
      setImmediate(pump);
    }
  });
  if (other !== undefined) other.wake = pump;
  pump();
  if (warmup > 0) await pause(warmup * 1000);
  measuring = true;
  const start = performance.now();
  await Promise.race([pause(seconds * 1000), finished]);
  const elapsed = performance.now() - start;
  const figures = { rate: (measured / elapsed) * 1000, acked };
  ending = true;
  measuring = false;
  await pause(50);
  socket.destroy();
  const sorted = Float64Array.from(latencies).sort();
  return {
    ...figures,
    p50: percentile(sorted, 0.5),
    p99: percentile(sorted, 0.99),
    most: sorted.at(-1) ?? Number.NaN,
  };
}

serve({
  /** @param {{port: number, window: number, size: number, seconds: number, warmup: number}} how */
  async online(how) {
    const other = { received: () => 0, wake: () => {} };
    const { socket, received } = await subscriber(how.port, () => other.wake());
    other.received = received;
    const figures = await publish(how, other);
    await pause(500);
    socket.destroy();
    if (received() < figures.acked) throw new Error(`lost ${figures.acked - received()} of ${figures.acked}`);
    return figures;
  },
  /** @param {{port: number, window: number, size: number, count: number}} how */
  async away(how) {
    const { socket } = await subscriber(how.port);
    socket.destroy();
    await pause(300);
    return publish(how);
  },
  /** @param {{port: number, window: number, size: number, seconds: number, warmup: number, retained: number}} how */
  retained: (how) => publish(how),
});
