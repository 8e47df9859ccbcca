/** How many datagrams are read in a turn, with a system of our own that always has more of them. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Arrived } from "#core/net/batch/paths.ts";
import { type Batches, BatchSocket } from "#core/net/batch/socket.ts";
import type { Descriptor } from "#core/net/system/descriptor.ts";

let now = 0;
/** What the system was asked for, call by call. */
let asked: number[] = [];
let turn: () => void = () => {};
/** Work that each datagram makes, in milliseconds. */
let work = 0;

beforeEach(() => {
  now = 0;
  asked = [];
  vi.spyOn(performance, "now").mockImplementation(() => now);
  const batches = {
    calls: {
      recvmmsg: (_descriptor: number, _headers: Uint8Array, count: number) => {
        asked.push(count);
        return count;
      },
      watch: (_descriptor: number, ready: () => void) => {
        turn = ready;
        return { start() {}, again() {}, close() {} };
      },
    },
    received: {
      headers: new Uint8Array(),
      arrived: new Arrived(),
      read: () => true,
      contentOf: () => new Uint8Array(),
    },
    sending: {},
  } as unknown as Batches;
  const descriptor = { number: 9, name: () => ({ address: "127.0.0.1", port: 5683 }) } as Descriptor;
  new BatchSocket(
    batches,
    descriptor,
    (batch) => {
      now += work * batch.length;
    },
    () => {},
  );
});
afterEach(() => {
  vi.restoreAllMocks();
});

describe("a turn of a socket that never runs out of datagrams", () => {
  test("is four batches of 64 where they are no work", () => {
    turn();
    expect(asked).toEqual([64, 64, 64, 64]);
  });

  test("ends after five milliseconds, and fewer are read at once the longer they take", () => {
    work = 1;
    for (let count = 0; count < 6; count++) turn();
    expect(asked).toEqual([64, 32, 16, 8, 4, 4, 4, 4]);
    expect(now).toBe(64 + 32 + 16 + 8 + 8 + 8);
  });

  test("is of one at least, and of many again when they are no work any more", () => {
    work = 20;
    for (let count = 0; count < 9; count++) turn();
    expect(asked.slice(-3)).toEqual([1, 1, 1]);
    work = 0;
    asked = [];
    turn();
    turn();
    expect(asked).toEqual([1, 2, 4, 8, 16, 32, 64, 64]);
  });
});
