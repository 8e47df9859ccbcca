/** MQTT 5's enhanced authentication with SCRAM, spoken with other people's codec over real sockets. */
import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generate, type Packet, parser } from "mqtt-packet";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { makeVerifier } from "#core/authenticate/scram.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";

const folder = mkdtempSync(join(tmpdir(), "isthmus-scram-"));
let gateway: TestGateway;
const peers: Peer[] = [];
beforeAll(async () => {
  const verifiers = await Promise.all([makeVerifier("pencil", "sha256"), makeVerifier("pencil", "sha512")]);
  const users = [
    { username: "ann", scram: verifiers.join(" ") },
    { username: "bob", password: "plain:public" },
  ];
  writeFileSync(join(folder, "users.yaml"), JSON.stringify({ users }));
  const file = join(folder, "users.yaml");
  gateway = await startGateway({
    authentication: { anonymous: true, chain: [{ kind: "users-file", file }] },
    gateways: { mqtt: { listeners: { tcp: { limits: { connectTimeout: "2s" } } } } },
  });
});
afterEach(() => {
  for (const peer of peers.splice(0)) peer.socket.destroy();
});
afterAll(async () => {
  await gateway.stop();
  rmSync(folder, { recursive: true });
});

type Properties = { authenticationMethod?: string; authenticationData?: Buffer; reasonString?: string };
type Heard = Packet & { reasonCode?: number; properties?: Properties };

class Peer {
  readonly socket: Socket;
  readonly #heard: Heard[] = [];
  #closed = false;

  constructor(method: string) {
    this.method = method;
    this.socket = connect(gateway.port("mqtt", "tcp"), "127.0.0.1");
    const reader = parser({ protocolVersion: 5 });
    reader.on("packet", (packet) => this.#heard.push(packet as Heard));
    this.socket.on("data", (chunk) => reader.parse(chunk));
    this.socket.on("close", () => {
      this.#closed = true;
    });
    this.socket.on("error", () => {});
    peers.push(this);
  }

  readonly method: string;

  send(packet: object): void {
    this.socket.write(generate(packet as Packet, { protocolVersion: 5 }));
  }

  async next(): Promise<Heard | "closed"> {
    await expect.poll(() => this.#heard.length > 0 || this.#closed, { timeout: 20_000 }).toBe(true);
    return this.#heard.shift() ?? "closed";
  }

  connect(first: string, more: object = {}): void {
    this.send({
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion: 5,
      clean: true,
      clientId: "scram",
      keepalive: 60,
      properties: { authenticationMethod: this.method, authenticationData: Buffer.from(first) },
      ...more,
    });
  }

  auth(reasonCode: number, data: string, method = this.method): void {
    const properties = { authenticationMethod: method, authenticationData: Buffer.from(data) };
    this.send({ cmd: "auth", reasonCode, properties });
  }

  /** What the server asks, and the right answer to it, for this password. */
  async challenged(password: string, bare = "n=ann,r=abc"): Promise<string> {
    const asked = await this.next();
    if (asked === "closed" || asked.cmd !== "auth") throw new Error(`not asked: ${JSON.stringify(asked)}`);
    expect(asked).toMatchObject({ reasonCode: 0x18, properties: { authenticationMethod: this.method } });
    return finalOf(this.method, password, bare, String(asked.properties?.authenticationData));
  }
}

function finalOf(method: string, password: string, bare: string, serverFirst: string): string {
  const [hash, length] = method.endsWith("512") ? (["sha512", 64] as const) : (["sha256", 32] as const);
  const [, nonce, salt, rounds] = /^r=([^,]*),s=([^,]*),i=(\d+)$/.exec(serverFirst)!;
  const salted = pbkdf2Sync(password, Buffer.from(salt!, "base64"), Number(rounds), length, hash);
  const key = createHmac(hash, salted).update("Client Key").digest();
  const without = `c=biws,r=${nonce}`;
  const stored = createHash(hash).update(key).digest();
  const signature = createHmac(hash, stored).update(`${bare},${serverFirst},${without}`).digest();
  return `${without},p=${Buffer.from(key.map((octet, at) => octet ^ signature[at]!)).toString("base64")}`;
}

const FIRST = "n,,n=ann,r=abc";

for (const method of ["SCRAM-SHA-256", "SCRAM-SHA-512"]) {
  describe(method, () => {
    const login = async (): Promise<Peer> => {
      const peer = new Peer(method);
      peer.connect(FIRST);
      peer.auth(0x18, await peer.challenged("pencil"));
      const connack = await peer.next();
      expect(connack).toMatchObject({
        cmd: "connack",
        reasonCode: 0,
        properties: { authenticationMethod: method },
      });
      expect(String((connack as Heard).properties?.authenticationData)).toMatch(/^v=/);
      return peer;
    };

    it("lets in by CONNECT, AUTH, AUTH, CONNACK, and the server proves itself too (MQTT 5 §4.12)", async () => {
      const peer = await login();
      peer.send({ cmd: "pingreq" });
      expect(await peer.next()).toMatchObject({ cmd: "pingresp" });
    });

    it("refuses a wrong password and an unknown name alike, at the end, by 0x86 or 0x87", async () => {
      const codes: unknown[] = [];
      for (const name of ["ann", "nobody"]) {
        const peer = new Peer(method);
        peer.connect(`n,,n=${name},r=abc`);
        peer.auth(0x18, await peer.challenged("wrong", `n=${name},r=abc`));
        const connack = (await peer.next()) as Heard;
        codes.push([connack.reasonCode, connack.properties?.reasonString]);
        expect(await peer.next()).toBe("closed");
      }
      expect(codes[0]).toEqual(codes[1]);
      expect([0x86, 0x87]).toContain((codes[0] as unknown[])[0]);
    });

    it("authenticates again while all else goes on, and ends the connection where that fails (§4.12.1)", async () => {
      const peer = await login();
      peer.auth(0x19, FIRST);
      peer.send({ cmd: "pingreq" });
      const final = await peer.challenged("pencil");
      expect(await peer.next()).toMatchObject({ cmd: "pingresp" });
      peer.auth(0x18, final);
      expect(await peer.next()).toMatchObject({ cmd: "auth", reasonCode: 0 });
      peer.auth(0x19, FIRST);
      peer.auth(0x18, await peer.challenged("wrong"));
      expect(await peer.next()).toMatchObject({ cmd: "disconnect", reasonCode: 0x87 });
    });

    it("is the method that the connection keeps: another one in AUTH is a protocol error [MQTT-4.12.1-1]", async () => {
      const peer = await login();
      peer.auth(0x19, FIRST, "OTHER");
      expect(await peer.next()).toMatchObject({ cmd: "disconnect", reasonCode: 0x82 });
    });
  });
}

const METHOD = "SCRAM-SHA-256";

it("refuses a method that is not offered by 0x8C", async () => {
  const peer = new Peer("GSSAPI");
  peer.connect("x");
  expect(await peer.next()).toMatchObject({ cmd: "connack", reasonCode: 0x8c });
});

it("takes nothing but AUTH and DISCONNECT before CONNACK [MQTT-3.1.2-30]", async () => {
  for (const packet of [{ cmd: "pingreq" }, { cmd: "publish", topic: "t", payload: "x", qos: 0 }]) {
    const peer = new Peer(METHOD);
    peer.connect(FIRST);
    await peer.challenged("pencil");
    peer.send(packet);
    expect(await peer.next()).toMatchObject({ cmd: "connack", reasonCode: 0x82 });
    expect(await peer.next()).toBe("closed");
  }
  const peer = new Peer(METHOD);
  peer.connect(FIRST);
  await peer.challenged("pencil");
  peer.send({ cmd: "disconnect", reasonCode: 0 });
  expect(await peer.next()).toBe("closed");
});

it("refuses AUTH with another method or reason, and first messages that are none", async () => {
  for (const send of [
    (peer: Peer, final: string) => peer.auth(0x18, final, "OTHER"),
    (peer: Peer, final: string) => peer.auth(0x19, final),
  ]) {
    const peer = new Peer(METHOD);
    peer.connect(FIRST);
    send(peer, await peer.challenged("pencil"));
    expect(await peer.next()).toMatchObject({ cmd: "connack", reasonCode: 0x82 });
  }
  const peer = new Peer(METHOD);
  peer.connect("p=tls-unique,,n=ann,r=abc");
  expect((await peer.next()) as Heard).toMatchObject({ cmd: "connack", reasonCode: 0x86 });
});

it("does not wait longer than for a CONNECT", async () => {
  const peer = new Peer(METHOD);
  peer.connect(FIRST);
  await peer.challenged("pencil");
  expect(await peer.next()).toBe("closed");
});

it("lets nobody without a password in under a name that has SCRAM only", async () => {
  const peer = new Peer(METHOD);
  for (const password of [undefined, "pencil"]) {
    const other = new Peer(METHOD);
    other.send({
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion: 5,
      clean: true,
      clientId: "plain",
      username: "ann",
      ...(password === undefined ? {} : { password: Buffer.from(password) }),
    });
    expect((await other.next()) as Heard).toMatchObject({ cmd: "connack", reasonCode: 0x86 });
  }
  peer.connect(FIRST, { username: "bob" });
  peer.auth(0x18, await peer.challenged("pencil"));
  expect((await peer.next()) as Heard).toMatchObject({ cmd: "connack", reasonCode: 0x86 });
});
