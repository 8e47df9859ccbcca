import { meantTopic } from "../bus/delayed.ts";
import type { Pending, Refusal, Ticket } from "../contract/answers.ts";
import type {
  ConnectAnswer,
  ConnectRequest,
  Exchange,
  FurtherRequest,
  LoginRequest,
  ResumeRequest,
  SessionRequest,
  SingleRequest,
  Will,
} from "../contract/client.ts";
import type { Identity } from "../contract/identity.ts";
import type { Peer } from "../contract/peer.ts";
import type { AskedFor } from "../contract/refused.ts";
import type { Decided } from "../hooks/decided.ts";
import type { Hooks } from "../hooks/hooks.ts";
import { assert } from "../lib/assert.ts";
import { copyOf } from "../lib/bytes.ts";
import { inSeconds, ZERO } from "../lib/time.ts";
import type { AskedOfPolicy, ListenerPolicy, Verdict } from "../policy/policy.ts";
import type { OpenAnswer, Opening } from "../session/engine.ts";
import type { Departure } from "../session/sessions.ts";
import { BusClient } from "./bus-client.ts";
import type { ChannelDriver } from "./channel-driver.ts";
import type { ClientEvent, Comer, Core } from "./core.ts";
import { revoked } from "./judgement.ts";
import { LoginEnds } from "./login-ends.ts";
import type { GatewayTraffic } from "./traffic.ts";
import { decidedBy } from "./why-not.ts";

type Refused = ConnectAnswer & { readonly ok: false };

/** Client ids are hashed and compared everywhere; longer ones serve nobody. */
const CLIENT_ID_LENGTH_MAX = 1024;

/** The one door of one listener: who comes in becomes a client, and leaves through it again. */
export class Door {
  readonly core: Core;
  readonly policy: ListenerPolicy;
  readonly gateway: string;
  readonly #hooks: Hooks | undefined;
  readonly traffic: GatewayTraffic;
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
    this.traffic = core.traffic.of(policy.gateway);
    this.#hooks = core.hooks?.of(policy.gateway);
    this.#sibling = sibling;
    this.#logins = new LoginEnds(core.alarms);
  }

  /**
   * What its clients are `Hooked` by: hooks that follow them, or none where they have to wait until it is known what they
   * may do. Undefined: nothing of this is on anybody's way.
   */
  get hookedBy(): Hooks | undefined {
    return this.#hooks?.followClients === true || this.policy.asks ? this.#hooks : undefined;
  }

  /** Rights were asked about, and this is what was said. */
  authorized(asked: AskedOfPolicy, allowed: boolean, by?: string): void {
    const { policy } = this;
    this.core.follower?.authorized?.(asked, allowed, () => by ?? policy.decidedBy?.(asked) ?? "access rules");
  }

  /** Open channels of this listener. */
  get loops(): ReadonlySet<ChannelDriver> {
    return this.#loops;
  }

  /** Connections that have said goodbye and whose last bytes are on their way. */
  closing = 0;

  /** The listener is being closed: whoever is still on the way comes too late. */
  shut = false;

  entered(loop: ChannelDriver): void {
    this.#loops.add(loop);
  }

  left(loop: ChannelDriver): void {
    this.#loops.delete(loop);
  }

  /** Whether somebody is asked about who logs in at this gateway, or at another that is served here. */
  checksLogins(gateway = this.gateway): boolean {
    const door = gateway === this.gateway ? this : this.#of(gateway);
    return door.policy.checks === true;
  }

  connect(loop: ChannelDriver, request: ConnectRequest, ticket: Ticket): ConnectAnswer | Pending {
    if (request.kind !== "further" && request.gateway !== undefined && request.gateway !== this.gateway) {
      return this.#of(request.gateway).connect(loop, request, ticket);
    }
    if (request.clientId.length > CLIENT_ID_LENGTH_MAX || request.clientId.includes("\0")) {
      return this.#refuse(loop, request, "malformed", "client id too long or with a NUL character");
    }
    if (request.kind === "further") return this.#openFurther(loop, request, ticket);
    const named = request.clientId === "" ? { ...request, clientId: this.#assignedId() } : request;
    const hooks = this.#hooks;
    if (hooks?.askLogins === true) return this.#askHooks(hooks, loop, named, ticket);
    return this.#authenticate(loop, named, ticket);
  }

  #askHooks(
    hooks: Hooks,
    loop: ChannelDriver,
    request: LoginRequest,
    ticket: Ticket,
  ): ConnectAnswer | Pending {
    const { gateway } = this;
    const { transport, address, port } = loop.peer;
    const { kind, protocol } = request;
    const { listener } = this.policy;
    const decided = hooks.connect(request, { gateway, listener, protocol, kind, transport, address, port });
    if (!(decided instanceof Promise)) return this.#heard(loop, request, decided, ticket);
    if (!hooks.room.take(0)) return this.#refuse(loop, request, "congested", "too much waits for hooks");
    decided.then((late) => {
      hooks.room.free();
      if (loop.closed) return;
      this.core.tick();
      loop.connected(ticket, () => this.#heard(loop, request, late, ticket));
    });
    return "pending";
  }

  #heard(
    loop: ChannelDriver,
    request: LoginRequest,
    decided: Decided<LoginRequest>,
    ticket: Ticket,
  ): ConnectAnswer | Pending {
    if (decided.ok) return this.#authenticate(loop, decided.value, ticket);
    const { refusal, reason } = decided;
    return this.#refuse(
      loop,
      request,
      refusal === "dropped" ? "forbidden" : refusal,
      reason,
      `a hook: ${reason}`,
    );
  }

  /** A login of several messages that is for the server of its session to check. */
  passesOn(exchange: Exchange | undefined): exchange is Exchange {
    if (exchange === undefined || this.core.engine.passesLogins !== true) return false;
    return this.policy.methods?.includes(exchange.method) !== true;
  }

  #authenticate(loop: ChannelDriver, request: LoginRequest, ticket: Ticket): ConnectAnswer | Pending {
    // What it says beside is checked here all the same.
    const asked = this.passesOn(request.exchange) ? { ...request, exchange: undefined } : request;
    const verdict = this.policy.authenticate(asked, loop.peer, this.core.now, loop);
    if (!(verdict instanceof Promise)) return this.#admit(loop, request, ticket, verdict);
    verdict.then(
      (late) => this.#answerLate(loop, request, ticket, late),
      (error: unknown) => this.#answerLate(loop, request, ticket, failedVerdict(error)),
    );
    return "pending";
  }

  /** Somebody may not even talk here; `why` where it is not the policy that says so. */
  turnedAway(
    { address, port }: Pick<Peer, "address" | "port">,
    refusal: Refusal,
    why?: string,
    what: AskedFor = why === undefined ? "talk" : "publish",
  ): void {
    const { core, gateway, policy } = this;
    const by = (): string =>
      why ??
      (refusal === "quota"
        ? `limits.connections ${policy.limits.connections}`
        : (policy.addressDecidedBy?.({ address }, core.now) ?? "access rules"));
    const to = {
      gateway,
      listener: policy.listener,
      address,
      port,
      clientId: undefined,
      username: undefined,
    };
    core.refused(to, { what, refusal, by });
  }

  /** A client has ended. */
  parted(client: BusClient): void {
    client.loop.part(client);
    this.#logins.forget(client);
  }

  /** A will as it will be published: allowed, and rewritten. */
  willOf(client: BusClient, will: Will): Will | undefined {
    if (client.mayPublish(will.topic, will.qos, will.retain, "will") !== "accepted") return undefined;
    // Of `$delayed/<seconds>/<topic>` rules mean the topic.
    const inner = meantTopic(will.topic);
    const prefix = will.topic.slice(0, will.topic.length - inner.length);
    const topic = prefix + (this.policy.rewritePublish?.(client.identity, inner) ?? inner);
    const asked = topic === will.topic ? undefined : will.topic;
    return { ...will, topic, payload: copyOf(will.payload), asked };
  }

  disconnected(client: BusClient, how: Departure, reason: string): void {
    const { protocol, aggregate, stopped, said } = client;
    this.core.directory.left(client, how !== "closed");
    // A further session of a client comes and goes without a word.
    if (protocol === undefined) return;
    this.core.trace?.stepped(client, "disconnect", client.sessionId, reason);
    this.#noteEnd(client.identity, reason);
    this.policy.disconnected(client.identity, this.core.now);
    client.departed(reason);
    if (aggregate !== undefined && --aggregate.connected > 0) return;
    this.core.counters.disconnects.value++;
    this.core.events.disconnected?.(this.#eventOf(client, protocol), reason, { how, stopped, said });
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

  #answerLate(loop: ChannelDriver, request: LoginRequest, ticket: Ticket, verdict: Verdict): void {
    if (loop.closed) return;
    this.core.tick();
    loop.connected(ticket, () => this.#admit(loop, request, ticket, verdict));
  }

  #admit(
    loop: ChannelDriver,
    request: LoginRequest,
    ticket: Ticket,
    verdict: Verdict,
  ): ConnectAnswer | Pending {
    this.core.follower?.authenticated(
      this.#comerOf(loop, request),
      verdict.ok ? undefined : verdict.refusal,
      verdict.ok && verdict.identity.superuser,
    );
    if (!verdict.ok) {
      const { refusal, reason, failure } = verdict;
      if (failure !== undefined) {
        loop.note({ level: "warn", event: "authentication-failed", detail: { ...failure } });
      }
      return this.#refuse(loop, request, refusal, reason, decidedBy(verdict));
    }
    const { identity } = verdict;
    if (request.mayEnter !== undefined && identity.proven !== undefined) {
      const name = identity.proven.slice(identity.proven.indexOf(":") + 1);
      if (!request.mayEnter(name)) return this.#refuse(loop, request, "forbidden", "not a name of this user");
    }
    const shared = request.aggregate;
    const aggregate = shared === undefined ? undefined : this.core.engine.aggregate(this.gateway, shared);
    const mountpoint = this.policy.mountpoint(identity);
    const single = request.kind === "single";
    const client = new BusClient(loop, this, identity, { mountpoint, aggregate, single });
    if (client.single && this.core.engine.refuses(client)) return this.#refuseOther(client, request);
    loop.join(client);
    this.#logins.watch(client);
    if (request.kind === "single") {
      this.core.directory.arrived(client, this.core.now);
      return { ok: true, client, sessionPresent: false };
    }
    const asked = request.kind === "session" ? request.will : undefined;
    const will = client.judgedWill(asked === undefined ? undefined : this.willOf(client, asked));
    if (!(will instanceof Promise)) return this.#open(client, request, ticket, will);
    will.then((late) => {
      if (loop.closed) return;
      this.core.tick();
      loop.connected(ticket, () => this.#open(client, request, ticket, late));
    });
    return "pending";
  }

  #open(
    client: BusClient,
    request: SessionRequest | ResumeRequest,
    ticket: Ticket,
    will: Will | undefined,
  ): ConnectAnswer | Pending {
    const session = request.kind === "session" ? request : undefined;
    const opening: Opening = {
      kind: request.kind,
      cleanStart: session?.cleanStart ?? false,
      expiry: request.sessionExpiry,
      will,
      credit: request.credit,
      window: request.window,
      committed: session?.committed ?? false,
      subscriptions: this.policy.automaticSubscriptions(client.identity),
      expected: request.kind === "resume" ? request.expected : undefined,
      password: request.password === undefined ? undefined : copyOf(request.password),
      releases: request.releases === true,
      recalls: request.kind === "resume" || request.recalls === true,
      dated: request.dated === true,
      protocol: request.protocol,
      properties: session?.properties,
      exchange: this.passesOn(request.exchange) ? request.exchange : undefined,
    };
    return client.open(opening, ticket, (answer) => {
      const entered = this.#letIn(client, answer, request);
      // It may have failed at the first that it was given.
      if (entered.ok && !client.ended) this.#announce(client, request, entered.sessionPresent);
      return entered;
    });
  }

  /** Until now it had no credit, so that nothing overtakes this answer. */
  #letIn(
    client: BusClient,
    answer: OpenAnswer,
    request: Exclude<ConnectRequest, SingleRequest>,
  ): ConnectAnswer {
    const { loop } = client;
    if (client.ended) return this.#refuse(loop, request, "unavailable", "taken over meanwhile");
    if (!answer.ok) {
      client.end("closed");
      const { refusal, reason, words } = answer;
      if (words !== undefined) return { ...this.#refuse(loop, request, refusal, reason), words };
      if (refusal === "forbidden") return this.#refuseOther(client, request);
      // That there is none to resume is an answer: the device is asked to connect.
      if (request.kind === "resume") return { ok: false, refusal, reason };
      return this.#refuse(loop, request, refusal, reason);
    }
    const { attendance } = client.session;
    if (answer.sessionPresent && attendance !== undefined) {
      // What it subscribed to under other rules.
      const filters = revoked(attendance, client.identity, this.policy);
      for (const filter of filters) this.core.engine.revoke(attendance, filter);
    }
    this.core.trace?.stepped(client, "connect", client.sessionId, sessionWord(answer.sessionPresent));
    client.credit(request.credit);
    return { ok: true, client, sessionPresent: answer.sessionPresent, words: answer.words };
  }

  /** A further session of a client that has come in already: its identity, with a queue and a window more. */
  #openFurther(loop: ChannelDriver, request: FurtherRequest, ticket: Ticket): ConnectAnswer | Pending {
    const of = loop.clientOf(request.of);
    if (of === undefined || of.ended) {
      return this.#refuse(loop, request, "unavailable", "the client that it belongs to has ended");
    }
    const { clientId, cleanStart, sessionExpiry, credit, window } = request;
    const { identity, mountpoint, aggregate } = of;
    const client = new BusClient(loop, this, identity, { sessionId: clientId, mountpoint, aggregate });
    loop.join(client);
    const opening: Opening = {
      kind: "session",
      cleanStart,
      expiry: sessionExpiry,
      will: undefined,
      credit,
      window,
      committed: false,
      subscriptions: [],
      expected: undefined,
      password: undefined,
      releases: false,
      recalls: false,
      dated: false,
      of: of.session,
    };
    return client.open(opening, ticket, (answer) => this.#letIn(client, answer, request));
  }

  #refuseOther(client: BusClient, request: ConnectRequest): Refused {
    const detail = { clientId: client.sessionId };
    client.loop.note({ level: "warn", event: "session-of-another-user", detail });
    return this.#refuse(client.loop, request, "forbidden", "this client id has a session of another user");
  }

  #announce(client: BusClient, request: SessionRequest | ResumeRequest, sessionPresent: boolean): void {
    const { protocol } = request;
    const { cleanStart = false, keepAlive = 0 } = request.kind === "session" ? request : {};
    const { aggregate } = client;
    const how = {
      ...{ cleanStart, sessionPresent, keepAlive: keepAlive / 1000, loop: client.loop },
      expiry: Math.round(inSeconds(client.sessionExpiry ?? ZERO)),
      properties: request.kind === "session" ? request.properties : undefined,
    };
    client.protocol = protocol;
    this.core.directory.arrived(client, this.core.now, how);
    client.announced(how);
    if (aggregate !== undefined && aggregate.connected++ > 0) return;
    this.core.counters.connects.value++;
    this.core.events.connected?.(this.#eventOf(client, protocol), how);
  }

  /** Two devices with one client id end each other's connections: that is said aloud. */
  #noteEnd({ clientId, peer }: Identity, reason: string): void {
    const about = { peer: `${peer.address}:${peer.port}`, client: clientId };
    if (reason === "taken-over") this.core.note(this.gateway, { level: "info", event: reason }, about);
    else this.core.note(this.gateway, { level: "debug", event: "disconnected", detail: { reason } }, about);
  }

  #eventOf({ identity, aggregate, mountpoint }: BusClient, protocol: string): ClientEvent {
    const { clientId, username, peer } = identity;
    return {
      gateway: this.gateway,
      listener: this.policy.listener,
      clientId: aggregate?.clientId ?? clientId,
      username,
      address: peer.address,
      port: peer.port,
      protocol,
      mountpoint,
      at: this.core.now,
    };
  }

  #refuse(
    loop: ChannelDriver,
    request: ConnectRequest,
    refusal: Refusal,
    reason: string,
    by = reason,
  ): Refused {
    const { core } = this;
    core.counters.connectsRefused.value++;
    const to = this.#comerOf(loop, request);
    core.refused(to, { what: "connect", refusal, by: () => by });
    core.follower?.refused(to, refusal);
    return { ok: false, refusal, reason };
  }

  #comerOf({ peer: { address, port } }: ChannelDriver, { clientId, ...request }: ConnectRequest): Comer {
    const { gateway, policy } = this;
    const username = "username" in request ? request.username : undefined;
    return { gateway, listener: policy.listener, address, port, clientId, username };
  }

  #assignedId(): string {
    const bytes = this.core.random(12);
    let id = "auto-";
    for (const byte of bytes) id += byte.toString(16).padStart(2, "0");
    return id;
  }
}

const sessionWord = (present: boolean): string => (present ? "session resumed" : "new session");

/** A policy that throws is our own bug: nobody is let in. */
const failedVerdict = (error: unknown): Verdict => ({
  ok: false,
  refusal: "unavailable",
  reason: "authentication failed",
  failure: { authenticator: "policy", error: String(error) },
});
