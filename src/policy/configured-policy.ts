import type { Clock, Instant } from "../lib/time.ts";
import { AcceptedIdentity } from "./accepted-identity.ts";
import { Acl } from "./acl.ts";
import { AutomaticSubscriptions } from "./automatic-subscriptions.ts";
import { BanList } from "./bans.ts";
import { ConfiguredListener } from "./configured-listener.ts";
import { Flapping } from "./flapping.ts";
import { LoginAttempts } from "./login-attempts.ts";
import type { Identity, ListenerPolicy, Policy } from "./policy.ts";
import { compileRewrite, type Rewrite } from "./rewrite.ts";
import { Rights } from "./rights.ts";
import type { Ban, PolicySettings } from "./settings.ts";
import { SourcedRights } from "./sourced-rights.ts";

/** Kinds of clients (by the rules that concern them) that share what is remembered of decisions. */
const KINDS_MAX = 1_000;
/** Decisions remembered for all clients of a kind together, as a multiple of those for one client. */
const COMMON_FACTOR = 64;

/** The rules in force, made ready to be asked; replaced as a whole. */
export class RuleBook {
  readonly settings: PolicySettings;
  readonly generation: number;
  readonly acl: Acl;
  readonly rewritePublish: Rewrite | undefined;
  readonly rewriteSubscribe: Rewrite | undefined;
  readonly subscriptions: AutomaticSubscriptions;
  readonly #common = new Map<string, Rights>();

  constructor(settings: PolicySettings, generation: number) {
    this.settings = settings;
    this.generation = generation;
    this.acl = new Acl(settings.authorization);
    this.rewritePublish = compileRewrite(settings.rewrite, "publish");
    this.rewriteSubscribe = compileRewrite(settings.rewrite, "subscribe");
    this.subscriptions = new AutomaticSubscriptions(settings.subscriptions);
  }

  /** Sources outside this process have a say. */
  get asks(): boolean {
    return (this.settings.authorization.sources?.length ?? 0) > 0;
  }

  /** One `Rights` for all clients of a kind: with usual rules nobody needs any of its own. */
  rightsFor(identity: Identity, clock: Clock): Rights | SourcedRights {
    const { acl, generation } = this;
    const { cache, sources = [], order } = this.settings.authorization;
    if (this.asks) {
      const asked = { list: sources, first: order === "sources-first" };
      return new SourcedRights(acl, identity, generation, cache, clock, asked);
    }
    const kind = acl.kindOf(identity);
    const common = kind === undefined ? undefined : this.#common.get(kind);
    if (common !== undefined) return common;
    if (kind === undefined || this.#common.size >= KINDS_MAX) {
      return new Rights(acl, identity, generation, cache, clock);
    }
    const limits = { entries: cache.entries * COMMON_FACTOR, ttl: cache.ttl };
    const rights = new Rights(acl, identity, generation, limits, clock);
    this.#common.set(kind, rights);
    return rights;
  }
}

/** Hears of bans that do not come from the configuration, so that a store can keep them. */
export interface BanJournal {
  banned(ban: Ban): void;
  unbanned(target: Pick<Ban, "clientId" | "user" | "address">): void;
}

/** The policy that the configuration describes. */
export class ConfiguredPolicy implements Policy {
  /** Over all gateways: a name is one name. */
  readonly attempts = new LoginAttempts();
  readonly #clock: Clock;
  readonly #listeners = new Map<string, ConfiguredListener>();
  /** Of identities that were not accepted here (tests, identities put together elsewhere). */
  readonly #rights = new WeakMap<Identity, Rights | SourcedRights>();
  /** Bans that did not come from the configuration, and so outlive a reload. */
  #added: Ban[] = [];
  #rules: RuleBook;
  #bans: BanList;
  #flapping: Flapping;

  readonly #journal: BanJournal | undefined;

  /** `kept`: bans that were added in an earlier life. */
  constructor(settings: PolicySettings, clock: Clock, journal?: BanJournal, kept: readonly Ban[] = []) {
    this.#clock = clock;
    this.#journal = journal;
    this.#added = [...kept];
    this.#rules = new RuleBook(settings, 1);
    this.#bans = this.#banList(settings);
    this.#flapping = new Flapping(settings.flapping);
  }

  get rules(): RuleBook {
    return this.#rules;
  }

  get bans(): readonly Ban[] {
    return this.#bans.list();
  }

  /** Grows with every `update`. */
  get generation(): number {
    return this.#rules.generation;
  }

  listener(gateway: string, listener: string, host = gateway): ListenerPolicy {
    const key = `${gateway}:${listener}:${host}`;
    const known = this.#listeners.get(key);
    if (known !== undefined) return known;
    const created = new ConfiguredListener(this, gateway, listener, host);
    this.#listeners.set(key, created);
    return created;
  }

  /** Takes new rules at once, for clients that are connected too; caches are dropped. Logins stay as they are. */
  update(settings: PolicySettings): void {
    const previous = this.#rules.settings;
    this.#rules = new RuleBook(settings, this.#rules.generation + 1);
    this.#bans = this.#banList(settings);
    if (JSON.stringify(previous.flapping) !== JSON.stringify(settings.flapping)) {
      this.#flapping = new Flapping(settings.flapping);
    }
  }

  /** False when the ban list is full. Does not disconnect anybody; the caller does. */
  ban(ban: Ban): boolean {
    const now = this.#clock.now();
    if (!this.#bans.add(ban, now)) return false;
    this.#forgetExpired(now);
    this.#added = this.#added.filter((known) => !sameTarget(known, ban));
    this.#added.push(ban);
    this.#journal?.banned(ban);
    return true;
  }

  /** What is over is forgotten by the journal, too: devices that flap would fill a store else. */
  #forgetExpired(now: Instant): void {
    for (const known of this.#added) if (known.until <= now) this.#journal?.unbanned(known);
    this.#added = this.#added.filter(({ until }) => until > now);
  }

  /** False when there was no such ban. */
  unban(target: Pick<Ban, "clientId" | "user" | "address">): boolean {
    this.#added = this.#added.filter((known) => !sameTarget(known, target));
    this.#journal?.unbanned(target);
    return this.#bans.remove(target);
  }

  /** The ban that concerns this client now. */
  banOf(clientId: string | undefined, username: string | undefined, address: string, now: Instant) {
    return this.#bans.find({ clientId, username, address }, now);
  }

  noteDisconnect(identity: Identity, now: Instant): void {
    const ban = this.#flapping.disconnected(identity.clientId, identity.peer.address, now);
    if (ban !== undefined) this.ban(ban);
  }

  /** Forgets what was found out about the rights of a client, or of all: everything is asked again. */
  forgetDecisions(of?: Identity): void {
    if (of instanceof AcceptedIdentity) of.rights = undefined;
    else if (of !== undefined) this.#rights.delete(of);
    else this.#rules = new RuleBook(this.#rules.settings, this.#rules.generation + 1);
  }

  /** Where sources are asked. */
  sourcedRightsOf(identity: Identity): SourcedRights | undefined {
    const rights = this.rules.asks ? this.rightsOf(identity) : undefined;
    return rights instanceof SourcedRights ? rights : undefined;
  }

  rightsOf(identity: Identity): Rights | SourcedRights {
    const accepted = identity instanceof AcceptedIdentity ? identity : undefined;
    const known = accepted === undefined ? this.#rights.get(identity) : accepted.rights;
    if (known !== undefined && known.generation === this.#rules.generation) return known;
    const rights = this.#rules.rightsFor(identity, this.#clock);
    if (accepted === undefined) this.#rights.set(identity, rights);
    else accepted.rights = rights;
    return rights;
  }

  #banList(settings: PolicySettings): BanList {
    const bans = new BanList(settings.bans.max);
    const now = this.#clock.now();
    for (const ban of [...settings.bans.list, ...this.#added]) bans.add(ban, now);
    return bans;
  }
}

type Target = Pick<Ban, "clientId" | "user" | "address">;
const sameTarget = (a: Target, b: Target): boolean =>
  a.clientId === b.clientId && a.user === b.user && a.address === b.address;
