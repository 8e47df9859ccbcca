import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { brokers } from "../../support/engine-of-run.ts";
import { mqttSite } from "../../support/mqtt-device.ts";

beforeEach(() => vi.stubEnv("ISTHMUS_TEST_ENGINE", "upstream"));
afterEach(() => vi.unstubAllEnvs());

describe("a server that closes the connection over a PUBLISH, as NATS does over a topic with a dot", () => {
  it.each([1, 2] as const)(
    "gets it three times and no more; the device is told, and what was sent with it arrives, at QoS %i",
    (qos) => {
      const site = mqttSite();
      const heard = site.world.listen("#", 2);
      const device = site.device(5);
      device.connect("dev", { properties: { sessionExpiryInterval: 1_000 } });
      site.world.settle();
      brokers.get(site.world)!.closesOver = "a.b";
      device.stream.send(
        Buffer.concat(
          ["good/1", "a.b", "good/2"].map((topic, index) =>
            device.encode({ cmd: "publish", topic, payload: "x", qos, messageId: index + 1 }),
          ),
        ),
      );
      const answers: Record<number, unknown> = {};
      for (let step = 0; step < 240; step++) {
        site.world.advance(seconds(5));
        for (const { cmd, messageId, reasonCode } of device.take()) {
          if (cmd === "disconnect") throw new Error("the device was sent away");
          if (cmd === "puback" || cmd === "pubrec") answers[messageId as number] = reasonCode;
          if (cmd === "pubrec" && reasonCode === 0)
            device.stream.send(device.encode({ cmd: "pubrel", messageId }));
          if (cmd === "pingresp") continue;
        }
        device.send({ cmd: "pingreq" });
      }
      expect(answers).toEqual({ 1: 0, 2: 0x87, 3: 0 });
      expect([...new Set(heard.map(({ topic }) => topic))]).toEqual(["good/1", "good/2"]);
      expect(device.closed).toBe(false);
    },
  );
});
