import { describe, expect, it } from "vitest";
import type { Duration } from "#core/lib/time.ts";
import { asLevel, fillTopic, fitsOneLevel } from "#core/lib/topic-map.ts";
import { topicFor } from "#gateways/lwm2m/messages/topics.ts";
import { mqttSite } from "../../support/mqtt-device.ts";
import { fc } from "../../support/property.ts";

const LONGEST = 0xffff_ffff;
const name = fc.oneof(
  fc.string(),
  fc.string({ unit: fc.constantFrom("a", "_", "/", "+", "#", "%", "$", "2", "F") }),
);

describe("a lifetime", () => {
  it("of any length goes out to MQTT 5 as itself or as the longest there is, never shorter and never as 0 (MQTT 5 §3.3.2.3.3)", () => {
    const { world, device } = mqttSite();
    const client = device(5);
    client.connect("c");
    client.subscribe("t", 0);
    const whole = fc.oneof(
      fc.nat(),
      fc.maxSafeNat(),
      fc.integer({ min: LONGEST * 1000 - 5_000, max: LONGEST * 1000 + 5_000 }),
    );
    fc.assert(
      fc.property(whole, (expiry) => {
        world.publish("t", "m", { expiry: (expiry + 1) as Duration });
        const [packet] = client.take() as { properties?: { messageExpiryInterval?: number } }[];
        const said = packet?.properties?.messageExpiryInterval;
        expect(said).toBe(Math.min(LONGEST, Math.ceil((expiry + 1) / 1000)));
      }),
    );
  });
});

describe("a name in a topic map", () => {
  it("fills one level, whatever it holds, and no two names fill it alike", () => {
    fc.assert(
      fc.property(name, name, (one, other) => {
        const place = (text: string) => ({ ep: text, clientId: text, username: text, address: "10.0.0.1" });
        for (const template of ["x/%e/y", "x/%c/y", "x/%u/y"]) {
          const topics = [one, other].map((text) => topicFor(template, place(text)));
          expect(topics[0] === topics[1]).toBe(one === other);
          for (const topic of topics) {
            expect(topic.split("/").length).toBe(3);
            expect(topic).not.toMatch(/[+#\0]/);
          }
        }
        expect(fitsOneLevel(asLevel(one))).toBe(true);
        const values = { clientId: asLevel(one), username: "u", endpointName: "e", address: "a" };
        expect(fillTopic("%c/%u", values)).toBe(`${asLevel(one)}/u`);
      }),
    );
  });
});
