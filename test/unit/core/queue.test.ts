import { describe, expect, it } from "vitest";
import { Message, type QoS } from "#core/bus/message.ts";
import { FOREVER, type Instant } from "#core/lib/time.ts";
import { Outgoing } from "#core/session/outgoing.ts";
import { Queue } from "#core/session/queue.ts";
import { fc } from "../../support/property.ts";

const NOW = 1_000_000 as Instant;
const MOST = 6;
const EMPTY = new Uint8Array();

function outgoing(qos: QoS): Outgoing {
  const message = new Message("t", EMPTY, qos, false, NOW, undefined, FOREVER);
  return new Outgoing(message, "t", qos, false, [], undefined);
}

/** What a full queue does, by a list. Returns what had to go. */
function pushed(list: Outgoing[], newcomer: Outgoing): Outgoing[] {
  if (list.length >= MOST && newcomer.qos === 0) return [newcomer];
  const dropped: Outgoing[] = [];
  while (list.length >= MOST) {
    const place = list.findIndex(({ qos }) => qos === 0);
    dropped.push(...list.splice(Math.max(place, 0), 1));
  }
  list.push(newcomer);
  return dropped;
}

describe("a full queue whose policy is qos0-first", () => {
  it("drops the oldest of QoS 0, wherever it stands, then the oldest of all, and a newcomer of QoS 0 itself", () => {
    const step = fc.constantFrom<QoS | "shift" | "give back" | "remove">(
      0,
      1,
      1,
      2,
      "shift",
      "give back",
      "remove",
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80, size: "max" }), (steps) => {
        const queue = new Queue({ messages: MOST, bytes: 1_000_000, drop: "qos0-first" });
        const list: Outgoing[] = [];
        const taken: Outgoing[] = [];
        for (const one of steps) {
          if (one === "shift") {
            const first = list.shift();
            expect(queue.shift()).toBe(first);
            if (first !== undefined) taken.push(first);
          } else if (one === "give back") {
            const back = taken.pop();
            if (back === undefined) continue;
            queue.unshift(back);
            list.unshift(back);
          } else if (one === "remove") {
            const [second] = list.splice(1, 1);
            queue.remove((delivery) => delivery === second);
          } else {
            const newcomer = outgoing(one);
            expect(queue.push(newcomer, NOW)).toEqual(pushed(list, newcomer));
          }
          expect([...queue]).toEqual(list);
        }
      }),
    );
  });
});
