import { describe, expect, it } from "vitest";
import { Message } from "#core/bus/message.ts";
import { RetainedMessages } from "#core/bus/retained.ts";
import type { Instant } from "#core/lib/time.ts";
import { Outgoing } from "#core/session/outgoing.ts";
import { Queue } from "#core/session/queue.ts";
import { messageOf, Puppets } from "../../support/puppet.ts";
import { World } from "../../support/world.ts";

const NOW = 1_700_000_000_000 as Instant;
const long = "x".repeat(60_000);
/** One octet of payload, and 60 KB of something else. */
const HEAVY = {
  "user properties": { userProperties: [["a", long]] },
  "many user properties": { userProperties: Array.from({ length: 1000 }, () => ["", ""] as const) },
  "a content type": { contentType: long },
  "correlation data": { correlationData: new Uint8Array(60_000) },
} as const;
const heavy = (kind: keyof typeof HEAVY, topic = "t") =>
  new Message(topic, new Uint8Array(1), 1, true, NOW, HEAVY[kind]);

describe.each(Object.keys(HEAVY) as (keyof typeof HEAVY)[])(
  "what a message costs is what its limits count: %s",
  (kind) => {
    it("in the queue of a session", () => {
      const queue = new Queue({ messages: 1000, bytes: 100_000, drop: "newest" });
      const push = () => queue.push(new Outgoing(heavy(kind), "t", 1, false, [], undefined), NOW);
      expect([push(), push().length]).toEqual([[], 1]);
      queue.shift();
      expect(queue.bytes).toBe(0);
    });

    it("among retained messages", () => {
      const retained = new RetainedMessages({ messages: 1000, payloadSize: 1000, bytes: 100_000 });
      expect([retained.apply(heavy(kind, "1")), retained.apply(heavy(kind, "2"))]).toEqual(["kept", "full"]);
      retained.apply(new Message("1", new Uint8Array(), 1, true, NOW));
      expect(retained.bytes).toBe(0);
    });

    it("among delayed messages", () => {
      const world = new World({ bus: {} });
      const puppets = new Puppets();
      world.streams("puppet", puppets).connect();
      const client = puppets.last.connect("c");
      const send = () => client.publish(heavy(kind, "$delayed/5/t"), 1);
      let accepted = 0;
      while (send() === "accepted" && accepted < 1000) accepted++;
      expect(accepted).toBeLessThan((1 << 24) / 60_000);
      world.advance(6000 as never);
      expect(client.publish(messageOf("$delayed/5/t", "m"), 1)).toBe("accepted");
    });
  },
);
