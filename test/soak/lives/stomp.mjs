/**
 * STOMP clients: subscriptions with each kind of acknowledgement, durable ones among them, ended while messages are on
 * their way; ACK and NACK at once or late; transactions, ends in the middle of them.
 */
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
      const command = frame.split("\n", 1)[0];
      count(command === "ERROR" ? `stomp ERROR ${/\nmessage:(.*)/.exec(frame)?.[1]}` : `stomp ${command}`);
      const ack = /\nack:(.*)/.exec(frame)?.[1];
      if (ack === undefined || random.chance(0.2)) continue;
      const verdict = random.chance(0.9) ? "ACK" : "NACK";
      if (random.chance(0.5)) send(verdict, { id: ack });
      else setTimeout(() => send(verdict, { id: ack }), random.below(300));
    }
  });
  /** @type {Record<string, string>} */
  const named = random.chance(0.3) ? { "client-id": `soak-${random.below(20)}` } : {};
  send("CONNECT", {
    "accept-version": "1.2",
    host: "soak",
    "heart-beat": random.pick(["0,0", "5000,5000"]),
    ...named,
  });
  await pause(20 + random.below(60));
  /** @type {Record<string, string>[]} */
  const open = [];
  for (let n = random.below(3); n > 0; n--) {
    /** @type {Record<string, string>} */
    const durable = n === 1 && named["client-id"] !== undefined ? { "activemq.subscriptionName": "d" } : {};
    open.push({ id: String(n), ...(random.chance(0.5) ? durable : {}) });
    const destination = random.pick([
      `/topic/soak/${random.below(50)}/1`,
      "/topic/soak/+/2",
      "/queue/soak/work",
    ]);
    send("SUBSCRIBE", {
      id: String(n),
      destination,
      ack: random.pick(["auto", "client", "client-individual"]),
      ...durable,
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
  await pause(random.below(600));
  for (const one of open) if (random.chance(0.5)) send("UNSUBSCRIBE", one);
  await pause(random.below(600));
  if (random.chance(0.5)) send("DISCONNECT", { receipt: "bye" });
  if (random.chance(0.5)) socket.end();
  else socket.destroy();
}
