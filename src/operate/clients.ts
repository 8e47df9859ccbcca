import type { QoS } from "../bus/message.ts";
import { parseSharedFilter, topicFilterProblem } from "../bus/topic.ts";
import type { SubscribeOptions } from "../contract/client.ts";
import type { Transport } from "../contract/peer.ts";
import type { Core } from "../door/core.ts";
import { type Listed, promisedUntil } from "../door/directory.ts";
import type { Gateways } from "../drive/gateways.ts";
import { after, type Instant, NEVER } from "../lib/time.ts";
import type { Attendance } from "../session/attendance.ts";
import { waitingId } from "../session/outgoing.ts";
import { DONE, type Done, refused } from "./done.ts";

/** A client as a list shows it. */
export interface ClientSummary {
  /** Cursor: its place in the order of coming. */
  readonly number: number;
  readonly gateway: string;
  /** Of the gateway, or of another on whose listener this one is served too. */
  readonly listener: string;
  readonly clientId: string;
  readonly endpointName: string | undefined;
  readonly username: string | undefined;
  /** `MQTT 5.0`; undefined while away, and for single requests. */
  readonly protocol: string | undefined;
  /** Where it is, or was last; undefined where an older version kept it without. */
  readonly transport: Transport | undefined;
  readonly address: string | undefined;
  readonly port: number | undefined;
  readonly node: string | undefined;
  /** `expected`: has no connection that could break, is not heard since a restart, and is not given up yet. */
  readonly presence: "connected" | "expected" | "away";
  /** As its gateway says it: `asleep`, `connected`, `observing`; the presence while it has no channel. */
  readonly state: string;
  /** Connected or away since then; undefined where that was before this process began. */
  readonly since: Instant | undefined;
  /** When something last came from it; undefined while it has no channel. */
  readonly heardAt: Instant | undefined;
  /** What it promised, in seconds; 0 for nothing. */
  readonly keepAlive: number;
  readonly cleanStart: boolean;
  /** Until when it has promised to be heard, or had when it went without a word; undefined where it never did. */
  readonly dueAt: Instant | undefined;
  readonly subscriptions: number;
  /** Deliveries that wait, their bytes, and those handed out and not settled. */
  readonly queued: number;
  readonly queuedBytes: number;
  readonly unsettled: number;
  /** Messages that were dropped or given up on the way to it, since this process began. */
  readonly lost: number;
}

/** All that is known of one client. */
export interface ClientDetail extends ClientSummary {
  /** Undefined for clients that make single requests. */
  readonly session:
    | {
        /** Milliseconds that it outlives its connection; Infinity for ever. */
        readonly expiry: number;
        /** When it ends if the client stays away; undefined while that is here, and for never. */
        readonly endsAt: Instant | undefined;
        /** Until when the client counts as connected without a connection. */
        readonly expectedUntil: Instant | undefined;
        readonly cleanStart: boolean;
        readonly will: WillSummary | undefined;
        /** QoS 2 messages of the client that wait for their release. */
        readonly inbound: number;
        /** What its gateway remembers of it, as JSON. */
        readonly memo: unknown;
      }
    | undefined;
  readonly mountpoint: string;
  /** Who was proven: `user:<name>`, `client:<id>`. */
  readonly proven: string | undefined;
  /** What the transport has proven. */
  readonly identity: string | undefined;
  readonly superuser: boolean;
  readonly loginEndsAt: Instant | undefined;
  /** What its gateway says of it (`GatewayModule.describes`); empty while it has no channel. */
  readonly detail: object;
}

export interface WillSummary {
  readonly topic: string;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly bytes: number;
  /** In milliseconds. */
  readonly delay: number;
}

export interface SubscriptionSummary {
  readonly filter: string;
  readonly options: SubscribeOptions;
}

/** A message that waits for a client. */
export interface WaitingMessage {
  /** Names it to `deleteWaiting`. */
  readonly id: string;
  /** As the client knows it. */
  readonly topic: string;
  /** Client id of who published it; empty where the gateway did. */
  readonly from: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly publishedAt: Instant;
  readonly expiresAt: Instant | undefined;
  /** `handed-out`: and not acknowledged. `received`: QoS 2, to be released. */
  readonly stage: "queued" | "handed-out" | "received";
}

/** Which clients; what is absent does not matter. */
export interface ClientFilter {
  readonly gateway?: string;
  readonly listener?: string;
  readonly clientId?: string;
  readonly username?: string;
  readonly address?: string;
  readonly protocol?: string;
  readonly presence?: ClientSummary["presence"];
  /** As the gateway says it; dearer than the others. */
  readonly state?: string;
  /** In client id, endpoint name, user name or address. */
  readonly text?: string;
}

export interface Page<Item> {
  readonly items: readonly Item[];
  /** For the next page; undefined when this was the last. A page may be short, even empty, and not the last. */
  readonly next: number | undefined;
}

export interface PageOptions {
  /** `next` of the page before; 0 for the first. */
  readonly after?: number;
  /** Clients on a page. */
  readonly limit?: number;
  /** Clients looked at for a page, so that a filter that few pass keeps nobody waiting. */
  readonly looks?: number;
}

const LIMIT = 100;
const LOOKS = 10_000;

/** Clients of all gateways. Nothing here waits: an order has had its effect when it is answered, or goes its way. */
export class Clients {
  readonly #core: Core;
  readonly #gateways: Gateways;

  constructor(core: Core, gateways: Gateways) {
    this.#core = core;
    this.#gateways = gateways;
  }

  get count(): number {
    return this.#core.directory.count;
  }

  get connected(): number {
    return this.#core.directory.connected;
  }

  page(
    filter: ClientFilter = {},
    { after = 0, limit = LIMIT, looks = LOOKS }: PageOptions = {},
  ): Page<ClientSummary> {
    this.#core.tick();
    const items: ClientSummary[] = [];
    let seen = 0;
    let last = after;
    for (const listed of this.#core.directory.after(after)) {
      if (items.length >= limit || seen >= looks) return { items, next: last };
      seen++;
      last = listed.number;
      if (this.#passes(listed, filter)) items.push(this.#summary(listed));
    }
    return { items, next: undefined };
  }

  get(gateway: string, clientId: string): ClientDetail | undefined {
    this.#core.tick();
    const listed = this.#core.directory.find(gateway, clientId);
    return listed === undefined ? undefined : this.#detail(listed);
  }

  subscriptions(gateway: string, clientId: string): readonly SubscriptionSummary[] | undefined {
    const listed = this.#core.directory.find(gateway, clientId);
    if (listed === undefined) return undefined;
    return [...(listed.attendance?.subscriptions ?? [])].map(([filter, options]) => ({ filter, options }));
  }

  /** What waits for a client, next first: those handed out and not settled, then the queue. A look; nothing is taken. */
  queue(gateway: string, clientId: string, limit = LIMIT): readonly WaitingMessage[] | undefined {
    const listed = this.#core.directory.find(gateway, clientId);
    if (listed === undefined) return undefined;
    const waiting: WaitingMessage[] = [];
    for (const delivery of listed.attendance?.waiting() ?? []) {
      if (waiting.length >= limit) break;
      const { id, topic, message, qos, retain, stage } = delivery;
      const { payload, publishedAt, expiresAt, publisher: from } = message;
      waiting.push({
        ...{ id: waitingId(delivery), topic, from, payload, qos, retain, publishedAt },
        expiresAt: expiresAt === NEVER ? undefined : expiresAt,
        stage: stage === "release" ? "received" : id === 0 ? "queued" : "handed-out",
      });
    }
    return waiting;
  }

  /** Disconnects a client; its session lives on by its expiry. How many of that name there were. */
  kick(gateway: string, clientId: string): number {
    this.#core.tick();
    let kicked = 0;
    for (const { client } of this.#core.directory.named(gateway, clientId)) {
      if (client === undefined) continue;
      kicked++;
      client.loop.stopClient(client, "kicked");
    }
    return kicked;
  }

  /**
   * Takes one message away from who waits for it. One that a connected client was handed is its own to settle: with
   * `disconnect` it is kicked first, so that it gets on without a message that it cannot take.
   */
  deleteWaiting(gateway: string, clientId: string, id: string, disconnect = false): Done {
    const attendance = this.#attendance(gateway, clientId);
    if ("ok" in attendance) return attendance;
    const { engine } = this.#core;
    if (engine.deleteWaiting === undefined)
      return refused(
        "conflict",
        "its messages wait at a server of the cluster, where they cannot be deleted",
      );
    this.#core.tick();
    let deletion = engine.deleteWaiting(attendance, id);
    if (deletion === "handed-out" && disconnect) {
      this.kick(gateway, clientId);
      deletion = engine.deleteWaiting(attendance, id);
      // Its session ended with its connection, and the message with both.
      if (deletion === "unknown") return DONE;
    }
    if (deletion === "deleted") return DONE;
    if (deletion === "unknown") return refused("unknown", `no message ${id} waits for client ${clientId}`);
    return refused(
      "conflict",
      deletion === "received"
        ? "the client has received it, and only its release is due (QoS 2)"
        : "it was handed to the client, which is connected and may acknowledge it still: disconnect=true disconnects the client and deletes it",
    );
  }

  /** Disconnects a client and ends its session, with all that waits in it and its further sessions. */
  endSession(gateway: string, clientId: string): Done {
    const listed = this.#core.directory.find(gateway, clientId);
    if (listed === undefined) return unknown(gateway, clientId);
    this.kick(gateway, clientId);
    const { engine } = this.#core;
    const own = [...engine.absent()].filter(
      (attendance) =>
        attendance.gateway === gateway && (attendance.identity?.clientId ?? attendance.clientId) === clientId,
    );
    for (const attendance of own) engine.discard(attendance);
    return DONE;
  }

  /**
   * Subscribes a client to what it has not asked for, connected or away, past the access rules; the next change of rules
   * judges it as any other subscription.
   */
  subscribe(gateway: string, clientId: string, filter: string, options: SubscribeOptions): Done {
    const attendance = this.#attendance(gateway, clientId);
    if ("ok" in attendance) return attendance;
    if (this.#gateways.get(gateway)?.module.anyTopic !== true) {
      return refused("conflict", `clients of gateway ${gateway} take only what they ask for themselves`);
    }
    const shared = parseSharedFilter(filter);
    const problem =
      shared === "malformed" ? "malformed shared subscription" : topicFilterProblem(shared?.filter ?? filter);
    if (problem !== undefined) return refused("failed", `${filter}: ${problem}`);
    this.#core.tick();
    this.#core.engine.grant(attendance, filter, options);
    return DONE;
  }

  /** Ends a subscription, whoever made it; what waits because of it alone is dropped. */
  unsubscribe(gateway: string, clientId: string, filter: string): Done {
    const attendance = this.#attendance(gateway, clientId);
    if ("ok" in attendance) return attendance;
    if (!attendance.subscriptions.has(filter))
      return refused("unknown", `client ${clientId} is not subscribed to ${filter}`);
    this.#core.tick();
    this.#core.engine.revoke(attendance, filter);
    return DONE;
  }

  #attendance(gateway: string, clientId: string): Attendance | Done {
    const listed = this.#core.directory.find(gateway, clientId);
    if (listed === undefined) return unknown(gateway, clientId);
    return (
      listed.attendance ?? refused("conflict", `client ${clientId} makes single requests, without a session`)
    );
  }

  #passes(listed: Listed, filter: ClientFilter): boolean {
    const { gateway, clientId, presence, protocol, state, text } = filter;
    if (gateway !== undefined && listed.gateway !== gateway) return false;
    if (clientId !== undefined && listed.clientId !== clientId) return false;
    if (presence !== undefined && this.#presence(listed) !== presence) return false;
    if (protocol !== undefined && listed.client?.protocol !== protocol) return false;
    const identity = listed.client?.identity ?? listed.attendance?.identity;
    const { listener, username, address } = filter;
    if (listener !== undefined && identity?.listener !== listener) return false;
    if (username !== undefined && identity?.username !== username) return false;
    if (address !== undefined && identity?.peer.address !== address) return false;
    if (text !== undefined) {
      const texts = [listed.clientId, identity?.endpointName, identity?.username, identity?.peer.address];
      if (!texts.some((each) => each?.includes(text) === true)) return false;
    }
    return state === undefined || this.#state(listed) === state;
  }

  #presence({ client, attendance }: Listed): ClientSummary["presence"] {
    if (client !== undefined) return "connected";
    return (attendance?.leftAt ?? NEVER) > this.#core.now ? "expected" : "away";
  }

  #state(listed: Listed): string {
    const { client } = listed;
    return client?.loop.channel.status(client, this.#core.now) ?? this.#presence(listed);
  }

  #summary(listed: Listed): ClientSummary {
    const { number, gateway, clientId, client, attendance, since, keepAlive } = listed;
    const identity = client?.identity ?? attendance?.identity;
    const peer = client?.loop.peer ?? identity?.peer;
    const presence = this.#presence(listed);
    return {
      number,
      gateway,
      clientId,
      presence,
      keepAlive,
      cleanStart: listed.cleanStart,
      listener: identity?.listener ?? "",
      endpointName: identity?.endpointName,
      username: identity?.username,
      protocol: client?.protocol,
      transport: peer?.transport,
      address: peer?.address,
      port: peer?.port,
      node: peer?.node,
      state: this.#state(listed),
      since: client === undefined ? awaySince(attendance, presence) : since,
      heardAt: client?.loop.heardAt,
      dueAt: client === undefined ? (attendance?.expectedUntil ?? listed.missedAt) : promisedUntil(listed),
      subscriptions: attendance?.subscriptions.size ?? 0,
      queued: client?.queued ?? attendance?.queued ?? 0,
      queuedBytes: attendance?.queuedBytes ?? 0,
      unsettled: attendance?.unsettled ?? 0,
      lost: attendance?.lost ?? 0,
    };
  }

  #detail(listed: Listed): ClientDetail {
    const { client, attendance } = listed;
    const identity = client?.identity ?? attendance?.identity;
    return {
      ...this.#summary(listed),
      session: attendance === undefined ? undefined : sessionOf(attendance, listed.cleanStart),
      mountpoint: client?.mountpoint ?? attendance?.mountpoint ?? "",
      proven: identity?.proven,
      identity: identity?.peer.identity,
      superuser: identity?.superuser ?? false,
      loginEndsAt: identity?.expiresAt,
      detail: client?.loop.channel.describe(client, this.#core.now) ?? {},
    };
  }
}

const unknown = (gateway: string, clientId: string): Done =>
  refused("unknown", `gateway ${gateway} has no client ${clientId}`);

const awaySince = (attendance: Attendance | undefined, presence: string): Instant | undefined =>
  presence === "away" ? attendance?.leftAt : undefined;

function sessionOf(attendance: Attendance, cleanStart: boolean): ClientDetail["session"] {
  const { expiry, leftAt, expectedUntil, will, inboundCount: inbound, memo } = attendance;
  const endsAt = leftAt === undefined ? NEVER : after(leftAt, expiry);
  return {
    ...{ expiry, expectedUntil, cleanStart, inbound, memo },
    endsAt: endsAt === NEVER ? undefined : endsAt,
    will:
      will === undefined
        ? undefined
        : {
            topic: will.topic,
            qos: will.qos,
            retain: will.retain,
            bytes: will.payload.length,
            delay: will.delay,
          },
  };
}
