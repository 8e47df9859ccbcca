import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { minutes } from "#core/lib/time.ts";
import { DtlsCertificates } from "../../support/dtls-certificates.ts";
import { DtlsDevice } from "../../support/dtls-device.ts";
import { DtlsWorld } from "../../support/dtls-world.ts";

let made: DtlsCertificates;
beforeAll(() => {
  made = new DtlsCertificates();
  made.issue("server", "/CN=gw.example");
  made.issue("client", "/CN=meter-7");
  made.write("psk", "dev1:7365637265742d6b6579\n");
});
afterAll(() => made.remove());

const KEY = Buffer.from("secret-key");

/** As somebody could have written octets into a text. */
const forms = (secret: Uint8Array): string[] => {
  const bytes = Buffer.from(secret);
  return [
    bytes.toString("hex"),
    bytes.toString("base64"),
    bytes.toString("latin1"),
    JSON.stringify([...bytes]).slice(1, -1),
  ];
};

describe("notes of DTLS, at every level", () => {
  it("hold no pre-shared key, master secret, key block or private key, however handshakes end", () => {
    const credentials = made.credentials({
      cert: made.path("server.pem"),
      key: made.path("server.key"),
      ca: made.path("ca.pem"),
      pskFile: made.path("psk"),
      clientCertificate: "request",
    });
    const masters: Uint8Array[] = [];
    const world = new DtlsWorld({
      credentials,
      keyLog: (_random, master) => masters.push(new Uint8Array(master)),
    });
    const devices = [
      new DtlsDevice(world, { port: 1, key: KEY, cid: Uint8Array.of(1) }),
      new DtlsDevice(world, { port: 2, key: Buffer.from("wrong-key") }),
      new DtlsDevice(world, { port: 3, key: KEY, identity: "nobody" }),
      new DtlsDevice(world, {
        port: 4,
        suite: "ECDHE_ECDSA_WITH_AES_128_CCM_8",
        proof: made.proof("client"),
      }),
      new DtlsDevice(world, { port: 5, key: KEY, flight: () => [] }),
    ];
    const blocks: Uint8Array[] = [];
    for (const device of devices) device.connect();
    for (const association of world.listener.associations.all()) {
      blocks.push(new Uint8Array(association.terms.material.block));
    }
    devices[0]!.sendBytes(new Uint8Array(devices[0]!.record(Buffer.from("payload"))));
    devices[0]!.move("198.51.100.1", 7);
    devices[0]!.send("payload");
    world.pass(minutes(10));
    expect(masters.length).toBeGreaterThanOrEqual(4);
    expect(blocks).toHaveLength(2);
    const written = JSON.stringify([
      world.notes,
      world.closed.map(({ why }) => why),
      world.outcomes,
      world.dropped,
    ]);
    expect(written).toContain("meter-7");
    expect(written).toContain("decrypt_error");
    const { key } = made.rawProof("server");
    const scalar = Buffer.from(String(key.export({ format: "jwk" }).d), "base64url");
    for (const secret of [KEY, ...masters, ...blocks, scalar]) {
      for (const form of forms(secret)) expect(written).not.toContain(form);
    }
  });

  it("do not outlive an association: its keys are overwritten when it ends", () => {
    const world = new DtlsWorld();
    const device = new DtlsDevice(world);
    device.connect();
    const [association] = world.listener.associations.all();
    const { block } = association!.terms.material;
    expect(block.some((octet) => octet !== 0)).toBe(true);
    world.listener.close(association!, "test");
    expect(block.every((octet) => octet === 0)).toBe(true);
  });
});
