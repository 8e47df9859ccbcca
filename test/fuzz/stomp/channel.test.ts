import { describe, expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { fc } from "../../support/property.ts";
import { StompClient, stompListener } from "../../support/stomp-client.ts";
import { frame, header } from "../../support/stomp-frames.ts";
import { World } from "../../support/world.ts";

const NAMES = ["a", "b", "/queue/a", "a/#", "$share/g/a", "/topic/b", "", "#/x", "$SYS/x"];
const IDS = ["0", "1", "2", ""];
const pick = (from: readonly string[]) => fc.constantFrom(...from);

/** One thing that a client may do, sensible or not. */
const acts = fc.oneof(
  fc.record({
    command: pick(["SEND"]),
    headers: fc.record(
      {
        destination: pick(NAMES),
        receipt: pick(IDS),
        transaction: pick(IDS),
        qos: pick(["0", "1", "2", "x"]),
        retain: pick(["true", "false", "?"]),
        expires: pick(["0", "1", "99999999999999"]),
      },
      { requiredKeys: ["destination"] },
    ),
  }),
  fc.record({
    command: pick(["SUBSCRIBE"]),
    headers: fc.record(
      {
        id: pick(IDS),
        destination: pick(NAMES),
        ack: pick(["auto", "client", "client-individual", "x"]),
        "prefetch-count": pick(["0", "1", "2"]),
        durable: pick(["true", "false"]),
        receipt: pick(IDS),
      },
      { requiredKeys: ["id", "destination"] },
    ),
  }),
  fc.record({
    command: pick(["ACK", "NACK"]),
    headers: fc.record(
      { id: pick(["last", "first", "x"]), transaction: pick(IDS), requeue: pick(["true", "false", "x"]) },
      { requiredKeys: ["id"] },
    ),
  }),
  fc.record({
    command: pick(["UNSUBSCRIBE", "BEGIN", "COMMIT", "ABORT"]),
    headers: fc.record({ id: pick(IDS), transaction: pick(IDS) }, { requiredKeys: [] }),
  }),
  fc.record({
    command: pick(["DISCONNECT", "CONNECT", "NONSENSE", "wait", "drop", "publish"]),
    headers: fc.constant({}),
  }),
);

describe("any sequence of STOMP frames", () => {
  it("is answered by STOMP frames, breaks nothing, and leaves nothing behind", () => {
    fc.assert(
      fc.property(fc.array(acts, { maxLength: 40 }), pick(["1.0", "1.1", "1.2"]), (sequence, version) => {
        const world = new World();
        const listener = stompListener(world, { durableExpiry: "1h", limits: { transactionFrames: 5 } });
        let client = StompClient.connected(listener, { "client-id": "me" }, version);
        const owned: string[] = [];
        for (const { command, headers } of sequence) {
          // The world throws when the channel does.
          if (command === "wait") world.advance(seconds(20));
          else if (command === "drop") client.stream.drop();
          else if (command === "publish") world.publish("a", "x", { qos: 1, retain: true });
          else {
            const asked: Record<string, string> = { ...headers };
            if (asked["id"] === "last") asked["id"] = owned.at(-1) ?? "";
            if (asked["id"] === "first") asked["id"] = owned[0] ?? "";
            client.raw(frame(command, asked));
          }
          for (const one of client.heard()) {
            const id = header(one, "ack");
            if (id !== undefined) owned.push(id);
          }
          if (client.closed || command === "drop") {
            owned.length = 0;
            client = StompClient.connected(listener, { "client-id": "me" }, version);
          }
        }
        client.stream.drop();
        world.advance(seconds(3601));
        expect([world.sessions.count, world.bus.filters]).toEqual([0, 0]);
      }),
      { numRuns: 400 },
    );
  });
});
