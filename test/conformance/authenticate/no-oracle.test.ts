/**
 * Who is refused is not told why: an unknown name and a wrong password get the same octets for the same work, over each of
 * the five protocols (17.6). The work is counted in hashes, which are what takes time.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import { PasswordCheck } from "#core/authenticate/password-check.ts";
import { hashPassword } from "#core/authenticate/password-hash.ts";
import { CON, RST, readMessage, textOption, uintOption, writeMessage } from "../../support/coap-bytes.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { hexOf, message, SnSocket } from "../../support/mqtt-sn-socket.ts";

const GUESS = "a guess";
/** Has a password, and it is none of those below; each other name has none. */
const KNOWN = "meter-1";

let folder = "";
let gateway: TestGateway;
const hashes = vi.spyOn(PasswordCheck.prototype, "verify");

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-oracle-"));
  const hash = await hashPassword("right");
  const [users, others] = ["users.yaml", "others.yaml"].map((name) => join(folder, name)) as [string, string];
  writeFileSync(users, `users: [{ username: ${KNOWN}, password: "${hash}" }]\n`);
  writeFileSync(others, `users: [{ username: somebody, password: "${hash}" }]\n`);
  gateway = await startGateway({
    authentication: {
      anonymous: false,
      chain: [users, others].map((file) => ({ kind: "users-file", file })),
      hashing: { cacheEntries: 0 },
    },
    gateways: {
      ...{ mqtt: {}, coap: {}, stomp: {} },
      lwm2m: { presents: { username: "%e", password: GUESS } },
      "mqtt-sn": { presents: { username: "%c", password: GUESS } },
    },
  });
});
afterEach(() => hashes.mockClear());
afterAll(async () => {
  await gateway?.stop();
  hashes.mockRestore();
  rmSync(folder, { recursive: true });
});

/** All that a server says over a connection until it closes it, in hexadecimal. */
const saidOverTcp = (port: number, words: Buffer): Promise<string> =>
  new Promise((resolve, reject) => {
    const heard: Buffer[] = [];
    const socket = connect(port, "127.0.0.1", () => socket.write(words));
    socket.on("data", (bytes) => heard.push(bytes)).once("error", reject);
    socket.once("close", () => resolve(Buffer.concat(heard).toString("hex")));
  });

const field = (text: string): Buffer => {
  const octets = Buffer.from(text);
  return Buffer.concat([Buffer.from([0, octets.length]), octets]);
};

/** MQTT 3.1.1 (level 4) and 5: CONNECT with user name and password. */
const overMqtt =
  (level: 4 | 5) =>
  (name: string, password: string): Promise<string> => {
    const properties = level === 5 ? Buffer.from([0]) : Buffer.alloc(0);
    const body = Buffer.concat([
      ...[field("MQTT"), Buffer.from([level, 0xc2, 0, 60]), properties],
      ...[field("device"), field(name), field(password)],
    ]);
    return saidOverTcp(gateway.port("mqtt", "tcp"), Buffer.concat([Buffer.from([0x10, body.length]), body]));
  };

const overStomp = (name: string, password: string): Promise<string> =>
  saidOverTcp(
    gateway.port("stomp", "tcp"),
    Buffer.from(`CONNECT\naccept-version:1.2\nhost:x\nlogin:${name}\npasscode:${password}\n\n\0`),
  );

async function overMqttSn(clientId: string): Promise<string> {
  const device = await SnSocket.open(gateway.port("mqtt-sn", "udp"));
  try {
    return await device.ask(message(`04 04 01 0e10 ${hexOf(clientId)}`));
  } finally {
    await device.close();
  }
}

/** The response to a request from a port that nobody knows: code, token, options, payload. When it comes decides the rest. */
async function saidOverCoap(request: string): Promise<string> {
  const device = await SnSocket.open(gateway.port("coap", "udp"));
  try {
    let answer = readMessage(Buffer.from(await device.ask(request), "hex"));
    for (;;) {
      const { type, code, token, options, payload } = answer;
      const shown = options.map(({ number, value }) => `${number}=${Buffer.from(value).toString("hex")}`);
      if (code !== "0.00") return [code, token, ...shown, Buffer.from(payload).toString()].join(" ");
      // Whoever is not known is asked whether it is there (RFC 7252 §4.3).
      const reset = writeMessage({ type: RST, code: "0.00", id: answer.id });
      if (type === CON) await device.send(Buffer.from(reset).toString("hex"));
      answer = readMessage(Buffer.from(await device.next(), "hex"));
    }
  } finally {
    await device.close();
  }
}

const CONTENT_FORMAT = 12;
const [URI_PATH, URI_QUERY] = [11, 15];
const coapRequest = (
  code: string,
  path: readonly string[],
  query: readonly string[],
  more: object[],
): string =>
  Buffer.from(
    writeMessage({
      ...{ type: CON, code, id: 0x1234, token: "0a0b" },
      options: [
        ...path.map((segment) => textOption(URI_PATH, segment)),
        ...(more as ReturnType<typeof uintOption>[]),
        ...query.map((part) => textOption(URI_QUERY, part)),
      ],
      payload: Buffer.from("</3/0>"),
    }),
  ).toString("hex");

const overCoap = (name: string, password: string): Promise<string> =>
  saidOverCoap(coapRequest("0.03", ["ps", "t"], ["c=device", `u=${name}`, `p=${password}`], []));
/** What stands for the password is what the configuration gives to all. */
const overLwm2m = (endpoint: string): Promise<string> =>
  saidOverCoap(
    coapRequest(
      "0.02",
      ["rd"],
      [`ep=${endpoint}`, "lt=300", "lwm2m=1.1", "b=U"],
      [uintOption(CONTENT_FORMAT, 40)],
    ),
  );
const PROTOCOLS = [
  ["MQTT 3.1.1", overMqtt(4), /^20020004$/],
  ["MQTT 5", overMqtt(5), /^20..0086/],
  ["MQTT-SN", overMqttSn, /^030503$/],
  // 4.01; and 4.03 (LwM2M 1.1 Transport §6.4.5).
  ["CoAP", overCoap, /^4\.01 0a0b /],
  ["LwM2M", overLwm2m, /^4\.03 0a0b /],
  ["STOMP", overStomp, new RegExp(`^${Buffer.from("ERROR\n").toString("hex")}`)],
] as const;

it.each(PROTOCOLS)(
  "%s tells an unknown name by neither octets nor work from a wrong password",
  async (_name, login, refused) => {
    const outcomes: { readonly said: string; readonly hashes: number }[] = [];
    // As long as each other, so that an echo of the name would show.
    for (const name of [KNOWN, "meter-2", "meter-3", KNOWN]) {
      hashes.mockClear();
      const said = await login(name, GUESS);
      outcomes.push({ said: said.replaceAll(hexOf(name), "(name)"), hashes: hashes.mock.calls.length });
    }
    expect(outcomes[0]!.said).toMatch(refused);
    expect(outcomes[0]!.hashes).toBe(1);
    for (const outcome of outcomes) expect(outcome).toEqual(outcomes[0]);
  },
);

it.each(PROTOCOLS.filter(([name]) => !["MQTT-SN", "LwM2M"].includes(name)))(
  "%s tells an empty password of a known name by neither octets nor work from that of an unknown one",
  async (_name, login, refused) => {
    const outcomes: unknown[] = [];
    for (const name of [KNOWN, "meter-2"]) {
      hashes.mockClear();
      const said = await login(name, "");
      expect(said).toMatch(refused);
      outcomes.push([said, hashes.mock.calls.length]);
    }
    expect(outcomes[1]).toEqual(outcomes[0]);
  },
);
