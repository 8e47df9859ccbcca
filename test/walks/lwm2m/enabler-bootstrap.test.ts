/** OMA's enabler test cases 0 to 99: the bootstrap interface, from the server's side. */
import { describe, expect, it } from "vitest";
import { Lwm2mWorld } from "../../support/lwm2m-world.ts";

/** A server account without security and its Server instance, as the cases write them. */
const ACCOUNT = {
  path: "/0/0",
  content: [
    { path: "0", value: "coap://server.example.com" },
    { path: "1", value: false },
    { path: "2", value: 3 },
    { path: "10", value: 1 },
  ],
};
const PSK_ACCOUNT = {
  path: "/0/0",
  content: [
    { path: "0", value: "coaps://server.example.com" },
    { path: "1", value: false },
    { path: "2", value: 0 },
    { path: "3", value: "aWRlbnRpdHk=" },
    { path: "5", value: "AQIDBAUGBwgJCgsMDQ4PEA==" },
    { path: "10", value: 1 },
  ],
};
const CERTIFICATE_ACCOUNT = {
  path: "/0/0",
  content: [
    { path: "0", value: "coaps://server.example.com" },
    { path: "1", value: false },
    { path: "2", value: 2 },
    { path: "3", value: "Y2xpZW50LmNydA==" },
    { path: "4", value: "c2VydmVyLmNydA==" },
    { path: "5", value: "Y2xpZW50LmtleQ==" },
    { path: "10", value: 1 },
  ],
};
const SERVER = {
  path: "/1/0",
  content: [
    { path: "0", value: 1 },
    { path: "1", value: 86_400 },
    { path: "6", value: false },
    { path: "7", value: "U" },
  ],
};
const ACCESS = {
  path: "/2/0",
  content: [
    { path: "0", value: 3 },
    { path: "1", value: 0 },
    { path: "2/0", value: 31 },
    { path: "3", value: 65_535 },
  ],
};

function factory(profile: object) {
  const world = new Lwm2mWorld(
    { bootstrap: { profiles: "p" } },
    { files: { p: Buffer.from(JSON.stringify({ default: profile })) } },
  );
  world.watch("meter");
  return { world, device: world.device("meter") };
}
const steps = (...list: object[]) => factory({ steps: list });
const DISCOVERED = '</>;lwm2m="1.1",</0/0>;ssid=1,</0/1>,</1/0>;ssid=1,</3/0>';

describe("client-initiated bootstrap", () => {
  it("LightweightM2M-1.1-int-0 two writes, a discovery of what is there now, and Finish", () => {
    const { world, device } = steps({ write: ACCOUNT }, { write: SERVER }, { discover: "/" });
    device.on("GET /", { code: "2.05", format: 40, payload: DISCOVERED });
    expect(device.request("0.02", "bs", ["ep=meter"]).code).toBe("2.04");
    expect(device.lines()).toEqual(["PUT /0/0", "PUT /1/0", "GET /", "POST /bs"]);
    expect(device.lastAsked().payload).toHaveLength(0);
    expect(device.asked[2]?.accept).toBe(40);
    expect(world.reports("meter", "bootstrap").at(-1)?.data).toMatchObject({
      status: "finished",
      discovered: DISCOVERED.split(","),
    });
  });

  it.each([
    ["1", "a pre-shared key", PSK_ACCOUNT],
    ["2", "a certificate", CERTIFICATE_ACCOUNT],
  ] as const)(
    "LightweightM2M-1.1-int-%s an account with %s, and then a registration",
    (_id, _what, account) => {
      const { device } = steps({ write: account }, { write: SERVER }, { discover: "/" });
      device.request("0.02", "bs", ["ep=meter", "pct=110"]);
      expect(device.lines()).toEqual(["PUT /0/0", "PUT /1/0", "GET /", "POST /bs"]);
      const written = JSON.parse(Buffer.from(device.asked[0]?.payload ?? []).toString()) as object[];
      const secret = account.content.find((item) => item.path === "5")?.value as string;
      const base64Url = secret.replace(/=+$/, "").replaceAll("+", "-").replaceAll("/", "_");
      expect(written).toContainEqual({ n: "5", vd: base64Url });
      expect(device.register({ lwm2m: "1.1" }).code).toBe("2.01");
    },
  );

  it("LightweightM2M-1.1-int-4 what was written is read, deleted, not there any more, and written again", () => {
    const { world, device } = steps(
      { write: ACCOUNT },
      { write: SERVER },
      { discover: "/" },
      { read: "/1" },
      { delete: "/0" },
      { delete: "/1" },
      { discover: "/" },
      { read: "/1" },
      { write: ACCOUNT },
      { write: SERVER },
    );
    let there = true;
    device.on("DELETE /1", () => {
      there = false;
      return { code: "2.02" };
    });
    device.on("GET /", () => ({ code: "2.05", format: 40, payload: there ? DISCOVERED : "</0/1>,</3/0>" }));
    device.on("GET /1", () =>
      there ? { code: "2.05", format: 110, payload: '[{"n":"/1/0/0","v":1}]' } : { code: "4.04" },
    );
    device.request("0.02", "bs", ["ep=meter"]);
    expect(device.lines()).toEqual([
      "PUT /0/0",
      "PUT /1/0",
      "GET /",
      "GET /1",
      "DELETE /0",
      "DELETE /1",
      "GET /",
      "GET /1",
      "PUT /0/0",
      "PUT /1/0",
      "POST /bs",
    ]);
    expect(world.reports("meter", "bootstrap").at(-1)?.data).toMatchObject({
      status: "finished",
      discovered: ["</0/1>", "</3/0>"],
    });
    expect(device.register({ lwm2m: "1.1" }).code).toBe("2.01");
  });

  it("LightweightM2M-1.1-int-7 a device without a server comes back to be bootstrapped, as often as it has to", () => {
    const { device } = steps({ write: ACCOUNT }, { write: SERVER });
    for (let round = 0; round < 2; round++) {
      expect(device.request("0.02", "bs", ["ep=meter"]).code).toBe("2.04");
      expect(device.lines().at(-1)).toBe("POST /bs");
    }
    expect(device.register({ lwm2m: "1.1" }).code).toBe("2.01");
  });

  it("LightweightM2M-1.1-int-8 Server and Access Control are written, and read back before Finish", () => {
    const { world, device } = steps(
      { write: ACCOUNT },
      { write: SERVER },
      { write: ACCESS },
      { read: "/1" },
      { read: "/2" },
    );
    device.on("GET /1", { code: "2.05", format: 110, payload: '[{"n":"/1/0/0","v":1}]' });
    device.on("GET /2", { code: "2.05", format: 110, payload: '[{"n":"/2/0/2/0","v":31}]' });
    device.request("0.02", "bs", ["ep=meter"]);
    expect(device.lines()).toEqual(["PUT /0/0", "PUT /1/0", "PUT /2/0", "GET /1", "GET /2", "POST /bs"]);
    expect(Buffer.from(device.asked[2]?.payload ?? []).toString("hex")).toBe(
      "c10003c10100830241001fc4030000ffff",
    );
    expect(world.reports("meter", "bootstrap").at(-1)?.data).toMatchObject({
      content: [
        { path: "/1/0/0", value: 1 },
        { path: "/2/0/2/0", value: 31 },
      ],
    });
  });

  it("LightweightM2M-1.1-int-9 a device that finds the configuration inconsistent says so at Finish", () => {
    const { world, device } = steps({ write: ACCOUNT }, { write: SERVER });
    device.on("POST /bs", { code: "4.06" });
    device.request("0.02", "bs", ["ep=meter"]);
    expect(world.reports("meter", "bootstrap").at(-1)?.data).toEqual({
      ep: "meter",
      status: "failed",
      step: "finish",
      code: "4.06",
      codeMsg: "not_acceptable",
    });
  });

  it("LightweightM2M-1.1-int-9 a profile that leaves the device without an account is never sent", () => {
    expect(() => steps({ write: SERVER })).toThrow("no Security instance");
  });

  it.each([
    ["steps that are no list", { steps: {} }, "steps must be a list"],
    ["steps beside the usual fields", { steps: [], delete: ["/"] }, "delete has no place beside steps"],
    ["a step of another kind", { steps: [{ reboot: "/3" }] }, "a step is"],
    ["a step without a path", { steps: [{ delete: 5 }] }, "delete needs a path"],
    ["a read of anything but 1 and 2", { steps: [{ read: "/3" }] }, "only objects 1 and 2"],
    [
      "an account that is deleted again",
      { steps: [{ write: ACCOUNT }, { write: SERVER }, { delete: "/0" }] },
      "no Security",
    ],
    ["a format that carries no instance", { format: 60 }, "format must be one of"],
  ])("%s: the profile is refused", (_what, profile, problem) => {
    expect(() => factory(profile)).toThrow(problem);
  });

  it("a preferred format that is none for bootstrapping is 4.15", () => {
    const { device } = steps({ write: ACCOUNT }, { write: SERVER });
    expect(device.request("0.02", "bs", ["ep=meter", "pct=60"]).code).toBe("4.15");
    expect(device.asked).toEqual([]);
  });
});

describe("other ways", () => {
  it("LightweightM2M-1.1-int-5 the server triggers it: the device asks, and is bootstrapped to the end", () => {
    const { world, device } = steps({ write: ACCOUNT }, { write: SERVER });
    device.register({ lwm2m: "1.1" });
    world.command("meter", { reqID: 1, msgType: "bootstrap-request", data: {} });
    expect(device.lastAsked().line).toBe("POST /1/0/9");
    expect(device.request("0.02", "bs", ["ep=meter"]).code).toBe("2.04");
    expect(device.lines().at(-1)).toBe("POST /bs");
    expect(world.reports("meter", "resp").at(-1)).toMatchObject({ reqID: 1, data: { code: "2.04" } });
  });

  it("LightweightM2M-1.2-int-12 Bootstrap-Pack: the account in one answer, and then a registration", () => {
    const { device } = steps({ delete: "/" }, { write: ACCOUNT }, { write: SERVER });
    const answer = device.request("0.01", "bspack", ["ep=meter", "acc=</0/1>"], "", undefined, [
      { number: 17, value: Uint8Array.of(110) },
    ]);
    expect(answer.code).toBe("2.05");
    const records = JSON.parse(Buffer.from(answer.payload).toString()) as object[];
    expect(records).toContainEqual({ n: "/0/0/0", vs: "coap://server.example.com" });
    expect(records).toContainEqual({ n: "/1/0/1", v: 86_400 });
    expect(device.asked).toEqual([]);
    expect(device.register({ lwm2m: "1.2" }).code).toBe("2.01");
  });

  it("without a bootstrap server the pack is 5.01, which makes the device try /bs (LwM2M 1.2 §6.1.7.7)", () => {
    const device = new Lwm2mWorld().device("meter");
    expect(device.request("0.01", "bspack", ["ep=meter"]).code).toBe("5.01");
    expect(device.request("0.02", "bs", ["ep=meter"]).code).toBe("4.00");
  });
});
