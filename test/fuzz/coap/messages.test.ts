import { parse } from "coap-packet";
import { expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { parseLinks } from "#gateways/coap/stack/message/link-format.ts";
import { CoapMessage, decodeDatagram } from "#gateways/coap/stack/message/message.ts";
import { MessageWriter } from "#gateways/coap/stack/message/writer.ts";
import { heard } from "../../support/coap-device.ts";
import { pubsubWorld } from "../../support/coap-site.ts";
import { fc } from "../../support/property.ts";

const bytes = (max: number) => fc.uint8Array({ maxLength: max });

it("decodes any bytes without a throw, and reports nothing outside of them", () => {
  const message = new CoapMessage();
  fc.assert(
    fc.property(bytes(80), (datagram) => {
      if (decodeDatagram(datagram, message) !== undefined) return;
      expect(message.end).toBeLessThanOrEqual(datagram.length);
      expect(message.payloadStart).toBeLessThanOrEqual(message.end);
      message.joinedPath(1);
      message.path();
      message.badCriticalOption();
    }),
    { numRuns: 5000 },
  );
});

it("writes what a foreign codec reads: options sorted, token and payload intact", () => {
  const writer = new MessageWriter();
  const option = fc.tuple(fc.integer({ min: 1, max: 65_535 }), bytes(300));
  fc.assert(
    fc.property(fc.array(option, { maxLength: 8 }), bytes(8), bytes(100), (options, token, payload) => {
      writer.begin();
      for (const [number, value] of options) writer.add(number, value);
      const written = Uint8Array.from(writer.datagram(0, 1, 7, token, 0, token.length, payload));
      const message = new CoapMessage();
      expect(decodeDatagram(written, message)).toBeUndefined();
      const sorted = options
        .map((each, index) => [each, index] as const)
        .sort(([a, i], [b, j]) => a[0] - b[0] || i - j);
      expect(message.optionCount).toBe(sorted.length);
      sorted.forEach(([[number, value]], index) => {
        expect(message.numberAt(index)).toBe(number);
        expect(Buffer.from(message.valueAt(index)).equals(Buffer.from(value))).toBe(true);
      });
      const foreign = parse(Buffer.from(written));
      expect(foreign.payload.equals(Buffer.from(payload))).toBe(true);
      expect(foreign.token.equals(Buffer.from(token))).toBe(true);
      expect(foreign.options).toHaveLength(options.length);
    }),
    { numRuns: 1000 },
  );
});

it("reads any text as links or as none, without a throw", () => {
  const alphabet = fc.constantFrom("<", ">", ";", ",", "=", '"', "\\", "a", "1", " ", "/");
  fc.assert(
    fc.property(fc.array(alphabet, { maxLength: 40 }), (parts) => {
      parseLinks(new TextEncoder().encode(parts.join("")));
    }),
    { numRuns: 3000 },
  );
});

it("answers any datagram with at most one message, a malformed CON with RST and nothing else with RST", () => {
  fc.assert(
    fc.property(fc.array(bytes(60), { minLength: 1, maxLength: 12 }), (datagrams) => {
      const { network } = pubsubWorld();
      const device = network.device();
      for (const datagram of datagrams) {
        device.send(datagram);
        const answers = device.take();
        expect(answers.length).toBeLessThanOrEqual(1);
        const [answer] = answers;
        if (answer === undefined) continue;
        expect(datagram.length).toBeGreaterThanOrEqual(4);
        expect((datagram[0] as number) >> 6).toBe(1);
        expect(["ACK", "RST", "NON"]).toContain(heard(answer).type);
      }
    }),
    { numRuns: 400 },
  );
});

/** Nearly valid messages reach further than bytes by chance. */
const nearly = fc.record({
  type: fc.constantFrom(0, 0, 0, 1, 2, 3),
  code: fc.constantFrom(1, 1, 1, 2, 3, 3, 4, 5, 7, 0x45, 0x5f, 0),
  id: fc.integer({ min: 0, max: 40 }),
  token: bytes(3),
  path: fc.constantFrom(
    ["ps", "a"],
    ["ps", "a", "+"],
    ["ps"],
    ["mqtt"],
    ["mqtt", "connection"],
    ["mqtt", "t"],
    [".well-known", "core"],
  ),
  query: fc.array(
    fc.constantFrom(
      "qos=1",
      "qos=9",
      "retain=1",
      "clientid=c",
      "c=d",
      "token=1",
      "expiry=5",
      "rh=1",
      "topic=x",
    ),
    { maxLength: 3 },
  ),
  options: fc.array(
    fc.tuple(fc.constantFrom(1, 4, 5, 6, 12, 14, 17, 23, 27, 35, 60, 252, 258, 292, 9), bytes(3)),
    { maxLength: 3 },
  ),
  payload: bytes(70),
  port: fc.integer({ min: 1, max: 3 }),
  wait: fc.constantFrom(0, 0, 0, 1, 3, 100, 300),
  shout: fc.boolean(),
});

it("keeps every promise over random sequences, and gives back all memory in the end", () => {
  fc.assert(
    fc.property(fc.array(nearly, { maxLength: 60 }), (steps) => {
      const { world, network, held } = pubsubWorld({
        stack: { amplification: "large-only", blockwise: { maxBlockSize: 32, maxBodySize: "256B" } },
      });
      const writer = new MessageWriter();
      for (const step of steps) {
        writer.begin();
        for (const segment of step.path as readonly string[]) writer.add(11, segment);
        for (const part of step.query) writer.add(15, part);
        for (const [number, value] of step.options) writer.add(number, value);
        const { type, code, id, token, payload } = step;
        const sent = writer.datagram(type as 0, code, id, token, 0, token.length, payload);
        network.deliver(Uint8Array.from(sent), "10.0.0.1", step.port);
        if (step.shout) world.publish("a", "x".repeat(50), { qos: 1 });
        world.advance(seconds(step.wait));
      }
      // Whoever is silent for so long has lost connection, observations and exchanges.
      world.publish("a", "last", { qos: 1 });
      world.advance(seconds(1500));
      expect(network.runtime.peers.count).toBe(0);
      expect(held()).toEqual({ exchanges: 0, replyBytes: 0, bodyBytes: 0, observations: 0 });
    }),
    { numRuns: 150 },
  );
});
