import { describe, expect, it } from "vitest";
import { hours, seconds } from "#core/lib/time.ts";
import type { Reaction } from "../../support/lwm2m-device.ts";
import { Lwm2mWorld } from "../../support/lwm2m-world.ts";

const IMAGE = Buffer.from(Array.from({ length: 5000 }, (_, index) => index % 251));

function fleet(settings: object = {}) {
  const world = new Lwm2mWorld(
    { firmware: { folder: "firmware", baseUri: "coap://gateway.example", ...settings } },
    { files: { "firmware/v2.bin": IMAGE } },
  );
  const device = world.device("meter");
  device.register();
  world.watch("meter");
  let state = "0";
  let result = "0";
  device.on("GET /5/0/3", (asked) => ({
    code: "2.05",
    payload: state,
    ...(asked.observe === 0 ? { observe: 1 } : {}),
  }));
  device.on("GET /5/0/5", (asked) => ({
    code: "2.05",
    payload: result,
    ...(asked.observe === 0 ? { observe: 1 } : {}),
  }));
  const received: Buffer[] = [];
  device.on("PUT /5/0/0", (asked): Reaction => {
    received.push(Buffer.from(asked.payload));
    const block = asked.message.options.find((option) => option.number === 27)?.value ?? new Uint8Array(0);
    const last = ((block.at(-1) ?? 0) & 8) === 0;
    if (last) state = "2";
    return { code: last ? "2.04" : "2.31", options: [{ number: 27, value: block }] };
  });
  const set = (newState: string, newResult: string) => {
    state = newState;
    result = newResult;
  };
  const observedAt = (path: string) =>
    device.asked.find((asked) => asked.line === `GET ${path}` && asked.observe === 0) as never;
  const order = (data: object) => world.command("meter", { reqID: 1, msgType: "firmware", data });
  const statuses = () => world.reports("meter", "firmware").map((report) => report.data["status"]);
  return { world, device, received, set, observedAt, order, statuses };
}

describe("firmware update (object 5)", () => {
  it("push: the package arrives in blocks, the update is started, the result is published", () => {
    const { world, device, received, set, observedAt, order, statuses } = fleet();
    order({ mode: "push", file: "v2.bin" });
    expect(world.reports("meter", "resp")).toMatchObject([
      { reqID: 1, msgType: "firmware", data: { code: "2.04" } },
    ]);
    expect(Buffer.concat(received).equals(IMAGE)).toBe(true);
    expect(device.lines()).toContain("POST /5/0/2");
    set("0", "1");
    device.notify(observedAt("/5/0/5"), 9, { code: "2.05", payload: "1" });
    expect(statuses()).toEqual(["started", "delivered", "downloaded", "success"]);
  });

  it("a device that restarts into its new firmware is found to have succeeded when it registers again", () => {
    const { world, device, set, order, statuses } = fleet();
    order({ mode: "push", file: "v2.bin" });
    expect(device.lines()).toContain("POST /5/0/2");
    const before = device.asked.length;
    set("0", "1");
    device.move(20_000);
    device.register();
    expect(statuses().at(-1)).toBe("success");
    expect(device.lines().slice(before)).not.toContain("PUT /5/0/0");
    device.register();
    expect(world.reports("meter", "firmware")).toEqual([]);
  });

  it("a device that restarts in the middle of the delivery gets the package again", () => {
    const { world, device, received, order } = fleet();
    device.on("PUT /5/0/0", "silence");
    order({ mode: "push", file: "v2.bin" });
    device.on("PUT /5/0/0", (asked): Reaction => {
      received.push(Buffer.from(asked.payload));
      const block = asked.message.options.find((option) => option.number === 27)?.value ?? new Uint8Array(0);
      return {
        code: ((block.at(-1) ?? 0) & 8) === 0 ? "2.04" : "2.31",
        options: [{ number: 27, value: block }],
      };
    });
    device.register();
    expect(Buffer.concat(received).equals(IMAGE)).toBe(true);
    expect(world.notes.filter(({ note }) => note.level === "warn")).toEqual([]);
  });

  it("pull: the device is given a URI, and fetches the package from the gateway block by block", () => {
    const { world, device, set, observedAt, order, statuses } = fleet();
    order({ mode: "pull", file: "v2.bin" });
    const uri = Buffer.from(
      device.asked.find((asked) => asked.line === "PUT /5/0/1")?.payload ?? [],
    ).toString();
    expect(uri).toContain("coap://gateway.example/fw/v2.bin");
    const blocks: Buffer[] = [];
    for (let number = 0, more = true; more; number++) {
      const answer = device.request("0.01", "fw/v2.bin", [], "", undefined, [
        { number: 23, value: Uint8Array.of((number << 4) | 5) },
      ]);
      expect(answer.code).toBe("2.05");
      blocks.push(Buffer.from(answer.payload));
      more = ((answer.options.find((option) => option.number === 23)?.value.at(-1) ?? 0) & 8) !== 0;
    }
    expect(Buffer.concat(blocks).equals(IMAGE)).toBe(true);
    set("2", "0");
    device.notify(observedAt("/5/0/3"), 9, { code: "2.05", payload: "2" });
    expect(device.lines()).toContain("POST /5/0/2");
    device.notify(observedAt("/5/0/5"), 9, { code: "2.05", payload: "5" });
    expect(statuses()).toEqual(["started", "downloading", "downloaded", "failed"]);
    expect(world.reports("meter")).toBeDefined();
  });

  it("a failure names the result of the object", () => {
    const { world, device, observedAt, order } = fleet();
    order({ mode: "pull", uri: "coap://elsewhere/x" });
    device.notify(observedAt("/5/0/5"), 9, { code: "2.05", payload: "7" });
    expect(world.reports("meter", "firmware").at(-1)?.data).toMatchObject({
      status: "failed",
      result: 7,
      resultMsg: "invalid_uri",
    });
  });

  it("with update false the package is delivered and nothing is executed", () => {
    const { device, order, statuses } = fleet();
    order({ mode: "push", file: "v2.bin", update: false });
    expect(device.lines()).not.toContain("POST /5/0/2");
    expect(statuses().at(-1)).toBe("downloaded");
  });

  it("a device that refuses the package ends it", () => {
    const { world, device, order } = fleet();
    device.on("PUT /5/0/0", { code: "4.13" });
    order({ mode: "push", file: "v2.bin" });
    expect(world.reports("meter", "firmware").at(-1)?.data).toMatchObject({
      status: "failed",
      reason: expect.stringContaining("not taken"),
    });
  });

  it("no progress for an hour is a failure", () => {
    const { world, device, order } = fleet();
    device.register({ lt: "86400" });
    order({ mode: "pull", file: "v2.bin" });
    world.advance(hours(1));
    world.advance(seconds(1));
    expect(world.reports("meter", "firmware").at(-1)?.data).toMatchObject({
      status: "failed",
      reason: "no progress in time",
    });
  });

  it("an unknown file, a second update at once, and pull without baseUri are answered 4.00", () => {
    const { world, order } = fleet({ baseUri: "" });
    order({ mode: "push", file: "v3.bin" });
    order({ mode: "pull", file: "v2.bin" });
    expect(world.reports("meter", "resp")).toMatchObject([
      { data: { code: "4.00", reason: expect.stringContaining("v3.bin") } },
      { data: { code: "4.00", reason: expect.stringContaining("baseUri") } },
    ]);
    order({ mode: "pull", uri: "coap://x/y" });
    order({ mode: "pull", uri: "coap://x/y" });
    expect(world.reports("meter", "resp").at(-1)?.data).toMatchObject({
      code: "4.00",
      reason: "an update is running",
    });
  });

  it("a file that came or changed after the start is the one that is sent, and no path leads out of the folder", () => {
    const { world, received, order, set } = fleet();
    const v3 = Buffer.from("version three");
    world.addFile("firmware/v3.bin", v3);
    world.addFile("secret.bin", Buffer.from("secret"));
    order({ mode: "push", file: "v3.bin" });
    // As TLV: three bytes of head.
    expect(Buffer.concat(received).subarray(3)).toEqual(v3);
    const { world: other, order: orderThere } = fleet();
    for (const file of ["../secret.bin", "/etc/passwd", "", "v2.bin/"]) {
      orderThere({ mode: "push", file });
      expect(other.reports("meter", "resp").at(-1)?.data["code"]).toBe("4.00");
    }
    set("0", "0");
  });

  it("a package that is not there is 4.04, and /fw takes no writes", () => {
    const { device } = fleet();
    expect(device.request("0.01", "fw/none", []).code).toBe("4.04");
    // RFC 7252 §5.10.1: no segment of a path is "..".
    expect(device.request("0.01", "fw/../v2.bin", []).code).toBe("4.02");
    expect(device.request("0.03", "fw/v2.bin", [], "x").code).toBe("4.05");
  });

  it("a package over the limit is not offered", () => {
    const { world, order } = fleet({ maxSize: "4KB" });
    expect(world.notes.some(({ note }) => note.event === "firmware-too-large")).toBe(true);
    order({ mode: "push", file: "v2.bin" });
    expect(world.reports("meter", "resp").at(-1)?.data["code"]).toBe("4.00");
  });
});

describe("what an earlier update has left in object 5 (LwM2M 1.1 E.6)", () => {
  it.each(["1", "2", "5", "8", "10"])(
    "the result %s ends no order, before or after its delivery",
    (stale) => {
      const { device, set, observedAt, order, statuses } = fleet();
      set("0", stale);
      order({ mode: "pull", uri: "coap://elsewhere/x" });
      device.notify(observedAt("/5/0/5"), 9, { code: "2.05", payload: stale });
      expect(statuses()).toEqual(["started", "downloading"]);
      for (const result of ["0", "1"]) {
        if (result === "1") device.notify(observedAt("/5/0/3"), 9, { code: "2.05", payload: "2" });
        device.notify(observedAt("/5/0/5"), 10 + Number(result), { code: "2.05", payload: result });
      }
      expect(statuses()).toEqual(["downloaded", "success"]);
    },
  );

  it("a second order goes the whole way like the first", () => {
    const { device, set, observedAt, order, statuses } = fleet();
    let number = 9;
    const says = (path: string, payload: string) =>
      device.notify(observedAt(path), number++, { code: "2.05", payload });
    for (let round = 0; round < 2; round++) {
      device.on("PUT /5/0/0", (): Reaction => {
        set("2", "0");
        return { code: "2.04" };
      });
      order({ mode: "push", file: "v2.bin" });
      says("/5/0/3", "3");
      set("0", "1");
      says("/5/0/3", "0");
      says("/5/0/5", "1");
      expect(statuses()).toEqual(["started", "delivered", "downloaded", "updating", "success"]);
    }
    expect(device.lines().filter((line) => line === "POST /5/0/2")).toHaveLength(2);
  });

  it.each([
    ["push", "PUT /5/0/0", "\0"],
    ["pull", "PUT /5/0/1", ""],
  ])("a package that it still holds is cleared and not executed: %s", (mode, line, cleared) => {
    const { device, set, order, statuses } = fleet();
    set("2", "0");
    const written: Buffer[] = [];
    device.on(line, (asked): Reaction => {
      written.push(Buffer.from(asked.payload));
      const options = asked.message.options.filter((option) => option.number === 27);
      if (written.length === 1) set("0", "0");
      return { code: ((options[0]?.value.at(-1) ?? 0) & 8) === 0 ? "2.04" : "2.31", options };
    });
    order({ mode, file: "v2.bin" });
    // As TLV: type, identifier and the value.
    expect(String(written[0]?.subarray(2))).toBe(cleared);
    expect(device.lines()).not.toContain("POST /5/0/2");
    expect(statuses()).toEqual(["started", mode === "push" ? "delivered" : "downloading"]);
  });

  it("a device that is updating, or does not give its package up, ends the order and says why", () => {
    const { world, device, set, order } = fleet();
    set("3", "0");
    order({ mode: "push", file: "v2.bin" });
    expect(world.reports("meter", "firmware").at(-1)?.data["reason"]).toContain("updating already");
    set("2", "0");
    device.on("PUT /5/0/0", { code: "4.05" });
    order({ mode: "push", file: "v2.bin" });
    expect(world.reports("meter", "firmware").at(-1)?.data["reason"]).toContain("keeps an earlier package");
  });

  it("the result 11 defers the update and does not end it", () => {
    const { device, set, observedAt, order, statuses } = fleet();
    order({ mode: "push", file: "v2.bin" });
    device.notify(observedAt("/5/0/5"), 9, { code: "2.05", payload: "11" });
    device.notify(observedAt("/5/0/3"), 9, { code: "2.05", payload: "2" });
    expect(statuses()).toEqual(["started", "delivered", "downloaded", "deferred"]);
    set("0", "1");
    device.notify(observedAt("/5/0/3"), 10, { code: "2.05", payload: "3" });
    device.notify(observedAt("/5/0/5"), 10, { code: "2.05", payload: "1" });
    expect(statuses()).toEqual(["updating", "success"]);
  });

  it("the same failure twice ends both orders, though the device never shows its result reset", () => {
    const { device, observedAt, order, set, statuses } = fleet();
    set("0", "5");
    order({ mode: "pull", uri: "coap://elsewhere/x" });
    device.notify(observedAt("/5/0/3"), 9, { code: "2.05", payload: "1" });
    expect(statuses()).toEqual(["started", "downloading"]);
    device.notify(observedAt("/5/0/3"), 10, { code: "2.05", payload: "0" });
    expect(statuses()).toEqual(["failed"]);
  });

  it("steps are reported once, and none after a later one", () => {
    const { device, observedAt, order, statuses } = fleet();
    order({ mode: "pull", uri: "coap://elsewhere/x" });
    let number = 9;
    for (const state of ["1", "1", "0", "1", "2", "1", "2", "3", "3", "2"])
      device.notify(observedAt("/5/0/3"), number++, { code: "2.05", payload: state });
    expect(statuses()).toEqual(["started", "downloading", "downloaded", "updating"]);
  });
});
