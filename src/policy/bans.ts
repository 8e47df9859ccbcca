import type { Instant } from "../lib/time.ts";
import { AddressSet, canonicalAddress, isSingleAddress } from "./addresses.ts";
import type { Ban } from "./settings.ts";

interface Entry {
  readonly ban: Ban;
  readonly range: AddressSet | undefined;
}

/** Who is asking. */
export interface Suspect {
  readonly clientId?: string | undefined;
  readonly username?: string | undefined;
  readonly address: string;
}

const keyOf = (ban: Ban): string => `${ban.clientId ?? ""}\n${ban.user ?? ""}\n${ban.address ?? ""}`;

/** The ban list: from the configuration, from operators, from flapping detection. Bounded; expired bans go first. */
export class BanList {
  readonly #max: number;
  readonly #entries = new Map<string, Entry>();
  readonly #byClient = new Map<string, Set<Entry>>();
  readonly #byUser = new Map<string, Set<Entry>>();
  readonly #byAddress = new Map<string, Set<Entry>>();
  readonly #byRange = new Set<Entry>();

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** False when the list is full of bans that still hold. A ban for the same client replaces the earlier one. */
  add(ban: Ban, now: Instant): boolean {
    const key = keyOf(ban);
    const previous = this.#entries.get(key);
    if (previous !== undefined) this.#drop(key, previous);
    if (this.#entries.size >= this.#max) this.expire(now);
    if (this.#entries.size >= this.#max) return false;
    const range = ban.address === undefined ? undefined : new AddressSet([ban.address]);
    const entry: Entry = { ban, range };
    this.#entries.set(key, entry);
    this.#index(entry, (set) => set.add(entry));
    return true;
  }

  /** Lifts the ban with exactly these fields; false when there was none. */
  remove(ban: Pick<Ban, "clientId" | "user" | "address">): boolean {
    const key = keyOf(ban as Ban);
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    this.#drop(key, entry);
    return true;
  }

  /** The ban that keeps this client out now, if any. */
  find(who: Suspect, now: Instant): Ban | undefined {
    if (this.#entries.size === 0) return undefined;
    return (
      this.#search(who.clientId === undefined ? undefined : this.#byClient.get(who.clientId), who, now) ??
      this.#search(who.username === undefined ? undefined : this.#byUser.get(who.username), who, now) ??
      this.#search(this.#byAddress.get(who.address), who, now) ??
      this.#search(this.#byRange, who, now)
    );
  }

  list(): readonly Ban[] {
    return [...this.#entries.values()].map((entry) => entry.ban);
  }

  /** Forgets bans that are over; O(n). */
  expire(now: Instant): void {
    for (const [key, entry] of this.#entries) if (entry.ban.until <= now) this.#drop(key, entry);
  }

  #search(entries: ReadonlySet<Entry> | undefined, who: Suspect, now: Instant): Ban | undefined {
    if (entries === undefined) return undefined;
    for (const { ban, range } of entries) {
      if (ban.until <= now) continue;
      if (ban.clientId !== undefined && ban.clientId !== who.clientId) continue;
      if (ban.user !== undefined && ban.user !== who.username) continue;
      if (range !== undefined && !range.has(who.address)) continue;
      return ban;
    }
    return undefined;
  }

  #drop(key: string, entry: Entry): void {
    this.#entries.delete(key);
    this.#index(entry, (set) => set.delete(entry));
  }

  #index(entry: Entry, change: (set: Set<Entry>) => void): void {
    const { clientId, user, address = "" } = entry.ban;
    if (clientId !== undefined) changeUnder(this.#byClient, clientId, change);
    else if (user !== undefined) changeUnder(this.#byUser, user, change);
    else if (isSingleAddress(address)) changeUnder(this.#byAddress, canonicalAddress(address), change);
    else change(this.#byRange);
  }
}

function changeUnder(index: Map<string, Set<Entry>>, key: string, change: (set: Set<Entry>) => void): void {
  const set = index.get(key) ?? new Set<Entry>();
  change(set);
  if (set.size === 0) index.delete(key);
  else index.set(key, set);
}
