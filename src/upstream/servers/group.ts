import type { Instant } from "../../lib/time.ts";
import type { SessionInfo } from "../server-choice.ts";
import { type Candidate, type Choose, chooser } from "./balance.ts";
import type { Member, Place } from "./member.ts";
import type { GroupSettings } from "./settings.ts";

export type MakeMember = (place: Place) => Member;

/** Servers that hold the same sessions, or share them out. */
export class Group {
  readonly name: string;
  readonly settings: GroupSettings;
  /** Taken out, and still with sessions. */
  readonly leaving = new Set<Member>();
  readonly #choose: Choose;
  #members: readonly Member[] = [];

  constructor(name: string, settings: GroupSettings, random: () => number) {
    this.name = name;
    this.settings = settings;
    this.#choose = chooser(settings.balance, random);
  }

  get members(): readonly Member[] {
    return this.#members;
  }

  /** Takes these servers; those that are there already stay what they are. */
  take(places: readonly Place[], make: MakeMember): void {
    const before = new Map(this.#members.map((member) => [member.url, member]));
    this.#members = places.map((place) => {
      const known = before.get(place.url);
      before.delete(place.url);
      if (known === undefined) return make(place);
      known.settings = place.settings;
      return known;
    });
    for (const member of before.values()) this.#retire(member);
  }

  retireAll(): void {
    for (const member of this.#members) this.#retire(member);
    this.#members = [];
  }

  #retire(member: Member): void {
    member.draining = true;
    if (member.sessions > 0) this.leaving.add(member);
  }

  member(url: string): Member | undefined {
    return this.#members.find((member) => member.url === url);
  }

  choose(session: SessionInfo, now: Instant): Member | undefined {
    const candidates = this.#candidates(now);
    if (candidates.length === 0) return undefined;
    const member = this.#choose(candidates, session, now);
    member.expect(now);
    return member;
  }

  /** Of the lowest priority at which there is one. */
  #candidates(now: Instant): Candidate[] {
    let candidates: Candidate[] = [];
    let lowest = Number.POSITIVE_INFINITY;
    const { balance } = this.settings;
    for (const [index, member] of this.#members.entries()) {
      const weight = member.weight(now) || (member.mayBeTried(now) ? member.settings.weight : 0);
      if (weight === 0) continue;
      const priority = balance === "primary-backup" ? index : member.settings.priority;
      if (priority > lowest) continue;
      if (priority < lowest) candidates = [];
      lowest = priority;
      candidates.push({ member, weight });
    }
    return candidates;
  }
}
