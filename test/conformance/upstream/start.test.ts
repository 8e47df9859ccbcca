/** A gateway that starts before a cluster that is not there, or does not want it: it says so, and goes on or stops. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import mqtt from "mqtt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { describeError } from "#core/cli/errors.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { lacks } from "../../support/programs.ts";
import { type Server, startMosquitto } from "../../support/servers.ts";
import { until } from "../../support/store-process.ts";

const PATIENCE = 120_000;

describe.skipIf(lacks("mosquitto"))("the start of a gateway before a cluster", { timeout: PATIENCE }, () => {
  let folder: string;
  let broker: Server;
  let gateway: TestGateway | undefined;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "isthmus-start-"));
    const passwords = join(folder, "passwords");
    execFileSync("mosquitto_passwd", ["-b", "-c", passwords, "known", "secret"], { stdio: "ignore" });
    broker = await startMosquitto("allow_anonymous false", `password_file ${passwords}`);
  }, PATIENCE);
  afterEach(async () => {
    await gateway?.stop();
    gateway = undefined;
    await broker.stop();
    rmSync(folder, { recursive: true, force: true });
  }, PATIENCE);

  const url = () => `tcp://127.0.0.1:${broker.port}`;
  const before = (upstream: object): Promise<TestGateway> =>
    startGateway({ bus: { engine: "upstream", upstream }, gateways: { mqtt: {} } });
  const groups = () => ({
    default: { servers: [{ url: url() }], health: { retry: { first: "50ms", longest: "200ms" } } },
  });
  const soon = { first: "50ms", longest: "200ms" };

  /** What the command line says. */
  const refused = async (upstream: object) => {
    const failed = await before({ ...upstream, required: true }).catch((error: unknown) => error);
    const { code, exit, lines } = describeError(failed);
    return { code, exit, line: lines.join("\n") };
  };

  it("fails where a server is required and none can be reached: with the key, the value and the last failure", async () => {
    await broker.kill();
    const { code, exit, line } = await refused({ servers: [url()], patience: "300ms", reconnect: soon });
    expect([code, exit]).toEqual(["upstream-unreachable", 1]);
    expect(line).toContain(`bus.upstream.servers is ["${url()}"]`);
    expect(line).toMatch(/ECONNREFUSED|refused/i);
    const named = await refused({ groups: groups(), patience: "300ms", reconnect: soon });
    expect(named.line).toContain(`bus.upstream.groups.default.servers is ["${url()}"]`);
  });

  it("fails where a server is required and refuses the gateway's login: with the key and the value", async () => {
    const { code, line } = await refused({ servers: [url()], patience: "10m", username: "nobody" });
    expect(code).toBe("upstream-unreachable");
    expect(line).toContain('bus.upstream.username is "nobody"');
    expect(line).toContain("bus.upstream.password");
  });

  it("goes well where a server is required and lets it in", async () => {
    const login = { username: "known", password: "secret" };
    gateway = await before({ servers: [url()], patience: "10m", required: true, ...login });
    expect(gateway.composition.upstream?.engine.healthy).toBe(true);
  });

  it("says where none can be reached, with key and value, and goes on trying until one is there", async () => {
    await broker.kill();
    const login = { username: "known", password: "secret" };
    const started = await before({ groups: groups(), patience: "300ms", reconnect: soon, ...login });
    gateway = started;
    const said = () => started.log.map((line) => JSON.parse(line));
    await until(() => said().some(({ event }) => event === "upstream-unreachable"), "nothing is said");
    expect(said().find(({ event }) => event === "upstream-unreachable")).toMatchObject({
      key: "bus.upstream.groups.default.servers",
      value: `["${url()}"]`,
      problem: expect.stringMatching(/refused/i),
    });
    await broker.restart();
    await until(
      () => [...(started.composition.upstream?.servers.status() ?? [])][0]?.sessions === 1,
      "it is not in",
    );
  });

  it("says where its login is refused, and lets in devices whose own is not", async () => {
    const started = await before({ servers: [url()], patience: "10m", username: "nobody" });
    gateway = started;
    const denied = () =>
      started.log.map((line) => JSON.parse(line)).find(({ event }) => event === "upstream-service-denied");
    await until(() => denied() !== undefined, "nothing is said");
    expect(denied()).toMatchObject({
      username: "nobody",
      fix: expect.stringContaining("bus.upstream.username"),
    });
    const device = await mqtt.connectAsync(`mqtt://127.0.0.1:${started.port("mqtt", "tcp")}`, {
      ...{ username: "known", password: "secret" },
      reconnectPeriod: 0,
    });
    await device.endAsync();
  });

  it.each([
    [
      "a group's authorities",
      { groups: { default: { servers: [{ url: "tls://127.0.0.1:1" }], tls: { ca: "/none" } } } },
      "groups.default.tls",
    ],
    [
      "the servers' certificate",
      { servers: ["tls://127.0.0.1:1"], tls: { cert: "/none", key: "/none" } },
      "tls",
    ],
    [
      "the authorities of Redis",
      { servers: ["tcp://127.0.0.1:1"], devices: { keep: "redis", redis: { tls: true, ca: "/none" } } },
      "devices.redis.ca",
    ],
  ])("fails where the file of %s is not there: with its key", async (_what, upstream, key) => {
    const { code, line } = await refused(upstream);
    expect(code).toBe("bad-configuration");
    expect(line).toContain(`bus.upstream.${key} cannot be used`);
    expect(line).toContain("/none");
  });
});
