/** ACK and NACK that come late, twice or in any order, from clients that name nothing but what they were handed (M65). */
import { expect, it } from "vitest";
import { fc } from "../../support/property.ts";
import { StompClient, stompListener } from "../../support/stomp-client.ts";
import { header } from "../../support/stomp-frames.ts";
import { World } from "../../support/world.ts";

const IDS = ["0", "1", "2"];

const step = fc.oneof(
  fc.record({
    kind: fc.constant("subscribe" as const),
    id: fc.constantFrom(...IDS),
    ack: fc.constantFrom("auto", "client", "client", "client-individual"),
    destination: fc.constantFrom("a", "/queue/work"),
    durable: fc.boolean(),
    prefetch: fc.constantFrom("1", "3", "0"),
  }),
  fc.record({
    kind: fc.constant("unsubscribe" as const),
    id: fc.constantFrom(...IDS),
    forGood: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant("publish" as const),
    to: fc.constantFrom("a", "work"),
    count: fc.integer({ min: 1, max: 4 }),
    qos: fc.constantFrom(0, 1),
  }),
  fc.record({
    kind: fc.constantFrom("ACK" as const, "NACK" as const),
    which: fc.nat(12),
    requeue: fc.constantFrom("true", "false"),
    inTransaction: fc.boolean(),
  }),
  fc.record({ kind: fc.constantFrom("BEGIN" as const, "COMMIT" as const, "ABORT" as const) }),
);

it("cost nobody the connection, whatever was subscribed, ended, handed out and settled before", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 80, size: "max" }), (steps) => {
      const world = new World();
      const listener = stompListener(world);
      const client = StompClient.connected(listener, { "client-id": "c" });
      const rival = StompClient.connected(listener);
      rival.say("SUBSCRIBE", { id: "r", destination: "/queue/work", ack: "client", "prefetch-count": "1" });
      const open = new Map<string, string | undefined>();
      const handedOut: string[] = [];
      let transaction = false;
      for (const one of steps) {
        switch (one.kind) {
          case "subscribe": {
            if (open.has(one.id)) break;
            const durable = one.durable && ![...open.values()].includes("d") ? "d" : undefined;
            client.say("SUBSCRIBE", {
              id: one.id,
              destination: one.destination,
              ack: one.ack,
              "prefetch-count": one.prefetch,
              ...(durable === undefined ? {} : { "activemq.subscriptionName": durable }),
            });
            open.set(one.id, durable);
            break;
          }
          case "unsubscribe": {
            if (!open.has(one.id)) break;
            const durable = open.get(one.id);
            client.say("UNSUBSCRIBE", {
              id: one.id,
              ...(one.forGood && durable !== undefined ? { "activemq.subscriptionName": durable } : {}),
            });
            open.delete(one.id);
            break;
          }
          case "publish":
            for (let n = 0; n < one.count; n++) world.publish(one.to, "x", { qos: one.qos as 0 | 1 });
            break;
          case "ACK":
          case "NACK": {
            const id = handedOut[one.which % Math.max(1, handedOut.length)];
            if (id === undefined) break;
            client.say(one.kind, {
              id,
              ...(one.kind === "NACK" ? { requeue: one.requeue } : {}),
              ...(transaction && one.inTransaction ? { transaction: "t" } : {}),
            });
            break;
          }
          default:
            if ((one.kind === "BEGIN") === transaction) break;
            client.say(one.kind, { transaction: "t" });
            transaction = one.kind === "BEGIN";
        }
        for (const frame of client.heard()) {
          // Of what was given back: it will be processed again, and the transaction with it.
          if (one.kind === "COMMIT" && header(frame, "message") === "unknown message") return;
          expect(frame.command, frame.body.toString()).not.toBe("ERROR");
          const id = header(frame, "ack");
          if (id !== undefined) handedOut.push(id);
        }
        expect(client.closed).toBe(false);
      }
    }),
    { numRuns: 150 },
  );
});
