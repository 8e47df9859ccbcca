/** Raw sockets of the generator, and how they get through CONNECT and SUBSCRIBE. */
import { connect } from "node:net";
import { connectSystemSocket, systemSockets } from "../lib/system-sockets.mjs";
import { CONNACK, DISCONNECT, encodeConnect, encodeSubscribe, Frames, SUBACK } from "./wire.mjs";

/** One read buffer serves all sockets: each chunk is used up before the next is read. */
const readBuffer = Buffer.allocUnsafeSlow(256 * 1024);

/** Client addresses take turns, so that 10,000 connections never run out of ports. */
const SOURCES = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"];

/** Handshakes under way at once. */
const CONNECT_WIDTH = 64;

const CONNECT_LIMIT_MS = 20_000;

/** @typedef {{write: (bytes: Uint8Array) => void, end: (bytes: Uint8Array) => void, destroy: () => void, destroyed: boolean}} ConnectionSocket */

/**
 * @param {number} port
 * @param {string} localAddress
 * @returns {(connection: Connection) => ConnectionSocket}
 */
const bySystemCalls = (port, localAddress) => (connection) =>
  connectSystemSocket({
    port,
    localAddress,
    onChunk: (chunk, end) => connection.onChunk(chunk, end),
    onClose: (why) => connection.onFail(why),
  });

/**
 * @param {number} port
 * @param {string} localAddress
 * @returns {(connection: Connection) => ConnectionSocket}
 */
const byNode = (port, localAddress) => (connection) => {
  const socket = connect({
    host: "127.0.0.1",
    port,
    localAddress,
    noDelay: true,
    onread: {
      buffer: readBuffer,
      callback: (length, buffer) => {
        connection.onChunk(/** @type {Buffer} */ (buffer), length);
        return true;
      },
    },
  });
  socket.on("error", (error) => connection.onFail(error.message));
  socket.on("close", () => connection.onFail("closed by the broker"));
  return /** @type {ConnectionSocket} */ (socket);
};

const connectBy = systemSockets ? bySystemCalls : byNode;

let serial = 0;
const run = process.pid.toString(36);

export class Connection {
  /**
   * @param {string} clientId
   * @param {(connection: Connection) => ConnectionSocket} connectSocket
   */
  constructor(clientId, connectSocket) {
    this.clientId = clientId;
    /** @type {(chunk: Buffer, end: number) => void} */
    this.onChunk = () => {};
    /** @type {(why: string) => void} */
    this.onFail = () => {};
    this.closed = false;
    this.socket = connectSocket(this);
  }

  /** Says DISCONNECT and goes. */
  close() {
    this.closed = true;
    if (!this.socket.destroyed) this.socket.end(DISCONNECT);
  }
}

/**
 * @typedef {object} Target
 * @property {number} port
 * @property {4 | 5} version
 */

/**
 * Opens one connection and waits for CONNACK and, with a filter, SUBACK.
 * @param {Target} target
 * @param {string} role   begins the client id; the null broker goes by it
 * @param {{filter: string, qos: number}} [subscription]
 * @returns {Promise<Connection>}
 */
export function open(target, role, subscription) {
  return new Promise((resolve, reject) => {
    const index = serial++;
    const clientId = `${role}-${run}-${index}`;
    const source = SOURCES[index % SOURCES.length] ?? "127.0.0.1";
    const connection = new Connection(clientId, connectBy(target.port, source));
    const { socket } = connection;
    const fail = (/** @type {string} */ why) => reject(new Error(`${clientId}: ${why}`));
    const timer = setTimeout(() => fail("no CONNACK or SUBACK in time"), CONNECT_LIMIT_MS);
    const done = () => {
      clearTimeout(timer);
      resolve(connection);
    };
    const frames = new Frames((bytes, at, length) => {
      const kind = bytes[at];
      if (kind === CONNACK) {
        if (bytes[at + 3] !== 0) fail(`CONNACK code ${bytes[at + 3]}`);
        else if (!subscription) done();
        else socket.write(encodeSubscribe(subscription.filter, subscription.qos, target.version));
      } else if (kind === SUBACK) {
        const granted = bytes[at + length - 1] ?? 128;
        if (granted >= 128) fail(`SUBACK code ${granted}`);
        else done();
      }
    });
    connection.onChunk = (chunk, end) => frames.feed(chunk, end);
    connection.onFail = (why) => {
      if (!connection.closed) fail(why);
    };
    socket.write(encodeConnect(clientId, target.version));
  });
}

/**
 * Opens many, a few at a time.
 * @template T
 * @param {number} count
 * @param {(index: number) => Promise<T>} openOne
 * @returns {Promise<T[]>}
 */
export async function openMany(count, openOne) {
  /** @type {T[]} */
  const all = [];
  let next = 0;
  const lane = async () => {
    while (next < count) {
      const index = next++;
      all[index] = await openOne(index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONNECT_WIDTH, count) }, lane));
  return all;
}

/** @param {Connection[]} connections */
export async function closeAll(connections) {
  for (const connection of connections) connection.close();
  // Those that do not answer the end of the stream are cut.
  await new Promise((resolve) => setTimeout(resolve, 150));
  for (const connection of connections) connection.socket.destroy();
}
