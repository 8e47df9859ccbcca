/** A balancer before the servers learns for which device each connection is made (PROXY protocol). */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type End, proxyHeader } from "#core/net/proxy-header.ts";
import { parseProxyHeader } from "#core/net/proxy-protocol.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { lacks } from "../../support/programs.ts";
import { type Server, startHaproxy, startMosquitto } from "../../support/servers.ts";
import { Certificates } from "../../unit/net/certificates.ts";
import { Talker } from "./transparent/talker.ts";

const PATIENCE = 120_000;
const SERVER: End = { address: "10.0.0.1", port: 1883 };

describe("PROXY protocol: the header that is sent", () => {
  const devices: readonly End[] = [
    { address: "192.0.2.7", port: 50_000 },
    { address: "2001:db8::1", port: 65_535 },
    { address: "fe80::a:0:0:1", port: 1 },
  ];
  for (const version of ["v1", "v2"] as const) {
    it.each(devices)(`${version}: names the device $address`, (device) => {
      const header = proxyHeader(version, device, SERVER);
      expect(parseProxyHeader(header)).toMatchObject({
        ok: true,
        value: { source: device, length: header.length },
      });
    });

    it(`${version}: says that we speak for ourselves`, () => {
      const header = proxyHeader(version, undefined, SERVER);
      expect(parseProxyHeader(header)).toMatchObject({ ok: true, value: { source: undefined } });
    });
  }
});

describe.skipIf(lacks("mosquitto", "haproxy"))("a haproxy before mosquitto", { timeout: PATIENCE }, () => {
  const certificates = new Certificates();
  let broker: Server;
  let haproxy: Awaited<ReturnType<typeof startHaproxy>> | undefined;
  let gateway: TestGateway | undefined;

  beforeAll(async () => {
    broker = await startMosquitto();
  }, PATIENCE);
  afterEach(async () => {
    await gateway?.stop();
    await haproxy?.stop();
  }, PATIENCE);
  afterAll(() => broker.stop(), PATIENCE);

  it.each([
    { proxyProtocol: "v1", scheme: "tcp" },
    { proxyProtocol: "v2", scheme: "tcp" },
    { proxyProtocol: "v2", scheme: "tls" },
  ])(
    "is told the device's own address and port, $proxyProtocol, $scheme",
    async ({ proxyProtocol, scheme }) => {
      certificates.issue("server", "/CN=localhost");
      const both = certificates.path("both.pem");
      const parts = ["server.pem", "server.key"].map((name) => readFileSync(certificates.path(name), "utf8"));
      writeFileSync(both, parts.join("\n"));
      haproxy = await startHaproxy(broker.port, scheme === "tls" ? both : undefined);
      const group = {
        servers: [{ url: `${scheme}://127.0.0.1:${haproxy.port}` }],
        proxyProtocol,
        ...(scheme === "tls" ? { tls: { verify: false } } : {}),
      };
      gateway = await startGateway({
        bus: { engine: "upstream", upstream: { groups: { default: group }, grace: "10m", patience: "10m" } },
        gateways: { mqtt: {} },
      });
      const socket = connectTcp(gateway.port("mqtt", "tcp"), "127.0.0.1");
      const device = new Talker(socket, 5, () => {});
      expect(await device.connect()).toMatchObject([{ cmd: "connack", reasonCode: 0 }]);
      const line = `from 127.0.0.1:${socket.localPort}\n`;
      const { log } = haproxy;
      // It writes a line as soon as it has reached the broker, and CONNACK has come from there.
      await expect
        .poll(() => existsSync(log) && readFileSync(log, "utf8"), { timeout: PATIENCE })
        .toContain(line);
      device.cut();
    },
  );
});
