/** Requests that operators make to CoAP clients that are connected: their devices are servers as well (RFC 7252 §1). */
import { describe, expect, it } from "vitest";
import type { DeviceEvent, GatewayOperations } from "#core/contract/operations.ts";
import { seconds } from "#core/lib/time.ts";
import { CoapDevice } from "../../support/coap-device.ts";
import { pubsubWorld } from "../../support/coap-site.ts";

function site(overrides: Record<string, unknown> = {}) {
  const { world, network } = pubsubWorld(overrides);
  const operations = world.gateways.get("coap")?.gateway.operations as GatewayOperations;
  const device = new CoapDevice(network);
  device.send({ code: "GET", path: "ps/t", query: ["clientid=d"], options: [[6, 0]], token: "01" });
  device.take();
  const ask = (parameters: object, wait?: number) => {
    const asked = operations.ask("d", "request", parameters, wait);
    world.advance(seconds(0));
    return asked.ok ? asked.id : asked;
  };
  return { world, operations, device, ask };
}

describe("a request to a client", () => {
  it("goes to its address as a confirmable one, and its response is the result", () => {
    const { world, operations, device, ask } = site();
    const events: DeviceEvent[] = [];
    operations.watch((event) => events.push(event));
    const id = ask({
      ...{ method: "PUT", path: "/led/a%2Fb", query: ["x=1"], payload: "on", contentFormat: 0, accept: 50 },
    }) as string;
    expect(operations.result(id)).toMatchObject({ state: "waiting", since: world.now, device: "d" });
    const [request] = device.take();
    expect(request).toMatchObject({ type: "CON", code: "0.03", payload: "on" });
    expect(request?.text(11)).toEqual(["led", "a/b"]);
    expect([request?.text(15), request?.number(17)]).toEqual([["x=1"], 50]);
    device.send({
      ...{ type: "ACK", code: "2.04", id: request?.id ?? 0, token: request?.token ?? "" },
      payload: Uint8Array.of(0xff),
    });
    const result = { state: "answered", data: { code: "2.04", payload: "/w==", encoding: "base64" } };
    expect(operations.result(id)).toMatchObject(result);
    expect(events).toMatchObject([{ device: "d", kind: "result", report: result }]);
  });

  it("that nobody answers has failed when it has waited long enough", () => {
    const { world, operations, device, ask } = site();
    const id = ask({ method: "GET", path: "/", confirmable: false }, 5) as string;
    const [request] = device.take();
    expect([request?.type, request?.text(11)]).toEqual(["NON", []]);
    world.advance(seconds(6));
    expect(operations.result(id)).toMatchObject({ state: "failed", failure: "timeout" });
  });

  it("is refused where there is nobody, or where it is none", () => {
    const { operations, ask } = site();
    const refusal = (parameters: object) => ask(parameters) as object;
    expect(operations.ask("nobody", "request", {})).toMatchObject({ refusal: "unknown-device" });
    expect(operations.ask("d", "reboot", {})).toMatchObject({ refusal: "bad-request" });
    for (const parameters of [
      {},
      { method: "toString", path: "/" },
      { method: "GET" },
      { method: "GET", path: "/%" },
      { method: "GET", path: `/${"x".repeat(256)}` },
      { method: "GET", path: "/", query: "x" },
      { method: "PUT", path: "/", payload: 7 },
      { method: "PUT", path: "/", payload: "no base64!", encoding: "base64" },
      { method: "PUT", path: "/", payload: "", contentFormat: 65_536 },
    ])
      expect(refusal(parameters)).toMatchObject({ refusal: "bad-request" });
  });

  it("is forgotten with its result when so many others were made, and those that wait last", () => {
    const { operations, device, ask } = site({ operator: { results: 2 } });
    const first = ask({ method: "GET", path: "/1" }) as string;
    const [request] = device.take();
    device.send({ type: "ACK", code: "2.05", id: request?.id ?? 0, token: request?.token ?? "" });
    const others = ["/2", "/3", "/4"].map((path) => ask({ method: "GET", path }) as string);
    expect(operations.result(first)).toBeUndefined();
    expect(others.map((id) => operations.result(id)?.state)).toEqual(["waiting", "waiting", "waiting"]);
  });
});
