/**
 * Clients that all come at once over TLS, and log in by MQTT: a process of its own. It makes room for the echoes on its core:
 * what those take is to be the gateway's doing.
 */
import { constants, setPriority } from "node:os";
import { connect } from "node:tls";
import { serve } from "../lib/serve.mjs";

const CONNACK = 0x20;
/** Connections that are opened at the same time: more than the gateway takes in many turns of its loop. */
const OPENING = 1_000;

/** Sessions of those who were here before: by ticket, or by id. @type {Map<number, Buffer>} */
const sessions = new Map();

/** CONNECT of MQTT 3.1.1. @param {number} index */
function connectOf(index) {
  const name = Buffer.from(`crowd-${index}`);
  const body = Buffer.concat([
    Buffer.from([0, 4]),
    Buffer.from("MQTT"),
    Buffer.from([4, 2, 0, 0, 0, name.length]),
    name,
  ]);
  return Buffer.concat([Buffer.from([0x10, body.length]), body]);
}

/** @type {import("node:tls").TLSSocket[]} */
let sockets = [];

/**
 * @param {{port: number, resume: boolean}} how
 * @param {number} index
 */
function login({ port, resume }, index) {
  const session = resume ? sessions.get(index) : undefined;
  return /** @type {Promise<"new" | "resumed" | "lost">} */ (
    new Promise((resolve) => {
      const how = {
        port,
        host: "127.0.0.1",
        rejectUnauthorized: false,
        ...(session === undefined ? {} : { session }),
      };
      const socket = connect(how, () => socket.write(connectOf(index)));
      sockets.push(socket);
      socket.on("session", (ticket) => sessions.set(index, ticket));
      socket.once("data", (answer) =>
        resolve(
          answer[0] === CONNACK && answer[3] === 0 ? (socket.isSessionReused() ? "resumed" : "new") : "lost",
        ),
      );
      socket.on("error", () => resolve("lost"));
      socket.once("close", () => resolve("lost"));
    })
  );
}

/** @param {{port: number, clients: number, resume: boolean}} how */
async function storm({ port, clients, resume }) {
  const begun = performance.now();
  const found = { new: 0, resumed: 0, lost: 0 };
  let next = 0;
  const lane = async () => {
    while (next < clients) found[await login({ port, resume }, next++)]++;
  };
  await Promise.all(Array.from({ length: Math.min(OPENING, clients) }, lane));
  return { ...found, took: performance.now() - begun };
}

/** All at once, too. */
async function leave() {
  const open = sockets.filter(({ closed }) => !closed);
  const gone = open.map((socket) => new Promise((resolve) => socket.once("close", resolve)));
  for (const socket of open) socket.destroy();
  await Promise.all(gone);
  sockets = [];
}

setPriority(constants.priority.PRIORITY_LOW);
serve({ storm, leave });
