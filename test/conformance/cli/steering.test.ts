/** The built command against a running gateway: every example of its help texts, its exit codes, and what it shows. */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { fileURLToPath } from "node:url";
import { Agent, createServer, type Server } from "coap";
import { Command } from "commander";
import mqtt from "mqtt";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { addSteering } from "#core/cli/cli.ts";
import { Load } from "#core/load/load.ts";
import type { LoadOptions } from "#core/load/options.ts";
import type { SimulationOptions } from "#core/sim/options.ts";
import { Simulation } from "#core/sim/simulation.ts";
import { startApi, type TestApi } from "../../support/api.ts";
import { type CommandRun, runCommand } from "../../support/command.ts";
import { freeTcpPort } from "../../support/free-ports.ts";

const MAIN = fileURLToPath(new URL("../../../dist/src/bin.js", import.meta.url));
const PASSWORD = "a sentence that nobody else has";

let api: TestApi;
let folder: string;
let meter: Server;
const clients: mqtt.MqttClient[] = [];

function run(
  line: string,
  options: { readonly environment?: object; readonly input?: string } = {},
): Promise<CommandRun> {
  const { environment = { ISTHMUS_URL: api.base, ISTHMUS_KEY: api.keys.administrator }, input = "" } =
    options;
  const child = spawn("sh", ["-c", `"${process.execPath}" "${MAIN}" ${line}`], {
    cwd: folder,
    env: { ...process.env, ...environment },
  });
  let [out, errors] = ["", ""];
  child.stdout.on("data", (chunk) => {
    out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    errors += chunk;
  });
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, out, errors })));
}

async function connect(clientId: string): Promise<mqtt.MqttClient> {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${api.gateway.port("mqtt", "tcp")}`, {
    clientId,
    protocolVersion: 5,
    clean: false,
    reconnectPeriod: 0,
    properties: { sessionExpiryInterval: 600 },
  });
  clients.push(client);
  return client;
}

/** A device of the npm package coap, which registers as meter-1 and answers everything with a text. */
async function startMeter(): Promise<void> {
  meter = createServer((request, response) => {
    response.code = request.method === "GET" ? "2.05" : "2.04";
    if (request.method === "GET") response.setOption("Content-Format", "text/plain");
    response.end(request.method === "GET" ? "17" : "");
  });
  await new Promise<void>((resolve) => meter.listen(0, "127.0.0.1", () => resolve()));
  await registerMeter();
}

async function registerMeter(): Promise<void> {
  const socket = (meter as unknown as { _sock: never })._sock;
  const request = new Agent({ type: "udp4", socket }).request({
    hostname: "127.0.0.1",
    port: api.gateway.port("coap", "udp"),
    method: "POST",
    pathname: "/rd",
    query: "ep=meter-1&lt=300&lwm2m=1.0&b=U",
    confirmable: true,
  } as never);
  request.setOption("Content-Format", "application/link-format");
  const registered = new Promise<string>((resolve) => request.once("response", ({ code }) => resolve(code)));
  request.end("</3/0>,</3303/0>");
  expect(await registered).toBe("2.01");
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-cli-"));
  // A node that keeps nothing makes no folder of its own for the key.
  mkdirSync(join(folder, "data"));
  for (const name of ["users", "client-ids"])
    writeFileSync(join(folder, `${name}.csv`), "user_id,password,is_superuser\nrow-1,correct horse,false\n");
  api = await startApi({
    dataFolder: join(folder, "data"),
    gateways: {
      mqtt: { authentication: { chain: [{ kind: "user-list" }, { kind: "client-id-list" }] } },
      coap: {},
      "mqtt-sn": {},
      lwm2m: {},
      stomp: {},
    },
  });
  await startMeter();
  for (const id of ["pump-7", "pump-8"]) {
    const client = await connect(id);
    await client.subscribeAsync("all/#", { qos: 1 });
  }
});
afterAll(async () => {
  for (const client of clients) client.end(true);
  meter.close();
  await api.stop();
  rmSync(folder, { recursive: true, force: true });
});

const documented = (): readonly string[] => {
  const nothing = { localFile: async () => "" };
  const io = { input: new PassThrough(), out: () => {}, error: () => {}, signals: process };
  const ports = {
    steering: nothing,
    addUser: async () => {},
    simulate: (options: SimulationOptions) => Simulation.start(options),
    load: (options: LoadOptions) => Load.start(options),
  };
  return addSteering(new Command(), ports, io, () => {}).examples;
};

/** In this process: so many programs started one after the other would take a minute. */
const runHere = (line: string): Promise<CommandRun> =>
  runCommand(line, {
    environment: { ISTHMUS_URL: api.base, ISTHMUS_KEY: api.keys.administrator },
    input: `${PASSWORD}\n`,
    dataFolder: join(folder, "data"),
  });

/** An example with the id of a message that waits: for pump-7, which an example before has disconnected. */
async function withMessage(example: string): Promise<string> {
  await api.ask("POST", "/api/v1/publish", { body: { topic: "all/x", payload: "x", qos: 1 } });
  const waiting = await api.ask("GET", "/api/v1/clients/pump-7/waiting");
  return example.replace(/\d+-\d+/, waiting.body[0].id);
}

/** Lists and single things have a form for machines. */
const LOOKS = /^(status|changes|refusals|(\w+ (list|show|objects|waiting)))\b/;

describe("every example of the help texts", () => {
  test("runs, in the order in which they stand there, and answers JSON where it looks", async () => {
    const failed: string[] = [];
    for (const example of documented()) {
      const line = (example.startsWith("clients delete-message") ? await withMessage(example) : example)
        .replace("/var/lib/isthmus", "./data")
        .replace("isthmus-backup.json", join(folder, "isthmus-backup.json"))
        .replace(/(users|client-ids)\.csv/, (file) => join(folder, file))
        .replace("pump-7.pcapng", join(folder, "pump-7.pcapng"));
      const ran = await runHere(line);
      // On a busy machine the event loop is late, and status ends with 1; a trace of nothing prints nothing.
      const well = ran.code === 0 || (example.startsWith("status") && ran.code === 1);
      if (!well || (ran.out === "" && !example.startsWith("trace ")))
        failed.push(`${line}: ${ran.code} ${ran.errors}${ran.out}`);
      if (!LOOKS.test(line) || line.includes("--json")) continue;
      const json = await runHere(`${line} --json`);
      try {
        JSON.parse(json.out);
      } catch {
        failed.push(`${line} --json: ${json.code} ${json.errors}${json.out}`);
      }
    }
    expect(failed).toEqual([]);
  }, 600_000);
});

describe("what a script relies on", () => {
  test("a refusal is one line with the problem's code, and ends with 1; a wrong command line ends with 2", async () => {
    const unknown = await run("clients show nobody");
    expect([unknown.code, unknown.out]).toEqual([1, ""]);
    expect(unknown.errors).toMatch(/^isthmus: api-refused: not-found: /);
    const usage = await run("clients list --colour blue");
    expect(usage.code).toBe(2);
  }, 120_000);

  test.each([
    ["rules add odd --sql s --action {", "cannot be read as YAML: {"],
    ["rules add odd", "say what it is for: --sql, or --file"],
    ["connectors add odd kind", "kind is no key=value"],
    ["config set log.level={", "cannot be read as YAML: {"],
  ])(
    "what cannot be meant, as %s, is said in one line and ends with 2",
    async (line, says) => {
      const ran = await run(line);
      expect([ran.code, ran.out, ran.errors]).toEqual([2, "", `isthmus: ${says}\n`]);
    },
    120_000,
  );

  test("without a gateway it says where it has looked, and ends with 1", async () => {
    const nowhere = `http://127.0.0.1:${await freeTcpPort()}`;
    const ran = await run("status", { environment: { ISTHMUS_URL: nowhere, ISTHMUS_KEY: "x.y" } });
    expect(ran.code).toBe(1);
    expect(ran.errors).toContain(`isthmus: api-unreachable: no answer from ${nowhere} (ECONNREFUSED)`);
  }, 120_000);

  test("on the machine of the node the data folder is enough: it holds address and key, for its owner only", async () => {
    const ran = await run("gateways list --json", {
      environment: { ISTHMUS_URL: undefined, ISTHMUS_KEY: undefined },
    });
    expect(ran.errors).toBe("");
    expect(JSON.parse(ran.out)).toContainEqual(expect.objectContaining({ name: "mqtt", running: true }));
  }, 120_000);

  test("an id that could lie to a terminal is shown so that it cannot, and JSON has it as it is", async () => {
    await connect("a\u202egnp.exe\u001b[2J");
    const people = await run("clients list --prefix a");
    expect(people.out).toContain("a<U+202E>gnp.exe<U+001B>[2J");
    expect(people.out).not.toContain("\u001b");
    const machines = await run("clients list --prefix a --json");
    expect(JSON.parse(machines.out)[0].clientId).toBe("a\u202egnp.exe\u001b[2J");
  }, 120_000);

  test("a password that is tried first is refused, and the file stays as it was", async () => {
    const ran = await run("admin add eve", { input: "password1234\n" });
    expect(ran.code).toBe(1);
    expect(ran.errors).toContain("/password: is among the passwords that are tried first");
    const short = await run("admin add eve", { input: "short\n" });
    expect(short.errors).toContain("too short");
    const users = await api.ask("GET", "/api/v1/users");
    expect(users.body.items.map(({ name }: { name: string }) => name)).not.toContain("eve");
  }, 120_000);

  test("bash completes commands and options from what it is given", async () => {
    const { out } = await run("completion bash");
    const complete = (words: string): Promise<string> =>
      new Promise((resolve) => {
        const parts = words.split(" ");
        const script = `${out}\nCOMP_WORDS=(${parts.map((word) => `"${word}"`).join(" ")}); COMP_CWORD=${parts.length - 1}; _isthmus; echo "\${COMPREPLY[@]}"`;
        const child = spawn("bash", ["-c", script]);
        let said = "";
        child.stdout.on("data", (chunk) => {
          said += chunk;
        });
        child.once("close", () => resolve(said.trim()));
      });
    expect(await complete("isthmus gatew")).toBe("gateways");
    expect((await complete("isthmus clients ")).split(" ")).toEqual(
      expect.arrayContaining(["list", "show", "kick"]),
    );
    expect(await complete("isthmus clients list --sta")).toBe("--state");
  }, 120_000);
});
