/** MQTT-SN nodes: active ones, sleepers that wake or do not, some with wills; all with short promises. */
import { createSocket } from "node:dgram";

const text = (/** @type {string} */ value) => Buffer.from(value);
const message = (/** @type {number} */ type, /** @type {Uint8Array[]} */ ...parts) => {
  const body = Buffer.concat([Buffer.of(type), ...parts]);
  return Buffer.concat([Buffer.of(body.length + 1), body]);
};
const word = (/** @type {number} */ value) => Buffer.of(value >> 8, value & 0xff);

const CONNECT = 0x04;
const WILLTOPICREQ = 0x06;
const WILLTOPIC = 0x07;
const WILLMSGREQ = 0x08;
const WILLMSG = 0x09;
const REGISTER = 0x0a;
const REGACK = 0x0b;
const PUBLISH = 0x0c;
const PUBACK = 0x0d;
const SUBSCRIBE = 0x12;
const PINGREQ = 0x16;
const DISCONNECT = 0x18;

/** @param {import("../random.mjs").Life} life */
export async function live({ ports, random, count, pause, over }) {
  const socket = createSocket("udp4");
  socket.on("error", () => {});
  const send = (/** @type {Buffer} */ bytes) =>
    socket.send(bytes, /** @type {number} */ (ports["mqtt-sn"]), "127.0.0.1", () => {});
  const id = text(`soak-s${random.below(100)}`);
  socket.on("message", (bytes, from) => {
    if (from.port !== ports["mqtt-sn"]) return;
    const type = bytes[1] ?? 0;
    count(`mqtt-sn ${type.toString(16)}`);
    if (type === WILLTOPICREQ) send(message(WILLTOPIC, Buffer.of(0), text("soak/will")));
    else if (type === WILLMSGREQ) send(message(WILLMSG, text("gone")));
    else if (type === REGISTER) send(message(REGACK, bytes.subarray(2, 6), Buffer.of(0)));
    else if (type === PUBLISH && ((bytes[2] ?? 0) & 0x60) === 0x20) {
      send(message(PUBACK, bytes.subarray(3, 7), Buffer.of(0)));
    }
  });
  // Clean or not, will or not; promises to be heard every 5 seconds.
  send(
    message(CONNECT, Buffer.of((random.chance(0.6) ? 4 : 0) | (random.chance(0.3) ? 8 : 0), 1), word(5), id),
  );
  await pause(40 + random.below(100));
  for (let n = random.below(3); n > 0; n--) {
    const filter = random.pick([`soak/${random.below(50)}/1`, "soak/+/3"]);
    send(message(SUBSCRIBE, Buffer.of(0x20), word(n), text(filter)));
  }
  for (let n = random.below(15); n > 0 && !over(); n--) {
    // A short topic name of two characters, so that nothing need be registered.
    send(
      message(
        PUBLISH,
        Buffer.of(random.pick([0x02, 0x22])),
        text(`s${random.below(10)}`),
        word(n),
        text("21.5"),
      ),
    );
    count("mqtt-sn sent");
    await pause(random.below(80));
  }
  if (random.chance(0.4)) {
    send(message(DISCONNECT, word(5)));
    await pause(random.below(1500));
    if (random.chance(0.6)) send(message(PINGREQ, id));
    await pause(random.below(300));
  }
  if (random.chance(0.5)) send(message(DISCONNECT));
  await pause(random.below(300));
  socket.close();
}
