import type {
  Answer,
  PublishAnswer,
  ServerWords,
  SubscribeAnswer,
  Ticket,
  UnsubscribeAnswer,
} from "#core/contract/answers.ts";
import type { Channel, ChannelHost, StopReason } from "#core/contract/channel.ts";
import type { Client, ConnectAnswer } from "#core/contract/client.ts";
import type { Delivery } from "#core/contract/delivery.ts";
import { concat } from "#core/lib/bytes.ts";
import { after, earliest, type Instant, NEVER } from "#core/lib/time.ts";
import { frame, hasItsFlags, readFixedHeader } from "#core/mqtt/codec/fixed-header.ts";
import { UnfinishedPacket } from "#core/mqtt/codec/unfinished-packet.ts";
import { breach, type PacketError, PacketType } from "#core/mqtt/packets.ts";
import { ReasonCode } from "#core/mqtt/reason-codes.ts";
import { type MqttConfig, PACKET_SIZE_MAX } from "./config.ts";
import { Connection } from "./connection.ts";
import type { MqttCounters } from "./counters.ts";
import { stopReason } from "./operations/disconnect.ts";
import { dispatch } from "./operations/dispatch.ts";
import { EnhancedLogin, readAuth } from "./operations/enhanced.ts";
import { keptAnswered } from "./operations/kept-answers.ts";
import {
  type Application,
  apply,
  brokenExchange,
  connack,
  type Refused,
  strange,
  wordsIn,
} from "./operations/login.ts";
import { publishAnswered } from "./operations/publish-answers.ts";
import { publishOut } from "./operations/publish-out.ts";
import { subscribeAnswered, unsubscribeAnswered } from "./operations/subscribe.ts";
import { describe } from "./operator.ts";
import { termsBefore } from "./terms.ts";

interface ExpectsConnect {
  readonly kind: "expects-connect";
  readonly deadline: Instant;
}

/** The states in which packets are read. */
type Reading = ExpectsConnect | Connection | Application;
/** With an `Application` the core has been asked and has not answered; packets are read where it asks for more. */
type State = Reading | { readonly kind: "ended" };

const ENDED: State = { kind: "ended" };
const CONNECT_TICKET = 0;

/** One MQTT connection, from its first octet to its last. */
export class MqttChannel implements Channel {
  readonly #host: ChannelHost;
  readonly #config: MqttConfig;
  readonly #counters: MqttCounters;
  #state: State;
  #unfinished: UnfinishedPacket | undefined = undefined;
  /** Octets that were read and wait until reading goes on. */
  #held: Uint8Array | undefined = undefined;
  #deadline: Instant;
  readonly #connectBy: Instant;
  /** As announced in CONNACK: it stays what it was when the connection began. */
  #packetSize: number;

  constructor(host: ChannelHost, config: MqttConfig, counters: MqttCounters, now: Instant) {
    this.#host = host;
    this.#config = config;
    this.#packetSize = Math.min(host.limits.packetSize, PACKET_SIZE_MAX);
    this.#counters = counters;
    this.#connectBy = after(now, host.limits.connectTimeout);
    this.#deadline = this.#connectBy;
    this.#state = { kind: "expects-connect", deadline: this.#deadline };
  }

  receive(bytes: Uint8Array, now: Instant): void {
    const state = this.#state;
    if (state.kind === "connected") state.deadline = after(now, state.terms.patience);
    this.#read(bytes, now);
    this.#expectNext();
  }

  deliver(_client: Client, delivery: Delivery, now: Instant): void {
    const state = this.#state;
    if (state.kind === "connected" && state.phase !== "ended") publishOut(state, delivery, now);
  }

  answered(ticket: Ticket, answer: Answer, now: Instant, words?: ServerWords): void {
    const connection = this.#state;
    if (connection.kind !== "connected") return;
    if (typeof answer === "number" || !publishAnswered(connection, ticket, answer as PublishAnswer, words)) {
      this.#laterAnswered(connection, ticket, answer, words);
    }
    this.#mayGoOn(connection, now);
    this.#expectNext();
  }

  #laterAnswered(
    connection: Connection,
    ticket: Ticket,
    answer: Answer,
    words: ServerWords | undefined,
  ): void {
    if (keptAnswered(connection, ticket, answer)) return;
    if (unsubscribeAnswered(connection, ticket, answer as UnsubscribeAnswer, words)) return;
    subscribeAnswered(connection, ticket, answer as SubscribeAnswer, words);
  }

  connected(ticket: Ticket, answer: ConnectAnswer, now: Instant): void {
    const state = this.#state;
    if (state.kind !== "application" || ticket !== CONNECT_TICKET) return;
    this.#answer(state, answer, now);
    this.#goOn(now);
    this.#expectNext();
  }

  wake(now: Instant): void {
    const state = this.#state;
    if (now < this.#deadline) return;
    switch (state.kind) {
      case "expects-connect":
        this.#host.note({ level: "info", event: "login-timeout" });
        this.#refuse({ kind: "refused", connack: undefined, why: "no CONNECT in time" });
        break;
      case "application":
        // It was asked for more, and does not say it.
        if (state.exchange?.awaits === true) {
          state.exchange.giveUp();
          this.#refuse({ kind: "refused", connack: undefined, why: "no AUTH in time" });
        }
        break;
      case "connected":
        if (this.#host.paused === true) this.#bePatient(state, now);
        else this.#lose(state);
        break;
    }
    this.#expectNext();
  }

  /** It has not kept its word to be heard [MQTT-3.1.2-22]. */
  #lose(connection: Connection): void {
    const why = "nothing came in time";
    connection.client.end("silent", why);
    connection.disconnect(ReasonCode.keepAliveTimeout, why);
  }

  /** A client that is not read from, because of its rate or a backlog towards it, is not silent. */
  #bePatient(connection: Connection, now: Instant): void {
    connection.deadline = after(now, connection.terms.patience);
    if (this.#unfinished !== undefined) this.#unfinished.deadline = after(now, this.#config.packetTimeout);
  }

  stop(reason: StopReason, now: Instant, _client?: Client, words?: ServerWords): void {
    const state = this.#state;
    if (state.kind === "connected" && words !== undefined) state.sayGoodbye(words);
    else if (state.kind === "connected") state.farewell(stopReason(reason, this.#config), reason);
    this.closed(now);
  }

  closed(_now: Instant): void {
    const state = this.#state;
    if (state.kind === "application") state.exchange?.giveUp();
    else if (state.kind === "connected") state.reauthentication?.giveUp();
    this.#state = ENDED;
    this.#unfinished = undefined;
    this.#held = undefined;
    this.#expectNext();
  }

  get buffered(): number {
    const state = this.#state;
    const aliases = state.kind === "connected" ? state.aliasWeight : 0;
    return (this.#unfinished?.room ?? 0) + (this.#held?.length ?? 0) + aliases;
  }

  deadline(): Instant {
    return this.#deadline;
  }

  status(): string {
    const state = this.#state;
    return state.kind === "connected" && state.phase === "held" ? "waiting for the store" : state.kind;
  }

  describe(): object {
    return this.#state.kind === "connected" ? describe(this.#state) : {};
  }

  // ---- octets

  /** Reads packets as long as there are whole ones and none of them makes the rest wait. */
  #read(bytes: Uint8Array, now: Instant): void {
    let at = 0;
    while (at < bytes.length) {
      const state = this.#state;
      if (state.kind === "ended" || (state.kind === "connected" && state.phase === "ended")) return;
      const waits = state.kind === "application" && state.exchange?.awaits !== true;
      if (waits || (state.kind === "connected" && state.phase === "held")) {
        this.#hold(bytes, at);
        return;
      }
      at =
        this.#unfinished === undefined
          ? this.#readWhole(state, bytes, at, now)
          : this.#finish(state, bytes, at, now);
    }
  }

  /** Reads one packet, or begins to collect it. Returns how far it came. */
  #readWhole(state: Reading, bytes: Uint8Array, at: number, now: Instant): number {
    if (state.kind === "expects-connect") {
      const stranger = strange(bytes[at] as number);
      if (stranger !== undefined) {
        this.#refuse(stranger);
        return bytes.length;
      }
    }
    const found = readFixedHeader(bytes, at, this.#limit(state));
    if (found === "whole") {
      const { body, end } = frame;
      this.#packet(state, bytes, at, body, end, now);
      return end;
    }
    if (found !== "incomplete") {
      this.#fail(state, found);
      return bytes.length;
    }
    this.#unfinished = new UnfinishedPacket(this.#limit(state), now, this.#config.packetTimeout);
    return this.#finish(state, bytes, at, now);
  }

  /** Goes on collecting a packet that came in pieces, and reads it when it is whole. */
  #finish(state: Reading, bytes: Uint8Array, at: number, now: Instant): number {
    const unfinished = this.#unfinished as UnfinishedPacket;
    const { taken, state: found } = unfinished.append(bytes, at);
    if (found === "incomplete") return taken;
    this.#unfinished = undefined;
    if (found === "whole") this.#packet(state, unfinished.bytes, 0, frame.body, frame.end, now);
    else this.#fail(state, found);
    return taken;
  }

  #packet(state: Reading, bytes: Uint8Array, start: number, body: number, end: number, now: Instant): void {
    if (state.kind === "connected") dispatch(state, bytes, start, body, end, now);
    else if (state.kind === "application") this.#exchanged(state, bytes, start, body, end);
    else this.#greet(bytes, start, body, end, now);
  }

  #limit(state: Reading): number {
    return state.kind === "connected" ? this.#packetSize : this.#config.maximumConnectSize;
  }

  #hold(bytes: Uint8Array, at: number): void {
    const rest = bytes.slice(at);
    this.#held = this.#held === undefined ? rest : concat(this.#held, rest);
  }

  #mayGoOn(connection: Connection, now: Instant): void {
    if (connection.phase !== "held" || connection.subscribing !== undefined) return;
    const { receiveMaximum } = connection;
    if ((connection.answers?.length ?? 0) >= receiveMaximum) return;
    if ((connection.kept?.size ?? 0) >= receiveMaximum) return;
    if ((connection.unsubscribing?.size ?? 0) >= receiveMaximum) return;
    connection.phase = "open";
    this.#goOn(now);
  }

  /** Reads from the transport again, and first what was held back, which may make the rest wait once more. */
  #goOn(now: Instant): void {
    const held = this.#held;
    this.#held = undefined;
    this.#host.resumeReading();
    const state = this.#state;
    if (state.kind === "connected") state.deadline = after(now, state.terms.patience);
    if (held !== undefined) this.#read(held, now);
  }

  /** After every input: when the next `wake` is due. */
  #expectNext(): void {
    const state = this.#state;
    if (state.kind === "expects-connect") this.#deadline = state.deadline;
    else if (state.kind === "application" && state.exchange?.awaits === true)
      this.#deadline = this.#connectBy;
    else if (state.kind === "connected" && state.phase === "open") {
      const unfinished = this.#unfinished;
      this.#deadline =
        unfinished === undefined ? state.deadline : earliest(state.deadline, unfinished.deadline);
    } else this.#deadline = NEVER;
  }

  // ---- login

  #greet(bytes: Uint8Array, start: number, body: number, end: number, now: Instant): void {
    this.#counters.received[(bytes[start] as number) >> 4]!.value++;
    const { authenticationMethods } = this.#host;
    const begin = (method: string, data: Uint8Array | undefined): EnhancedLogin =>
      new EnhancedLogin(this.#host, this.#counters, method, data);
    const applied = apply(bytes, start, body, end, this.#config, authenticationMethods, begin);
    if (applied.kind === "refused") {
      const { error, why } = applied;
      if (error === undefined)
        this.#host.refused({ what: "connect", asked: undefined, refusal: "malformed", by: () => why });
      this.#refuse(applied);
      return;
    }
    this.#state = applied;
    applied.exchange?.whenAsked(() => {
      this.#goOn(now);
      this.#expectNext();
    });
    const answer = this.#host.connect(applied.request, CONNECT_TICKET);
    if (answer === "pending") this.#host.pauseReading();
    else this.#answer(applied, answer, now);
  }

  /** Between CONNECT and CONNACK, where whoever checks the login has asked for more [MQTT-3.1.2-30]. */
  #exchanged({ exchange }: Application, bytes: Uint8Array, start: number, body: number, end: number): void {
    const type = (bytes[start] as number) >> 4;
    this.#counters.received[type]!.value++;
    if (type === PacketType.AUTH && hasItsFlags(bytes[start] as number, 5)) {
      const { packet, error } = readAuth(bytes, start, body, end, this.#config.maximumItems);
      // What follows waits for the answer.
      this.#host.pauseReading();
      const wrong = error ?? exchange!.hear(packet);
      if (wrong !== undefined) this.#refuseExchange(exchange!, wrong);
    } else if (type === PacketType.DISCONNECT) {
      exchange!.giveUp();
      this.#refuse({ kind: "refused", connack: undefined, why: "the client gave up" });
    } else {
      const problem = `packet of type ${type} before CONNACK`;
      this.#refuseExchange(exchange!, breach(ReasonCode.protocolError, "[MQTT-3.1.2-30]", problem));
    }
  }

  #refuseExchange(exchange: EnhancedLogin, error: PacketError): void {
    exchange.giveUp();
    this.#refuse(brokenExchange(error, this.#config));
  }

  #answer(asked: Application, answer: ConnectAnswer, now: Instant): void {
    const server = answer.ok ? wordsIn(answer) : undefined;
    const application =
      server === undefined ? asked : { ...asked, terms: termsBefore(server, asked.terms, this.#config) };
    this.#packetSize = Math.min(this.#packetSize, server?.maximumPacketSize ?? PACKET_SIZE_MAX);
    const bytes = connack(application, answer, this.#config, this.#packetSize);
    if (!(bytes instanceof Uint8Array) || !answer.ok) {
      this.#refuse(bytes as Refused);
      return;
    }
    const { terms } = application;
    this.#state = new Connection(this.#host, this.#config, this.#counters, answer.client, terms, now);
    this.#counters.sent[PacketType.CONNACK]!.value++;
    this.#host.send(bytes);
  }

  /** Closes a connection that never became one of a client. */
  #refuse({ connack: bytes, why, error }: Refused): void {
    this.#state = ENDED;
    if (error !== undefined) {
      this.#counters.protocolErrors.value++;
      const { clause, at, problem, code } = error;
      this.#host.note({
        level: "info",
        event: "protocol-error",
        detail: { clause, at, problem, reasonCode: code },
      });
    }
    if (bytes !== undefined) {
      this.#counters.sent[PacketType.CONNACK]!.value++;
      this.#host.send(bytes);
    }
    this.#host.close(why);
  }

  #fail(state: Reading, error: PacketError): void {
    if (state.kind === "connected") state.fail(error);
    else this.#refuse({ kind: "refused", connack: undefined, why: error.problem, error });
  }
}
