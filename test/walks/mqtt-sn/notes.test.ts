/** What an operator can read of messages that a client did not take. */
import { describe, expect, it } from "vitest";
import { snWorld, TRUSTED } from "../../support/mqtt-sn-device.ts";

function subscribed(config: Record<string, unknown> = {}, filter = "a/+") {
  const { world, device, wait } = snWorld({ ...TRUSTED, retries: 2, ...config });
  const d1 = device();
  d1.connect("d1", { keepAlive: 0 });
  d1.subscribe(filter, 1);
  const notes = () =>
    world.notes.map(({ note, about }) => [note.level, note.event, note.detail?.["topic"], about?.client]);
  return { world, d1, wait, notes };
}

describe("the log names client and topic", () => {
  it("of a message that the client rejects (MQTT-SN 1.2 §6.6)", () => {
    const { world, d1, notes } = subscribed({}, "a/b");
    world.publish("a/b", "x", { qos: 1 });
    d1.hear();
    d1.puback(1, 1, 3);
    expect(notes()).toEqual([["info", "rejected-by-client", "a/b", "d1"]]);
  });

  it("of a message for which no topic id is left", () => {
    const { world, notes } = subscribed({ topicIdsMax: 1 });
    world.publish("a/b", "x", { qos: 1 });
    world.publish("a/c", "y", { qos: 0 });
    expect(notes()).toEqual([]);
    const full = subscribed({ topicIdsMax: 1 });
    full.world.publish("a/b", "x", { qos: 0 });
    full.d1.hear();
    full.d1.regack(1, 1);
    full.world.publish("a/c", "y", { qos: 0 });
    expect(full.notes()).toEqual([["warn", "topic-ids-exhausted", "a/c", "d1"]]);
  });

  it("of a client that is heard and answers neither REGISTER nor PUBLISH (§6.10, §6.14)", () => {
    const { world, d1, wait, notes } = subscribed({ inFlight: 1 });
    world.publish("a/b", "x", { qos: 1 });
    for (let round = 0; round < 60 && notes().length < 2; round++) {
      wait(5_000);
      d1.ping();
    }
    expect(notes()).toEqual([
      ["info", "register-not-answered", "a/b", "d1"],
      ["warn", "not-acknowledged", "a/b", "d1"],
    ]);
  });
});
