import type { ServerWords } from "#core/contract/answers.ts";
import type { ChannelHost } from "#core/contract/channel.ts";
import type { Client } from "#core/contract/client.ts";
import { after, type Instant } from "#core/lib/time.ts";
import {
  encodeAcknowledgement,
  encodeDisconnect,
  encodeReasonedAcknowledgement,
} from "#core/mqtt/codec/encode-reason.ts";
import { TopicCache } from "#core/mqtt/codec/topic-cache.ts";
import { OutgoingAliases } from "#core/mqtt/outgoing-aliases.ts";
import {
  type Acknowledgement,
  PACKET_NAMES,
  type PacketError,
  PacketType,
  type ProtocolVersion,
} from "#core/mqtt/packets.ts";
import { NO_PROPERTIES, type Properties } from "#core/mqtt/properties.ts";
import { isFailure, ReasonCode } from "#core/mqtt/reason-codes.ts";
import type { MqttConfig } from "./config.ts";
import type { MqttCounters } from "./counters.ts";
import type { AnswersInOrder } from "./operations/answers-in-order.ts";
import type { EnhancedLogin } from "./operations/enhanced.ts";
import type { KeptAnswer } from "./operations/kept-answers.ts";
import type { PendingSubscribe, WaitingUnsubscribe } from "./operations/subscribe.ts";
import type { Terms } from "./terms.ts";

/**
 * No more than the session has room for, or an obedient client would be refused. At least 1, since 0 cannot be said; one
 * that comes back with that many ids open gives some of them up first [MQTT-4.4.0-1].
 */
export const receiveMaximumOf = (client: Client, config: MqttConfig): number =>
  Math.max(1, Math.min(config.receiveMaximum, client.inboundLeft));

/** A client that is logged in: what the operations share. Fields that few clients need are made when needed. */
export class Connection {
  readonly kind = "connected";
  readonly host: ChannelHost;
  readonly config: MqttConfig;
  readonly counters: MqttCounters;
  readonly client: Client;
  readonly terms: Terms;
  readonly version: ProtocolVersion;
  /** QoS 1 and 2 messages that the client may send without an answer: what CONNACK announces. */
  readonly receiveMaximum: number;
  /** `held`: nothing is read, because the answer to an ask has to come first. */
  phase: "open" | "held" | "ended" = "open";
  /** When the client is lost unless something comes from it. */
  deadline: Instant;
  readonly topics = new TopicCache();
  /** Topics by the alias that the client gave them (MQTT 5 §3.3.2.3.4). */
  aliases: Map<number, string> | undefined = undefined;
  /** Bytes of those topics. */
  aliasWeight = 0;
  readonly outgoingAliases: OutgoingAliases | undefined;
  /** The client is authenticating again (MQTT 5 §4.12.1). */
  reauthentication: EnhancedLogin | undefined = undefined;
  #ticket = 0;
  /** QoS 1 messages without PUBACK and QoS 2 messages without PUBREL: what Receive Maximum counts. */
  unanswered = 0;
  answers: AnswersInOrder | undefined = undefined;
  /** PUBREC and PUBCOMP that wait for the store, by ticket. */
  kept: Map<number, KeptAnswer> | undefined = undefined;
  subscribing: PendingSubscribe | undefined = undefined;
  unsubscribing: Map<number, WaitingUnsubscribe> | undefined = undefined;
  /** QoS 2 deliveries by packet id: PUBREC is awaited, or PUBCOMP. */
  handshakes: Map<number, "receipt" | "completion"> | undefined = undefined;

  constructor(
    host: ChannelHost,
    config: MqttConfig,
    counters: MqttCounters,
    client: Client,
    terms: Terms,
    now: Instant,
  ) {
    this.host = host;
    this.config = config;
    this.counters = counters;
    this.client = client;
    this.terms = terms;
    this.version = terms.version;
    this.receiveMaximum = receiveMaximumOf(client, config);
    this.deadline = after(now, terms.patience);
    this.outgoingAliases =
      terms.outgoingAliases === 0 ? undefined : new OutgoingAliases(terms.outgoingAliases);
  }

  /** Topic filters, user properties and the like in one packet of the client's. */
  get maximumItems(): number {
    return this.config.maximumItems;
  }

  nextTicket(): number {
    this.#ticket = (this.#ticket % Number.MAX_SAFE_INTEGER) + 1;
    return this.#ticket;
  }

  /** Reads nothing more until `release`. */
  hold(): void {
    if (this.phase !== "open") return;
    this.phase = "held";
    this.host.pauseReading();
  }

  /** Sends an answer that cannot be made shorter; the client that takes none so long is left [MQTT-3.1.2-24]. */
  answer(packet: typeof PacketType.SUBACK | typeof PacketType.UNSUBACK, bytes: Uint8Array): void {
    if (bytes.length > this.terms.maximumPacketSize) {
      this.disconnect(
        ReasonCode.implementationSpecificError,
        `${PACKET_NAMES[packet]} is above the client's Maximum Packet Size`,
      );
      return;
    }
    this.counters.sent[packet]!.value++;
    this.host.send(bytes);
  }

  /**
   * Sends PUBACK, PUBREC, PUBREL or PUBCOMP; before MQTT 5 they carry no reason. `why`: in our words, or what a server
   * behind the gateway has said; a client may want neither [MQTT-3.1.2-29].
   */
  acknowledge(
    packet: Acknowledgement,
    packetId: number,
    reason = ReasonCode.success,
    why?: string | Readonly<Properties>,
  ): void {
    this.counters.sent[packet]!.value++;
    const said = typeof why === "object" ? why : NO_PROPERTIES;
    if ((reason === ReasonCode.success && said === NO_PROPERTIES) || this.version !== 5) {
      this.host.send(encodeAcknowledgement(packet, packetId));
      return;
    }
    const own = typeof why === "string" && isFailure(reason) && this.config.reasonStrings;
    const properties = own ? { reasonString: why } : said;
    const told = this.terms.problemInformation ? properties : NO_PROPERTIES;
    let bytes = encodeReasonedAcknowledgement(packet, packetId, reason, told);
    // A reason string that makes the packet too large is left out [MQTT-3.4.2-2].
    if (bytes.length > this.terms.maximumPacketSize) {
      bytes = encodeReasonedAcknowledgement(packet, packetId, reason);
    }
    this.host.send(bytes);
  }

  /** Ends the connection because of what the client sent; its will is published. */
  fail(error: PacketError): void {
    if (this.phase === "ended") return;
    this.counters.protocolErrors.value++;
    const { code, clause, at, problem } = error;
    this.host.note({
      level: "info",
      event: "protocol-error",
      detail: { client: this.client.id, clause, at, problem, reasonCode: code },
    });
    this.disconnect(code, `${problem} (${clause})`);
  }

  /** Ends the connection from our side: DISCONNECT tells why in MQTT 5, before that there is no such packet. */
  disconnect(reason: ReasonCode, why: string): void {
    if (this.phase === "ended") return;
    this.farewell(reason, why);
    this.host.close(why);
  }

  /** As `disconnect`, when the core does the closing. */
  farewell(reason: ReasonCode, why: string): void {
    const { serverReference, reasonStrings } = this.config;
    const properties: Properties = {};
    if (reason === ReasonCode.useAnotherServer) properties.serverReference = serverReference;
    if (reasonStrings) properties.reasonString = why;
    this.sayGoodbye({ reason, properties });
  }

  /** In these words, perhaps of a server behind the gateway. */
  sayGoodbye({ reason, properties }: ServerWords): void {
    if (this.phase === "ended") return;
    this.phase = "ended";
    if (this.version !== 5) return;
    this.counters.sent[PacketType.DISCONNECT]!.value++;
    let bytes = encodeDisconnect(reason as ReasonCode, properties);
    // [MQTT-3.14.2-3]
    if (bytes.length > this.terms.maximumPacketSize)
      bytes = encodeDisconnect(reason as ReasonCode, NO_PROPERTIES);
    this.host.send(bytes);
  }
}
