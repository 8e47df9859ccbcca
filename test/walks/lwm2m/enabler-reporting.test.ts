/** OMA's enabler test cases 300 to 399: information reporting, from the server's side. */
import { describe, expect, it } from "vitest";
import type { Lwm2mDevice } from "../../support/lwm2m-device.ts";
import { content, enabler, LINKS, observing } from "../../support/lwm2m-enabler.ts";

const SENML_JSON = 110;
const RST = 3;

/** The requests for a path, of which the first began an observation. */
const begun = (device: Lwm2mDevice, line: string) => {
  const asked = device.asked.find((each) => each.line === line && each.observe === 0);
  if (asked === undefined) throw new Error(`nothing observed by ${line}`);
  return asked;
};

describe("observations", () => {
  function observed() {
    const tools = enabler();
    observing(tools.device, { "/3/0/7/0": "3800", "/3/0/8/0": "120" });
    const { code } = tools;
    expect(code("write-attr", { path: "/3/0/7/0", pmin: "5", pmax: "15" })).toBe("2.04");
    expect(code("observe", { path: "/3/0/7/0" })).toBe("2.05");
    expect(code("observe", { path: "/3/0/8/0" })).toBe("2.05");
    const voltage = begun(tools.device, "GET /3/0/7/0");
    const current = begun(tools.device, "GET /3/0/8/0");
    return { ...tools, voltage, current };
  }

  it("LightweightM2M-1.1-int-301 attributes are set, values come regularly", () => {
    const { world, device, voltage, current } = observed();
    expect(device.lines()[0]).toBe("PUT /3/0/7/0?pmin=5&pmax=15");
    device.notify(voltage, 11, content(0, "3790"));
    device.notify(current, 11, content(0, "119"), true);
    expect(world.reports("meter", "notify").map((report) => report.data["content"])).toEqual([
      [{ path: "/3/0/7/0", value: 3790 }],
      [{ path: "/3/0/8/0", value: 119 }],
    ]);
  });

  it("LightweightM2M-1.1-int-302 a notification of what is observed no more is reset, the others are not", () => {
    const { world, device, code, voltage, current } = observed();
    expect(code("cancel-observe", { path: "/3/0/7/0" })).toBe("2.05");
    device.notify(voltage, 12, content(0, "3780"), true);
    expect(device.answers.at(-1)?.type).toBe(RST);
    device.notify(current, 12, content(0, "118"), true);
    expect(device.answers.at(-1)?.type).not.toBe(RST);
    expect(world.reports("meter", "notify")).toMatchObject([{ data: { reqPath: "/3/0/8/0" } }]);
  });

  it("LightweightM2M-1.1-int-303 Cancel by Observe 1 under the token and with the options of the observation", () => {
    const { device, code, voltage } = observed();
    expect(code("cancel-observe", { path: "/3/0/7/0" })).toBe("2.05");
    expect(device.lastAsked()).toMatchObject({ line: "GET /3/0/7/0", observe: 1 });
    expect(device.lastAsked().message.token).toBe(voltage.message.token);
  });

  it("LightweightM2M-1.2-int-312 Observe with attributes of its own, which its cancellation repeats", () => {
    const { device, code } = enabler({ lwm2m: "1.2" });
    device.on("GET /3/0/7", (asked) => ({
      ...content(SENML_JSON, '[{"n":"/3/0/7/0","v":1}]'),
      observe: asked.observe === 0 ? 3 : 0,
    }));
    expect(code("observe", { path: "/3/0/7?pmin=5&pmax=15" })).toBe("2.05");
    expect(device.lastAsked()).toMatchObject({ line: "GET /3/0/7?pmin=5&pmax=15", observe: 0 });
    expect(code("cancel-observe", { path: "/3/0/7" })).toBe("2.05");
    expect(device.lastAsked()).toMatchObject({ line: "GET /3/0/7?pmin=5&pmax=15", observe: 1 });
  });

  it("LightweightM2M-1.2-int-313 attributes that were written before stay as they are", () => {
    const { device, code } = enabler({ lwm2m: "1.2" });
    observing(device, { "/3/0/7": "1" });
    expect(code("write-attr", { path: "/3/0/7", pmin: "5", pmax: "60" })).toBe("2.04");
    expect(code("observe", { path: "/3/0/7?pmin=5&pmax=10" })).toBe("2.05");
    expect(device.lines()).toEqual(["PUT /3/0/7?pmin=5&pmax=60", "GET /3/0/7?pmin=5&pmax=10"]);
  });
});

describe("composite observations", () => {
  const paths = ["/1/0/1", "/3/0/11/0", "/3/0/16"];
  const values = '[{"n":"/1/0/1","v":86400},{"n":"/3/0/11/0","v":0},{"n":"/3/0/16","vs":"U"}]';
  const answering = (device: Lwm2mDevice, payload = values) =>
    device.on("FETCH /", (asked) => ({
      ...content(SENML_JSON, payload),
      ...(asked.observe === 0 ? { observe: 1 } : {}),
    }));

  it("LightweightM2M-1.1-int-304 Observe-Composite: all values at first, and in each notification", () => {
    const { world, device, code, read } = enabler();
    answering(device);
    expect(code("write-attr", { path: "/1/0/1", pmin: "30", pmax: "45" })).toBe("2.04");
    const all = { "/1/0/1": 86_400, "/3/0/11/0": 0, "/3/0/16": "U" };
    expect(read("observe-composite", { paths })).toEqual(all);
    device.notify(begun(device, "FETCH /"), 2, content(SENML_JSON, values));
    expect(world.reports("meter", "notify")).toMatchObject([
      {
        seqNum: 2,
        data: { code: "2.05", content: Object.entries(all).map(([path, value]) => ({ path, value })) },
      },
    ]);
  });

  it("LightweightM2M-1.1-int-305 Cancel Observation-Composite: Observe 1 with the same list and token", () => {
    const { device, code } = enabler();
    answering(device);
    expect(code("observe-composite", { paths })).toBe("2.05");
    const first = begun(device, "FETCH /");
    expect(code("cancel-observe-composite", { paths })).toBe("2.05");
    const last = device.lastAsked();
    expect(last).toMatchObject({ line: "FETCH /", observe: 1 });
    expect(last.message.token).toBe(first.message.token);
    expect(Buffer.from(last.payload).equals(first.payload)).toBe(true);
  });

  it.each([
    [
      "308",
      "created",
      '[{"n":"/16/0/0/0","vs":"aa"}]',
      '[{"n":"/16/0/0/0","vs":"aa"},{"n":"/16/1/0/0","vs":"11"}]',
    ],
    [
      "309",
      "deleted",
      '[{"n":"/16/0/0/0","vs":"aa"},{"n":"/16/1/0/0","vs":"11"}]',
      '[{"n":"/16/0/0/0","vs":"aa"}]',
    ],
  ] as const)(
    "LightweightM2M-1.1-int-%s an instance that is %s while it is observed",
    (_id, what, before, after) => {
      const { world, device, code } = enabler();
      answering(device, before);
      device.on("POST /16", { code: "2.01", location: ["16", "1"] });
      expect(code("observe-composite", { paths: ["/16/0", "/16/1"] })).toBe("2.05");
      const observation = begun(device, "FETCH /");
      device.notify(observation, 2, content(SENML_JSON, before));
      const changed =
        what === "created"
          ? code("create", { basePath: "/16", content: [{ path: "/1/0/0", type: "String", value: "11" }] })
          : code("delete", { path: "/16/1" });
      expect(changed).toBe(what === "created" ? "2.01" : "2.02");
      device.notify(observation, 3, content(SENML_JSON, after));
      const counts = world
        .reports("meter", "notify")
        .map((report) => (report.data["content"] as unknown[]).length);
      expect(counts).toEqual([before, after].map((pack) => (JSON.parse(pack) as unknown[]).length));
    },
  );

  it("LightweightM2M-1.1-int-310 attributes may change while it goes on", () => {
    const { world, device, code } = enabler();
    answering(device);
    expect(code("observe-composite", { paths: ["/1/0/3", "/3/0"] })).toBe("2.05");
    expect(code("write-attr", { path: "/3", pmax: "5" })).toBe("2.04");
    for (const seq of [2, 3, 4]) device.notify(begun(device, "FETCH /"), seq, content(SENML_JSON, values));
    expect(world.reports("meter", "notify").map((report) => report["seqNum"])).toEqual([2, 3, 4]);
  });

  it("attributes of a composite observation go along as queries (LwM2M 1.2 §6.4.4)", () => {
    const { device, code } = enabler({ lwm2m: "1.2" });
    answering(device);
    expect(code("observe-composite", { paths, pmin: 10, pmax: "60", gt: 3 })).toBe("2.05");
    expect(device.lastAsked().line).toBe("FETCH /?pmin=10&pmax=60");
    expect(code("observe-composite", { paths, pmin: "soon" })).toBe("4.00");
  });
});

describe("Send", () => {
  it.each(["306", "311"])(
    "LightweightM2M-1.1-int-%s values of registered objects are taken with 2.04",
    () => {
      const { world, device } = enabler();
      const payload = '[{"n":"/1/0/1","v":86400},{"n":"/3/0/11/0","v":0}]';
      expect(device.request("0.02", "dp", [], payload, SENML_JSON).code).toBe("2.04");
      expect(world.reports("meter", "send")).toEqual([
        {
          msgType: "send",
          data: {
            content: [
              { path: "/1/0/1", value: 86_400 },
              { path: "/3/0/11/0", value: 0 },
            ],
          },
        },
      ]);
    },
  );

  it("values of an object that was not registered are refused with 4.04 (LwM2M 1.1 §6.4.6)", () => {
    const { world, device } = enabler({}, LINKS);
    const payload = '[{"n":"/3/0/9","v":90},{"n":"/3303/0/5700","v":20}]';
    expect(device.request("0.02", "dp", [], payload, SENML_JSON).code).toBe("4.04");
    expect(world.reports("meter")).toEqual([]);
  });

  it("LightweightM2M-1.1-int-307 Mute Send is written as any resource, and Send goes on afterwards", () => {
    const { world, device, code } = enabler();
    expect(code("write", { path: "/1/0/23", type: "Boolean", value: true })).toBe("2.04");
    expect(code("write", { path: "/1/0/23", type: "Boolean", value: false })).toBe("2.04");
    expect(device.lines()).toEqual(["PUT /1/0/23", "PUT /1/0/23"]);
    expect(device.request("0.02", "dp", [], '[{"n":"/3/0/9","v":1}]', SENML_JSON).code).toBe("2.04");
    expect(world.reports("meter", "send")).toHaveLength(1);
  });
});
