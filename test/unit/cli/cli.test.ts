import { EventEmitter } from "node:events";
import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { type CliPorts, type ConfigRequest, runCli } from "#core/cli/cli.ts";
import { type Duration, milliseconds } from "#core/lib/time.ts";

class Failure extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

interface World {
  readonly out: string;
  readonly error: string;
  readonly exit: number;
  readonly requests: readonly ConfigRequest[];
}

interface Setting {
  readonly ports?: Partial<CliPorts>;
  readonly input?: string;
  readonly signals?: EventEmitter;
}

async function run(args: readonly string[], setting: Setting = {}): Promise<World> {
  let [out, error] = ["", ""];
  const requests: ConfigRequest[] = [];
  const ports: CliPorts = {
    version: "1.2.3",
    start: () => Promise.reject(new Error("not expected")),
    checkConfig: (request) => {
      requests.push(request);
      return Promise.resolve({ file: request.file, warnings: ["anyone may connect"] });
    },
    hashPassword: (password, kind) => Promise.resolve(`${kind}:${password.length}`),
    steering: { localFile: () => Promise.resolve("/nowhere") },
    addUser: () => Promise.resolve(),
    simulate: () => Promise.reject(new Error("not expected")),
    load: () => Promise.reject(new Error("not expected")),
    store: {
      check: () => Promise.resolve({ records: new Map(), problems: [] }),
      stats: () => Promise.resolve({ records: new Map(), size: 0, used: 0 }),
      export: () => Promise.resolve(0),
      import: () => Promise.resolve(0),
      compact: () => Promise.resolve([0, 0]),
      kinds: ["lmdb", "log"],
      convert: () => Promise.resolve(0),
    },
    ...setting.ports,
  };
  const exit = await runCli(args, ports, {
    input: Readable.from([setting.input ?? ""]),
    out: (text) => {
      out += text;
    },
    error: (text) => {
      error += text;
    },
    signals: setting.signals ?? new EventEmitter(),
  });
  return { out, error, exit, requests };
}

/** A gateway that is up as soon as it is started, and records what is asked of it. */
function startable(
  stop: () => Promise<void> = () => Promise.resolve(),
  stopTimeout: Duration = milliseconds(1_000),
) {
  const requests: ConfigRequest[] = [];
  let up: () => void = () => {};
  const started = new Promise<void>((resolve) => {
    up = resolve;
  });
  const start: CliPorts["start"] = (request) => {
    requests.push(request);
    setImmediate(up);
    const banner = {
      version: "1.2.3",
      node: "here",
      file: undefined,
      data: "in memory",
      api: "http://127.0.0.1:18083",
      listeners: [{ gateway: "mqtt", name: "tcp", transport: "tcp", address: "::", port: 1883 }],
      warnings: ["anyone may connect"],
    };
    return Promise.resolve({ stop, stopTimeout, banner });
  };
  return { start, requests, started };
}

test("help teaches with examples, also when no command is given", async () => {
  const asked = await run(["--help"]);
  expect(asked.exit).toBe(0);
  expect(asked.out).toContain("Examples:");
  for (const command of ["start", "check-config", "hash-password"]) expect(asked.out).toContain(command);
  expect(await run([])).toMatchObject({ exit: 0, out: asked.out });
});

test.each(["start", "check-config", "hash-password"])(
  "the help of %s has examples of its own",
  async (command) => {
    const { out, exit } = await run([command, "--help"]);
    expect(out).toContain(`isthmus ${command}`);
    expect(out).toContain("Examples:");
    expect(exit).toBe(0);
  },
);

test("the version is printed", async () => {
  expect(await run(["--version"])).toMatchObject({ out: "1.2.3\n", exit: 0 });
});

test.each([
  [["strat"], "start"],
  [["start", "--configg", "x"], "--config"],
  [["hash-password", "--kind", "md5"], "scrypt"],
])("the wrong command line %j ends with 2 and a hint", async (args, hint) => {
  const { error, exit } = await run(args);
  expect(exit).toBe(2);
  expect(error).toContain(hint);
});

test("check-config says that a file is valid, and warns on standard error", async () => {
  const { out, error, exit, requests } = await run([
    "check-config",
    "a.yaml",
    "--set",
    "a=1",
    "--set",
    "b=2",
  ]);
  expect(requests).toEqual([{ file: "a.yaml", set: ["a=1", "b=2"] }]);
  expect({ out, error, exit }).toEqual({
    out: "a.yaml is valid\n",
    error: "warning: anyone may connect\n",
    exit: 0,
  });
});

test("every problem of a configuration is one line, and the exit code is 1", async () => {
  const checkConfig = (): never => {
    throw new Failure("bad-configuration", "a.yaml:1: x is not a known key\na.yaml:2: y is 3");
  };
  const { error, exit } = await run(["check-config", "a.yaml"], { ports: { checkConfig } });
  expect(exit).toBe(1);
  expect(error).toBe(
    "isthmus: bad-configuration: a.yaml:1: x is not a known key\nisthmus: bad-configuration: a.yaml:2: y is 3\n",
  );
});

test.each([
  [["hash-password"], "scrypt:6\n"],
  [["hash-password", "--kind", "sha256"], "sha256:6\n"],
])("%j hashes the first line of a pipe and never shows it", async (args, out) => {
  expect(await run(args, { input: "secret\nrest" })).toMatchObject({ out, error: "", exit: 0 });
});

test("an empty password is refused", async () => {
  expect(await run(["hash-password"])).toMatchObject({ out: "", exit: 2 });
});

test("start hands its options on as values of the configuration, after those of --set", async () => {
  const signals = new EventEmitter();
  const { start, requests, started } = startable();
  const args = [
    "start",
    "-c",
    "a.yaml",
    "--set",
    "x=1",
    "--set",
    "y=2",
    "--data",
    "/d",
    "--log-level",
    "debug",
  ];
  const ended = run(args, { ports: { start }, signals });
  await started;
  signals.emit("SIGTERM", "SIGTERM");
  const { error, exit, out } = await ended;
  expect(requests).toEqual([{ file: "a.yaml", set: ["x=1", "y=2", "dataFolder=/d", "log.level=debug"] }]);
  expect(exit).toBe(0);
  expect(error).toContain("port 1883");
  expect(error).toContain("SIGTERM: stopping");
  expect(out).toBe("");
});

test.each([
  ["port-in-use", "0.0.0.0:1883 is in use"],
  ["certificate-missing", "certificate x.pem does not exist"],
])("a start that fails with %s is one line, exit code 1", async (code, message) => {
  const start = () => Promise.reject(new Failure(code, message));
  const { error, exit } = await run(["start"], { ports: { start } });
  expect({ error, exit }).toEqual({ error: `isthmus: ${code}: ${message}\n`, exit: 1 });
});

test("a bug is shown with its stack, exit code 70", async () => {
  const start = () => Promise.reject(new TypeError("x is not a function"));
  const { error, exit } = await run(["start"], { ports: { start } });
  expect(exit).toBe(70);
  expect(error).toContain("internal-error");
  expect(error).toContain("TypeError: x is not a function");
  expect(error).toContain("cli.test.ts");
});

test("a second signal ends a stop that hangs, exit code 3", async () => {
  const signals = new EventEmitter();
  const { start, started } = startable(() => new Promise(() => {}), milliseconds(60_000));
  const ended = run(["start"], { ports: { start }, signals });
  await started;
  signals.emit("SIGINT", "SIGINT");
  await new Promise((resolve) => setImmediate(resolve));
  signals.emit("SIGINT", "SIGINT");
  expect(await ended).toMatchObject({ exit: 3, error: expect.stringContaining("SIGINT: ending now") });
  expect(signals.eventNames()).toEqual([]);
});
