/** Keys of devices that a database holds: a real handshake of a foreign client waits for a real server's answer. */
import { Redis } from "ioredis";
import { afterAll, it as anyIt, beforeAll, expect } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { lacks } from "../../support/programs.ts";
import { type Server, startRedis } from "../../support/servers.ts";
import { Certificates } from "../../unit/net/certificates.ts";
import { openssl, PONG, withPsk } from "./support.ts";

const lacking = lacks("redis-server") || lacks("openssl");
const it = anyIt.skipIf(lacking);
const CIPHER = "PSK-AES128-CCM8";

let redis: Server;
let gateway: TestGateway;
const certificates = new Certificates();
const identities: unknown[] = [];

beforeAll(async () => {
  if (lacking) return;
  redis = await startRedis();
  const client = new Redis(redis.port);
  await client.hset("device:meter-7", "psk", "a1b2c3d4e5f6");
  client.disconnect();
  // A file beside it holds nobody: that is asked first.
  certificates.write("psk", "somebody:00\n");
  gateway = await startGateway({
    tls: { pskFile: certificates.path("psk") },
    dtls: { keysFromAuthentication: true },
    authentication: {
      anonymous: false,
      chain: [
        { kind: "redis", port: redis.port, pskCommand: "HGET device:%u psk" },
        { kind: "transport-identity" },
      ],
    },
    gateways: { coap: {} },
  });
  const { core } = gateway.composition;
  const { note } = core;
  core.note = (from, what, about) => {
    if (what.event === "dtls-associated") identities.push(what.detail?.["identity"]);
    note.call(core, from, what, about);
  };
});
afterAll(async () => {
  await gateway?.stop();
  await redis?.stop();
  certificates.remove();
});

it("openssl s_client shakes hands with a pre-shared key from redis, and is known by its identity", async () => {
  const port = gateway.port("coap", "dtls");
  const { bytes, output } = await openssl(port, withPsk(CIPHER, "a1b2c3d4e5f6", "meter-7"));
  expect(output).toContain(`Cipher is ${CIPHER}`);
  expect(bytes.includes(PONG)).toBe(true);
  expect(identities).toEqual(["meter-7"]);
});

it("who has another key, or is not in redis, gets no association", async () => {
  const port = gateway.port("coap", "dtls");
  for (const args of [withPsk(CIPHER, "00ff", "meter-7"), withPsk(CIPHER, "a1b2c3d4e5f6", "meter-8")]) {
    const { bytes } = await openssl(port, args);
    expect(bytes.includes(PONG)).toBe(false);
  }
  expect(identities).toEqual(["meter-7"]);
});

it("a key that the database has from now on is taken at once, without a reload", async () => {
  const client = new Redis(redis.port);
  await client.hset("device:meter-9", "psk", "0102");
  client.disconnect();
  const { bytes } = await openssl(gateway.port("coap", "dtls"), withPsk(CIPHER, "0102", "meter-9"));
  expect(bytes.includes(PONG)).toBe(true);
});
