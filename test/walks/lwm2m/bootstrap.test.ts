import { describe, expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { uintOf } from "../../support/coap-bytes.ts";
import { Lwm2mWorld } from "../../support/lwm2m-world.ts";

interface Write {
  readonly path: string;
  readonly content: readonly { readonly path: string; readonly value: unknown }[];
}

const ACCOUNT: Write = {
  path: "/0/1",
  content: [
    { path: "0", value: "coap://gateway.example:5683" },
    { path: "1", value: false },
    { path: "2", value: 3 },
    { path: "3", value: "" },
    { path: "5", value: "" },
    { path: "10", value: 101 },
  ],
};
const SERVER: Write = {
  path: "/1/1",
  content: [
    { path: "0", value: 101 },
    { path: "1", value: 300 },
    { path: "6", value: true },
    { path: "7", value: "U" },
  ],
};
const PROFILE = { delete: ["/0", "/1"], write: [ACCOUNT, SERVER] };

function factory(profiles: object, settings: object = {}) {
  const world = new Lwm2mWorld(
    { bootstrap: { profiles: "profiles.json" }, ...settings },
    { files: { "profiles.json": Buffer.from(JSON.stringify(profiles)) } },
  );
  world.watch("meter");
  return { world, device: world.device("meter") };
}

describe("client-initiated bootstrap", () => {
  it("2.04, then delete, write and finish, one request at a time", () => {
    const { world, device } = factory({ default: PROFILE });
    expect(device.request("0.02", "bs", ["ep=meter"]).code).toBe("2.04");
    expect(device.lines()).toEqual(["DELETE /0", "DELETE /1", "PUT /0/1", "PUT /1/1", "POST /bs"]);
    const [, , security, server] = device.asked;
    expect(security?.format).toBe(11542);
    expect(Buffer.from(security?.payload ?? []).toString("hex")).toBe(
      `c8001b${Buffer.from("coap://gateway.example:5683").toString("hex")}c10100c10203c003c005c10a65`,
    );
    expect(Buffer.from(server?.payload ?? []).toString("hex")).toBe("c10065c201012cc10601c10755");
    expect(world.reports("meter", "bootstrap")).toEqual([
      { msgType: "bootstrap", data: { ep: "meter", status: "started" } },
      { msgType: "bootstrap", data: { ep: "meter", status: "finished" } },
    ]);
  });

  it("the next request waits for the answer to the one before", () => {
    const { device } = factory({ default: PROFILE });
    device.on("DELETE /1", "acknowledge");
    device.request("0.02", "bs", ["ep=meter"]);
    expect(device.lines()).toEqual(["DELETE /0", "DELETE /1"]);
    device.respond(device.lastAsked(), { code: "2.02" });
    expect(device.lines().at(-1)).toBe("POST /bs");
  });

  it("the profile of the endpoint comes before the default", () => {
    const { device } = factory({ default: PROFILE, endpoints: { meter: { delete: ["/"], write: [] } } });
    device.request("0.02", "bs", ["ep=meter"]);
    expect(device.lines()).toEqual(["DELETE /", "POST /bs"]);
  });

  it("a device that nobody knows is refused with 4.00", () => {
    const { device } = factory({ endpoints: { other: PROFILE } });
    expect(device.request("0.02", "bs", ["ep=meter"]).code).toBe("4.00");
    expect(device.request("0.02", "bs", []).code).toBe("4.00");
    expect(device.asked).toEqual([]);
  });

  it("the device's preferred content format is used", () => {
    const { device } = factory({ default: PROFILE });
    device.request("0.02", "bs", ["ep=meter", "pct=110"]);
    expect(device.asked[3]).toMatchObject({ line: "PUT /1/1", format: 110 });
    expect(Buffer.from(device.asked[3]?.payload ?? []).toString()).toBe(
      '[{"bn":"/1/1/","n":"0","v":101},{"n":"1","v":300},{"n":"6","vb":true},{"n":"7","vs":"U"}]',
    );
  });

  it("discover and read come first where the profile wants them, and are reported", () => {
    const { world, device } = factory({ default: { ...PROFILE, discover: true, read: ["/1"] } });
    device.on("GET /", { code: "2.05", format: 40, payload: "</>;lwm2m=1.1,</0/0>;ssid=101,</1/0>" });
    device.on("GET /1", {
      code: "2.05",
      format: 11542,
      payload: Buffer.from("0803c10065".replace("0803", "080003"), "hex"),
    });
    device.request("0.02", "bs", ["ep=meter"]);
    expect(device.lines().slice(0, 4)).toEqual(["GET /", "DELETE /0", "DELETE /1", "GET /1"]);
    expect(world.reports("meter", "bootstrap").at(-1)?.data).toMatchObject({
      status: "finished",
      discovered: ["</>;lwm2m=1.1", "</0/0>;ssid=101", "</1/0>"],
      content: [{ path: "/1/0/0", value: 101 }],
    });
  });

  it("a device that cannot be discovered, or has nothing to delete, is bootstrapped all the same", () => {
    const { world, device } = factory({ default: { ...PROFILE, discover: true } });
    device.on("GET /", { code: "4.05" }).on("DELETE /0", { code: "4.04" });
    device.request("0.02", "bs", ["ep=meter"]);
    expect(world.reports("meter", "bootstrap").at(-1)?.data).toEqual({ ep: "meter", status: "finished" });
  });

  it("a write that is refused ends it: no finish, and a report that says where", () => {
    const { world, device } = factory({ default: PROFILE });
    device.on("PUT /0/1", { code: "4.00" });
    device.request("0.02", "bs", ["ep=meter"]);
    expect(device.lines().at(-1)).toBe("PUT /0/1");
    expect(world.reports("meter", "bootstrap").at(-1)?.data).toEqual({
      ep: "meter",
      status: "failed",
      step: "write /0/1",
      code: "4.00",
      codeMsg: "bad_request",
    });
  });

  it("silence ends it too", () => {
    const { world, device } = factory({ default: PROFILE });
    device.on("PUT /1/1", "silence");
    device.request("0.02", "bs", ["ep=meter"]);
    world.advance(seconds(100));
    expect(world.reports("meter", "bootstrap").at(-1)?.data).toMatchObject({
      status: "failed",
      step: "write /1/1",
      codeMsg: "coap_timeout",
    });
  });

  it("asking again starts again", () => {
    const { world, device } = factory({ default: PROFILE });
    device.on("DELETE /1", "acknowledge");
    device.request("0.02", "bs", ["ep=meter"]);
    device.on("DELETE /1", { code: "2.02" });
    device.request("0.02", "bs", ["ep=meter"]);
    expect(device.lines().at(-1)).toBe("POST /bs");
    expect(world.reports("meter", "bootstrap").map((report) => report.data["status"])).toEqual([
      "started",
      "started",
      "finished",
    ]);
  });

  it("a registered device that bootstraps keeps its session until it registers again", () => {
    const { world, device } = factory({ default: PROFILE });
    device.register();
    device.request("0.02", "bs", ["ep=meter"]);
    expect(world.disconnects).toEqual([]);
    expect(device.update().code).toBe("2.04");
  });

  it("wrong credentials are refused with 4.03", () => {
    const world = new Lwm2mWorld(
      { bootstrap: { profiles: "p" } },
      {
        files: { p: Buffer.from(JSON.stringify({ default: PROFILE })) },
        policy: { authenticate: () => ({ ok: false, refusal: "forbidden", reason: "" }) },
      },
    );
    expect(world.device("meter").request("0.02", "bs", ["ep=meter"]).code).toBe("4.03");
  });
});

describe("Bootstrap-Pack (LwM2M 1.2 §6.1.7.7)", () => {
  it("GET /bspack gives the whole profile, as SenML CBOR or what is accepted", () => {
    const { world, device } = factory({ default: PROFILE });
    const answer = device.request("0.01", "bspack", ["ep=meter"], "", undefined, [
      { number: 17, value: Uint8Array.of(110) },
    ]);
    expect(answer.code).toBe("2.05");
    expect(JSON.parse(Buffer.from(answer.payload).toString())).toContainEqual({ n: "/1/1/1", v: 300 });
    expect(uintOf(device.request("0.01", "bspack", ["ep=meter"]), 12)).toBe(112);
    expect(world.reports("meter", "bootstrap")[0]?.data).toEqual({ ep: "meter", status: "pack" });
  });

  it("a format that cannot carry it is 4.06", () => {
    const { device } = factory({ default: PROFILE });
    const accept = { number: 17, value: Uint8Array.of(0x2d, 0x16) };
    expect(device.request("0.01", "bspack", ["ep=meter"], "", undefined, [accept]).code).toBe("4.06");
  });
});

describe("server-initiated bootstrap", () => {
  it("the trigger is resource 9 of a Server instance", () => {
    const { world, device } = factory({ default: PROFILE });
    device.register();
    world.command("meter", { reqID: 1, msgType: "bootstrap-request", data: {} });
    world.command("meter", { reqID: 2, msgType: "bootstrap-request", data: { path: "/1/3" } });
    world.command("meter", { reqID: 3, msgType: "bootstrap-request", data: { path: "/3/0" } });
    expect(device.lines()).toEqual(["POST /1/0/9", "POST /1/3/9"]);
    expect(world.reports("meter", "resp").at(-1)).toMatchObject({ reqID: 3, data: { code: "4.00" } });
  });
});

describe("profiles are checked before anything is sent (LwM2M 1.1 §6.1.6)", () => {
  const without = (write: Write, path: string) => ({
    ...write,
    content: write.content.filter((item) => item.path !== path),
  });
  const changed = (write: Write, path: string, value: unknown) => ({
    ...write,
    content: write.content.map((item) => (item.path === path ? { path, value } : item)),
  });
  it.each([
    ["a Server without a Security instance", [SERVER], "no Security instance"],
    ["a Security without a Server instance", [ACCOUNT], "no Server instance"],
    [
      "two Security instances for one server",
      [ACCOUNT, { ...ACCOUNT, path: "/0/2" }, SERVER],
      "two Security instances",
    ],
    ["an instance written twice", [ACCOUNT, ACCOUNT, SERVER], "written twice"],
    ["an account without a URI", [without(ACCOUNT, "0"), SERVER], "not a CoAP URI"],
    ["a URI of another kind", [changed(ACCOUNT, "0", "http://x"), SERVER], "not a CoAP URI"],
    ["coaps without security", [changed(ACCOUNT, "0", "coaps://x"), SERVER], "needs a security mode"],
    ["a pre-shared key without the key", [without(changed(ACCOUNT, "2", 0), "5"), SERVER], "needs a key"],
    ["a reserved short server id", [changed(ACCOUNT, "10", 65_535), SERVER], "short server id"],
    ["a Server without a lifetime", [ACCOUNT, without(SERVER, "1")], "lifetime"],
    ["a Server without a binding", [ACCOUNT, without(SERVER, "7")], "binding"],
    [
      "an OSCORE link to nothing",
      [{ ...ACCOUNT, content: [...ACCOUNT.content, { path: "17", value: "21:4" }] }, SERVER],
      "no OSCORE instance",
    ],
    ["a value of the wrong type", [changed(ACCOUNT, "2", "NoSec"), SERVER], "not a valid integer"],
    ["a path that is no instance", [{ ...ACCOUNT, path: "/0" }], "path of an instance"],
  ])("%s", (_what, write, problem) => {
    expect(() => factory({ default: { write } })).toThrow(problem);
  });

  it.each([
    ["of the file", { defaults: {} }, "defaults is not a known key; allowed: default, endpoints"],
    ["of a profile", { default: { writes: [] } }, "profile default: writes is not a known key"],
    [
      "of a write",
      { default: { write: [{ ...ACCOUNT, encodings: "hex" }, SERVER] } },
      "profile default: encodings is not a known key",
    ],
    ["of a step", { default: { steps: [{ delete: "/", read: "/1" }] } }, "has read beside delete"],
  ])("a misspelt key %s is named", (_what, profiles, problem) => {
    expect(() => factory(profiles as never)).toThrow(problem);
  });

  it("a correct one with OSCORE and a bootstrap account of its own is taken", () => {
    const bootstrapAccount = {
      path: "/0/0",
      content: [
        { path: "0", value: "coap://bs.example" },
        { path: "1", value: true },
        { path: "2", value: 3 },
      ],
    };
    const account = { ...ACCOUNT, content: [...ACCOUNT.content, { path: "17", value: "21:4" }] };
    const oscore = {
      path: "/21/4",
      content: [
        { path: "0", value: "AAEC" },
        { path: "1", value: "AQ==" },
        { path: "2", value: "Ag==" },
      ],
    };
    const { device } = factory({ default: { write: [bootstrapAccount, account, SERVER, oscore] } });
    expect(device.request("0.02", "bs", ["ep=meter"]).code).toBe("2.04");
    expect(device.lines()).toEqual(["DELETE /", "PUT /0/0", "PUT /0/1", "PUT /1/1", "PUT /21/4", "POST /bs"]);
  });
});
