/** OMA's enabler test cases 100 to 199: registration, from the server's side. */
import { describe, expect, it } from "vitest";
import { minutes, seconds } from "#core/lib/time.ts";
import { content, enabler } from "../../support/lwm2m-enabler.ts";
import { Lwm2mWorld } from "../../support/lwm2m-world.ts";

describe("registration", () => {
  it("LightweightM2M-1.1-int-101 initial registration: 2.01 and a location below /rd", () => {
    const world = new Lwm2mWorld();
    world.watch("meter");
    const device = world.device("meter");
    const query = { lwm2m: "1.1", lt: "86400", b: "U", sms: "33612345678" };
    expect(device.register(query, '</1/0>,</3>;ver="1.1",</3/0>').code).toBe("2.01");
    expect(device.location).toMatch(/^rd\/.+/);
    expect(world.reports("meter")[0]?.data).toMatchObject({
      ep: "meter",
      lt: 86_400,
      lwm2m: "1.1",
      b: "U",
      sms: "33612345678",
      objectList: ["/1/0", "/3", "/3/0"],
    });
  });

  it("LightweightM2M-1.1-int-102 update of the lifetime: without another one the registration ends with it", () => {
    const { world, device, code } = enabler({}, undefined, { lifetimeGrace: "0s" });
    expect(code("write", { path: "/1/0/1", value: 20 })).toBe("2.04");
    expect(device.update(["lt=20"]).code).toBe("2.04");
    world.advance(seconds(19));
    expect(device.update().code).toBe("2.04");
    world.advance(seconds(21));
    expect(device.update().code).toBe("4.04");
    expect(world.reports("meter").at(-1)).toMatchObject({
      msgType: "deregister",
      data: { reason: "lifetime" },
    });
  });

  it("LightweightM2M-1.1-int-103 Disable makes the device de-register: 2.02, and it is gone", () => {
    const { world, device, code } = enabler();
    expect(code("execute", { path: "/1/0/4" })).toBe("2.04");
    expect(device.deregister().code).toBe("2.02");
    expect(device.update().code).toBe("4.04");
    expect(world.reports("meter")).toMatchObject([{ msgType: "deregister" }]);
  });

  it("LightweightM2M-1.1-int-104 Registration Update Trigger: an Update without parameters renews the lifetime", () => {
    const { world, device, code } = enabler({ lt: "20" }, undefined, { lifetimeGrace: "0s" });
    world.advance(seconds(15));
    expect(code("execute", { path: "/1/0/8" })).toBe("2.04");
    expect(device.lastAsked().line).toBe("POST /1/0/8");
    expect(device.update().code).toBe("2.04");
    world.advance(seconds(15));
    expect(device.update().code).toBe("2.04");
  });

  it("LightweightM2M-1.1-int-105 an Update of a registration that is gone is 4.04, and the device registers again", () => {
    const { world, device } = enabler({ lt: "60" });
    world.advance(minutes(2));
    expect(device.update().code).toBe("4.04");
    expect(device.register({ lwm2m: "1.1" }).code).toBe("2.01");
    expect(device.update().code).toBe("2.04");
  });

  it("LightweightM2M-1.1-int-107 a longer lifetime is taken at once", () => {
    const { world, device, code } = enabler({ lt: "60" }, undefined, { lifetimeGrace: "0s" });
    expect(code("write", { path: "/1/0/1", value: 120 })).toBe("2.04");
    expect(device.update(["lt=120"]).code).toBe("2.04");
    world.advance(seconds(119));
    expect(device.update().code).toBe("2.04");
    expect(world.reports("meter").at(-1)?.data["lt"]).toBe(120);
  });

  it("LightweightM2M-1.1-int-108 Q turns queue mode on", () => {
    const { world, device } = enabler({ Q: "" });
    expect(device.location).toBeDefined();
    world.advance(seconds(94));
    world.command("meter", { msgType: "read", mheaders: { queued: true }, data: { path: "/3/0/0" } });
    expect(world.reports("meter")).toMatchObject([{ msgType: "queued" }]);
    expect(device.asked).toEqual([]);
  });

  it("LightweightM2M-1.1-int-109 in queue mode a Read waits after 93 s, and is sent behind the answer to the next Update", () => {
    const { world, device, code } = enabler({ Q: "" });
    expect(code("write", { path: "/1/0/1", value: 240 })).toBe("2.04");
    expect(device.update(["lt=240", "Q"]).code).toBe("2.04");
    device.on("GET /1/0/1", content(0, "240"));
    world.advance(seconds(120));
    world.reports("meter");
    world.command("meter", { reqID: 9, msgType: "read", data: { path: "/1/0/1" } });
    expect(device.lines()).toEqual(["PUT /1/0/1"]);
    expect(device.update().code).toBe("2.04");
    expect(device.lines()).toEqual(["PUT /1/0/1", "GET /1/0/1"]);
    expect(world.reports("meter")).toMatchObject([
      { msgType: "update" },
      { reqID: 9, data: { content: [{ path: "/1/0/1", value: 240 }] } },
    ]);
  });
});

describe("profile ids (LwM2M 1.2 §6.2.1)", () => {
  const PID = "6:27354b9a";
  const profileIds = [{ pid: PID, objects: "</1/0>,</3/0>" }];
  function arriving(query: Record<string, string>, links: string) {
    const world = new Lwm2mWorld({ profileIds });
    world.watch("meter");
    const device = world.device("meter");
    const { code } = device.register({ lwm2m: "1.2", ...query }, links);
    return { world, device, code };
  }

  it("LightweightM2M-1.2-int-110 a known one stands for its object list", () => {
    const { world, code } = arriving({ pid: PID }, "");
    expect(code).toBe("2.01");
    expect(world.reports("meter")[0]?.data).toMatchObject({ pid: PID, objectList: ["/1/0", "/3/0"] });
  });

  it("LightweightM2M-1.2-int-111 objects beside it are added", () => {
    const { world, code } = arriving({ pid: PID }, "</4/0>");
    expect(code).toBe("2.01");
    expect(world.reports("meter")[0]?.data["objectList"]).toEqual(["/4/0", "/1/0", "/3/0"]);
  });

  it("with one that is not known, or with neither id nor list, 4.09 makes the device send its list", () => {
    const { device, code } = arriving({ pid: "6:00000000" }, "");
    expect(code).toBe("4.09");
    expect(device.register({ lwm2m: "1.2", pid: `"${PID},v:other"` }, "</4/0>").code).toBe("4.09");
    expect(device.register({ lwm2m: "1.2" }, "").code).toBe("4.09");
    expect(device.register({ lwm2m: "1.2" }, "</1/0>").code).toBe("2.01");
  });

  it("an Update may name one as well", () => {
    const { world, device } = arriving({}, "</1/0>");
    expect(device.update([`pid=${PID}`]).code).toBe("2.04");
    expect(device.update(["pid=6:ffffffff"]).code).toBe("4.09");
    expect(world.reports("meter").at(-1)?.data).toMatchObject({ pid: PID, objectList: ["/1/0", "/3/0"] });
  });
});
