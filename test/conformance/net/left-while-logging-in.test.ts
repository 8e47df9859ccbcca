/**
 * A client may send all that it has behind its login, and leave before that is answered (MQTT 5 §3.1.4, STOMP 1.2 CONNECT).
 * Here a service is asked about the login, over each kind of connection, with more sent than one read takes.
 */
import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import mqttPacket from "mqtt-packet";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import type { Message } from "#core/bus/message.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { frame } from "../../support/stomp-frames.ts";
import { Certificates } from "../../unit/net/certificates.ts";

/** Of 1 KiB: more than one read takes, and no more than a system keeps for who does not read. */
const MESSAGES = 40;
const HOST = "127.0.0.1";

let service: Server;
/** Logins that have no answer yet. */
const asked: ServerResponse[] = [];
let files: Certificates;
let gateway: TestGateway;
/** By client. */
const heard = new Map<string, number[]>();
const wills: string[] = [];

beforeAll(async () => {
  files = new Certificates();
  files.issue("server", "/CN=localhost");
  service = createServer((request, response) => {
    request.resume();
    asked.push(response);
  });
  await once(service.listen(0, HOST), "listening");
  const url = `http://${HOST}:${(service.address() as AddressInfo).port}`;
  // Node learns late of a reset that comes while it ends a TLS connection: as long as that, it may linger.
  const listeners = {
    node: { transport: "tcp", tcp: { epoll: false } },
    tls: { transport: "tls", tcp: { linger: "200ms" } },
  };
  gateway = await startGateway({
    tls: { cert: files.path("server.pem"), key: files.path("server.key") },
    authentication: { anonymous: false, chain: [{ kind: "http", url }] },
    gateways: { mqtt: { listeners }, stomp: { listeners } },
  });
  const { bus } = gateway.composition;
  const options = { qos: 2, noLocal: false } as const;
  const hears = (key: string, deliver: (client: string, payload: Uint8Array) => void): void => {
    const subscriber = {
      key,
      available: true,
      deliver: ({ topic, payload }: Message) => deliver(topic.split("/")[1] as string, payload),
    };
    bus.subscribe(subscriber, `${key}/+`, options);
  };
  hears("heard", (client, payload) => heard.get(client)?.push(Number(Buffer.from(payload).toString())));
  hears("will", (client) => wills.push(client));
});

afterAll(async () => {
  await gateway.stop();
  service.close();
  files.remove();
});

const padded = (index: number): string => String(index).padStart(1024, "0");
const ALL = Array.from({ length: MESSAGES }, (_, index) => index);

function mqtt(protocolVersion: 4 | 5, clientId: string, goodbye: boolean): Buffer {
  const will = { topic: `will/${clientId}`, payload: Buffer.from("w"), qos: 0, retain: false };
  const packets = [
    {
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion,
      clientId,
      clean: true,
      keepalive: 60,
      will,
      username: clientId,
      password: Buffer.from("pw"),
    },
    ...ALL.map((index) => ({ cmd: "publish", topic: `heard/${clientId}`, payload: padded(index), qos: 0 })),
    ...(goodbye ? [{ cmd: "disconnect" }] : []),
  ];
  return Buffer.concat(
    packets.map((packet) => mqttPacket.generate(packet as never, { protocolVersion } as never)),
  );
}

const stomp = (clientId: string, goodbye: boolean): Buffer =>
  Buffer.concat([
    frame("CONNECT", { "accept-version": "1.2", host: "x", login: clientId, passcode: "pw" }),
    ...ALL.map((index) => frame("SEND", { destination: `heard/${clientId}` }, padded(index))),
    ...(goodbye ? [frame("DISCONNECT", { receipt: "r" })] : []),
  ]);

interface Dialect {
  readonly gateway: "mqtt" | "stomp";
  readonly path: string;
  readonly subprotocol: string;
  readonly bytes: (clientId: string, goodbye: boolean) => Buffer;
}
const DIALECTS: Record<string, Dialect> = {
  "MQTT 3.1.1": {
    gateway: "mqtt",
    path: "/mqtt",
    subprotocol: "mqtt",
    bytes: (clientId, goodbye) => mqtt(4, clientId, goodbye),
  },
  "MQTT 5": {
    gateway: "mqtt",
    path: "/mqtt",
    subprotocol: "mqtt",
    bytes: (clientId, goodbye) => mqtt(5, clientId, goodbye),
  },
  STOMP: { gateway: "stomp", path: "/stomp", subprotocol: "v12.stomp", bytes: stomp },
};

/** Sends it all, and gives the sockets below, once the system has taken what was written. */
type Way = (dialect: Dialect, bytes: Buffer) => Promise<{ raw: Socket; end: () => void }>;

async function dial(port: number): Promise<Socket> {
  const socket = connect({ port, host: HOST, allowHalfOpen: true });
  await once(socket, "connect");
  // Nobody reads: what is answered is unread when it is closed.
  return socket.on("error", () => {}).pause();
}
const taken = (write: (done: () => void) => void): Promise<void> => new Promise(write);

const overTcp =
  (listener: string): Way =>
  async (dialect, bytes) => {
    const raw = await dial(gateway.port(dialect.gateway, listener));
    await taken((done) => raw.write(bytes, done));
    return { raw, end: () => raw.end() };
  };
const WAYS: Record<string, Way> = {
  TCP: overTcp("tcp"),
  "TCP as Node reads it": overTcp("node"),
  TLS: async (dialect, bytes) => {
    const raw = await dial(gateway.port(dialect.gateway, "tls"));
    const secure = connectTls({ socket: raw, rejectUnauthorized: false });
    await once(secure, "secureConnect");
    secure.on("error", () => {});
    await taken((done) => secure.write(bytes, done));
    return { raw, end: () => secure.end() };
  },
  WebSocket: async (dialect, bytes) => {
    const port = gateway.port(dialect.gateway, "ws");
    const client = new WebSocket(`ws://${HOST}:${port}${dialect.path}`, dialect.subprotocol);
    client.on("error", () => {});
    await once(client, "open");
    const raw = (client as unknown as { _socket: Socket })._socket;
    await taken((done) => client.send(bytes, done));
    return { raw, end: () => client.close(1000) };
  },
};
const ENDS: Record<string, (of: { raw: Socket; end: () => void }) => void> = {
  "ends its stream": ({ end }) => end(),
  "closes with the answers unread": ({ raw }) => raw.destroy(),
  "resets the connection": ({ raw }) => raw.resetAndDestroy(),
};

/** Connections, those that are being closed, and octets held for them. */
const left = (): number[] => {
  const doors = gateway.composition.lifecycle.listeners.map(({ door }) => door);
  const sum = (of: (door: (typeof doors)[number]) => number): number =>
    doors.reduce((total, door) => total + of(door), 0);
  return [
    sum(({ loops }) => loops.size),
    sum(({ closing }) => closing),
    gateway.composition.core.memory.held,
  ];
};

/** Each end, with a DISCONNECT before it and without. */
const LIVES = Object.entries(ENDS).flatMap(([how, end]) =>
  [true, false].map((goodbye) => ({
    clientId: `${how}, ${goodbye ? "with" : "without"} DISCONNECT`,
    end,
    goodbye,
  })),
);

describe.each(Object.keys(WAYS))("over %s", (way) => {
  it.each(Object.keys(DIALECTS))(
    "%s: all that was sent before the end is published in order, and a will by the clause [MQTT-3.1.2-8]",
    async (name) => {
      const dialect = DIALECTS[name]!;
      heard.clear();
      wills.length = 0;
      for (const { clientId } of LIVES) heard.set(clientId, []);
      const clients = await Promise.all(
        LIVES.map(async ({ clientId, goodbye, end }) => {
          const client = await WAYS[way]!(dialect, dialect.bytes(clientId, goodbye));
          return { ...client, leave: () => end(client) };
        }),
      );
      await expect.poll(() => asked.length, { timeout: 5000 }).toBe(LIVES.length);
      for (const { leave } of clients) leave();
      await new Promise((resolve) => setTimeout(resolve, 20));
      for (const response of asked.splice(0)) response.writeHead(204).end();
      const whole = Object.fromEntries(LIVES.map(({ clientId }) => [clientId, ALL]));
      await expect.poll(() => Object.fromEntries(heard), { timeout: 5000 }).toEqual(whole);
      await expect.poll(left, { timeout: 5000 }).toEqual([0, 0, 0]);
      const lost = LIVES.filter(({ goodbye }) => !goodbye && dialect.gateway === "mqtt");
      expect(wills.sort()).toEqual(lost.map(({ clientId }) => clientId).sort());
      for (const { raw } of clients) raw.destroy();
    },
  );
});
