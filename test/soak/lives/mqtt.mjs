/** MQTT clients of all versions: clean and lasting sessions, wills, shared subscriptions, ends of every kind. */
import { connect } from "node:net";
import mqttPacket from "mqtt-packet";

const ids = Array.from({ length: 200 }, (_, index) => `soak-m${index}`);
const topics = (/** @type {import("../random.mjs").Random} */ random) =>
  `soak/${random.below(50)}/${random.below(4)}`;

/** @param {import("../random.mjs").Life} life */
export async function live({ ports, random, count, pause, over }) {
  const version = random.pick([4, 5]);
  const lasting = random.chance(0.4);
  const socket = connect(/** @type {number} */ (ports["mqtt"]), "127.0.0.1");
  socket.on("error", () => {});
  const send = (/** @type {object} */ packet) =>
    socket.writable &&
    socket.write(mqttPacket.generate(/** @type {any} */ (packet), { protocolVersion: version }));
  const parser = mqttPacket.parser({ protocolVersion: version });
  socket.on("data", (bytes) => parser.parse(bytes));
  let accepted = false;
  parser.on("packet", (packet) => {
    count(`mqtt ${packet.cmd}`);
    if (packet.cmd === "connack") accepted = true;
    else if (packet.cmd === "publish" && packet.qos === 1)
      send({ cmd: "puback", messageId: packet.messageId });
    else if (packet.cmd === "publish" && packet.qos === 2)
      send({ cmd: "pubrec", messageId: packet.messageId });
    else if (packet.cmd === "pubrec") send({ cmd: "pubrel", messageId: packet.messageId });
    else if (packet.cmd === "pubrel") send({ cmd: "pubcomp", messageId: packet.messageId });
  });
  parser.on("error", () => count("mqtt malformed"));
  send({
    cmd: "connect",
    protocolId: "MQTT",
    protocolVersion: version,
    clean: !lasting,
    clientId: random.pick(ids),
    keepalive: 20,
    ...(version === 5 ? { properties: { sessionExpiryInterval: lasting ? 5 : 0, receiveMaximum: 20 } } : {}),
    ...(random.chance(0.3)
      ? { will: { topic: topics(random), payload: Buffer.from("gone"), qos: random.below(3), retain: false } }
      : {}),
  });
  await pause(20 + random.below(100));
  if (accepted) {
    for (let n = random.below(4); n > 0; n--) {
      const filter = random.pick([
        "soak/+/1",
        `soak/${random.below(50)}/#`,
        "$share/g/soak/#",
        topics(random),
      ]);
      send({ cmd: "subscribe", messageId: 10 + n, subscriptions: [{ topic: filter, qos: random.below(3) }] });
    }
    for (let n = random.below(60); n > 0 && !over(); n--) {
      const qos = random.below(3);
      send({
        cmd: "publish",
        topic: topics(random),
        payload: Buffer.alloc(random.below(300)),
        qos,
        messageId: 100 + n,
        retain: random.chance(0.02),
      });
      count("mqtt sent");
      if (random.chance(0.5)) await pause(random.below(40));
    }
  }
  await pause(random.below(1500));
  if (random.chance(0.5)) send({ cmd: "disconnect" });
  if (random.chance(0.5)) socket.end();
  else socket.destroy();
}
