/** What a CON request is answered, over a real store: it waits where a message has to be kept, and nowhere else. */
import { expect, it } from "vitest";
import { CoapDevice } from "../../support/coap-device.ts";
import { pubsubWorld } from "../../support/coap-site.ts";
import { KeptWorld } from "../../support/kept-world.ts";

function open() {
  const kept = new KeptWorld();
  const { world, network } = pubsubWorld({}, kept.options);
  kept.of(world);
  const device = new CoapDevice(network);
  return { kept, device };
}
const retain = { query: ["retain=true"] };

it("PUT and DELETE of a retained value wait until it is kept, or gone", async () => {
  const { kept, device } = open();
  const waits = async (request: Parameters<CoapDevice["send"]>[0], code: string): Promise<void> => {
    device.send(request);
    expect(device.take(), `${code} before the commit`).toEqual([]);
    await kept.commit();
    expect(device.take()).toMatchObject([{ type: "ACK", code }]);
  };
  await waits({ code: "PUT", path: "ps/a", id: 1, payload: "1", ...retain }, "2.01");
  await waits({ code: "PUT", path: "ps/a", id: 2, payload: "2", ...retain }, "2.04");
  expect(kept.engine.records).toBe(1);
  await waits({ code: "DELETE", path: "ps/a", id: 3 }, "2.02");
  expect(kept.engine.records).toBe(0);
});

it("what nobody keeps is answered at once, and so is a NON", () => {
  const { device } = open();
  expect(device.ask({ code: "PUT", path: "ps/a", payload: "x" }).code).toBe("2.04");
  expect(device.ask({ code: "PUT", type: "NON", path: "ps/a", payload: "x", ...retain }).code).toBe("2.01");
});

it("an observation of a client that names itself begins when its subscription is kept; others wait for nothing", async () => {
  const { kept, device } = open();
  const observe = { code: "GET", path: "ps/a", options: [[6, 0]] as const };
  device.send({ ...observe, id: 1, token: "01", query: ["clientid=dev"] });
  expect(device.take()).toEqual([]);
  await kept.commit();
  expect(device.take().map(({ token }) => token)).toContain("01");
  device.send({ ...observe, id: 2, token: "02" });
  expect(device.take().map(({ token }) => token)).toContain("02");
});
