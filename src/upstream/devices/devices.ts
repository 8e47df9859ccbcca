/**
 * What gateways remember of devices (topic ids and sleep of MQTT-SN, registrations and observations of LwM2M), kept so
 * that a restart of this gateway, or another gateway before the same cluster, goes on where it was.
 */

import type { Recalled } from "../../contract/gateway.ts";
import { between, type Duration, FOREVER, type Instant, inSeconds } from "../../lib/time.ts";
import type { UpstreamSession } from "../session.ts";
import type { DeviceMemory } from "./memory.ts";
import { type DeviceRecord, readRecord, writeRecord } from "./record.ts";

/** Kept for so much longer than the session: a device's clock, and ours, may be late. */
const MARGIN = 86_400;

type Kept = (kept: boolean) => void;

/** How far the record of one session is written. */
class Writing {
  /** It has changed since it was written last. */
  changed = false;
  running = false;
  /** Who waits for what has changed, and for what is being written. */
  waits: Kept[] = [];
  alias: string | undefined = undefined;
  toldAlias: string | undefined = undefined;
}

export interface DevicesParts {
  readonly memory: DeviceMemory;
  /** Of this gateway, and no other. */
  readonly name: string;
  readonly now: () => Instant;
  readonly defer: (run: () => void) => void;
  readonly failed: (session: UpstreamSession) => void;
  /** The session that servers know by this id, if it is here. */
  readonly session: (id: string) => UpstreamSession | undefined;
  /** A session as it was left: undefined where there is no room. */
  readonly adopt: (id: string, record: DeviceRecord) => UpstreamSession | undefined;
}

export class Devices {
  readonly memory: DeviceMemory;
  readonly #parts: DevicesParts;
  readonly #writings = new Map<UpstreamSession, Writing>();
  readonly #over = new WeakSet<UpstreamSession>();

  constructor(parts: DevicesParts) {
    this.#parts = parts;
    this.memory = parts.memory;
  }

  /** Brings back all that is there at the start. */
  start(): void {
    for (const [key, text] of this.memory.entries()) {
      const record = key.startsWith(SESSION) ? readRecord(text) : undefined;
      if (record !== undefined) this.#adopt(key.slice(SESSION.length), record);
    }
  }

  /**
   * Before a client is let in of whom another gateway may remember something. False: nothing has to be looked for; else
   * `run` is called, later, with whether it could be.
   */
  lookFor(id: string, gateway: string, run: (looked: boolean) => void): boolean {
    if (!this.memory.shared) return false;
    // The server tells who has a connection there that another one has come.
    if (this.#parts.session(id)?.server.link !== undefined) return false;
    this.#find(id, (record) => {
      const others = typeof record === "object" && this.#isAnothers(record) && record.gateway === gateway;
      if (others) this.#adopt(id, record);
      run(record !== "unavailable");
    });
    return true;
  }

  /** See `GatewayHost.recall`. */
  recall(gateway: string, alias: string, found: (one: Recalled | undefined) => void): boolean {
    if (!this.memory.shared) return false;
    this.memory.find(aliasKey(gateway, alias), (id) => {
      if (id === "unavailable" || id === undefined) found(undefined);
      else
        this.#find(id, (record) => {
          const known = typeof record === "object" && record.gateway === gateway;
          found(known ? { clientId: record.clientId, memo: record.memo } : undefined);
        });
    });
    return true;
  }

  /** Whether another gateway has it by now. False: that cannot be. */
  whereabouts(session: UpstreamSession, say: (elsewhere: boolean) => void): boolean {
    if (!this.memory.shared || session.memo === undefined) return false;
    this.#find(session.upstreamId, (record) => say(typeof record === "object" && this.#isAnothers(record)));
    return true;
  }

  #find(id: string, found: (record: DeviceRecord | "unavailable" | undefined) => void): void {
    this.memory.find(SESSION + id, (text) => {
      if (text === "unavailable") found(text);
      else found(text === undefined ? undefined : readRecord(text));
    });
  }

  #isAnothers(record: DeviceRecord): boolean {
    return record.by !== this.#parts.name;
  }

  #adopt(id: string, record: DeviceRecord): void {
    const session = this.#parts.adopt(id, record);
    if (session === undefined) return;
    const writing = this.#of(session);
    writing.alias = record.alias;
    writing.toldAlias = record.alias;
    session.adopt(record);
  }

  /** What is remembered of it is other than it was; written at the end of this turn. */
  changed(session: UpstreamSession, alias?: string): void {
    if (this.#over.has(session)) return;
    const writing = this.#of(session);
    if (alias !== undefined) writing.alias = alias;
    if (writing.changed) return;
    writing.changed = true;
    this.#parts.defer(() => this.#write(session, writing));
  }

  /** False: all that is remembered of it is kept. */
  whenKept(session: UpstreamSession, run: Kept): boolean {
    const writing = this.#writings.get(session);
    if (writing === undefined || (!writing.changed && !writing.running)) return false;
    writing.waits.push(run);
    return true;
  }

  /** The session is over, here at least. */
  ended(session: UpstreamSession): void {
    this.#over.add(session);
    const writing = this.#writings.get(session);
    if (writing === undefined) return;
    this.#writings.delete(session);
    if (!session.elsewhere) this.#remove(session, writing);
    tell(writing.waits.splice(0), true);
  }

  /** Where it is known here alone, and now: all that was published before was handed to who was connected. */
  stop(): void {
    if (!this.memory.shared) {
      for (const [session, writing] of this.#writings) {
        if (session.dated && session.memo !== undefined) this.#put(session, writing, () => {});
      }
    }
    this.memory.stop();
  }

  #of(session: UpstreamSession): Writing {
    let writing = this.#writings.get(session);
    if (writing === undefined) {
      writing = new Writing();
      this.#writings.set(session, writing);
    }
    return writing;
  }

  #write(session: UpstreamSession, writing: Writing): void {
    if (writing.running || !writing.changed || this.#writings.get(session) !== writing) return;
    writing.changed = false;
    const waits = writing.waits.splice(0);
    if (session.elsewhere) {
      tell(waits, true);
      return;
    }
    if (session.memo === undefined) {
      this.#remove(session, writing);
      tell(waits, true);
      return;
    }
    this.#put(session, writing, (kept) => {
      writing.running = false;
      if (!kept) this.#parts.failed(session);
      tell(waits, kept);
      // Who came while it was written waits for nothing more, unless it has changed meanwhile.
      if (writing.changed) this.#write(session, writing);
      else tell(writing.waits.splice(0), kept);
    });
  }

  #put(session: UpstreamSession, writing: Writing, done: Kept): void {
    const { memory } = this;
    const lifetime = this.#lifetime(session);
    const { alias, toldAlias } = writing;
    const since = session.server.owesSince(this.#parts.now());
    const text = writeRecord(this.#parts.name, session, { alias, since });
    writing.running = true;
    if (toldAlias !== undefined && toldAlias !== alias) memory.remove(aliasKey(session.gateway, toldAlias));
    writing.toldAlias = alias;
    const putRecord = (kept: boolean): void => {
      if (kept) memory.put(SESSION + session.upstreamId, text, lifetime, done);
      else done(false);
    };
    if (alias === undefined) putRecord(true);
    else memory.put(aliasKey(session.gateway, alias), session.upstreamId, lifetime, putRecord);
  }

  #lifetime({ expiry, expectedUntil }: UpstreamSession): number | undefined {
    if (expiry === FOREVER) return undefined;
    const expected = expectedUntil === undefined ? 0 : between(this.#parts.now(), expectedUntil);
    return Math.ceil(inSeconds(Math.max(expiry, expected) as Duration)) + MARGIN;
  }

  #remove(session: UpstreamSession, { toldAlias }: Writing): void {
    this.memory.remove(SESSION + session.upstreamId);
    if (toldAlias !== undefined) this.memory.remove(aliasKey(session.gateway, toldAlias));
  }
}

const SESSION = "s/";
const aliasKey = (gateway: string, alias: string): string => `a/${gateway}/${alias}`;

function tell(waits: readonly Kept[], kept: boolean): void {
  for (const each of waits) each(kept);
}
