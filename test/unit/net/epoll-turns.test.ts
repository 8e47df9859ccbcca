/** How the turns of a set go, with a system of our own: what is ready, and for how long each is worked on, is told by the test. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { EpollConnection } from "#core/net/epoll/connection.ts";
import { EpollSet, EVENT_DATA, EVENT_WORDS } from "#core/net/epoll/set.ts";
import { EAGAIN, EPOLLIN, EPOLLOUT } from "#core/net/system/linux.ts";
import type { SystemCalls } from "#core/net/system/system-calls.ts";
import { streamOptions } from "./support.ts";

/** The system: descriptors that are watched, and which of them are ready. */
class System {
  /** By descriptor: what it is watched for, and the words that come back with it. */
  readonly watched = new Map<number, { readonly events: number; readonly data: readonly number[] }>();
  readonly reads: number[] = [];
  readonly sends: number[] = [];
  asked = 0;
  #ready: readonly (readonly [descriptor: number, events: number])[] = [];
  #wake: (() => void) | undefined;

  readonly calls = {
    epoll_create1: () => 3,
    epoll_ctl: (_set, operation, descriptor, event) => {
      if (operation === 2) this.watched.delete(descriptor);
      else {
        const data = [event![EVENT_DATA]!, event![EVENT_DATA + 1]!];
        this.watched.set(descriptor, { events: event![0]!, data });
      }
      return 0;
    },
    epoll_wait: (_set, events) => {
      this.asked++;
      const ready = this.#ready;
      this.#ready = [];
      for (const [index, [descriptor, what]] of ready.entries()) {
        const at = EVENT_WORDS * index;
        events[at] = what;
        events.set(this.watched.get(descriptor)?.data ?? [0, 0], at + EVENT_DATA);
      }
      return ready.length;
    },
    recv: (_descriptor, _bytes, length) => {
      this.reads.push(length);
      return length;
    },
    send: (_descriptor, bytes) => (this.sends.length > 0 ? this.sends.shift()! : bytes.length),
    close: () => 0,
    error: () => EAGAIN,
    watch: (_descriptor, ready) => {
      let due = false;
      const again = (): void => {
        if (due) return;
        due = true;
        setImmediate(() => {
          due = false;
          ready();
        });
      };
      this.#wake = again;
      return { start() {}, again, close() {} };
    },
  } as Partial<SystemCalls> as SystemCalls;

  ready(descriptors: readonly number[], events = EPOLLIN): void {
    this.#ready = descriptors.map((descriptor) => [descriptor, events] as const);
    this.#wake?.();
  }
}

let system: System;
let set: EpollSet;
let now = 0;
/** What is to be done when the event loop has come round. */
let due: (() => void)[] = [];
const comeRound = (): void => {
  for (const run of due.splice(0)) run();
};

beforeEach(() => {
  vi.spyOn(performance, "now").mockImplementation(() => now);
  vi.spyOn(globalThis, "setImmediate").mockImplementation(((run: () => void) => {
    due.push(run);
  }) as never);
  due = [];
  now = 0;
  system = new System();
  set = new EpollSet(system.calls);
});
afterEach(() => {
  vi.restoreAllMocks();
});

/** Descriptors that say when they are told, each of which takes so long. */
function add(descriptors: readonly number[], ms: number): number[] {
  const told: number[] = [];
  for (const descriptor of descriptors) {
    set.add(descriptor, EPOLLIN, {
      ready: () => {
        told.push(descriptor);
        now += ms;
      },
    });
  }
  return told;
}

const numbers = (from: number, count: number): number[] =>
  Array.from({ length: count }, (_, index) => from + index);

describe("a turn", () => {
  test("ends when its time is over, and the next one begins with who was not reached", () => {
    const told = add(numbers(10, 100), 1);
    system.ready(numbers(10, 100));
    comeRound();
    expect(told).toEqual(numbers(10, 5));
    expect(due).toHaveLength(1);
    system.ready(numbers(10, 3));
    comeRound();
    expect(told).toEqual(numbers(10, 10));
    expect(system.asked).toBe(1);
    for (let round = 0; round < 18; round++) comeRound();
    expect(told).toEqual(numbers(10, 100));
    system.ready(numbers(10, 3));
    comeRound();
    expect(told.slice(100)).toEqual(numbers(10, 3));
  });

  test("in which somebody throws goes on behind it when the event loop has come round", () => {
    const told = add([11, 12], 0);
    set.remove(11);
    set.add(11, EPOLLIN, {
      ready: () => {
        throw new Error("of a plug-in");
      },
    });
    system.ready([11, 12]);
    expect(comeRound).toThrow("of a plug-in");
    expect(told).toEqual([]);
    // The system says it again: nobody has read anything.
    system.ready([11, 12]);
    comeRound();
    expect(told).toEqual([12]);
  });

  test("tells nobody what was said of the descriptor that had its number before", () => {
    const told: string[] = [];
    set.add(10, EPOLLIN, {
      ready: () => {
        set.remove(11);
        set.add(11, EPOLLIN, { ready: () => told.push("the new one") });
      },
    });
    set.add(11, EPOLLIN, { ready: () => told.push("the former one") });
    system.ready([10, 11]);
    comeRound();
    expect(told).toEqual([]);
    system.ready([11]);
    comeRound();
    expect(told).toEqual(["the new one"]);
  });
});

/** A connection to which nothing happens but what the test says. */
function connect(descriptor: number, drained: () => void = () => {}): EpollConnection {
  const peer = { transport: "tcp", address: "192.0.2.1", port: descriptor } as const;
  const connection = new EpollConnection(set, descriptor, peer, streamOptions({ highWaterMark: 10 }));
  connection.offer(() => ({ received() {}, drained, ended() {}, closed() {} }));
  return connection;
}

describe("connections", () => {
  test("that are few are read 64 KiB at a time, four times; many share the turn by 16 KiB each", () => {
    for (const descriptor of numbers(10, 20)) connect(descriptor);
    system.ready([10]);
    comeRound();
    expect(system.reads.splice(0)).toEqual([65_536, 65_536, 65_536, 65_536]);
    system.ready(numbers(10, 20));
    comeRound();
    expect(system.reads).toEqual(numbers(10, 20).map(() => 16_384));
  });

  test("whose owner throws when it may write again are not told for ever that it may", () => {
    const connection = connect(10, () => {
      throw new Error("of a plug-in");
    });
    system.sends.push(0);
    expect(connection.write(new Uint8Array(20))).toBe(false);
    expect(system.watched.get(10)?.events).toBe(EPOLLIN | EPOLLOUT);
    system.ready([10], EPOLLOUT);
    expect(comeRound).toThrow("of a plug-in");
    system.ready([10], EPOLLOUT);
    comeRound();
    expect(system.watched.get(10)?.events).toBe(EPOLLIN);
  });

  test("that are destroyed by who is told that its bytes are written are not told that they may write more", () => {
    let drains = 0;
    const connection = connect(10, () => drains++);
    system.sends.push(0);
    connection.write(new Uint8Array(20), () => connection.destroy());
    system.ready([10], EPOLLOUT);
    comeRound();
    expect(drains).toBe(0);
    expect(system.watched.has(10)).toBe(false);
  });
});
