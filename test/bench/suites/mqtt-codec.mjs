/** Our MQTT codec against `mqtt-packet`, one PUBLISH at a time: no socket, no bus, no session. */
import mqttPacket from "mqtt-packet";
import { wanted } from "../lib/options.mjs";
import { median } from "../lib/statistics.mjs";
import { markdownTable } from "../lib/table.mjs";

const TOPIC = "site/7/line/3/temperature";
const PAYLOAD = Buffer.alloc(64, 0x78);
/** Packets in one chunk, as a busy socket reads them. */
const IN_CHUNK = 200;

const ours = async () => {
  const built = (/** @type {string} */ path) =>
    import(new URL(`../../../dist/${path}.js`, import.meta.url).href);
  const [decode, encode, header, topics, message] = await Promise.all([
    built("src/mqtt/codec/decode-publish"),
    built("src/mqtt/codec/encode-publish"),
    built("src/mqtt/codec/fixed-header"),
    built("src/mqtt/codec/topic-cache"),
    built("src/bus/message"),
  ]);
  return { ...decode, ...encode, ...header, ...topics, ...message };
};

const packet = (/** @type {number} */ qos) => ({
  cmd: "publish",
  topic: TOPIC,
  payload: PAYLOAD,
  qos,
  messageId: qos === 0 ? undefined : 258,
  retain: false,
  dup: false,
});

const forms = [
  { name: "3.1.1 QoS 0", version: 4, qos: 0 },
  { name: "3.1.1 QoS 1", version: 4, qos: 1 },
  { name: "5.0 QoS 0", version: 5, qos: 0 },
  { name: "5.0 QoS 1", version: 5, qos: 1 },
];

export const suite = {
  title: "MQTT codec",
  readmes: ["gateways/mqtt/README.md"],
  scenarios: () => forms.map(({ name }) => name),
  run: async (/** @type {import("../lib/options.mjs").Options} */ options) => {
    const codec = await ours();
    const rows = [];
    for (const form of forms.filter(({ name }) => wanted(options, name))) {
      const rounds = options.quick ? 300 : 1500;
      const write = ourWriter(codec, form);
      const figures = [
        perPacket(ourParser(codec, form), rounds),
        perPacket(theirParser(form), rounds),
        perPacket(write.fresh, rounds),
        perPacket(write.again, rounds),
        perPacket(theirWriter(form), rounds),
      ];
      rows.push([form.name, ...figures.map((nanoseconds) => (nanoseconds / 1000).toFixed(3))]);
    }
    const head = ["PUBLISH, 64 B", "parse, us", "mqtt-packet", "write, us", "write again", "mqtt-packet"];
    return markdownTable(head, rows);
  },
};

/** Nanoseconds a packet: the median of several passes over a chunk of packets. */
function perPacket(/** @type {() => void} */ chunk, /** @type {number} */ rounds) {
  const passes = [];
  for (let pass = 0; pass < 9; pass++) {
    const begin = process.hrtime.bigint();
    for (let round = 0; round < rounds; round++) chunk();
    passes.push(Number(process.hrtime.bigint() - begin) / rounds / IN_CHUNK);
  }
  return median(passes.slice(2));
}

/** @param {{version: number, qos: number}} form */
function chunkOf({ version, qos }) {
  const one = mqttPacket.generate(/** @type {any} */ (packet(qos)), { protocolVersion: version });
  return Buffer.concat(Array.from({ length: IN_CHUNK }, () => one));
}

/** @param {any} codec @param {{version: number, qos: number}} form */
function ourParser(codec, form) {
  const chunk = chunkOf(form);
  const head = codec.publishHead();
  const source = { version: form.version, topics: new codec.TopicCache(), maximumItems: 4096 };
  let seen = 0;
  return () => {
    for (let at = 0; at < chunk.length; at = codec.frame.end) {
      if (codec.readFixedHeader(chunk, at, 1e6) !== "whole") throw new Error("cut");
      const { body, end } = codec.frame;
      const wrong = codec.decodePublish(head, source, chunk, at, body, end);
      if (wrong !== undefined) throw new Error(wrong.problem);
      seen += head.topic.length + end - head.payloadAt;
    }
    if (seen < 0) throw new Error("never");
  };
}

/** @param {{version: number}} form */
function theirParser(form) {
  const chunk = chunkOf(/** @type {any} */ (form));
  const parser = mqttPacket.parser(/** @type {any} */ ({ protocolVersion: form.version }));
  let seen = 0;
  parser.on("packet", (/** @type {any} */ parsed) => {
    seen += parsed.payload.length;
  });
  return () => {
    parser.parse(chunk);
    if (seen < 0) throw new Error("never");
  };
}

/** A new message each time, and one message for many subscribers, as a broadcast is. */
function ourWriter(/** @type {any} */ codec, /** @type {{version: number, qos: number}} */ { version, qos }) {
  const message = () => new codec.Message(TOPIC, PAYLOAD, qos, false, 0);
  const header = codec.publishHeader(qos, false, false);
  const slab = Buffer.alloc(65_536);
  const copy = (/** @type {Uint8Array} */ bytes) => slab.set(bytes, 0);
  const id = qos === 0 ? 0 : 258;
  const same = message();
  return {
    fresh: () => {
      for (let index = 0; index < IN_CHUNK; index++) {
        copy(codec.encodeSharedPublish(version, message(), TOPIC, header, id, 0));
      }
    },
    again: () => {
      for (let index = 0; index < IN_CHUNK; index++) {
        copy(codec.encodeSharedPublish(version, same, TOPIC, header, id, 0));
      }
    },
  };
}

/** @param {{version: number, qos: number}} form */
function theirWriter({ version, qos }) {
  const one = /** @type {any} */ (packet(qos));
  return () => {
    for (let index = 0; index < IN_CHUNK; index++) mqttPacket.generate(one, { protocolVersion: version });
  };
}
