/** LwM2M devices over the HTTP API (operate sheet O-044 to O-048, O-119): scripted devices on sockets of their own. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApi, type TestApi } from "../../support/api.ts";
import { EventReader } from "../../support/event-reader.ts";
import type { Asked } from "../../support/lwm2m-device.ts";
import { FirmwareObject } from "../../support/lwm2m-firmware.ts";
import { SocketDevice } from "../../support/lwm2m-socket.ts";
import { until } from "../../support/store-process.ts";

const LINKS = '</>;rt="oma.lwm2m";ct="110 11542",</1/0>,</3/0>,</5/0>,</3303/0>,</3303/1>';
const SENML_JSON = 110;
const LINK_FORMAT = 40;

let api: TestApi;
let meter: SocketDevice;
let folder: string;
const devices: SocketDevice[] = [];

async function register(ep: string, query: readonly string[] = [], at: TestApi = api): Promise<SocketDevice> {
  const all = [
    "lt=3600",
    "lwm2m=1.1",
    ...(query.some((part) => part.startsWith("b=")) ? [] : ["b=U"]),
    ...query,
  ];
  const found = await SocketDevice.register(at.gateway.port("lwm2m", "own"), ep, all, LINKS);
  devices.push(found);
  return found;
}

const GATEWAYS = { mqtt: {}, lwm2m: { listeners: { own: { transport: "udp" } } } };

/** Comes in blocks. */
const PACKAGE = Buffer.from(Array.from({ length: 3000 }, (_, index) => index % 251));

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-devices-"));
  writeFileSync(join(folder, "v2.bin"), PACKAGE);
  const lwm2m = { ...GATEWAYS.lwm2m, queueMode: { awake: "1s" }, firmware: { folder } };
  api = await startApi({ gateways: { ...GATEWAYS, lwm2m } });
  meter = await register("meter");
});
afterAll(async () => {
  for (const device of devices) await device.close();
  await api.stop();
  rmSync(folder, { recursive: true });
});

const DEVICES = "/api/v1/devices/lwm2m";
const ask = (request: string, body: object, query = "timeout=1m") =>
  api.ask("POST", `${DEVICES}/meter/${request}?${query}`, { body });
const last = (): Asked => meter.device.lastAsked();
const events = (path = "/devices/lwm2m/events", at: TestApi = api) =>
  EventReader.open(`${at.base}/api/v1${path}`, at.keys.operator);

/** What went over the air for a request, and what came back. */
interface Exchange {
  readonly name: string;
  readonly request: string;
  readonly body: object;
  readonly line: string;
  readonly reply: {
    readonly code: string;
    readonly payload?: string;
    readonly format?: number;
    readonly location?: readonly string[];
  };
  readonly sent?: Partial<Asked> & { readonly said?: string };
  readonly data: object;
}

const EXCHANGES: readonly Exchange[] = [
  {
    name: "reads a resource, in the format that is asked for (GET, Accept)",
    request: "read",
    body: { path: "/3/0/0", accept: SENML_JSON },
    line: "GET /3/0/0",
    reply: { code: "2.05", format: SENML_JSON, payload: '[{"n":"/3/0/0","vs":"npm"}]' },
    sent: { accept: SENML_JSON },
    data: { reqPath: "/3/0/0", code: "2.05", content: [{ path: "/3/0/0", value: "npm" }] },
  },
  {
    name: "discovers a path down to a depth (GET, Accept 40)",
    request: "discover",
    body: { path: "/3/0", depth: 1 },
    line: "GET /3/0",
    reply: { code: "2.05", format: LINK_FORMAT, payload: "</3/0>;pmin=10,</3/0/1>" },
    sent: { line: "GET /3/0?depth=1", accept: LINK_FORMAT },
    data: { content: ["</3/0>;pmin=10", "</3/0/1>"] },
  },
  {
    name: "replaces an instance (PUT)",
    request: "write",
    body: { basePath: "/1/0", content: [{ path: "1", value: 60 }], replace: true, format: SENML_JSON },
    line: "PUT /1/0",
    reply: { code: "2.04" },
    sent: { format: SENML_JSON, said: '[{"bn":"/1/0/","n":"1","v":60}]' },
    data: { code: "2.04" },
  },
  {
    name: "changes what is named of an instance and leaves the rest (POST)",
    request: "write",
    body: { basePath: "/1/0", content: [{ path: "1", value: 61 }], format: SENML_JSON },
    line: "POST /1/0",
    reply: { code: "2.04" },
    sent: { format: SENML_JSON },
    data: { code: "2.04" },
  },
  {
    name: "writes one resource (PUT), and an error of the device is an answer",
    request: "write",
    body: { path: "/3/0/0", value: "other" },
    line: "PUT /3/0/0",
    reply: { code: "4.05", payload: "read only" },
    data: { code: "4.05", codeMsg: "method_not_allowed", reason: "read only" },
  },
  {
    name: "sets attributes, takes one back, and leaves what is null (PUT with a query)",
    request: "write-attr",
    body: { path: "/3303/0/5700", pmin: 10, pmax: "60", gt: 30.5, st: "", lt: null },
    line: "PUT /3303/0/5700",
    reply: { code: "2.04" },
    sent: { line: "PUT /3303/0/5700?pmin=10&pmax=60&gt=30.5&st", said: "" },
    data: { code: "2.04" },
  },
  {
    name: "executes with arguments (POST, text)",
    request: "execute",
    body: { path: "/3/0/4", args: "0='now'" },
    line: "POST /3/0/4",
    reply: { code: "2.04" },
    sent: { said: "0='now'" },
    data: { code: "2.04" },
  },
  {
    name: "creates an instance, and says where it is (POST, Location-Path)",
    request: "create",
    body: { basePath: "/3303", content: [{ path: "/2/5750", value: "attic" }], format: SENML_JSON },
    line: "POST /3303",
    reply: { code: "2.01", location: ["3303", "2"] },
    data: { code: "2.01", location: "/3303/2" },
  },
  {
    name: "deletes an instance (DELETE)",
    request: "delete",
    body: { path: "/3303/1" },
    line: "DELETE /3303/1",
    reply: { code: "2.02" },
    data: { code: "2.02" },
  },
  {
    name: "reads several paths at once (FETCH)",
    request: "read-composite",
    body: { paths: ["/3/0/0", "/1/0/1"], format: SENML_JSON },
    line: "FETCH /",
    reply: {
      code: "2.05",
      format: SENML_JSON,
      payload: '[{"n":"/3/0/0","vs":"npm"},{"n":"/1/0/1","v":60}]',
    },
    sent: { accept: SENML_JSON, format: SENML_JSON },
    data: {
      content: [
        { path: "/3/0/0", value: "npm" },
        { path: "/1/0/1", value: 60 },
      ],
    },
  },
  {
    name: "writes several at once (iPATCH)",
    request: "write-composite",
    body: {
      content: [
        { path: "/1/0/1", value: 60 },
        { path: "/3/0/14", value: "+01" },
      ],
    },
    line: "iPATCH /",
    reply: { code: "2.04" },
    data: { code: "2.04" },
  },
  {
    name: "is told about what the device does not have (4.04)",
    request: "read",
    body: { path: "/9/0" },
    line: "GET /9/0",
    reply: { code: "4.04" },
    data: { reqPath: "/9/0", code: "4.04", codeMsg: "not_found" },
  },
  {
    name: "is told that the device may not be asked that (4.01)",
    request: "delete",
    body: { path: "/3303/0" },
    line: "DELETE /3303/0",
    reply: { code: "4.01" },
    data: { code: "4.01", codeMsg: "unauthorized" },
  },
  {
    name: "is told that the device has failed (5.00)",
    request: "execute",
    body: { path: "/3/0/5" },
    line: "POST /3/0/5",
    reply: { code: "5.00", payload: "flash is worn out" },
    data: { code: "5.00", codeMsg: "internal_server_error", reason: "flash is worn out" },
  },
];

describe("a device that is awake (O-044, O-046)", () => {
  test.each(EXCHANGES)("$request $name", async ({ request, body, line, reply, sent = {}, data }) => {
    meter.device.on(line, reply);
    const before = meter.device.asked.length;
    const answer = await ask(request, body);
    expect([answer.status, answer.body]).toMatchObject([
      200,
      { device: "meter", request, state: "answered", data },
    ]);
    expect(meter.device.asked).toHaveLength(before + 1);
    expect({ ...last(), said: Buffer.from(last().payload).toString() }).toMatchObject({
      line: expect.stringContaining(line),
      ...sent,
    });
    const again = await api.ask("GET", `${DEVICES}/requests/${answer.body.id}`);
    expect([again.status, again.body]).toEqual([200, answer.body]);
  });

  test("is shown with its registration (O-047), and its objects with names and versions (O-045)", async () => {
    const shown = await api.ask("GET", `${DEVICES}/meter/device`);
    expect(shown.body).toMatchObject({
      ...{
        endpoint: "meter",
        state: "awake",
        lifetime: 3600,
        version: "1.1",
        binding: "U",
        queueMode: false,
      },
      ...{ rootPath: "/", objects: ["/1/0", "/3/0", "/5/0", "/3303/0", "/3303/1"], formats: [110, 11542] },
      peer: { transport: "udp", address: "127.0.0.1" },
    });
    const objects = (await api.ask("GET", `${DEVICES}/meter/objects`)).body;
    expect(objects.find(({ id }: { id: number }) => id === 3303)).toMatchObject({
      instances: [0, 1],
      version: "1.0",
      definition: { name: "Temperature" },
    });
  });

  test("says an integer that no number holds as a text, in its answer and in the event of it (D-074)", async () => {
    const large = "9007199254740993";
    const payload = `[{"n":"/3/0/9","v":${large}}]`;
    meter.device.on("GET /3/0/9", { code: "2.05", format: SENML_JSON, payload });
    const heard = await events("/devices/lwm2m/events?device=meter");
    const read = await ask("read", { path: "/3/0/9" });
    expect(read.body).toMatchObject({ data: { content: [{ path: "/3/0/9", value: large }] } });
    const { data } = await heard.next(({ event }) => event === "result");
    expect(data).toMatchObject({ report: { data: { content: [{ path: "/3/0/9", value: large }] } } });
    await heard.close();
    meter.device.on("PUT /3/0/9", { code: "2.04" });
    await ask("write", { path: "/3/0/9", value: large, format: SENML_JSON });
    expect(Buffer.from(last().payload).toString()).toContain(large);
  });

  test("is named by query where no path can carry its endpoint name (D-031)", async () => {
    const hostile = await register("..%2F\u202e");
    hostile.device.on("GET /3/0/0", { code: "2.05", payload: "npm" });
    const query = `device=${encodeURIComponent("..%2F\u202e")}`;
    const shown = await api.ask("GET", `${DEVICES}/-/device?${query}`);
    expect(shown.body.endpoint).toBe("..%2F\u202e");
    const read = await api.ask("POST", `${DEVICES}/-/read?timeout=1m&${query}`, { body: { path: "/3/0/0" } });
    expect(read.body.data).toMatchObject({ code: "2.05" });
  });
});

describe("an observation (O-044, O-048)", () => {
  test.each([
    ["observe", { path: "/3303/0/5700" }, "GET /3303/0/5700", "/3303/0/5700"],
    ["observe-composite", { paths: ["/3303/0/5700", "/3/0/9"] }, "FETCH /", "/3/0/9,/3303/0/5700"],
  ])(
    "%s: notifications come as events of that device alone, until it is cancelled",
    async (request, body, line, observed) => {
      const content = (value: number) => ({
        code: "2.05",
        format: SENML_JSON,
        payload: `[{"n":"/3303/0/5700","v":${value}}]`,
      });
      meter.device.on(line, ({ observe }) => ({ ...content(21), ...(observe === 0 ? { observe: 2 } : {}) }));
      const heard = await events("/devices/lwm2m/events?device=meter");
      const others = await events("/devices/lwm2m/events?device=somebody");
      expect((await ask(request, body)).body).toMatchObject({ state: "answered", data: { code: "2.05" } });
      const begun = last();
      expect(begun.observe).toBe(0);
      expect((await api.ask("GET", `${DEVICES}/meter/device`)).body.observed).toEqual([observed]);
      meter.device.notify(begun, 3, content(22.5));
      const notified = await heard.next(({ event }) => event === "notify");
      expect(notified.data).toMatchObject({
        device: "meter",
        kind: "notify",
        report: { data: { content: [{ path: "/3303/0/5700", value: 22.5 }] } },
      });
      const cancelled = await ask(`cancel-${request}`, body);
      expect(cancelled.body).toMatchObject({ state: "answered" });
      expect(last().observe).toBe(1);
      expect((await api.ask("GET", `${DEVICES}/meter/device`)).body.observed).toEqual([]);
      expect(others.seen).toEqual([]);
      await heard.close();
      await others.close();
    },
  );
});

describe("a firmware update", () => {
  test.each([
    ["push", "1", { file: "v2.bin" }, ["started", "delivered", "downloaded", "success"]],
    ["push", "5", { file: "v2.bin" }, ["started", "delivered", "downloaded", "failed"]],
    ["pull", "1", { uri: "coap://elsewhere/v2.bin" }, ["started", "downloading", "downloaded", "success"]],
  ])("%s, with Update Result %s: each step comes as an event", async (mode, outcome, given, steps) => {
    const { device } = await register(`${mode}-${outcome}`);
    const object = new FirmwareObject(device, outcome);
    const heard = await events(`/devices/lwm2m/events?device=${device.ep}`);
    const ordered = await api.ask("POST", `${DEVICES}/${device.ep}/firmware?timeout=1m`, {
      body: { mode, ...given },
    });
    expect([ordered.status, ordered.body]).toMatchObject([200, { data: { code: "2.04", reqPath: "/5/0" } }]);
    const seen: string[] = [];
    while (seen.at(-1) !== steps.at(-1)) {
      const { data } = await heard.next(({ event }) => event === "firmware");
      // It may be seen at work, or not: that is a matter of moments.
      if (data.report.data.status !== "updating") seen.push(data.report.data.status);
    }
    expect(seen).toEqual(steps);
    if (mode === "push") expect(Buffer.concat(object.package)).toEqual(PACKAGE);
    else expect(object.uri).toContain("coap://elsewhere/v2.bin");
    await heard.close();
  });

  test("of a file that there is not is answered 4.00 with the reason, and nothing begins", async () => {
    const refused = await ask("firmware", { file: "v3.bin" });
    expect([refused.status, refused.body]).toMatchObject([
      200,
      { state: "answered", data: { code: "4.00", reason: "no firmware file v3.bin" } },
    ]);
  });
});

describe("a device that sleeps (O-046, O-119)", () => {
  test("is answered 202 with the place of the result, which is there when it wakes, and an event says so", async () => {
    const sleeper = (await register("sleeper", ["b=UQ"])).device;
    const state = async () => (await api.ask("GET", `${DEVICES}/sleeper/device`)).body.state;
    await until(async () => (await state()) === "sleeping", "it does not fall asleep");
    sleeper.on("GET /3/0/0", { code: "2.05", payload: "npm" });
    const heard = await events("/devices/lwm2m/events?device=sleeper");
    const asked = await api.ask("POST", `${DEVICES}/sleeper/read?timeout=0s`, { body: { path: "/3/0/0" } });
    expect([asked.status, asked.body]).toMatchObject([202, { state: "waiting", request: "read" }]);
    const place = asked.headers.get("location")!;
    expect(place).toBe(`${DEVICES}/requests/${asked.body.id}`);
    expect((await api.ask("GET", place)).body.state).toBe("waiting");
    expect((await api.ask("GET", `${DEVICES}/sleeper/device`)).body.waiting).toBe(1);
    expect(sleeper.asked).toEqual([]);
    sleeper.send("0.02", sleeper.location!, []);
    const told = await heard.next(({ event }) => event === "result");
    expect(told.data).toMatchObject({ report: { id: asked.body.id, state: "answered" } });
    expect(heard.seen.map(({ event }) => event)).toContain("awake");
    // And nothing is heard of it again (O-048).
    expect((await heard.next(({ event }) => event === "sleeping")).data).toMatchObject({
      ...{ device: "sleeper", kind: "sleeping", report: { waiting: 0 } },
    });
    const found = await api.ask("GET", place);
    expect([found.status, found.body]).toMatchObject([200, { state: "answered", data: { code: "2.05" } }]);
    expect(Date.parse(found.body.until)).toBeGreaterThanOrEqual(Date.parse(found.body.since));
    await heard.close();
  });

  test("that does not wake in time: the request has expired, and says so", async () => {
    await register("lazy", ["b=UQ"]);
    const state = async () => (await api.ask("GET", `${DEVICES}/lazy/device`)).body.state;
    await until(async () => (await state()) === "sleeping", "it does not fall asleep");
    const asked = await api.ask("POST", `${DEVICES}/lazy/read?timeout=1m&wait=1`, {
      body: { path: "/3/0/0" },
    });
    expect([asked.status, asked.body]).toMatchObject([200, { state: "failed", failure: "expired" }]);
  });
});

describe("a device that does not answer", () => {
  test("at all is coap_timeout, and one that resets is coap_reset", async () => {
    const own = await startApi({
      gateways: { ...GATEWAYS, lwm2m: { ...GATEWAYS.lwm2m, requestTimeout: "1s" } },
    });
    const silent = await register("silent", [], own);
    silent.device.on("GET /3/0/0", "silence").on("GET /3/0/1", "reset");
    const read = (path: string) => own.ask("POST", `${DEVICES}/silent/read?timeout=1m`, { body: { path } });
    const never = await read("/3/0/0");
    expect([never.status, never.body]).toMatchObject([200, { state: "failed", failure: "coap_timeout" }]);
    const reset = await read("/3/0/1");
    expect([reset.status, reset.body]).toMatchObject([200, { state: "failed", failure: "coap_reset" }]);
    await own.stop();
  });
});

describe("what cannot be asked is refused, and names the field", () => {
  test.each<[string, object, string]>([
    ["read", {}, "/path"],
    ["read", { path: 3 }, "/path"],
    ["read", { path: "/3/0/0", fromat: 110 }, "/fromat"],
    ["read", { path: "/3/0/0", accept: "json" }, "/accept"],
    ["discover", { path: "/3", depth: 4 }, "/depth"],
    ["write", { basePath: "/1/0", content: [{ path: "1", valeu: 1 }] }, "/content/0/valeu"],
    ["write-attr", { path: "/3/0/9", pmin: true }, "/pmin"],
    ["read-composite", { paths: [] }, "/paths"],
    ["write-composite", { content: [] }, "/content"],
    ["firmware", { mode: "shove" }, "/mode"],
  ])("%s %j", async (request, body, field) => {
    const before = meter.device.asked.length;
    const refused = await ask(request, body);
    expect([refused.status, refused.body.code]).toEqual([400, "invalid-request"]);
    expect(refused.body.errors).toMatchObject([{ in: "body", field }]);
    expect(meter.device.asked).toHaveLength(before);
  });

  test.each<[string, object, RegExp]>([
    ["read", { path: "/x" }, /path \/x/],
    ["read", { path: "/" }, /too short/],
    ["write", { path: "/1/0/1", value: "soon" }, /./],
    ["execute", { path: "/3/0/4", args: "now" }, /args/],
    ["firmware", {}, /file is missing/],
  ])("%s %j, by its reason", async (request, body, reason) => {
    const refused = await ask(request, body);
    expect([refused.status, refused.body.code]).toEqual([400, "invalid-request"]);
    expect(refused.body.detail).toMatch(reason);
  });

  test("and so is a device that is not registered, a request that there is not, and too long a timeout", async () => {
    const nobody = await api.ask("POST", `${DEVICES}/nobody/read`, { body: { path: "/3/0/0" } });
    expect([nobody.status, nobody.body.code]).toEqual([404, "not-found"]);
    const dance = await ask("dance", {});
    expect([dance.status, dance.body.detail]).toEqual([
      404,
      expect.stringContaining("read, discover, write"),
    ]);
    const long = await ask("read", { path: "/3/0/0" }, "timeout=2m");
    expect([long.status, long.body.errors]).toMatchObject([400, [{ field: "timeout", fix: "at most 1m" }]]);
  });
});
