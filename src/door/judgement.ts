import { meantTopic } from "../bus/delayed.ts";
import type { Identity } from "../contract/identity.ts";
import type { ListenerPolicy, Policy } from "../policy/policy.ts";
import type { Attendance } from "../session/attendance.ts";
import type { BusClient } from "./bus-client.ts";
import type { ChannelDriver } from "./channel-driver.ts";
import type { Core } from "./core.ts";
import type { Door } from "./door.ts";

/**
 * Filters of a session to which its client has no right now. What the configuration subscribes it to is no right.
 * `later` hears of those that sources outside have to be asked about, when they have said no.
 */
export function revoked(
  session: Attendance,
  identity: Identity,
  policy: ListenerPolicy,
  later: (filters: string[]) => void = () => {},
): string[] {
  const filters: string[] = [];
  const found: Promise<string | undefined>[] = [];
  for (const [filter, { qos, asked }] of session.subscriptions) {
    const question = { action: "subscribe", topic: asked ?? filter, qos, retain: false } as const;
    const allowed = policy.maySubscribe(identity, question.topic, qos);
    // Who is there keeps its place while that is found out.
    if (allowed === undefined)
      found.push(policy.ask(identity, question).then((may) => (may ? undefined : filter)));
    if (allowed === false) filters.push(filter);
  }
  if (filters.length === 0 && found.length === 0) return filters;
  const automatic = new Set(policy.automaticSubscriptions(identity).map((each) => each.filter));
  const notAutomatic = (all: readonly (string | undefined)[]): string[] =>
    all.filter((filter) => filter !== undefined && !automatic.has(filter)) as string[];
  if (found.length > 0) {
    void Promise.all(found).then((answers) => {
      const denied = notAutomatic(answers);
      if (denied.length > 0) later(denied);
    });
  }
  return notAutomatic(filters);
}

/**
 * Judges again, by the rules now in force, what was allowed before: who is connected, to what clients and absent
 * sessions are subscribed, and wills when they are published. What a client asks for next is judged anyway.
 */
export class Judgement {
  readonly #core: Core;
  readonly #policy: Policy;
  readonly #doors: () => Iterable<Door>;

  constructor(core: Core, policy: Policy, doors: () => Iterable<Door>) {
    this.#core = core;
    this.#policy = policy;
    this.#doors = doors;
    core.engine.mayPublishWill = (session, { asked, topic, qos, retain, found }) => {
      const { identity } = session;
      if (identity === undefined) return true;
      const rules = this.#rulesOf(identity);
      if (rules.mayStay(identity, core.now) !== "accepted") return false;
      const meant = meantTopic(asked ?? topic);
      return rules.mayPublish(identity, meant, qos, retain) ?? found === true;
    };
  }

  /** In steps, one for each channel and absent session, so that the caller may let others have their turn. */
  *steps(): Generator<void> {
    for (const door of [...this.#doors()]) {
      for (const loop of [...door.loops]) {
        this.#judgeChannel(door, loop);
        yield;
      }
    }
    for (const session of this.#core.engine.absent()) {
      this.#judgeAbsent(session);
      yield;
    }
  }

  #judgeChannel(door: Door, loop: ChannelDriver): void {
    if (loop.closed) return;
    if (door.policy.allows(loop.peer, this.#core.now) !== "accepted") loop.stop("kicked");
    else for (const client of [...loop.clients()]) this.#judgeClient(client);
  }

  #judgeClient(client: BusClient): void {
    const { identity, loop } = client;
    const session = client.session.attendance;
    if (client.ended) return;
    const { policy } = client.door;
    // Hooks that have come since are asked about its will, and what has gone is on nobody's way.
    client.follow();
    const refusal = policy.mayStay(identity, this.#core.now);
    if (refusal !== "accepted") {
      loop.note({ level: "info", event: "client-removed", detail: { refusal } });
      loop.stopClient(client, "kicked");
      return;
    }
    if (session === undefined) return;
    const told = (filters: readonly string[]): void => {
      if (filters.length === 0 || client.ended) return;
      loop.note({ level: "info", event: "subscriptions-revoked", detail: { filters } });
      if (policy.revoked === "disconnect") loop.stopClient(client, "forbidden");
    };
    told(this.#revoke(session, identity, policy, told));
  }

  #judgeAbsent(session: Attendance): void {
    const { identity } = session;
    if (identity === undefined) return;
    const rules = this.#rulesOf(identity);
    // Nobody can come back to a session whose user is no more; a ban ends some day.
    if (rules.mayStay(identity, this.#core.now) === "unauthenticated") this.#core.engine.discard(session);
    else this.#revoke(session, identity, rules);
  }

  /** `told` hears of filters that are revoked later, when a source has answered. */
  #revoke(
    session: Attendance,
    identity: Identity,
    rules: ListenerPolicy,
    told: (filters: readonly string[]) => void = () => {},
  ): string[] {
    const revoke = (filters: readonly string[]): string[] => {
      const own = filters.filter((filter) => session.subscriptions.has(filter));
      for (const filter of own) this.#core.engine.revoke(session, filter);
      return own;
    };
    const later = (filters: string[]): void => {
      this.#core.tick();
      told(revoke(filters));
    };
    return revoke(revoked(session, identity, rules, later));
  }

  #rulesOf({ gateway, listener, host }: Identity): ListenerPolicy {
    return this.#policy.listener(gateway, listener, host);
  }
}
