/** `isthmus bench`: the built command against a gateway, and against another broker. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { Aedes } from "aedes";
import mqtt from "mqtt";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LoadStatus } from "#core/load/options.ts";
import { startApi, type TestApi } from "../../support/api.ts";
import { freeTcpPort } from "../../support/free-ports.ts";
import { Certificates } from "../../unit/net/certificates.ts";

const BIN = fileURLToPath(new URL("../../../dist/src/bin.js", import.meta.url));
const LIMIT = 120_000;
let api: TestApi;
const certificates = new Certificates();

beforeAll(async () => {
  certificates.issue("server", "/CN=localhost");
  api = await startApi({
    gateways: {
      mqtt: {
        listeners: {
          tls: {
            port: 0,
            tls: { cert: certificates.path("server.pem"), key: certificates.path("server.key") },
          },
        },
      },
      "mqtt-sn": {},
      coap: {},
    },
  });
}, LIMIT);
afterAll(async () => {
  await api.stop();
  certificates.remove();
});

interface Running {
  readonly lines: LoadStatus[];
  stop(): void;
  readonly ended: Promise<{ readonly code: number | null; readonly out: string; readonly errors: string }>;
}

function bench(...args: readonly string[]): Running {
  const child = spawn(process.execPath, [BIN, "bench", ...args], {
    env: { ...process.env, ISTHMUS_URL: api.base, ISTHMUS_KEY: api.keys.administrator },
  });
  const lines: LoadStatus[] = [];
  let [out, errors] = ["", ""];
  child.stdout.on("data", (chunk) => {
    out += chunk;
    if (args.includes("--json"))
      lines.splice(
        0,
        lines.length,
        ...out
          .split("\n")
          .slice(0, -1)
          .map((line) => JSON.parse(line)),
      );
  });
  child.stderr.on("data", (chunk) => {
    errors += chunk;
  });
  const ended = once(child, "close").then(([code]) => ({ code, out, errors }));
  return { lines, ended, stop: () => child.kill("SIGINT") };
}

async function until(holds: () => boolean): Promise<void> {
  for (const end = Date.now() + LIMIT; !holds(); ) {
    if (Date.now() > end) throw new Error(`never: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const clients = (prefix: string): number =>
  api.gateway.composition.operator.clients
    .page({}, { limit: 1000 })
    .items.filter(({ clientId }) => clientId.startsWith(prefix)).length;

/** The last line, with its exit code. */
async function finished(running: Running): Promise<LoadStatus & { readonly code: number | null }> {
  const { code } = await running.ended;
  return { ...running.lines.at(-1)!, code };
}

describe("isthmus bench", () => {
  test(
    "pub sends what it was asked for and no more, to topics with their placeholders filled in, and says how long the answers took",
    async () => {
      const listener = await mqtt.connectAsync(`mqtt://127.0.0.1:${api.gateway.port("mqtt", "tcp")}`);
      const heard: { topic: string; size: number }[] = [];
      listener.on("message", (topic, payload) => heard.push({ topic, size: payload.length }));
      await listener.subscribeAsync("load/#", { qos: 1 });
      const options = ["--clients", "2", "--interval", "20ms", "--qos", "1", "--size", "40", "--limit", "6"];
      const status = await finished(
        bench("pub", ...options, "--prefix", "p-", "--topic", "load/%i/%c/%s", "--json"),
      );
      expect(status).toMatchObject({ code: 0, sent: 6, acknowledged: 6, refused: 0, skipped: 0, failed: {} });
      expect(status.latency.answer).toMatchObject({ count: 6 });
      expect(status.latency.answer!.p99).toBeGreaterThan(0);
      expect(status.latency.connect).toMatchObject({ count: 2 });
      await until(() => heard.length === 6);
      expect(heard.map(({ topic }) => topic).sort()).toEqual(
        [1, 2].flatMap((client) => [0, 1, 2].map((count) => `load/${client}/p-${client}/${count}`)),
      );
      expect(new Set(heard.map(({ size }) => size))).toEqual(new Set([40]));
      await listener.endAsync();
    },
    LIMIT,
  );

  test.each([
    ["mqtt", "1"],
    ["mqtt", "2"],
    ["mqtt-sn", "1"],
    ["mqtt-sn", "2"],
    ["coap", "1"],
  ])(
    "sub over %s at QoS %s measures how long messages of pub took to get there",
    async (protocol, qos) => {
      const topic = `delivered/${protocol}/${qos}`;
      const sub = bench(
        ...["sub", "--protocol", protocol, "--topic", topic, "--qos", qos],
        ...["--clients", "3", "--limit", "30", "--prefix", "s-", "--json"],
      );
      await until(() => sub.lines.at(-1)?.connected === 3);
      const pub = bench(
        ...["pub", "--protocol", protocol, "--topic", topic, "--qos", qos],
        ...["--clients", "2", "--interval", "50ms", "--limit", "10", "--json"],
      );
      expect(await finished(pub)).toMatchObject({ code: 0, sent: 10, acknowledged: 10, lost: {} });
      const heard = await finished(sub);
      expect(heard).toMatchObject({ code: 0, received: 30, lost: {} });
      expect(heard.latency.delivery).toMatchObject({ count: 30 });
    },
    LIMIT,
  );

  test(
    "connect holds its clients until Ctrl+C, says goodbye for them, and shows a table of times",
    async () => {
      const running = bench("connect", "--clients", "25", "--connect-rate", "1000", "--prefix", "c-");
      await until(() => clients("c-") === 25);
      running.stop();
      const { code, out, errors } = await running.ended;
      expect(code).toBe(0);
      expect(out).toMatch(/^25 of 25 clients in, /);
      expect(out).toMatch(/MS UNTIL +MEAN +P50 +P90 +P99 +P99\.9 +MAX\nlet in( +\d+\.\d\d){6}\n$/);
      expect(errors).not.toContain("lost");
      await until(() => clients("c-") === 0);
    },
    LIMIT,
  );

  test(
    "without an interval it keeps its window full, and over TLS it checks the certificate",
    async () => {
      const tls = ["--host", "localhost", "--port", String(api.gateway.port("mqtt", "tls"))];
      const as = [
        "--clients",
        "2",
        "--interval",
        "0",
        "--qos",
        "1",
        "--inflight",
        "50",
        "--limit",
        "2000",
        "--json",
      ];
      const good = await finished(bench("pub", ...tls, "--ca", certificates.path("ca.pem"), ...as));
      expect(good).toMatchObject({ code: 0, sent: 2000, acknowledged: 2000 });
      const stranger = await finished(bench("pub", ...tls, "--tls", ...as));
      expect(stranger).toMatchObject({ code: 1, connected: 0, failed: { "tls-failed": 2 } });
      expect(await finished(bench("pub", ...tls, "--insecure", ...as))).toMatchObject({
        code: 0,
        sent: 2000,
      });
    },
    LIMIT,
  );

  test(
    "clients that are lost or not let in are counted by what was said, and it ends with 1",
    async () => {
      const nobody = await finished(
        bench(
          "connect",
          "--host",
          "127.0.0.1",
          "--port",
          String(await freeTcpPort()),
          "--clients",
          "3",
          "--json",
        ),
      );
      expect(nobody).toMatchObject({ code: 1, connected: 0, failed: { "connection-refused": 3 } });
      const first = bench("connect", "--clients", "2", "--prefix", "same-", "--json");
      await until(() => first.lines.at(-1)?.connected === 2);
      const second = bench("connect", "--clients", "2", "--prefix", "same-", "--duration", "5s", "--json");
      expect(await finished(first)).toMatchObject({ code: 1, lost: { sessionTakenOver: 2 } });
      expect(await finished(second)).toMatchObject({ code: 0 });
    },
    LIMIT,
  );

  test.each([
    [["pub", "--protocol", "coap", "--tls"], /--tls goes with MQTT, not with coap/],
    [["pub", "--cert", "a.pem"], /--cert and --cert-key go together/],
    [["connect", "--protocol", "mqtt-sn", "--username", "ana"], /no user names/],
    [["sub", "--topic", "a/%s"], /%s, the number of a message/],
    [["pub", "--clients", "0"], /a number from 1 to/],
    [["pub", "--size", "17MB"], /16MB at most/],
    [["pub", "--interval", "soon"], /a length of time such as/],
  ])(
    "%j is a wrong command line, and says what is right",
    async (args, says) => {
      const { code, errors } = await bench(...args).ended;
      expect(code).toBe(2);
      expect(errors).toMatch(says);
    },
    LIMIT,
  );

  test(
    "puts load on another broker (aedes), of which it knows nothing but its port",
    async () => {
      const broker = await Aedes.createBroker();
      const server = createServer(broker.handle);
      await once(server.listen(0, "127.0.0.1"), "listening");
      const { port } = server.address() as { port: number };
      const at = ["--host", "127.0.0.1", "--port", String(port), "--mqtt", "3.1.1", "--qos", "1"];
      const pub = await finished(
        bench("pub", ...at, "--clients", "3", "--interval", "10ms", "--limit", "30", "--json"),
      );
      expect(pub).toMatchObject({ code: 0, sent: 30, acknowledged: 30 });
      server.close();
      broker.close();
    },
    LIMIT,
  );
});
