/** A source of identities that takes its time, and a crowd that logs in with it: a process of its own. */
import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:net";
import { serve } from "../lib/serve.mjs";

const CONNACK = 0x20;
/** Sockets that are opened at the same time, so that the kernel's queue is not what is measured. */
const OPENING = 200;

let asked = 0;

/** @param {{delay: number}} how   milliseconds */
async function source({ delay }) {
  const server = createServer((request, response) => {
    asked++;
    request.resume();
    setTimeout(() => response.writeHead(204).end(), delay);
  });
  server.listen({ port: 0, host: "127.0.0.1", backlog: 8_192 });
  await once(server, "listening");
  return /** @type {import("node:net").AddressInfo} */ (server.address()).port;
}

/** @param {string} text */
const field = (text) =>
  Buffer.concat([Buffer.from([text.length >> 8, text.length & 255]), Buffer.from(text)]);

/** CONNECT of MQTT 3.1.1 with a user name and a password. @param {string} name */
function connectOf(name) {
  const body = Buffer.concat([
    field("MQTT"),
    Buffer.from([4, 0xc2, 0, 0]),
    ...[field(name), field(name), field("secret")],
  ]);
  return Buffer.concat([Buffer.from([0x10, body.length]), body]);
}

/** Resolves with whether it was let in. @param {number} port @param {string} name @param {() => void} sent */
function login(port, name, sent) {
  return /** @type {Promise<boolean>} */ (
    new Promise((resolve) => {
      const socket = connect(port, "127.0.0.1", () => socket.write(connectOf(name), sent));
      socket.once("data", (answer) => {
        socket.destroy();
        resolve(answer[0] === CONNACK && answer[3] === 0);
      });
      socket.once("error", () => {
        sent();
        resolve(false);
      });
      socket.once("close", () => resolve(false));
    })
  );
}

/** @param {{port: number, logins: number}} how */
async function flood({ port, logins }) {
  const begun = performance.now();
  const before = asked;
  /** @type {Promise<boolean>[]} */
  const outcomes = [];
  for (let from = 0; from < logins; from += OPENING) {
    const opened = [];
    for (let index = from; index < Math.min(logins, from + OPENING); index++) {
      opened.push(
        /** @type {Promise<void>} */ (
          new Promise((sent) => void outcomes.push(login(port, `slow-${index}`, sent)))
        ),
      );
    }
    await Promise.all(opened);
  }
  const sentAfter = performance.now() - begun;
  const let_in = (await Promise.all(outcomes)).filter((ok) => ok).length;
  return { letIn: let_in, sentAfter, took: performance.now() - begun, asked: asked - before };
}

serve({ source, flood });
