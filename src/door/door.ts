import { meantTopic } from "../bus/delayed.ts";
import type { Pending, Refusal, Ticket } from "../contract/answers.ts";
import type { Client, ConnectAnswer, ConnectRequest, Will } from "../contract/client.ts";
import { assert } from "../lib/assert.ts";
import { copyOf } from "../lib/bytes.ts";
import { ZERO } from "../lib/time.ts";
import type { Identity, ListenerPolicy, Verdict } from "../policy/policy.ts";
import type { Session } from "../session/session.ts";
import type { Opened } from "../session/sessions.ts";
import { BusClient } from "./bus-client.ts";
import type { ChannelDriver } from "./channel-driver.ts";
import type { ClientEvent, Core } from "./core.ts";
import { revoked } from "./judgement.ts";
import { LoginEnds } from "./login-ends.ts";

type Refused = ConnectAnswer & { readonly ok: false };

/** Client ids are hashed and compared everywhere; longer ones serve nobody. */
const CLIENT_ID_LENGTH_MAX = 1024;

/** The one door of one listener: who comes in becomes a client, and leaves through it again. */
export class Door {
  readonly core: Core;
  readonly policy: ListenerPolicy;
  readonly gateway: string;
  /** Clients of this door whose logins have an end. */
  readonly #logins: LoginEnds;
  readonly #loops = new Set<ChannelDriver>();

  readonly #sibling: ((gateway: string) => Door) | undefined;
  #siblings: Map<string, Door> | undefined = undefined;

  /** `sibling` makes the door of another gateway that is served on the same listener. */
  constructor(core: Core, policy: ListenerPolicy, sibling?: (gateway: string) => Door) {
    this.core = core;
    this.policy = policy;
    this.gateway = policy.gateway;
    this.#sibling = sibling;
    this.#logins = new LoginEnds(core.alarms);
  }

  /** Open channels of this listener. */
  get loops(): ReadonlySet<ChannelDriver> {
    return this.#loops;
  }

  /** Connections that have said goodbye and whose last bytes are on their way. */
  closing = 0;

  entered(loop: ChannelDriver): void {
    this.#loops.add(loop);
  }

  left(loop: ChannelDriver): void {
    this.#loops.delete(loop);
  }

  connect(loop: ChannelDriver, request: ConnectRequest, ticket: Ticket): ConnectAnswer | Pending {
    if (request.gateway !== undefined && request.gateway !== this.gateway) {
      return this.#of(request.gateway).connect(loop, request, ticket);
    }
    if (request.clientId.length > CLIENT_ID_LENGTH_MAX || request.clientId.includes("\0")) {
      return this.#refuse("malformed", "client id too long or with a NUL character");
    }
    if (request.of !== undefined) return this.#openFurther(loop, request, request.of);
    const named = request.clientId === "" ? { ...request, clientId: this.#assignedId() } : request;
    const verdict = this.policy.authenticate(named, loop.peer, this.core.now, loop);
    if (!(verdict instanceof Promise)) return this.#admit(loop, named, ticket, verdict);
    verdict.then(
      (late) => this.#answerLate(loop, named, ticket, late),
      (error: unknown) => {
        loop.note({ level: "warn", event: "authentication-failed", detail: { error: String(error) } });
        this.#answerLate(loop, named, ticket, {
          ok: false,
          refusal: "unavailable",
          reason: "authentication failed",
        });
      },
    );
    return "pending";
  }

  /** A client has ended. */
  parted(client: BusClient): void {
    client.loop.part(client);
    this.#logins.forget(client);
  }

  /** A will as it will be published: allowed, and rewritten. */
  willOf(client: BusClient, will: Will): Will | undefined {
    if (client.mayPublish(will.topic, will.qos, will.retain) !== "accepted") {
      client.loop.note({ level: "info", event: "will-forbidden", detail: { topic: will.topic } });
      return undefined;
    }
    // Of `$delayed/<seconds>/<topic>` rules mean the topic.
    const inner = meantTopic(will.topic);
    const prefix = will.topic.slice(0, will.topic.length - inner.length);
    const topic = prefix + (this.policy.rewritePublish?.(client.identity, inner) ?? inner);
    const asked = topic === will.topic ? undefined : will.topic;
    return { ...will, topic, payload: copyOf(will.payload), asked };
  }

  disconnected(client: BusClient, reason: string): void {
    const { protocol, aggregate } = client;
    // A further session of a client comes and goes without a word.
    if (protocol === undefined) return;
    this.policy.disconnected(client.identity, this.core.now);
    if (aggregate !== undefined && --aggregate.connected > 0) return;
    this.core.counters.disconnects.value++;
    this.core.events.disconnected?.(this.#eventOf(client, protocol), reason);
  }

  #of(gateway: string): Door {
    this.#siblings ??= new Map();
    let door = this.#siblings.get(gateway);
    if (door === undefined) {
      assert(this.#sibling !== undefined, `no door for gateway ${gateway} here`);
      door = this.#sibling(gateway);
      this.#siblings.set(gateway, door);
    }
    return door;
  }

  #answerLate(loop: ChannelDriver, request: ConnectRequest, ticket: Ticket, verdict: Verdict): void {
    if (loop.closed) return;
    this.core.tick();
    loop.connected(ticket, () => this.#admit(loop, request, ticket, verdict));
  }

  #admit(
    loop: ChannelDriver,
    request: ConnectRequest,
    ticket: Ticket,
    verdict: Verdict,
  ): ConnectAnswer | Pending {
    if (!verdict.ok) {
      const { refusal, reason, why } = verdict;
      if (why !== undefined) loop.note({ level: "debug", event: "login-refused", detail: { why } });
      return this.#refuse(refusal, reason);
    }
    const identity = verdict.identity;
    if (request.mayEnter !== undefined && identity.proven !== undefined) {
      const name = identity.proven.slice(identity.proven.indexOf(":") + 1);
      if (!request.mayEnter(name)) return this.#refuse("forbidden", "not a name of this user");
    }
    const mountpoint = this.policy.mountpoint(identity);
    const aggregate =
      request.aggregate === undefined
        ? undefined
        : this.core.sessions.aggregate(this.gateway, request.aggregate);
    if (request.transient === true) {
      if (this.core.sessions.refuses(this.gateway, identity.clientId, identity.proven)) {
        return this.#refuseOther(loop, identity.clientId);
      }
      const client = new BusClient(loop, this, identity, undefined, mountpoint, aggregate);
      this.#joined(client);
      return { ok: true, client, sessionPresent: false };
    }
    if (request.resume === true && !this.#resumable(identity, request)) {
      return this.#refuse("unavailable", "no session to resume");
    }
    const opened = this.#openSession(loop, request, identity);
    if ("ok" in opened) return opened;
    const { session, present } = opened;
    const client = new BusClient(loop, this, identity, session, mountpoint, aggregate);
    this.#prepare(session, client, request, present);
    this.#joined(client);
    const { commits } = this.core;
    const waits = request.kept === true && session.durable && commits !== undefined && !commits.failing;
    this.core.sessions.occupy(session, client, waits ? 0 : request.credit);
    for (const { filter, options } of this.policy.automaticSubscriptions(identity)) {
      this.core.sessions.subscribe(session, filter, options);
    }
    this.#announce(client, request, present);
    if (!waits) return { ok: true, client, sessionPresent: present };
    commits.whenCommitted((failed) => {
      if (loop.closed) return;
      loop.connected(ticket, () =>
        failed ? this.#turnAway(client) : this.#letIn(client, request.credit, present),
      );
    });
    return "pending";
  }

  /**
   * A client that is told that it has a session has it after a crash: all that the store was told is committed, also
   * of its connection before. Until then it had no credit, so that nothing overtakes this answer.
   */
  #letIn(client: BusClient, credit: number, sessionPresent: boolean): ConnectAnswer {
    if (client.ended) return this.#refuse("unavailable", "taken over meanwhile");
    client.credit(credit);
    return { ok: true, client, sessionPresent };
  }

  /** It was to be told that it has a session, and that could not be kept. */
  #turnAway(client: BusClient): ConnectAnswer {
    client.finish("closed", "unavailable");
    return this.#refuse("unavailable", "its session cannot be kept now");
  }

  /** A further session of a client that has come in already: its identity, with a queue and a window more. */
  #openFurther(loop: ChannelDriver, request: ConnectRequest, of: Client): ConnectAnswer {
    if (!(of instanceof BusClient) || of.ended || of.loop !== loop) {
      return this.#refuse("unavailable", "the client that it belongs to has ended");
    }
    const opened = this.#openSession(loop, request, of.identity);
    if ("ok" in opened) return opened;
    const { session, present } = opened;
    const client = new BusClient(loop, this, of.identity, session, of.mountpoint, of.aggregate);
    this.#prepare(session, client, request, present);
    this.#joined(client);
    this.core.sessions.occupy(session, client, request.credit);
    return { ok: true, client, sessionPresent: present };
  }

  #prepare(session: Session, client: BusClient, request: ConnectRequest, present: boolean): void {
    const moved = session.mountpoint !== client.mountpoint || session.owner !== client.aggregate;
    session.owner = client.aggregate;
    if (present && moved) {
      // Another user name, or changed rules: its subscriptions move under the new prefix.
      this.core.sessions.remount(session, client.mountpoint);
    }
    session.mountpoint = client.mountpoint;
    session.username = client.username;
    session.identity = client.identity;
    // What it subscribed to under other rules.
    if (present)
      for (const filter of revoked(session, client.identity, this.policy))
        this.core.sessions.revoke(session, filter);
    if (request.resume === true) return;
    session.will = request.will === undefined ? undefined : this.willOf(client, request.will);
  }

  #joined(client: BusClient): void {
    client.loop.join(client);
    this.#logins.watch(client);
  }

  #resumable(identity: Identity, { expected }: ConnectRequest): boolean {
    const session = this.core.sessions.get(this.gateway, identity.clientId);
    if (session === undefined || session.connected || !session.belongsTo(identity.proven)) return false;
    return (
      expected === undefined || ((session.expectedUntil ?? ZERO) > this.core.now && expected(session.memo))
    );
  }

  /** `request` names the session, `identity` says whose it is. */
  #openSession(
    loop: ChannelDriver,
    { clientId, cleanStart, sessionExpiry }: ConnectRequest,
    { proven }: Identity,
  ): Opened | Refused {
    const { gateway } = this;
    const opened = this.core.sessions.open({ gateway, clientId, proven, cleanStart, expiry: sessionExpiry });
    if (opened === "full") return this.#refuse("quota", "session limit reached");
    return opened === "another-users" ? this.#refuseOther(loop, clientId) : opened;
  }

  #refuseOther(loop: ChannelDriver, clientId: string): Refused {
    loop.note({ level: "warn", event: "session-of-another-user", detail: { clientId } });
    return this.#refuse("forbidden", "this client id has a session of another user");
  }

  #announce(client: BusClient, request: ConnectRequest, sessionPresent: boolean): void {
    const { protocol, cleanStart, keepAlive = 0 } = request;
    const { aggregate } = client;
    client.protocol = protocol;
    if (aggregate !== undefined && aggregate.connected++ > 0) return;
    this.core.counters.connects.value++;
    const how = { cleanStart, sessionPresent, keepAlive: keepAlive / 1000 };
    this.core.events.connected?.(this.#eventOf(client, protocol), how);
  }

  #eventOf({ identity, aggregate }: BusClient, protocol: string): ClientEvent {
    const { clientId, username, peer } = identity;
    return {
      gateway: this.gateway,
      listener: this.policy.listener,
      clientId: aggregate?.clientId ?? clientId,
      username,
      address: peer.address,
      port: peer.port,
      protocol,
      at: this.core.now,
    };
  }

  #refuse(refusal: Refusal, reason: string): Refused {
    this.core.counters.connectsRefused.value++;
    return { ok: false, refusal, reason };
  }

  #assignedId(): string {
    const bytes = this.core.random(12);
    let id = "auto-";
    for (const byte of bytes) id += byte.toString(16).padStart(2, "0");
    return id;
  }
}
