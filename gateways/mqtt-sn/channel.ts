/**
 * One MQTT-SN client as the gateway sees it (MQTT-SN 1.2 §6.14, Figure 4).
 *
 *            CONNECT with will        all is known             the core, and the store
 *   new ───────────────────► handshake ───────► connecting ─────────────► connected: active ─ DISCONNECT(d) ─► asleep ◄─┐
 *    │                                              ▲                        │ ▲       ▲                      │  ▲     │ PINGRESP
 *    ├── CONNECT, PINGREQ(id) ──────────────────────┘                        │ │       └────── CONNECT ───────┘  │     │
 *    │ anything else: DISCONNECT                                             │ CONNECT             PINGREQ(id) ─┴─► awake
 *    ▼                                             DISCONNECT, silence       ▼
 *   ended ◄──────────────────────────────────────────────────────────────── (from all of these)
 *
 * A publish with QoS -1 needs no state, and changes none.
 * A state owns what it needs: what lasts as long as a connection is the `Connection`'s, and goes with it.
 */
import type { Answer, Ticket } from "#core/contract/answers.ts";
import type { Channel, ChannelHost, StopReason } from "#core/contract/channel.ts";
import type { Client, ConnectAnswer, ConnectRequest } from "#core/contract/client.ts";
import type { Delivery } from "#core/contract/delivery.ts";
import { after, earliest, type Instant, NEVER } from "#core/lib/time.ts";
import { decode } from "./codec.ts";
import type { Connection, Wire } from "./connection.ts";
import {
  answerRequest,
  isOfHandshake,
  receiveConnected,
  receiveInHandshake,
  receiveUnconnected,
} from "./dispatch.ts";
import { encodeBare, encodeEncapsulated } from "./encode.ts";
import { type Handshake, repeatHandshake } from "./operations/connect.ts";
import { unwrap } from "./operations/forward.ts";
import { UnconnectedPublishes } from "./operations/publish-unconnected.ts";
import { describe } from "./operator.ts";
import * as p from "./packets.ts";
import { NO_CONNECTION } from "./refusals.ts";
import type { Setup } from "./setup.ts";
import { isConnackTicket, isFlushTicket, ticketMessageId, UNASKED } from "./tickets.ts";

/** Something that waits for the core to open a session. */
export interface Attempt {
  readonly kind: "login" | "resume";
  /** Once the core has answered, while the store has not. */
  readonly connection: Connection | undefined;
  answered(answer: ConnectAnswer, now: Instant): void;
  /** What the answer promises is committed. */
  kept?(now: Instant): void;
}

type State =
  /** Nothing is known of the sender. */
  | { readonly kind: "new" }
  /** The client is asked for its will (§6.2). `former`: the connection that it had, until the new one is made. */
  | { readonly kind: "handshake"; readonly handshake: Handshake; readonly former: Connection | undefined }
  | { readonly kind: "connecting"; readonly attempt: Attempt }
  | { readonly kind: "connected"; readonly connection: Connection }
  | { readonly kind: "ended" };

const NEW: State = { kind: "new" };
const ENDED: State = { kind: "ended" };

export class MqttSnChannel implements Channel, Wire {
  readonly setup: Setup;
  readonly host: ChannelHost;
  state: State = NEW;
  /** How often the core was asked for a session: an answer to an earlier ask is told apart by it. */
  attempts = 0;
  readonly unconnected = new UnconnectedPublishes(this);
  /** Wireless node id of the device, when it is behind a forwarder. */
  node: Uint8Array | undefined = undefined;

  constructor(setup: Setup, host: ChannelHost) {
    this.setup = setup;
    this.host = host;
  }

  /** The connection of a client that was let in, also while it is about to get another one. */
  get connection(): Connection | undefined {
    const { state } = this;
    if (state.kind === "connected") return state.connection;
    if (state.kind === "handshake") return state.former;
    return state.kind === "connecting" ? state.attempt.connection : undefined;
  }

  // ---- inputs

  receive(bytes: Uint8Array, now: Instant): void {
    const message = unwrap(this, bytes);
    const packet = message === undefined ? undefined : decode(message);
    if (packet === undefined || !packet.ok) {
      this.#receiveMalformed();
      return;
    }
    const { value } = packet;
    const { state, connection } = this;
    if (connection !== undefined) {
      connection.heard(value, now);
      if (!isOfHandshake(value.type)) connection.accepted = undefined;
    }
    if (state.kind === "connected") {
      receiveConnected(this, state.connection, value, now);
      if (this.state === state) state.connection.downlink.heard(now);
    } else if (state.kind === "new") {
      receiveUnconnected(this, value, now);
    } else if (state.kind !== "ended") {
      receiveInHandshake(this, state, value, now);
    }
  }

  deliver(client: Client, delivery: Delivery, now: Instant): void {
    const { connection } = this;
    if (client === connection?.client) connection.downlink.deliver(delivery, now);
  }

  answered(ticket: Ticket, answer: Answer, now: Instant): void {
    if (ticket === UNASKED) return;
    const { state, connection } = this;
    if (connection === undefined) return;
    if (isFlushTicket(ticket)) {
      connection.downlink.handedOut(ticket, now);
      return;
    }
    connection.answers.came();
    if (!isConnackTicket(ticket)) answerRequest(connection, ticket, answer, now);
    // A client gets in also where it could not be kept.
    else if (state.kind === "connecting" && ticketMessageId(ticket) === (this.attempts & 0xffff)) {
      state.attempt.kept?.(now);
    }
  }

  connected(ticket: Ticket, answer: ConnectAnswer, now: Instant): void {
    if (this.unconnected.answered(ticket, answer)) return;
    const { state } = this;
    if (ticket === this.attempts && state.kind === "connecting") state.attempt.answered(answer, now);
    else if (answer.ok) answer.client.end("closed");
  }

  wake(now: Instant): void {
    const { state, connection } = this;
    if (state.kind === "handshake" && state.handshake.dueAt <= now)
      repeatHandshake(this, state.handshake, now);
    if (connection === undefined || connection !== this.connection) return;
    connection.downlink.wake(now);
    if (connection.silenceAt <= now) connection.checkSilence(now);
  }

  stop(reason: StopReason, now: Instant, client?: Client): void {
    const { state, connection } = this;
    if (client !== undefined && client !== connection?.client) return;
    const knows = state.kind === "connected" || state.kind === "handshake" || state.kind === "connecting";
    if (knows) this.send(encodeBare(p.DISCONNECT));
    // A device that moved, or a gateway that stops for a while, is no lost device.
    if (reason === "taken-over") connection?.client.end("closed");
    if (reason === "shutdown") connection?.leaveExpected(now);
    this.finish(reason);
  }

  /** Another device has this address now; ours may come back from elsewhere. */
  closed(now: Instant): void {
    this.park(now);
    this.state = ENDED;
  }

  deadline(): Instant {
    const { state, connection } = this;
    const due = state.kind === "handshake" ? state.handshake.dueAt : NEVER;
    if (connection === undefined) return due;
    return earliest(due, earliest(connection.downlink.deadline, connection.silenceAt));
  }

  status(): string {
    const { state, connection } = this;
    return connection !== undefined && state.kind === "connected" ? connection.phase : state.kind;
  }

  describe(): object {
    return this.connection === undefined ? {} : describe(this.connection);
  }

  // ---- for the operations

  /** Sends a message that nobody changes any more, wrapped for the forwarder where there is one (§5.5). */
  send(bytes: Uint8Array): void {
    this.host.sendView(this.node === undefined ? bytes : encodeEncapsulated(0, this.node, bytes));
  }

  get wrapping(): number {
    return this.node === undefined ? 0 : 3 + this.node.length;
  }

  /** Asks the core for a session, in place of whatever was here. */
  attempt(attempt: Attempt, request: ConnectRequest, now: Instant): void {
    this.#unclaim();
    this.state = { kind: "connecting", attempt };
    const answer = this.host.connect(request, ++this.attempts);
    if (answer !== "pending") attempt.answered(answer, now);
  }

  retryAfter(now: Instant): Instant {
    return after(now, this.setup.config.retryInterval);
  }

  /**
   * Another device uses this address now: a NAT has given it away. The old one is somewhere, or sleeps. Its session
   * waits as long as the device would have been waited for; then its will is published.
   */
  park(now: Instant): void {
    const { connection } = this;
    if (connection === undefined) return;
    connection.leaveExpected(now);
    this.#unclaim();
    this.state = NEW;
  }

  /** The client is lost: its will is published, if it has one. */
  lose(why: string): void {
    const { connection } = this;
    if (connection !== undefined) {
      connection.lose(why);
      return;
    }
    this.setup.counters.lost.value++;
    this.dismiss(why);
  }

  dismiss(why: string): void {
    this.send(encodeBare(p.DISCONNECT));
    this.finish(why);
  }

  /** The message maps to no client: DISCONNECT, so that the device connects anew; not too often (§5.4.21). */
  turnAway(now: Instant, asked?: string): void {
    const { address, port } = this.host.peer;
    this.host.refused({ what: "talk", asked, refusal: "unauthenticated", by: () => NO_CONNECTION });
    if (this.setup.strangers.mayAnswer(address, port, now)) {
      this.dismiss("not connected");
      return;
    }
    this.drop();
    this.finish("not connected");
  }

  /** Forgets the sender without a word, once what it has published without a connection is through. */
  finish(why: string): void {
    this.#unclaim();
    this.state = this.unconnected.wait ? NEW : ENDED;
    if (this.state === ENDED) this.host.close(why);
  }

  /** Nothing but a publish without a connection has come of it. */
  finishIfNew(why: string): void {
    if (this.state.kind === "new") this.finish(why);
  }

  drop(): void {
    this.setup.counters.dropped.value++;
  }

  #unclaim(): void {
    const { connection } = this;
    if (connection !== undefined) this.host.unclaim(connection.client.id);
  }

  #receiveMalformed(): void {
    this.setup.counters.malformed.value++;
    const { connection } = this;
    if (connection === undefined && this.state.kind === "new") this.finish("malformed");
    else if (connection !== undefined && ++connection.malformed >= this.setup.config.malformedMax) {
      this.lose("malformed messages");
    }
  }
}
