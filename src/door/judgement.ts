import { meantTopic } from "../bus/delayed.ts";
import type { Identity } from "../contract/identity.ts";
import type { ListenerPolicy, Policy } from "../policy/policy.ts";
import type { Attendance } from "../session/attendance.ts";
import type { BusClient } from "./bus-client.ts";
import type { ChannelDriver } from "./channel-driver.ts";
import type { Core } from "./core.ts";
import type { Door } from "./door.ts";

/** Filters of a session to which its client has no right now. What the configuration subscribes it to is no right. */
export function revoked(session: Attendance, identity: Identity, policy: ListenerPolicy): string[] {
  const filters: string[] = [];
  let automatic: Set<string> | undefined;
  for (const [filter, { qos, asked }] of session.subscriptions) {
    const question = { action: "subscribe", topic: asked ?? filter, qos, retain: false } as const;
    const allowed = policy.maySubscribe(identity, question.topic, qos);
    // Who is there keeps its place while that is found out; the next judgement knows.
    if (allowed === undefined) void policy.ask(identity, question);
    if (allowed !== false) continue;
    automatic ??= new Set(policy.automaticSubscriptions(identity).map((each) => each.filter));
    if (!automatic.has(filter)) filters.push(filter);
  }
  return filters;
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
    const refusal = policy.mayStay(identity, this.#core.now);
    if (refusal !== "accepted") {
      loop.note({ level: "info", event: "client-removed", detail: { refusal } });
      loop.stopClient(client, "kicked");
      return;
    }
    if (session === undefined) return;
    const filters = this.#revoke(session, identity, policy);
    if (filters.length > 0) loop.note({ level: "info", event: "subscriptions-revoked", detail: { filters } });
    if (filters.length > 0 && policy.revoked === "disconnect") loop.stopClient(client, "forbidden");
  }

  #judgeAbsent(session: Attendance): void {
    const { identity } = session;
    if (identity === undefined) return;
    const rules = this.#rulesOf(identity);
    // Nobody can come back to a session whose user is no more; a ban ends some day.
    if (rules.mayStay(identity, this.#core.now) === "unauthenticated") this.#core.engine.discard(session);
    else this.#revoke(session, identity, rules);
  }

  #revoke(session: Attendance, identity: Identity, rules: ListenerPolicy): string[] {
    const filters = revoked(session, identity, rules);
    for (const filter of filters) this.#core.engine.revoke(session, filter);
    return filters;
  }

  #rulesOf({ gateway, listener, host }: Identity): ListenerPolicy {
    return this.#policy.listener(gateway, listener, host);
  }
}
