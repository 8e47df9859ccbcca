/** CoAP clients, and LwM2M devices, on a UDP port each: publishes, observers that vanish, registrations that lapse. */
import { createSocket } from "node:dgram";
import packet from "coap-packet";

/** @param {number} port */
function endpoint(port, /** @type {import("../random.mjs").Life} */ { random, count }) {
  const socket = createSocket("udp4");
  let messageId = random.below(65_536);
  let vanished = false;
  /** @type {((answer: import("coap-packet").ParsedPacket) => void)[]} */
  const heard = [];
  const write = (/** @type {object} */ message) =>
    socket.send(packet.generate(/** @type {any} */ (message)), port, "127.0.0.1", () => {});
  socket.on("message", (bytes, from) => {
    // What is for somebody else, who had this port before, comes from another one of the gateway's.
    if (vanished || from.port !== port) return;
    const answer = packet.parse(bytes);
    count(`coap ${answer.code}`);
    // A ping, or a request of the server's: a device that has nothing to say resets it.
    if (answer.confirmable && (answer.code === "0.00" || answer.code.startsWith("0."))) {
      write({ code: "0.00", messageId: answer.messageId, reset: true });
    } else if (answer.confirmable) write({ code: "0.00", messageId: answer.messageId, ack: true });
    for (const hear of heard) hear(answer);
  });
  socket.on("error", () => {});
  return {
    heard,
    request(/** @type {string} */ method, /** @type {string} */ path, payload = "", options = []) {
      messageId = (messageId + 1) & 0xffff;
      const [segments = "", query = ""] = path.split("?");
      const token = Buffer.from(String(messageId));
      const own = [
        ...segments.split("/").map((value) => ({ name: "Uri-Path", value: Buffer.from(value) })),
        ...(query === ""
          ? []
          : query.split("&").map((value) => ({ name: "Uri-Query", value: Buffer.from(value) }))),
        ...options,
      ];
      write({
        code: method,
        messageId,
        token,
        confirmable: true,
        payload: Buffer.from(payload),
        options: own,
      });
      count("coap sent");
    },
    vanish() {
      vanished = true;
    },
    close: () => socket.close(),
  };
}

const OBSERVE = /** @type {any} */ ([{ name: "Observe", value: Buffer.from([]) }]);

/** @param {import("../random.mjs").Life} life */
export async function live(life) {
  const { ports, random, pause, over } = life;
  const client = endpoint(/** @type {number} */ (ports["coap"]), life);
  const identity = random.chance(0.5) ? `?clientid=soak-c${random.below(100)}` : "";
  for (let n = random.below(3); n > 0; n--) {
    client.request("GET", `ps/soak/${random.below(50)}/${random.below(4)}${identity}`, "", OBSERVE);
  }
  for (let n = random.below(20); n > 0 && !over(); n--) {
    client.request(
      random.pick(["PUT", "PUT", "GET"]),
      `ps/soak/${random.below(50)}/${random.below(4)}${identity}`,
      "21.5",
    );
    await pause(random.below(80));
  }
  await pause(random.below(2000));
  client.vanish();
  client.close();
}

/** @param {import("../random.mjs").Life} life */
export async function liveAsDevice(life) {
  const { ports, random, pause } = life;
  const device = endpoint(/** @type {number} */ (ports["coap"]), life);
  let location = "";
  device.heard.push((answer) => {
    const path = (answer.options ?? [])
      .filter(({ name }) => name === "Location-Path")
      .map(({ value }) => String(value));
    if (path.length > 0) location = path.join("/");
  });
  device.request("POST", `rd?ep=soak-d${random.below(100)}&lt=15&lwm2m=1.1&b=U`, "</1/0>,</3/0>,</3303/0>");
  await pause(50 + random.below(150));
  for (let n = random.below(3); n > 0 && location !== ""; n--) {
    device.request("POST", location);
    await pause(random.below(800));
  }
  if (location !== "" && random.chance(0.4)) device.request("DELETE", location);
  await pause(random.below(1000));
  device.close();
}
