/** A login that has an end (`exp` of a token, `expire_at` of a service) ends for the clients of all five protocols. */
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { text } from "node:stream/consumers";
import coap from "coap";
import { SignJWT } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { hexOf, message, SnSocket } from "../../support/mqtt-sn-socket.ts";

const PATIENCE = { timeout: 60_000, interval: 50 };
const SECRET = Buffer.from("0123456789abcdef0123456789abcdef");

let service: Server;
let gateway: TestGateway;
/** How often the service was asked about a name. */
const asked = new Map<string, number>();

/** A second or two from now. */
const soon = (): number => Math.ceil(Date.now() / 1000) + 1;

beforeAll(async () => {
  service = createServer(async (request, response) => {
    const { username } = JSON.parse(await text(request));
    asked.set(username, (asked.get(username) ?? 0) + 1);
    response.end(JSON.stringify({ result: "allow", expire_at: soon() }));
  });
  await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(service.address() as AddressInfo).port}/`;
  gateway = await startGateway({
    authentication: {
      anonymous: false,
      chain: [
        { kind: "jwt", secret: SECRET.toString() },
        { kind: "http", url },
      ],
    },
    gateways: {
      ...{ mqtt: {}, coap: {}, stomp: {} },
      lwm2m: { presents: { username: "%e", password: "x" } },
      "mqtt-sn": { presents: { username: "%c", password: "x" } },
    },
  });
});
afterAll(async () => {
  await gateway?.stop();
  service.closeAllConnections();
  service.close();
});

/** All that is said to a client until its connection is closed. */
const saidUntilClosed = (port: number, words: Buffer): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const heard: Buffer[] = [];
    const socket = connect(port, "127.0.0.1", () => socket.write(words));
    socket.on("data", (bytes) => heard.push(bytes)).once("error", reject);
    socket.once("close", () => resolve(Buffer.concat(heard)));
  });

const field = (words: string): Buffer => {
  const octets = Buffer.from(words);
  return Buffer.concat([Buffer.from([octets.length >> 8, octets.length & 255]), octets]);
};

/** Of MQTT 5; remaining lengths of up to 16,383. */
function connectOf(clientId: string, password: string): Buffer {
  const body = Buffer.concat([
    ...[field("MQTT"), Buffer.from([5, 0xc2, 0, 60, 0])],
    ...[field(clientId), field("ann"), field(password)],
  ]);
  return Buffer.concat([Buffer.from([0x10, (body.length & 127) | 128, body.length >> 7]), body]);
}

const token = (): Promise<string> =>
  new SignJWT({ username: "ann" })
    .setProtectedHeader({ alg: "HS256" })
    .setExpirationTime(soon())
    .sign(SECRET);

const BY = [
  ["that a service gives", async () => "x"],
  ["of a token", token],
] as const;

it.each(BY)(
  "%s: MQTT 5 hears DISCONNECT (0xA0, maximum connect time: MQTT 5 §3.14.2.1), and its connection is closed",
  async (by, password) => {
    // One that is slower than its login is refused, and comes again.
    await expect
      .poll(async () => {
        const words = connectOf(by, await password());
        return (await saidUntilClosed(gateway.port("mqtt", "tcp"), words)).toString("hex");
      }, PATIENCE)
      .toMatch(/^20..0000.*e0..a0/);
  },
);

it.each(BY)("%s: STOMP hears ERROR, and its connection is closed", async (_by, password) => {
  await expect
    .poll(async () => {
      const words = `CONNECT\naccept-version:1.2\nhost:x\nlogin:ann\npasscode:${await password()}\n\n\0`;
      return (await saidUntilClosed(gateway.port("stomp", "tcp"), Buffer.from(words))).toString();
    }, PATIENCE)
    .toMatch(/^CONNECTED\n(.|\n)*\0\s*ERROR\n/);
});

it("that a service gives: MQTT-SN hears DISCONNECT", async () => {
  const device = await SnSocket.open(gateway.port("mqtt-sn", "udp"));
  await expect
    .poll(() => device.ask(message(`04 04 01 0e10 ${hexOf("sn-device")}`)), PATIENCE)
    .toBe("030500");
  expect(await device.next()).toBe("0218");
  await device.close();
});

interface Shown {
  readonly name: unknown;
  readonly value: unknown;
}

/** The code and the location of the answer. */
const ask = (method: "POST" | "PUT", pathname: string, query: string): Promise<[string, string]> =>
  new Promise((resolve, reject) => {
    const port = gateway.port("coap", "udp");
    const request = coap.request({ hostname: "127.0.0.1", port, method, pathname, query });
    if (pathname === "/rd") request.setOption("Content-Format", "application/link-format");
    request.on("response", (response) => {
      const location = response.options.filter(({ name }: Shown) => name === "Location-Path");
      resolve([response.code, `/${location.map(({ value }: Shown) => String(value)).join("/")}`]);
    });
    request.on("error", reject);
    request.end(pathname === "/rd" ? "</3/0>" : "");
  });

it("that a service gives: a device of LwM2M is registered no more, and hears 4.04 when it updates", async () => {
  let registered: [string, string] = ["", ""];
  await expect
    .poll(async () => {
      registered = await ask("POST", "/rd", "ep=ender&lt=300&lwm2m=1.1&b=U");
      return registered[0];
    }, PATIENCE)
    .toBe("2.01");
  await expect.poll(async () => (await ask("POST", registered[1], ""))[0], PATIENCE).toBe("4.04");
});

it("that a service gives: a client of CoAP is let in anew, by its next request", async () => {
  await expect
    .poll(async () => {
      await ask("PUT", "/ps/t", "c=coap-device&u=coap-user&p=x");
      return (asked.get("coap-user") ?? 0) >= 2;
    }, PATIENCE)
    .toBe(true);
});
