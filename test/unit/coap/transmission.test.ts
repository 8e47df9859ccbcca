import { expect, it } from "vitest";
import { type Instant, seconds } from "#core/lib/time.ts";
import { MessageIds } from "#gateways/coap/stack/reliability/message-ids.ts";
import { transmission } from "#gateways/coap/stack/reliability/transmission.ts";

const DEFAULTS = {
  ackTimeout: seconds(2),
  ackRandomFactor: 1.5,
  maxRetransmit: 4,
  nstart: 1,
  maxLatency: seconds(100),
};

it("derives the times of RFC 7252 §4.8.2 from the defaults of §4.8", () => {
  const times = transmission(DEFAULTS);
  expect(times.MAX_TRANSMIT_SPAN).toBe(seconds(45));
  expect(times.MAX_TRANSMIT_WAIT).toBe(seconds(93));
  expect(times.EXCHANGE_LIFETIME).toBe(seconds(247));
  expect(times.NON_LIFETIME).toBe(seconds(145));
});

it("follows a change of ACK_TIMEOUT everywhere", () => {
  const times = transmission({ ...DEFAULTS, ackTimeout: seconds(1) });
  expect(times.MAX_TRANSMIT_SPAN).toBe(seconds(22.5));
  expect(times.EXCHANGE_LIFETIME).toBe(seconds(22.5 + 200 + 1));
});

it("follows a change of MAX_LATENCY, as short as it is", () => {
  const times = transmission({ ...DEFAULTS, maxLatency: seconds(1) });
  expect(times.EXCHANGE_LIFETIME).toBe(seconds(45 + 2 + 2));
  expect(times.NON_LIFETIME).toBe(seconds(45 + 1));
});

it("gives no message id twice within EXCHANGE_LIFETIME (RFC 7252 §4.4)", () => {
  const lifetime = seconds(247);
  const ids = new MessageIds(40_000, lifetime);
  const used = new Map<number, number>();
  let now = 1_000_000 as Instant;
  for (let count = 0; count < 200_000; count++) {
    const ready = ids.readyAt(now);
    if (ready > now) now = ready;
    const id = ids.next(now);
    const before = used.get(id);
    if (before !== undefined) expect(now - before).toBeGreaterThanOrEqual(lifetime);
    used.set(id, now);
  }
  expect(used.size).toBe(65_536);
});
