import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { AddressRace, interleave } from "#core/net/address-race.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Sockets that do what the test says. */
class Field {
  readonly sockets = new Map<string, EventEmitter & { destroyed: boolean }>();
  won: unknown;
  lost: string[] | undefined;
  readonly race: AddressRace;

  constructor(...addresses: string[]) {
    this.race = new AddressRace(
      addresses,
      (address) => {
        const socket = Object.assign(new EventEmitter(), { destroyed: false, destroy: () => {} });
        socket.destroy = () => {
          socket.destroyed = true;
        };
        this.sockets.set(address, socket);
        return socket as unknown as Socket;
      },
      (socket) => {
        this.won = socket;
      },
      (problems) => {
        this.lost = problems.map(({ message }) => message);
      },
    );
  }

  get tried(): string[] {
    return [...this.sockets.keys()];
  }

  fails(address: string): void {
    this.sockets.get(address)?.emit("error", new Error(address));
  }
}

describe("a race of addresses (RFC 8305 §5)", () => {
  it("gives an address 250 ms before the next one is tried beside it", () => {
    const field = new Field("a", "b", "c");
    vi.advanceTimersByTime(249);
    expect(field.tried).toEqual(["a"]);
    vi.advanceTimersByTime(1);
    expect(field.tried).toEqual(["a", "b"]);
    vi.advanceTimersByTime(10_000);
    expect(field.tried).toEqual(["a", "b", "c"]);
  });

  it("tries the next one at once when one has failed", () => {
    const field = new Field("a", "b", "c");
    field.fails("a");
    expect(field.tried).toEqual(["a", "b"]);
    vi.advanceTimersByTime(250);
    expect(field.tried).toEqual(["a", "b", "c"]);
  });

  it("keeps the first that answers, though a later one, and gives the others up", () => {
    const field = new Field("slow", "fast", "never");
    vi.advanceTimersByTime(250);
    field.sockets.get("fast")?.emit("connect");
    expect(field.won).toBe(field.sockets.get("fast"));
    expect(field.sockets.get("slow")?.destroyed).toBe(true);
    expect(field.sockets.get("fast")?.destroyed).toBe(false);
    vi.advanceTimersByTime(1000);
    field.fails("slow");
    expect(field.tried).toEqual(["slow", "fast"]);
    expect(field.lost).toBeUndefined();
  });

  it("is lost when all have failed, and not before", () => {
    const field = new Field("a", "b");
    vi.advanceTimersByTime(250);
    field.fails("b");
    expect(field.lost).toBeUndefined();
    field.fails("a");
    expect(field.lost).toEqual(["b", "a"]);
  });

  it("leaves nothing behind when it is stopped", () => {
    const field = new Field("a", "b");
    field.race.stop();
    vi.advanceTimersByTime(1000);
    expect(field.tried).toEqual(["a"]);
    expect(field.sockets.get("a")?.destroyed).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("takes the families in turn, beginning with that of the first address (RFC 8305 §4)", () => {
    expect(interleave(["::1", "::2", "::3", "10.0.0.1"])).toEqual(["::1", "10.0.0.1", "::2", "::3"]);
    expect(interleave(["10.0.0.1", "10.0.0.2", "::1"])).toEqual(["10.0.0.1", "::1", "10.0.0.2"]);
    expect(interleave([])).toEqual([]);
  });
});
