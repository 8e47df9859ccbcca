import type { ChannelHost, StopReason } from "#core/contract/channel.ts";
import { concat, NO_BYTES, utf8 } from "#core/lib/bytes.ts";
import { after, earliest, type Instant, NEVER } from "#core/lib/time.ts";
import { SZX_BERT, SZX_MAX } from "../blockwise/block.ts";
import type { Reply } from "../blockwise/reply.ts";
import { CoapChannel } from "../channel.ts";
import type { PendingAsk } from "../client/ask.ts";
import type { Listener } from "../listener.ts";
import { codeClass, EMPTY, isRequest, isResponse, Signal } from "../message/codes.ts";
import type { CoapMessage, FormatError } from "../message/message.ts";
import { isCritical } from "../message/options.ts";
import { AbortOption, CsmOption, MAX_MESSAGE_SIZE_DEFAULT, PingOption } from "../message/signalling.ts";
import {
  decodeStreamMessage,
  decodeWebSocketMessage,
  streamMessageLength,
} from "../message/stream-framing.ts";
import type { PeerObservation } from "../observe/observation.ts";
import type { Exchange } from "../server/exchange.ts";
import type { Outgoing } from "./retransmission.ts";

/** Room for header, token and options beside the payload of one message. */
const HEAD_ROOM = 128;

/** One peer over TCP, TLS or WebSocket (RFC 8323). */
export class StreamChannel extends CoapChannel {
  readonly reliable = true;
  readonly proven = true;
  readonly idReady = true;
  readonly #websocket: boolean;
  /** Bytes of a message that has not arrived whole. */
  #rest: Uint8Array = NO_BYTES;
  #peerMessageMax = MAX_MESSAGE_SIZE_DEFAULT;
  #peerBlocks = false;
  #csmHeard = false;
  #over = false;
  heardAt: Instant;
  #pinged = false;
  /** When the peer's CSM must be here. */
  readonly #csmDue: Instant;
  /** As announced in our CSM. */
  readonly #messageMax: number;

  constructor(listener: Listener, host: ChannelHost, now: Instant) {
    super(listener, host, now);
    this.#websocket = host.peer.transport === "ws" || host.peer.transport === "wss";
    this.heardAt = now;
    this.#csmDue = after(now, host.limits.connectTimeout);
    const { writer, settings } = listener;
    this.#messageMax = Math.min(settings.maxMessageSize, host.limits.packetSize);
    writer.begin().add(CsmOption.MaxMessageSize, this.#messageMax).add(CsmOption.BlockWiseTransfer, NO_BYTES);
    this.#send(Signal.CSM, NO_BYTES, undefined);
  }

  /** RFC 8323 §5.3.1: what the peer announced, and before that what everybody takes. */
  get payloadMax(): number {
    return this.#peerMessageMax - HEAD_ROOM;
  }

  get buffered(): number {
    return this.#rest.length;
  }

  /** BERT is for peers that have announced both (RFC 8323 §6). */
  get szxMax(): number {
    return this.#peerBlocks && this.#peerMessageMax > MAX_MESSAGE_SIZE_DEFAULT ? SZX_BERT : SZX_MAX;
  }

  protected read(bytes: Uint8Array, now: Instant): void {
    this.heardAt = now;
    this.#pinged = false;
    this.sites.heard(now);
    if (this.#over) return;
    const { message } = this.listener;
    if (this.#websocket) {
      if (bytes.length > this.#messageMax) this.#abort("message too large");
      else this.#decoded(decodeWebSocketMessage(bytes, message), message, now);
      return;
    }
    this.#readStream(this.#rest.length === 0 ? bytes : concat(this.#rest, bytes), message, now);
  }

  #readStream(bytes: Uint8Array, message: CoapMessage, now: Instant): void {
    let at = 0;
    while (!this.#over) {
      const length = streamMessageLength(bytes, at, bytes.length);
      if (length !== undefined && length > this.#messageMax) {
        this.#abort("message too large");
        return;
      }
      if (length === undefined || at + length > bytes.length) break;
      this.#decoded(decodeStreamMessage(bytes, at, at + length, message), message, now);
      at += length;
    }
    this.#rest = at === bytes.length ? NO_BYTES : Uint8Array.prototype.slice.call(bytes, at);
  }

  #decoded(error: FormatError | undefined, message: CoapMessage, now: Instant): void {
    if (error !== undefined) {
      this.listener.counters.malformed.value++;
      this.#abort(error.problem);
    } else if (codeClass(message.code) === 7) this.#signal(message);
    else if (!this.#csmHeard) this.#abort("CSM must come first");
    else if (isRequest(message.code)) this.server.receive(message, true, undefined);
    else if (isResponse(message.code)) this.#response(message, now);
    // RFC 8323 §3.4: an empty message is a keep-alive; reserved classes are ignored likewise.
    else if (message.code !== EMPTY) this.listener.counters.malformed.value++;
  }

  #response(message: CoapMessage, now: Instant): void {
    const ask = this.askOf(message);
    if (ask === undefined) return;
    if (message.badCriticalOption() >= 0) ask.fail("reset", now);
    else ask.respond(message, now);
  }

  #signal(message: CoapMessage): void {
    if (!this.#csmHeard && message.code !== Signal.CSM && message.code !== Signal.Abort) {
      this.#abort("CSM must come first");
      return;
    }
    switch (message.code) {
      case Signal.CSM:
        this.#csm(message);
        return;
      case Signal.Ping:
        if (this.#refusesCritical(message)) return;
        this.#pong(message);
        return;
      case Signal.Release:
        // No new requests will come; what is open was answered or is lost with the connection.
        this.#over = true;
        this.shut("released by the peer", "lost");
        return;
      case Signal.Abort:
        this.#over = true;
        this.shut("aborted by the peer", "lost");
        return;
    }
  }

  #csm(message: CoapMessage): void {
    this.#csmHeard = true;
    for (let index = 0; index < message.optionCount; index++) {
      const number = message.numberAt(index);
      if (number === CsmOption.MaxMessageSize) this.#peerMessageMax = message.uintAt(index);
      else if (number === CsmOption.BlockWiseTransfer) this.#peerBlocks = true;
      else if (isCritical(number)) {
        this.listener.writer.begin().add(AbortOption.BadCsmOption, number);
        this.#end(`CSM option ${number} is unknown`);
        return;
      }
    }
  }

  /** RFC 8323 §5.1: unknown critical options of a signal end the connection. */
  #refusesCritical(message: CoapMessage): boolean {
    for (let index = 0; index < message.optionCount; index++) {
      if (!isCritical(message.numberAt(index))) continue;
      this.#abort(`option ${message.numberAt(index)} of a signal is unknown`);
      return true;
    }
    return false;
  }

  /** Everything before a Ping was handled, so custody can be promised (RFC 8323 §5.4.1). */
  #pong(message: CoapMessage): void {
    let custody = false;
    for (let index = 0; index < message.optionCount; index++) {
      if (message.numberAt(index) === PingOption.Custody) custody = true;
    }
    const { writer } = this.listener;
    writer.begin();
    if (custody) writer.add(PingOption.Custody, NO_BYTES);
    this.#send(Signal.Pong, message.token, undefined);
  }

  #abort(problem: string): void {
    this.listener.writer.begin();
    this.#end(problem);
  }

  #end(problem: string): void {
    this.#over = true;
    this.#send(Signal.Abort, NO_BYTES, utf8(problem));
    this.shut(problem);
  }

  protected releaseTransport(): void {
    this.#over = true;
    this.#rest = NO_BYTES;
  }

  respond(exchange: Exchange, reply: Reply): void {
    this.#sendReply(exchange.token, reply);
  }

  probe(): Instant {
    return NEVER;
  }
  fits(): boolean {
    return true;
  }
  notificationSzx(observation: PeerObservation): number {
    return observation.szx;
  }
  challenge(): void {}
  acknowledge(): void {}

  /** There is no RST on a stream, and no message that is not confirmable either. */
  reject(exchange: Exchange): void {
    exchange.state = "answered";
  }

  notify(observation: PeerObservation): number {
    this.server.fillNotification(observation);
    this.#sendReply(observation.tokenBytes, observation.reply);
    return -1;
  }

  confirm(_outgoing: Outgoing): void {}
  withdraw(_outgoing: Outgoing): void {}
  encodeNotification(): Uint8Array {
    return NO_BYTES;
  }

  ask(ask: PendingAsk): void {
    this.host.send(ask.encode(0, this.now));
  }

  encodeAsk(ask: PendingAsk): Uint8Array {
    const payload = ask.write(this.listener.writer);
    return this.#encode(ask.request.method, ask.token, payload);
  }

  #sendReply(token: Uint8Array, reply: Reply): void {
    reply.write(this.listener.writer);
    this.#send(reply.source.code, token, reply.payload);
  }

  #send(code: number, token: Uint8Array, payload: Uint8Array | undefined): void {
    this.host.send(this.#encode(code, token, payload));
  }

  #encode(code: number, token: Uint8Array, payload: Uint8Array | undefined): Uint8Array {
    const { writer } = this.listener;
    return this.#websocket ? writer.websocket(code, token, payload) : writer.stream(code, token, payload);
  }

  protected transportDeadline(): Instant {
    const idle = after(this.heardAt, this.listener.settings.idleTimeout);
    return this.#csmHeard ? idle : earliest(idle, this.#csmDue);
  }

  protected transportDue(now: Instant): void {
    if (this.transportDeadline() > now || this.#over) return;
    if (this.host.paused === true) {
      // What the peer has sent we have not read: its silence is ours.
      this.heardAt = now;
      return;
    }
    if (!this.#csmHeard && this.#csmDue <= now) {
      this.host.note({ level: "info", event: "login-timeout" });
      this.#abort("no CSM in time");
      return;
    }
    if (this.#pinged) {
      this.#abort("no sign of life");
      return;
    }
    this.#pinged = true;
    this.heardAt = now;
    this.listener.writer.begin();
    this.#send(Signal.Ping, NO_BYTES, undefined);
  }

  /** RFC 8323 §5.5: Release says that no more is answered here. */
  protected farewell(_reason: StopReason): void {
    if (this.#over) return;
    this.#over = true;
    this.listener.writer.begin();
    this.#send(Signal.Release, NO_BYTES, undefined);
  }
}
