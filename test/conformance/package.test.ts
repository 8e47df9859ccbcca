/** The package that `npm pack` makes, installed in an empty folder, and the files that run it elsewhere. */
import { execFileSync, spawn } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import type { Instant } from "#core/lib/time.ts";
import { exposeGauges } from "#core/observation.ts";
import { stepsOf } from "../guide/page.mjs";
import { startGateway } from "../support/gateway.ts";

const MINUTES = 60_000;
const manifest = JSON.parse(readFileSync("package.json", "utf8"));

const TYPED = `
import { type Channel, type ChannelHost, type GatewayPlugIn, durationSetting, Message, NEVER } from "isthmus-iot/gateway";
import { openPlugIn, World } from "isthmus-iot/testing";

class Mine implements Channel {
  constructor(readonly host: ChannelHost) {}
  receive(bytes: Uint8Array, now: Parameters<Channel["wake"]>[0]) { this.host.send(new Message("a", bytes, 0, false, now).payload); }
  deliver() {} answered() {} connected() {} wake() {} stop() {} closed() {}
  deadline() { return NEVER; }
  status() { return "there"; }
  describe() { return {}; }
}
export const plugIn: GatewayPlugIn<{ readonly silence: number }> = {
  contract: 1,
  schema: { type: "object", properties: { silence: durationSetting({ description: "How long.", default: "1m" }) } },
  open: ({ silence }) => ({ endpoint: () => ({ open: (_peer, host) => (silence > 0 ? new Mine(host) : new Mine(host)) }) }),
};
openPlugIn(new World(), "mine", plugIn);
`;

describe("the package", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "isthmus-package-"));
    const packed = execFileSync("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", folder], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const [{ filename }] = JSON.parse(packed.toString());
    const home = join(folder, "node_modules", manifest.name);
    mkdirSync(home, { recursive: true });
    execFileSync("tar", ["-xzf", join(folder, filename), "-C", home, "--strip-components=1"]);
    // What npm would fetch: nothing but what the manifest names.
    for (const name of Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })) {
      const from = resolve("node_modules", name);
      if (!existsSync(from)) continue;
      const to = join(folder, "node_modules", name);
      mkdirSync(join(to, ".."), { recursive: true });
      symlinkSync(from, to);
    }
    mkdirSync(join(folder, "node_modules", ".bin"));
    symlinkSync(join(home, manifest.bin.isthmus), join(folder, "node_modules", ".bin", "isthmus"));
  }, 5 * MINUTES);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const isthmus = (...args: string[]): string =>
    execFileSync("npx", ["--no-install", "isthmus", ...args], {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
    }).toString();

  it("holds what runs, and no tests, benchmarks or sources", () => {
    const top = readdirSync(join(folder, "node_modules", manifest.name)).sort();
    expect(top).toEqual([
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "dist",
      "docs",
      "isthmus.yaml",
      "package.json",
      "src",
      "xml",
    ]);
    expect(readdirSync(join(folder, "node_modules", manifest.name, "src"))).toEqual(["hooks"]);
  });

  it(
    "brings what a gateway of one's own needs: the guide's plug-in is tested in virtual time, and is a gateway",
    () => {
      for (const step of stepsOf(readFileSync("docs/plug-ins.md", "utf8"))) {
        if (step.kind === "file") writeFileSync(join(folder, step.name), step.text);
      }
      const tested = execFileSync(process.execPath, ["--test", "lines.test.mjs"], { cwd: folder }).toString();
      expect(tested).toMatch(/pass 1\n.*fail 0/);
      expect(isthmus("check-config", "plug-in.yaml")).toContain("is valid");
      // As an installed package too, be it one that can only be imported.
      const installed = join(folder, "node_modules", "lines-gateway");
      mkdirSync(installed);
      copyFileSync(join(folder, "lines.mjs"), join(installed, "lines.mjs"));
      for (const exports of ["./lines.mjs", { ".": { import: "./lines.mjs" } }]) {
        writeFileSync(
          join(installed, "package.json"),
          JSON.stringify({ name: "lines-gateway", version: "1.0.0", type: "module", exports }),
        );
        const set = ["--set", "gateways.lines.module=lines-gateway"];
        expect(isthmus("check-config", "plug-in.yaml", ...set)).toContain("is valid");
      }
      // And its types, as whoever writes one in TypeScript has them.
      writeFileSync(join(folder, "typed.mts"), TYPED);
      const options = [
        "--noEmit",
        "--strict",
        "--module",
        "nodenext",
        "--target",
        "es2023",
        "--skipLibCheck",
      ];
      execFileSync(process.execPath, [resolve("node_modules/typescript/bin/tsc"), ...options, "typed.mts"], {
        cwd: folder,
        stdio: ["ignore", "inherit", "inherit"],
      });
    },
    5 * MINUTES,
  );

  it(
    "runs by npx in an empty folder: version, check of a configuration, and the gateway itself",
    async () => {
      expect(isthmus("--version").trim()).toBe(manifest.version);
      expect(isthmus("check-config")).toContain("is valid");
      const free = Object.entries({
        mqtt: ["tcp", "ws"],
        "mqtt-sn": ["udp"],
        coap: ["udp", "tcp"],
        stomp: ["tcp", "ws"],
      }).flatMap(([gateway, listeners]) =>
        listeners.map((name) => `gateways.${gateway}.listeners.${name}.port=0`),
      );
      const settings = ["api.port=0", ...free].flatMap((setting) => ["--set", setting]);
      const running = spawn(
        process.execPath,
        [join(folder, "node_modules/.bin/isthmus"), "start", "--data", "d", ...settings],
        {
          cwd: folder,
          stdio: ["ignore", "ignore", "pipe"],
        },
      );
      try {
        let said = "";
        const url = await new Promise<string>((found, failed) => {
          running.stderr.on("data", (chunk) => {
            said += chunk;
            const port = /HTTP\s+(http:\/\/127\.0\.0\.1:\d+)/.exec(said)?.[1];
            if (port !== undefined && said.includes("Ctrl+C")) found(port);
          });
          running.on("exit", () => failed(new Error(said)));
        });
        expect((await fetch(`${url}/ready`)).status).toBe(200);
      } finally {
        const gone = new Promise((done) => running.on("exit", done));
        running.kill("SIGTERM");
        await gone;
      }
    },
    5 * MINUTES,
  );
});

describe("what runs it elsewhere", () => {
  const file = (name: string): string => readFileSync(join("docs/deploy", name), "utf8");

  it("takes into an image what the package holds, and starts it as a user without rights", () => {
    const steps = file("Dockerfile");
    for (const [, from] of steps.matchAll(/^COPY (?!--from)(.+) \S+$/gm)) {
      for (const name of from!.split(" ")) expect([name, existsSync(name)]).toEqual([name, true]);
      for (const name of from!.split(" ")) expect(file("Dockerfile.dockerignore")).toContain(`!${name}`);
    }
    expect(steps).toMatch(/^USER isthmus$/m);
    expect(steps.match(/^(VOLUME|HEALTHCHECK|ENTRYPOINT)/gm)).toEqual([
      "VOLUME",
      "HEALTHCHECK",
      "ENTRYPOINT",
    ]);
  });

  it("has a unit with enough file descriptors, which stops it later than it stops itself", () => {
    const unit = file("isthmus.service");
    expect(unit).toMatch(/^LimitNOFILE=262144$/m);
    expect(unit).toMatch(/^ExecReload=\/bin\/kill -HUP \$MAINPID$/m);
    expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1])).toBeGreaterThan(10);
  });

  it("mounts files that are there", () => {
    const { services } = parse(file("compose.yaml"));
    expect(Object.keys(services)).toEqual(["isthmus", "prometheus"]);
    const mounted = (services.prometheus.volumes as string[]).filter((each) => each.startsWith("./"));
    for (const each of mounted) expect(existsSync(join("docs/deploy", each.split(":")[0]!))).toBe(true);
    expect(parse(file("prometheus.yaml")).scrape_configs[0].static_configs[0].targets).toEqual([
      "isthmus:18083",
    ]);
  });

  it("draws and watches no number that the gateway does not have", async () => {
    const gateway = await startGateway({ gateways: { mqtt: {} } });
    exposeGauges(gateway.composition, "0");
    try {
      // Refusals are counted by what there was.
      const to = {
        gateway: "mqtt",
        listener: "tcp",
        address: "10.0.0.1",
        port: 1,
        clientId: "a",
        username: undefined,
      };
      gateway.composition.refusals.note(
        to,
        { what: "connect", refusal: "banned", by: () => "" },
        Date.now() as Instant,
      );
      const text = await gateway.composition.metrics.text();
      const known = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
      const drawn = [file("grafana/isthmus.json"), file("alerts.yaml")].flatMap((source) =>
        [...source.matchAll(/\b((?:isthmus|nodejs|process)_[a-z0-9_]+)\b/g)].map(([, name]) => name!),
      );
      // Those of the store are there where something is kept.
      const missing = drawn.filter((name) => !known.has(name) && !name.startsWith("isthmus_store_"));
      expect([...new Set(missing)]).toEqual([]);
    } finally {
      await gateway.stop();
    }
  });
});
