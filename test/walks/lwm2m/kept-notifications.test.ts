/** A confirmable notification is acknowledged when the reading is safe: the device may forget it then. */
import { expect, it } from "vitest";
import { SinkHold } from "#core/rules/hold.ts";
import type { Lwm2mDevice } from "../../support/lwm2m-device.ts";
import { Lwm2mWorld } from "../../support/lwm2m-world.ts";
import { SlowStore } from "../../support/slow-store.ts";

const ACK = 2;

/** A device that is observed. */
function observed() {
  const store = new SlowStore();
  const world = new Lwm2mWorld({}, { commits: store.commits });
  const device = world.device("meter");
  device.register();
  device.on("GET /3/0/9", { code: "2.05", payload: "90", observe: 12 });
  world.command("meter", { reqID: 1, msgType: "observe", data: { path: "/3/0/9" } });
  world.settle();
  return { world, device, store, asked: device.lastAsked() };
}
/** From now on the store has to keep every report of it. */
function observedAndKept() {
  const all = observed();
  all.world.watch("meter");
  all.store.keepAllOf(all.world);
  return all;
}
const acks = (device: Lwm2mDevice): number => device.answers.filter(({ type }) => type === ACK).length;

it("and until then neither it nor its repeats are answered", () => {
  const { world, device, store, asked } = observedAndKept();
  const before = acks(device);
  device.notify(asked, 13, { code: "2.05", payload: "89" }, true);
  expect(world.reports("meter", "notify")).toMatchObject([{ seqNum: 13 }]);
  expect(acks(device)).toBe(before);
  store.answer();
  world.settle();
  expect(acks(device)).toBe(before + 1);
  expect(store.due).toEqual([]);
});

it("and, with a rule that says ack: after_sink, when its sink has it", () => {
  const { world, device, asked } = observed();
  const hold = new SinkHold();
  const over = hold.add();
  let topic = "";
  world.gate.follower = {
    ...{ entering() {}, keeps: () => true, full: () => false, next: () => undefined },
    passed: (message) => {
      topic = message.topic;
    },
    held: () => (topic.endsWith("/up/notify") ? hold : undefined),
  };
  const before = acks(device);
  device.notify(asked, 13, { code: "2.05", payload: "89" }, true);
  expect(acks(device)).toBe(before);
  over();
  world.settle();
  expect(acks(device)).toBe(before + 1);
});

it("and at once where nothing has to keep it", () => {
  const { device, asked } = observed();
  const before = acks(device);
  device.notify(asked, 13, { code: "2.05", payload: "89" }, true);
  expect(acks(device)).toBe(before + 1);
});

it("and when the store could not keep it, because the observation would end else (RFC 7641 §4.5)", () => {
  const { world, device, store, asked } = observedAndKept();
  const before = acks(device);
  device.notify(asked, 13, { code: "2.05", payload: "89" }, true);
  store.answer("unavailable");
  world.settle();
  expect(acks(device)).toBe(before + 1);
});

it("a Send is answered 2.04 when it is safe, and 5.03 when it could not be kept (LwM2M 1.1 §6.4.6)", () => {
  const { world, device, store } = observedAndKept();
  const send = (): void => device.send("0.02", "dp", [], '[{"n":"/3/0/9","v":88}]', 110);
  const code = (): string | undefined => device.answers.findLast(({ code }) => code !== "0.00")?.code;
  send();
  const before = device.answers.length;
  store.answer();
  world.settle();
  expect(device.answers.length).toBe(before + 1);
  expect(code()).toBe("2.04");
  send();
  store.answer("unavailable");
  world.settle();
  expect(code()).toBe("5.03");
});
