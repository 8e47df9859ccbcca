import type {
  Channel,
  ChannelHost,
  ChannelStatus,
  Client,
  ConnectAnswer,
  ConnectRequest,
  Delivery,
  PublishAnswer,
  StopReason,
  SubscribeAnswer,
  Ticket,
} from "#core/gateway/contract.ts";
import { concat } from "#core/lib/bytes.ts";
import { after, earliest, type Instant, NEVER } from "#core/lib/time.ts";
import { decodeConnect, decodeGreeting } from "./codec/decode-connect.ts";
import { encodeConnack3, encodeConnack5 } from "./codec/encode-answers.ts";
import { frame, readFixedHeader } from "./codec/fixed-header.ts";
import { Reader } from "./codec/reader.ts";
import { UnfinishedPacket } from "./codec/unfinished-packet.ts";
import type { MqttConfig } from "./config.ts";
import { Connection } from "./connection.ts";
import type { MqttCounters } from "./counters.ts";
import {
  connackProperties,
  connectRefusal,
  connectRequest,
  isOffered,
  refusedConnack,
} from "./operations/connect.ts";
import { stopReason } from "./operations/disconnect.ts";
import { dispatch } from "./operations/dispatch.ts";
import { publishAnswered } from "./operations/publish-answers.ts";
import { publishOut } from "./operations/publish-out.ts";
import { subscribeAnswered } from "./operations/subscribe.ts";
import {
  breach,
  type ConnectPacket,
  type PacketError,
  PacketType,
  type ProtocolVersion,
  VERSION_NAMES,
} from "./packets.ts";
import type { Properties } from "./properties.ts";
import { ReasonCode, returnCodeOf } from "./reason-codes.ts";
import { type Terms, termsOf } from "./terms.ts";

/** CONNECT has been read and the core has not answered yet. */
interface Connecting {
  readonly kind: "connecting";
  readonly packet: ConnectPacket;
  readonly terms: Terms;
  readonly request: ConnectRequest;
}

type State =
  | { readonly kind: "expects-connect"; readonly deadline: Instant }
  | Connecting
  | Connection
  | { readonly kind: "ended" };

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

  constructor(host: ChannelHost, config: MqttConfig, counters: MqttCounters, now: Instant) {
    this.#host = host;
    this.#config = config;
    this.#counters = counters;
    this.#deadline = after(now, config.connectTimeout);
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

  answered(ticket: Ticket, answer: PublishAnswer | SubscribeAnswer, now: Instant): void {
    const connection = this.#state;
    if (connection.kind !== "connected") return;
    if (typeof answer === "number" || !publishAnswered(connection, ticket, answer as PublishAnswer)) {
      subscribeAnswered(connection, ticket, answer as SubscribeAnswer);
    }
    this.#mayGoOn(connection, now);
    this.#expectNext();
  }

  connected(ticket: Ticket, answer: ConnectAnswer, now: Instant): void {
    const state = this.#state;
    if (state.kind !== "connecting" || ticket !== CONNECT_TICKET) return;
    this.#answer(state, answer, now);
    this.#goOn(now);
    this.#expectNext();
  }

  wake(now: Instant): void {
    const state = this.#state;
    if (now < this.#deadline) return;
    switch (state.kind) {
      case "expects-connect":
        this.#refuse("no CONNECT in time");
        break;
      case "connected":
        state.disconnect(ReasonCode.keepAliveTimeout, "nothing came in time");
        break;
    }
    this.#expectNext();
  }

  stop(reason: StopReason, now: Instant): void {
    const state = this.#state;
    if (state.kind === "connected") state.farewell(stopReason(reason, this.#config), reason);
    this.closed(now);
  }

  closed(_now: Instant): void {
    this.#state = ENDED;
    this.#unfinished = undefined;
    this.#held = undefined;
    this.#expectNext();
  }

  deadline(): Instant {
    return this.#deadline;
  }

  status(): ChannelStatus {
    const state = this.#state;
    if (state.kind !== "connected") return { state: state.kind, clientIds: [] };
    const { version, keepAlive, receiveMaximum } = state.terms;
    return {
      state: state.phase === "held" ? "waiting for the store" : state.kind,
      clientIds: [state.client.id],
      detail: { protocol: VERSION_NAMES[version], keepAlive, receiveMaximum, unanswered: state.unanswered },
    };
  }

  // ---- octets

  /** Reads packets as long as there are whole ones and none of them makes the rest wait. */
  #read(bytes: Uint8Array, now: Instant): void {
    let at = 0;
    while (at < bytes.length) {
      const state = this.#state;
      if (state.kind === "ended" || (state.kind === "connected" && state.phase === "ended")) return;
      if (state.kind === "connecting" || (state.kind === "connected" && state.phase === "held")) {
        this.#hold(bytes, at);
        return;
      }
      at =
        this.#unfinished === undefined
          ? this.#readWhole(state, bytes, at, now)
          : this.#finish(bytes, at, now);
    }
  }

  /** Reads one packet, or begins to collect it. Returns how far it came. */
  #readWhole(
    state: Connection | { kind: "expects-connect" },
    bytes: Uint8Array,
    at: number,
    now: Instant,
  ): number {
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
    return this.#finish(bytes, at, now);
  }

  /** Goes on collecting a packet that came in pieces, and reads it when it is whole. */
  #finish(bytes: Uint8Array, at: number, now: Instant): number {
    const unfinished = this.#unfinished as UnfinishedPacket;
    const state = this.#state as Connection | { kind: "expects-connect" };
    const { taken, state: found } = unfinished.append(bytes, at);
    if (found === "incomplete") return taken;
    this.#unfinished = undefined;
    if (found === "whole") this.#packet(state, unfinished.bytes, 0, frame.body, frame.end, now);
    else this.#fail(state, found);
    return taken;
  }

  #packet(
    state: Connection | { kind: "expects-connect" },
    bytes: Uint8Array,
    start: number,
    body: number,
    end: number,
    now: Instant,
  ): void {
    if (state.kind === "connected") dispatch(state, bytes, start, body, end, now);
    else this.#greet(bytes, start, body, end, now);
  }

  #limit(state: { kind: "connected" | "expects-connect" }): number {
    return state.kind === "connected" ? this.#config.maximumPacketSize : this.#config.maximumConnectSize;
  }

  #hold(bytes: Uint8Array, at: number): void {
    const rest = bytes.slice(at);
    this.#held = this.#held === undefined ? rest : concat(this.#held, rest);
  }

  #mayGoOn(connection: Connection, now: Instant): void {
    if (connection.phase !== "held" || connection.subscribing !== undefined) return;
    if ((connection.answers?.length ?? 0) >= this.#config.receiveMaximum) return;
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
    else if (state.kind === "connected" && state.phase === "open") {
      const unfinished = this.#unfinished;
      this.#deadline =
        unfinished === undefined ? state.deadline : earliest(state.deadline, unfinished.deadline);
    } else this.#deadline = NEVER;
  }

  // ---- login

  /** The first packet, which must be CONNECT [MQTT-3.1.0-1]. */
  #greet(bytes: Uint8Array, start: number, body: number, end: number, now: Instant): void {
    if (bytes[start] !== PacketType.CONNECT << 4) {
      const type = (bytes[start] as number) >> 4;
      this.#fail(
        this.#state as { kind: "expects-connect" },
        breach(ReasonCode.protocolError, "[MQTT-3.1.0-1]", `first packet is of type ${type}, not CONNECT`),
      );
      return;
    }
    this.#counters.received[PacketType.CONNECT]!.value++;
    const reader = new Reader(bytes, start, body, end);
    const greeting = decodeGreeting(reader);
    if (greeting.kind === "stranger") {
      this.#refuse("not MQTT");
      return;
    }
    if (greeting.kind === "unsupported" || !isOffered(greeting.version, this.#config)) {
      const level = greeting.kind === "unsupported" ? greeting.level : greeting.version;
      this.#refuseConnect(level >= 5 ? 5 : 4, ReasonCode.unsupportedProtocolVersion, "protocol version");
      return;
    }
    const packet = decodeConnect(reader, greeting.version);
    if (reader.error !== undefined) {
      this.#malformedConnect(packet.version, reader.error);
      return;
    }
    const reason = connectRefusal(packet, this.#config);
    if (reason !== undefined) {
      this.#refuseConnect(packet.version, reason, "refused by the listener");
      return;
    }
    const terms = termsOf(packet, this.#config);
    const request = connectRequest(packet, terms);
    const state: Connecting = { kind: "connecting", packet, terms, request };
    this.#state = state;
    const answer = this.#host.connect(request, CONNECT_TICKET);
    if (answer === "pending") this.#host.pauseReading();
    else this.#answer(state, answer, now);
  }

  #answer({ packet, terms, request }: Connecting, answer: ConnectAnswer, now: Instant): void {
    if (!answer.ok) {
      const { reason, properties } = refusedConnack(answer.refusal, answer.reason, this.#config);
      this.#refuseConnect(packet.version, reason, answer.refusal, properties);
      return;
    }
    const { client } = answer;
    const connection = new Connection(this.#host, this.#config, this.#counters, client, terms, now);
    this.#state = connection;
    this.#counters.sent[PacketType.CONNACK]!.value++;
    if (packet.version === 5) {
      const properties = connackProperties(packet, terms, client, request, this.#config);
      this.#host.send(encodeConnack5(answer.sessionPresent, ReasonCode.success, properties));
    } else {
      const present = packet.version === 4 && answer.sessionPresent;
      this.#host.send(encodeConnack3(present, returnCodeOf(ReasonCode.success)));
    }
  }

  /** MQTT 5 says what is wrong in CONNACK; before that such a connection is just closed [MQTT-3.1.4-1]. */
  #malformedConnect(version: ProtocolVersion, error: PacketError): void {
    this.#note(error);
    const why = `${error.problem} (${error.clause})`;
    if (version !== 5) {
      this.#refuse(why);
      return;
    }
    this.#refuseConnect(5, error.code, why);
  }

  #refuseConnect(version: ProtocolVersion, reason: ReasonCode, why: string, also?: Properties): void {
    this.#counters.sent[PacketType.CONNACK]!.value++;
    if (version === 5) {
      const properties = also ?? (this.#config.reasonStrings ? { reasonString: why } : {});
      this.#host.send(encodeConnack5(false, reason, properties));
    } else {
      this.#host.send(encodeConnack3(false, returnCodeOf(reason)));
    }
    this.#refuse(`CONNECT refused: ${why}`);
  }

  /** Closes a connection that never became one of a client. */
  #refuse(why: string): void {
    this.#state = ENDED;
    this.#host.close(why);
  }

  #fail(state: Connection | { kind: "expects-connect" }, error: PacketError): void {
    if (state.kind === "connected") {
      state.fail(error);
      return;
    }
    this.#note(error);
    this.#refuse(`${error.problem} (${error.clause})`);
  }

  #note({ clause, at, problem, code }: PacketError): void {
    this.#counters.protocolErrors.value++;
    const detail = { clause, at, problem, reasonCode: code };
    this.#host.note({ level: "info", event: "protocol-error", detail });
  }
}
