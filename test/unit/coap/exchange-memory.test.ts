import { describe, expect, it } from "vitest";
import { type Instant, seconds } from "#core/lib/time.ts";
import { ExchangeMemory, ExchangesOfPeer } from "#gateways/coap/stack/reliability/deduplication.ts";

const NOW = 1_000_000 as Instant;
const LIFETIME = seconds(247);
const LIMITS = { perPeer: 4, total: 1000, bytes: 100_000 };

const answer = (length: number, fill: number) => new Uint8Array(length).fill(fill);

describe("the memory of exchanges (RFC 7252 §4.5)", () => {
  it("gives back what each request was answered with, whether the answers share memory or are long", () => {
    const memory = new ExchangeMemory({ ...LIMITS, perPeer: 2000, total: 2000, bytes: 1_000_000 });
    const peer = new ExchangesOfPeer(memory);
    const lengths = [0, 4, 30, 4096, 4097, 20_000, ...Array.from({ length: 1000 }, (_, index) => index % 60)];
    lengths.forEach((length, id) => {
      const bytes = answer(length, id & 0xff);
      const kept = memory.keep(peer.remember(id, LIFETIME, NOW), bytes);
      bytes.fill(0xee);
      expect(kept).toEqual(answer(length, id & 0xff));
    });
    lengths.forEach((length, id) => {
      expect(peer.duplicate(id, NOW)?.reply).toEqual(answer(length, id & 0xff));
    });
    expect(memory.bytes).toBe(lengths.reduce((sum, length) => sum + length));
  });

  it("counts an answer that replaces another once, and nothing when all is forgotten", () => {
    const memory = new ExchangeMemory(LIMITS);
    const peer = new ExchangesOfPeer(memory);
    const exchange = peer.remember(1, LIFETIME, NOW);
    memory.keep(exchange, answer(4, 1));
    memory.keep(exchange, answer(30, 2));
    expect([memory.bytes, exchange.reply]).toEqual([30, answer(30, 2)]);
    peer.clear();
    expect([memory.size, memory.bytes, exchange.reply]).toEqual([0, 0, undefined]);
  });

  it("gives up the oldest answers of all peers for the bytes of a new one, which it still hands out", () => {
    const memory = new ExchangeMemory({ ...LIMITS, bytes: 50 });
    const [one, two] = [new ExchangesOfPeer(memory), new ExchangesOfPeer(memory)];
    memory.keep(one.remember(1, LIFETIME, NOW), answer(30, 1));
    memory.keep(two.remember(1, LIFETIME, NOW), answer(30, 2));
    expect([one.size, two.size, memory.bytes]).toEqual([0, 1, 30]);
    expect(memory.keep(two.remember(2, LIFETIME, NOW), answer(60, 3))).toEqual(answer(60, 3));
    expect([two.size, memory.bytes]).toEqual([0, 0]);
  });

  it("forgets the oldest exchange of a peer that has too many", () => {
    const peer = new ExchangesOfPeer(new ExchangeMemory(LIMITS));
    for (let id = 1; id <= 5; id++) peer.remember(id, LIFETIME, NOW);
    expect([1, 2, 5].map((id) => peer.duplicate(id, NOW) !== undefined)).toEqual([false, true, true]);
  });
});
