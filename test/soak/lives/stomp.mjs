/** STOMP clients: subscriptions with each kind of acknowledgement, transactions, ends in the middle of them. */
import { connect } from "node:net";

/** @param {import("../random.mjs").Life} life */
export async function live({ ports, random, count, pause, over }) {
  const socket = connect(/** @type {number} */ (ports["stomp"]), "127.0.0.1");
  socket.on("error", () => {});
  const send = (
    /** @type {string} */ command,
    /** @type {Record<string, string>} */ headers = {},
    body = "",
  ) => {
    const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`);
    if (socket.writable) socket.write(`${command}\n${lines.join("")}\n${body}\0`);
  };
  let buffered = "";
  socket.on("data", (bytes) => {
    buffered += bytes.toString("latin1");
    for (let end = buffered.indexOf("\0"); end !== -1; end = buffered.indexOf("\0")) {
      const frame = buffered.slice(0, end).trimStart();
      buffered = buffered.slice(end + 1);
      count(`stomp ${frame.split("\n", 1)[0]}`);
      const ack = /\nack:(.*)/.exec(frame)?.[1];
      if (ack !== undefined && random.chance(0.8)) send(random.chance(0.9) ? "ACK" : "NACK", { id: ack });
    }
  });
  send("CONNECT", { "accept-version": "1.2", host: "soak", "heart-beat": random.pick(["0,0", "5000,5000"]) });
  await pause(20 + random.below(60));
  for (let n = random.below(3); n > 0; n--) {
    const destination = random.pick([
      `/topic/soak/${random.below(50)}/1`,
      "/topic/soak/+/2",
      "/queue/soak/work",
    ]);
    send("SUBSCRIBE", {
      id: String(n),
      destination,
      ack: random.pick(["auto", "client", "client-individual"]),
    });
  }
  const transaction = random.chance(0.3);
  if (transaction) send("BEGIN", { transaction: "t" });
  for (let n = random.below(30); n > 0 && !over(); n--) {
    const headers = { destination: `/topic/soak/${random.below(50)}/${random.below(4)}`, receipt: String(n) };
    send("SEND", transaction ? { ...headers, transaction: "t" } : headers, "x".repeat(random.below(200)));
    count("stomp sent");
    if (random.chance(0.5)) await pause(random.below(40));
  }
  if (transaction) send(random.pick(["COMMIT", "ABORT"]), { transaction: "t" });
  await pause(random.below(1200));
  if (random.chance(0.5)) send("DISCONNECT", { receipt: "bye" });
  if (random.chance(0.5)) socket.end();
  else socket.destroy();
}
