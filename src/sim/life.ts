/** Quantities that move as they do outside: slowly, with weather, doors and batteries. Times are in milliseconds. */
import type { Luck } from "./luck.ts";

const MINUTE = 60_000;
/** A day of the simulation, so that a curve is seen while somebody looks. */
export const DAY = 10 * MINUTE;

/** 0 at night, up to 1 at noon; everybody has the same sun. */
export function daylight(now: number): number {
  return Math.max(0, Math.sin(((now % DAY) / DAY) * 2 * Math.PI - Math.PI / 2) * 0.7 + 0.3);
}

/** Wanders around a middle that may itself move, and comes back to it. */
export class Drift {
  value: number;
  readonly #luck: Luck;
  readonly #pull: number;
  readonly #noise: number;
  #at: number;

  /** `settles`: how long it takes to lose two thirds of a distance. `noise`: how far it strays by itself. */
  constructor(luck: Luck, value: number, settles: number, noise: number, now: number) {
    this.#luck = luck;
    this.value = value;
    this.#pull = settles;
    this.#noise = noise;
    this.#at = now;
  }

  towards(middle: number, now: number): number {
    const passed = Math.max(0, now - this.#at);
    this.#at = now;
    const kept = Math.exp(-passed / this.#pull);
    this.value = middle + (this.value - middle) * kept;
    this.value += this.#luck.wobble() * this.#noise * Math.sqrt(1 - kept);
    return this.value;
  }
}

/** Something that is open, or occupied, or running for a while, and then not. */
export class Spell {
  #on = false;
  #until: number;
  readonly #luck: Luck;
  readonly #off: number;
  readonly #length: number;

  /** Begins every `off` on average, and lasts `length` on average. */
  constructor(luck: Luck, off: number, length: number, now: number) {
    this.#luck = luck;
    this.#off = off;
    this.#length = length;
    this.#until = now + luck.until(off);
  }

  at(now: number): boolean {
    // What was not looked at for long has not happened more often than a few times.
    for (let turns = 0; now >= this.#until && turns < 10; turns++) {
      this.#on = !this.#on;
      this.#until += this.#luck.until(this.#on ? this.#length : this.#off);
    }
    if (now >= this.#until) this.#until = now + this.#luck.until(this.#on ? this.#length : this.#off);
    return this.#on;
  }
}

/** Runs down, faster with each use, and is changed when it is empty. */
export class Battery {
  #charge: number;
  readonly #luck: Luck;

  constructor(luck: Luck) {
    this.#luck = luck;
    this.#charge = luck.between(35, 100);
  }

  /** Percent, after one more use. */
  used(): number {
    this.#charge -= this.#luck.between(0, 0.04);
    if (this.#charge < 3) this.#charge = 100;
    return Math.round(this.#charge);
  }

  get volts(): number {
    return 2.2 + (this.#charge / 100) * 0.8;
  }
}
