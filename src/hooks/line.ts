import { Ring } from "../lib/ring.ts";
import type { Room } from "./room.ts";

/** What a client asks for, once its turn has come. */
interface InLine {
  /** Undefined when its answer comes another way. */
  run(): PromiseLike<void> | undefined;
  /** It never comes to its turn. */
  drop(): void;
}

/** What drives the client. */
export interface LineHost {
  /** A promise has brought something: time has passed. */
  tick(): void;
  /** Much waits: nothing more shall be read for now. */
  pause(): void;
  resume(): void;
  /** Nothing waits any more. */
  empty(): void;
}

/**
 * Keeps in order what one client asks for: as long as a hook thinks about one thing, the next ones wait behind it. Where
 * hooks answer at once it is not in the way.
 */
export class Line {
  readonly #room: Room;
  readonly #host: LineHost;
  readonly #waiting = new Ring<InLine>();
  #busy = false;
  #paused = false;
  #dropped = false;

  constructor(room: Room, host: LineHost) {
    this.#room = room;
    this.#host = host;
  }

  get busy(): boolean {
    return this.#busy;
  }

  /**
   * Runs it, now or in its turn. What it gives is returned when that is known at once; else `pending`, and `give` gets it
   * later unless it is `pending` itself. `full`: too much waits already.
   */
  ask<Given>(
    run: () => Given | Promise<Given>,
    give: (given: Given) => void,
    full: Given,
    dropped: Given,
  ): Given | "pending" {
    if (!this.#busy) {
      const given = run();
      if (!(given instanceof Promise)) return given;
      this.#occupy(this.#late(given, give));
      return "pending";
    }
    if (!this.#room.take(this.#waiting.length)) return full;
    this.#waiting.push({
      run: () => {
        const given = run();
        if (given instanceof Promise) return this.#late(given, give);
        give(given);
        return undefined;
      },
      drop: () => give(dropped),
    });
    if (!this.#paused && this.#waiting.length >= this.#room.ofClient / 2) {
      this.#paused = true;
      this.#host.pause();
    }
    return "pending";
  }

  /** What waits is given up, and answered so. */
  drop(): void {
    this.#dropped = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      this.#room.free();
      next.drop();
    }
  }

  #late<Given>(given: Promise<Given>, give: (given: Given) => void): Promise<void> {
    return given.then((late) => {
      this.#host.tick();
      give(late);
    });
  }

  #occupy(running: PromiseLike<void>): void {
    this.#busy = true;
    running.then(() => this.#next());
  }

  #next(): void {
    this.#host.tick();
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      this.#room.free();
      const running = next.run();
      if (running === undefined) continue;
      this.#occupy(running);
      this.#relieve();
      return;
    }
    this.#busy = false;
    this.#relieve();
    if (!this.#dropped) this.#host.empty();
  }

  #relieve(): void {
    if (!this.#paused || this.#waiting.length > this.#room.ofClient / 4) return;
    this.#paused = false;
    this.#host.resume();
  }
}
