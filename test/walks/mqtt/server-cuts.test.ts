import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { minutes } from "#core/lib/time.ts";
import { brokers } from "../../support/engine-of-run.ts";
import { mqttSite } from "../../support/mqtt-device.ts";

beforeEach(() => vi.stubEnv("ISTHMUS_TEST_ENGINE", "upstream"));
afterEach(() => vi.unstubAllEnvs());

it("rests when a session takes its end from the news that its connection is cut", () => {
  const site = mqttSite();
  const heard = site.world.listen("#", 1);
  const device = site.device(5);
  const will = {
    topic: "will",
    payload: "gone",
    qos: 1,
    retain: false,
    properties: { willDelayInterval: 2 },
  };
  device.connect("dev", { will, properties: { sessionExpiryInterval: 1_000 } });
  site.world.settle();
  device.stream.drop();
  site.world.settle();
  const { deadlines } = site.world;
  const arm = deadlines.arm.bind(deadlines);
  let armed = 0;
  vi.spyOn(deadlines, "arm").mockImplementation((...asked) => {
    if (++armed > 10_000) throw new Error("an alarm is set again and again");
    arm(...asked);
  });
  brokers.get(site.world)!.cut();
  site.world.advance(minutes(5));
  expect(heard.map(({ topic }) => topic)).toEqual(["will"]);
});
