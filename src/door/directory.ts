import { after, type Instant, milliseconds } from "../lib/time.ts";
import type { Attendance } from "../session/attendance.ts";
import { sessionKey } from "../session/context.ts";
import type { AttendanceWatcher, SessionEngine } from "../session/engine.ts";
import type { BusClient } from "./bus-client.ts";
import type { Arrival } from "./core.ts";

type HowItCame = Pick<Arrival, "cleanStart" | "keepAlive">;
const SINGLE: HowItCame = { cleanStart: false, keepAlive: 0 };

/** A client as it stands in the directory: from the time it first came until nothing of it is left. */
export class Listed {
  /** Its place in the order of coming; never used again. */
  readonly number: number;
  readonly gateway: string;
  readonly clientId: string;
  /** While it is connected. */
  client: BusClient | undefined = undefined;
  /** While there is a session; single requests have none. */
  attendance: Attendance | undefined;
  /** When and how it came last; undefined where that was in an earlier life of this process. */
  since: Instant | undefined = undefined;
  cleanStart = false;
  /** What it promised, in seconds; 0 for nothing. */
  keepAlive = 0;
  /**
   * Until when it had promised to be heard, when it went without a word or this process has not seen it yet; undefined: it
   * said goodbye, or is here.
   */
  missedAt: Instant | undefined = undefined;

  constructor(number: number, gateway: string, clientId: string, attendance: Attendance | undefined) {
    this.number = number;
    this.gateway = gateway;
    this.clientId = clientId;
    this.attendance = attendance;
  }
}

/**
 * All clients of all gateways, connected or away, by name and in the order of their coming: so that whoever operates the
 * gateway finds one at once and pages through all, and nobody walks through all channels. What is known of a client is
 * asked of its channel and session when it is looked at; coming and going cost an entry in a map.
 */
export class Directory implements AttendanceWatcher {
  /** Several of one name are clients that make single requests, from several places. */
  readonly #named = new Map<string, Listed | Set<Listed>>();
  readonly #roll = new Roll();
  /** Clients here now, single requests included. */
  connected = 0;
  readonly subscriptionsEnd: AttendanceWatcher["subscriptionsEnd"];

  /** `subscriptionsEnd`: told of a session that ends with what it is subscribed to. */
  constructor(engine: SessionEngine, subscriptionsEnd: (attendance: Attendance) => void = () => {}) {
    this.subscriptionsEnd = subscriptionsEnd;
    engine.watcher = this;
  }

  get count(): number {
    return this.#roll.count;
  }

  /** Its session was here before the first client came. */
  restored(attendance: Attendance): void {
    const { gateway, clientId, identity } = attendance;
    // A further session of a client is no client.
    if (identity !== undefined && identity.clientId !== clientId) return;
    this.#add(attendance.key, this.#roll.enter(gateway, clientId, attendance));
  }

  arrived(client: BusClient, now: Instant, { cleanStart, keepAlive }: HowItCame = SINGLE): void {
    const { attendance } = client.session;
    const key = attendance?.key ?? sessionKey(client.gateway, client.id);
    let listed = attendance === undefined ? undefined : this.#withSession(key);
    if (listed === undefined) {
      listed = this.#roll.enter(client.gateway, client.id, attendance);
      this.#add(key, listed);
    }
    listed.client = client;
    listed.attendance = attendance;
    listed.since = now;
    listed.cleanStart = cleanStart;
    listed.keepAlive = keepAlive;
    listed.missedAt = undefined;
    client.listed = listed;
    this.connected++;
  }

  /** `lost`: without a word. */
  left(client: BusClient, lost: boolean): void {
    const { listed } = client;
    if (listed === undefined) return;
    listed.missedAt = lost ? promisedUntil(listed) : undefined;
    client.listed = undefined;
    this.connected--;
    // Somebody else may have its session by now.
    if (listed.client !== client) return;
    listed.client = undefined;
    if (listed.attendance === undefined) this.#remove(listed);
  }

  ended(attendance: Attendance): void {
    for (const listed of this.#all(attendance.key)) {
      if (listed.attendance !== attendance) continue;
      listed.attendance = undefined;
      if (listed.client === undefined) this.#remove(listed);
    }
  }

  /** One that is not here: it will be overdue from then on, until it comes or its session ends. */
  promised(gateway: string, clientId: string, until: Instant): void {
    const listed = this.find(gateway, clientId);
    if (listed !== undefined && listed.client === undefined) listed.missedAt = until;
  }

  /** The one with a session, if there is one; else one of those that make single requests under this name. */
  find(gateway: string, clientId: string): Listed | undefined {
    const key = sessionKey(gateway, clientId);
    return this.#withSession(key) ?? this.#all(key)[0];
  }

  /** All of one name. */
  named(gateway: string, clientId: string): readonly Listed[] {
    return this.#all(sessionKey(gateway, clientId));
  }

  /** Those that came after the one of this number (0 for all), in order. Nobody may come or go meanwhile. */
  after(number: number): Iterable<Listed> {
    return this.#roll.after(number);
  }

  #all(key: string): readonly Listed[] {
    const known = this.#named.get(key);
    if (known === undefined) return [];
    return known instanceof Listed ? [known] : [...known];
  }

  #withSession(key: string): Listed | undefined {
    const known = this.#named.get(key);
    if (known === undefined || known instanceof Listed) return hasSession(known) ? known : undefined;
    for (const listed of known) if (hasSession(listed)) return listed;
    return undefined;
  }

  #add(key: string, listed: Listed): void {
    const known = this.#named.get(key);
    if (known === undefined) this.#named.set(key, listed);
    else if (known instanceof Listed) this.#named.set(key, new Set([known, listed]));
    else known.add(listed);
  }

  #remove(listed: Listed): void {
    this.#roll.leave(listed);
    const key = sessionKey(listed.gateway, listed.clientId);
    const known = this.#named.get(key);
    if (known instanceof Set && known.size > 1) known.delete(listed);
    else this.#named.delete(key);
  }
}

/** A client may be late by half of what it promised [MQTT-3.1.2-22]. */
const PATIENCE = 1.5;

/** Until when a client has promised to be heard; undefined where it never did. */
export function promisedUntil({ client, attendance, keepAlive }: Listed): Instant | undefined {
  const expected = attendance?.expectedUntil ?? client?.promised;
  if (expected !== undefined || client === undefined || keepAlive === 0) return expected;
  return after(client.loop.heardAt, milliseconds(keepAlive * PATIENCE * 1000));
}

/** Also while its session is on its way to another connection, and away. */
const hasSession = (listed: Listed | undefined): boolean =>
  listed !== undefined && (listed.attendance !== undefined || listed.client?.single === false);

/** Below it, holes are not worth filling. */
const FILL_FROM = 64;

/** Numbers in ascending order, and who has them; who has gone leaves a hole, and where half is holes they are filled. */
class Roll {
  #numbers: number[] = [];
  #listed: (Listed | undefined)[] = [];
  #last = 0;
  count = 0;

  enter(gateway: string, clientId: string, attendance: Attendance | undefined): Listed {
    const listed = new Listed(++this.#last, gateway, clientId, attendance);
    this.#numbers.push(listed.number);
    this.#listed.push(listed);
    this.count++;
    return listed;
  }

  leave({ number }: Listed): void {
    this.#listed[this.#placeAfter(number - 1)] = undefined;
    this.count--;
    while (this.#listed.length > 0 && this.#listed.at(-1) === undefined) {
      this.#listed.pop();
      this.#numbers.pop();
    }
    if (this.#listed.length >= FILL_FROM && this.count * 2 < this.#listed.length) this.#fill();
  }

  *after(number: number): Generator<Listed> {
    for (let place = this.#placeAfter(number); place < this.#listed.length; place++) {
      const listed = this.#listed[place];
      if (listed !== undefined) yield listed;
    }
  }

  /** The first place whose number is greater. */
  #placeAfter(number: number): number {
    let low = 0;
    let high = this.#numbers.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#numbers[middle]! <= number) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #fill(): void {
    const left = this.#listed.filter((listed) => listed !== undefined);
    this.#listed = left;
    this.#numbers = left.map(({ number }) => number);
  }
}
