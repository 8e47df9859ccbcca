import type { Alarm, Alarms } from "../lib/alarm.ts";
import { type Instant, NEVER } from "../lib/time.ts";

const SLOTS = 32;
const LEVELS = 9;
/** Span of one slot per level in milliseconds: 1 ms, 32 ms, 1 s, 33 s, 17 min, 9 h, 12 d, 1 a, 35 a. */
const SPANS: readonly number[] = Array.from({ length: LEVELS }, (_, level) => SLOTS ** level);

const ALL = (): boolean => true;

/** What the wheel spans, in milliseconds. */
const WHOLE = SLOTS ** LEVELS;

/**
 * The one timer wheel: every keep-alive, retry, expiry and delay of the process. Hierarchical, so arming and
 * disarming cost the same for a millisecond and for a year, and an alarm is its own list node.
 * It has no clock: whoever owns it calls `advance` at `next()` or later.
 */
export class Deadlines implements Alarms {
  #slots: (Alarm | undefined)[] = new Array(LEVELS * SLOTS).fill(undefined);
  /** Per level, one bit for each slot that holds an alarm. */
  #occupied: number[] = new Array(LEVELS).fill(0);
  #elapsed: number;
  #armed = 0;
  /** Told of each deadline set, so that the owner's timer can be brought forward. */
  onArmed: ((due: Instant) => void) | undefined = undefined;

  constructor(now: Instant) {
    this.#elapsed = Math.floor(now);
  }

  get armed(): number {
    return this.#armed;
  }

  /** Sets or moves an alarm. A time that has passed fires at the next `advance`; `NEVER` disarms. */
  arm(alarm: Alarm, due: Instant): void {
    if (alarm.slot >= 0) this.#unlink(alarm);
    alarm.due = due;
    if (due === NEVER) return;
    this.#link(alarm);
    this.onArmed?.(due);
  }

  disarm(alarm: Alarm): void {
    if (alarm.slot >= 0) this.#unlink(alarm);
    // Also when it is about to fire in the batch being drained.
    alarm.due = NEVER;
  }

  /**
   * Fires all that is due, slot by slot, as long as `goOn` says so; an alarm armed meanwhile for now or earlier waits for the
   * next call.
   */
  advance(now: Instant, goOn: () => boolean = ALL): void {
    const target = Math.floor(now);
    for (;;) {
      const found = this.#firstSlot();
      if (found < 0) break;
      const level = Math.floor(found / SLOTS);
      const start = this.#slotStart(level, found % SLOTS);
      if (start > target) break;
      if (start > this.#elapsed) this.#elapsed = start;
      const fired = this.#drain(level, found, now);
      if (fired && start >= target) break;
      if (fired && !goOn()) return;
    }
    if (target > this.#elapsed) this.#elapsed = target;
  }

  /** The earliest deadline, or `NEVER`. */
  next(): Instant {
    const found = this.#firstSlot();
    if (found < 0) return NEVER;
    let earliest = Number.POSITIVE_INFINITY;
    for (let alarm = this.#slots[found]; alarm !== undefined; alarm = alarm.after) {
      if (alarm.due < earliest) earliest = alarm.due;
    }
    return Math.ceil(earliest) as Instant;
  }

  /** Empties a slot: fires at level 0, moves down elsewhere. Returns whether it fired. */
  #drain(level: number, slot: number, now: Instant): boolean {
    let alarm = this.#slots[slot];
    this.#slots[slot] = undefined;
    this.#occupied[level] = this.#occupied[level]! & ~(1 << (slot % SLOTS));
    // Detach all first: a firing alarm may arm or disarm its neighbours.
    const batch: Alarm[] = [];
    while (alarm !== undefined) {
      const following: Alarm | undefined = alarm.after;
      alarm.slot = -1;
      alarm.before = undefined;
      alarm.after = undefined;
      this.#armed--;
      batch.push(alarm);
      alarm = following;
    }
    if (level > 0) {
      for (const moved of batch) this.#link(moved);
      return false;
    }
    for (let index = 0; index < batch.length; index++) {
      const firing = batch[index]!;
      // Re-armed or disarmed by an earlier one of this batch: `due` tells.
      if (firing.slot < 0 && firing.due !== NEVER) {
        firing.due = NEVER;
        firing.fire(now);
      }
    }
    return true;
  }

  /** Index of the slot to look at next: the first occupied one of the lowest level that has any. */
  #firstSlot(): number {
    for (let level = 0; level < LEVELS; level++) {
      const bits = this.#occupied[level]!;
      if (bits === 0) continue;
      const current = Math.floor(this.#elapsed / SPANS[level]!) % SLOTS;
      const ahead = bits & (-1 << current);
      const chosen = ahead !== 0 ? ahead : bits;
      return level * SLOTS + (31 - Math.clz32(chosen & -chosen));
    }
    return -1;
  }

  /** When a slot begins, in the block of 32 slots in which the present lies. */
  #slotStart(level: number, index: number): number {
    const block = SPANS[level]! * SLOTS;
    return Math.floor(this.#elapsed / block) * block + index * SPANS[level]!;
  }

  #link(alarm: Alarm): void {
    // What lies beyond the wheel waits in its last slot, and is put in its place from there.
    const last = Math.floor(this.#elapsed / WHOLE) * WHOLE + WHOLE - 1;
    const due = Math.min(Math.max(Math.ceil(alarm.due), this.#elapsed), last);
    let level = 0;
    while (level < LEVELS - 1) {
      const block = SPANS[level]! * SLOTS;
      if (Math.floor(due / block) === Math.floor(this.#elapsed / block)) break;
      level++;
    }
    const index = Math.floor(due / SPANS[level]!) % SLOTS;
    const slot = level * SLOTS + index;
    const first = this.#slots[slot];
    alarm.slot = slot;
    // Alarms of one millisecond fire in the order in which they were set: the first node's `before` is the last.
    if (first === undefined) {
      alarm.before = alarm;
      alarm.after = undefined;
      this.#slots[slot] = alarm;
    } else {
      const last = first.before!;
      last.after = alarm;
      alarm.before = last;
      alarm.after = undefined;
      first.before = alarm;
    }
    this.#occupied[level] = this.#occupied[level]! | (1 << index);
    this.#armed++;
  }

  #unlink(alarm: Alarm): void {
    const slot = alarm.slot;
    const first = this.#slots[slot]!;
    if (alarm === first) {
      this.#slots[slot] = alarm.after;
      if (alarm.after !== undefined) alarm.after.before = alarm.before;
    } else {
      alarm.before!.after = alarm.after;
      if (alarm.after === undefined) first.before = alarm.before;
      else alarm.after.before = alarm.before;
    }
    if (this.#slots[slot] === undefined) {
      const level = Math.floor(slot / SLOTS);
      this.#occupied[level] = this.#occupied[level]! & ~(1 << (slot % SLOTS));
    }
    alarm.slot = -1;
    alarm.before = undefined;
    alarm.after = undefined;
    this.#armed--;
  }
}
