/** What the core may expect of every channel (src/contract), run over all gateways in several states. */

import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import type { StopReason } from "#core/contract/channel.ts";
import { after, days, hours, seconds } from "#core/lib/time.ts";
import { MODULES } from "#core/modules.ts";
import { fc } from "../support/property.ts";
import { channels } from "./channel-cases.ts";

const REASONS: readonly StopReason[] = ["shutdown", "taken-over", "kicked", "rate", "overload"];

const ajv = new Ajv2020({ strict: false, allErrors: true });

describe.each(channels)("a channel of %s", (name, open, state) => {
  it("says of its clients what its module says that it says", () => {
    const { world, loop } = open();
    const module = MODULES.find((each) => each.name === name.split(" ")[0]);
    if (state === "delivered to") expect(loop.clients().length).toBeGreaterThan(0);
    for (const client of loop.clients()) {
      expect(loop.channel.status(client, world.now)).not.toBe("");
      const said = JSON.parse(JSON.stringify(loop.channel.describe(client, world.now)));
      const schema = { ...module?.describes, additionalProperties: false };
      expect([ajv.validate(schema, said), ajv.errorsText()]).toEqual([true, "No errors"]);
    }
  });

  it("is in the state that it should be in", () => {
    const { world, heard } = open();
    if (state !== "fresh") expect(heard()).toBeGreaterThan(0);
    expect(world.counters.get("channel_failures")?.value ?? 0).toBe(0);
  });

  it.each(REASONS)("says goodbye and is gone when it is stopped: %s", (reason) => {
    const { world, loop, heard } = open();
    loop.stop(reason);
    world.settle();
    expect([loop.closed, world.sessions.connected]).toEqual([true, 0]);
    heard();
    world.advance(days(1));
    expect(heard()).toBe(0);
  });

  it("can be closed twice, and wants nothing afterwards", () => {
    const { world, loop, lose, heard } = open();
    lose();
    loop.channel.closed(world.now);
    expect(world.sessions.connected).toBe(0);
    heard();
    loop.channel.wake(after(world.now, days(1)));
    loop.channel.stop("shutdown", world.now);
    world.settle();
    expect(heard()).toBe(0);
  });

  it("takes answers that nobody waits for, also after its end", () => {
    const { world, loop, lose } = open();
    const late = (): void => {
      for (const ticket of [0, 1, 12_345]) {
        loop.channel.answered(ticket, "accepted", world.now);
        loop.channel.answered(ticket, 1, world.now);
        loop.channel.answered(ticket, "unavailable", world.now);
        loop.channel.connected(ticket, { ok: false, refusal: "unavailable" }, world.now);
      }
    };
    lose();
    late();
    expect(world.sessions.connected).toBe(0);
  });

  it("bears to be woken too early, too late and once too often, and always moves its deadline on", () => {
    const { world, loop } = open();
    loop.channel.wake(world.now);
    loop.channel.wake(world.now);
    for (const pause of [seconds(1), seconds(30), hours(2), days(2)]) {
      world.advance(pause);
      if (loop.closed) return;
      expect(loop.channel.deadline()).toBeGreaterThan(world.now);
    }
  });

  it("never throws at what is sent to it, whole or cut, and closes at most itself", () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(fc.array(bytes, { minLength: 1, maxLength: 6 }), (chunks) => {
        const { world, loop, send } = open();
        for (const chunk of chunks) send(chunk);
        world.advance(seconds(20));
        if (!loop.closed) expect(loop.channel.deadline()).toBeGreaterThan(world.now);
        else expect(world.sessions.connected).toBe(0);
      }),
      { numRuns: 30 },
    );
  });

  it("survives any order of inputs", () => {
    const inputs = {
      wake: "wake",
      send: "send",
      publish: "publish",
      lose: "lose",
      stop: "stop",
      answer: "answer",
      wait: "wait",
    } as const;
    const input = fc.constantFrom(...Object.values(inputs));
    fc.assert(
      fc.property(fc.array(input, { maxLength: 12 }), (sequence) => {
        const { world, loop, send, lose } = open();
        for (const each of sequence) {
          if (each === "wake") loop.fire(world.now);
          else if (each === "send") send(Uint8Array.of(0xc0, 0, 0, 10));
          else if (each === "publish") world.publish("t", "more", { qos: 1, retain: true });
          else if (each === "lose") lose();
          else if (each === "stop") loop.stop("kicked");
          else if (each === "answer") loop.answered(7, "accepted");
          else world.advance(seconds(11));
        }
        loop.stop("shutdown");
        world.settle();
        expect([loop.closed, world.sessions.connected]).toEqual([true, 0]);
      }),
      { numRuns: 25 },
    );
  });
});
