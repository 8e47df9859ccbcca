import { describe, expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { Lwm2mWorld } from "../../support/lwm2m-world.ts";

describe("registration", () => {
  it("LightweightM2M-1.1-int-101 initial registration: 2.01, a location, and a report", () => {
    const world = new Lwm2mWorld();
    world.watch("meter");
    const device = world.device("meter");
    const answer = device.register({ lt: "300" }, '</>;rt="oma.lwm2m";ct="11542",</1/0>,</3/0>');
    expect(answer.code).toBe("2.01");
    expect(device.location).toMatch(/^rd\/[A-Za-z0-9_-]{12}$/);
    expect(world.reports("meter")).toEqual([
      {
        msgType: "register",
        data: {
          ep: "meter",
          lt: 300,
          lwm2m: "1.0",
          b: "U",
          alternatePath: "/",
          objectList: ["/1/0", "/3/0"],
        },
      },
    ]);
  });

  it("LightweightM2M-1.1-int-201 reads a resource", () => {
    const world = new Lwm2mWorld();
    const device = world.device("meter").on("GET /3/0/0", { code: "2.05", payload: "EMQ" });
    device.register();
    world.watch("meter");
    world.command("meter", { reqID: 1, msgType: "read", data: { path: "/3/0/0" } });
    world.advance(seconds(1));
    expect(world.reports("meter")).toEqual([
      {
        reqID: 1,
        msgType: "read",
        data: {
          reqPath: "/3/0/0",
          code: "2.05",
          codeMsg: "content",
          content: [{ path: "/3/0/0", value: "EMQ" }],
        },
      },
    ]);
  });
});
