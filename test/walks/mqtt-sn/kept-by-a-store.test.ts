/** What MQTT-SN acknowledges, over a real store: it waits where something durable is to be kept, and nowhere else. */
import { expect, it } from "vitest";
import { KeptWorld } from "../../support/kept-world.ts";
import { snWorld } from "../../support/mqtt-sn-device.ts";

it("each answer of a session that is kept waits until the store has committed it", async () => {
  const kept = new KeptWorld();
  const { world, device } = snWorld({}, kept.options);
  kept.of(world);
  const d1 = device();
  const waits = async (ask: () => string[], answer: string): Promise<void> => {
    expect(ask(), `${answer} before the commit`).toEqual([]);
    await kept.commit();
    expect(d1.hear()).toEqual([answer]);
  };
  await waits(() => d1.connect("d1", { clean: false }), "CONNACK code 0");
  await waits(() => d1.register("a/b", 7), "REGACK 1 #7 code 0");
  await waits(() => d1.subscribe("c/d", 1, 0, 8), "SUBACK 2 #8 qos1 code 0");
  await waits(() => d1.publish(1, "x", { qos: 2, id: 5 }), "PUBREC #5");
  await waits(() => d1.pubrel(5), "PUBCOMP #5");
  await waits(() => d1.unsubscribe("c/d", 0, 9), "UNSUBACK #9");
  await waits(() => d1.willTopic("w", 1, false, true), "WILLTOPICRESP code 0");
  await waits(() => d1.disconnect(3600), "DISCONNECT");
  // Nothing to keep, nothing to wait for: its next sleep is like the last.
  expect(d1.disconnect(3600)).toEqual(["DISCONNECT"]);
});

it("of a session that ends with its connection nothing waits", () => {
  const kept = new KeptWorld();
  const { world, device } = snWorld({}, kept.options);
  kept.of(world);
  const d1 = device();
  expect(d1.connect("d1", { clean: true })).toEqual(["CONNACK code 0"]);
  expect(d1.register("a/b", 7)).toEqual(["REGACK 1 #7 code 0"]);
  expect(d1.publish(1, "x", { qos: 2, id: 5 })).toEqual(["PUBREC #5"]);
  expect(d1.pubrel(5)).toEqual(["PUBCOMP #5"]);
});
