import { EmbeddedBus } from "#core/bus/embedded.ts";
import { Deadlines } from "#core/drive/deadlines.ts";
import { after, type Instant } from "#core/lib/time.ts";
import { mulberry32 } from "../support/random.ts";
import { busContract } from "./bus.ts";

for (const routeCache of [0, 1000]) {
  busContract(`embedded, with ${routeCache} routes remembered`, () => {
    let now = 1_700_000_000_000 as Instant;
    const deadlines = new Deadlines(now);
    const bus = new EmbeddedBus(
      {
        retained: { messages: 100, payloadSize: 1000, bytes: 1_000_000 },
        shareStrategy: "round_robin",
        shareStrategies: {},
        routeCache,
      },
      { now: () => now },
      mulberry32(1),
    );
    return {
      bus,
      now: () => now,
      pass(by) {
        now = after(now, by);
        deadlines.advance(now);
      },
    };
  });
}
