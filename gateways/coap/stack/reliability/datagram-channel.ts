import type { ChannelHost } from "#core/contract/channel.ts";
import { after, earliest, type Instant, NEVER } from "#core/lib/time.ts";
import { blockSize, szxFor } from "../blockwise/block.ts";
import { Reply } from "../blockwise/reply.ts";
import { CoapChannel } from "../channel.ts";
import { PendingAsk } from "../client/ask.ts";
import type { Listener } from "../listener.ts";
import { codeClass, EMPTY, isError, isRequest, Response } from "../message/codes.ts";
import { type CoapMessage, HEADER_LENGTH, TOKEN_LENGTH_MAX, Type } from "../message/message.ts";
import { Option } from "../message/options.ts";
import { copy, emptyMessage } from "../message/writer.ts";
import type { PeerObservation } from "../observe/observation.ts";
import type { Exchange } from "../server/exchange.ts";
import { SeparateResponse } from "../server/separate-response.ts";
import type { CoapResponse } from "../site.ts";
import { PendingAck } from "./acknowledgement.ts";
import { ExchangesOfPeer } from "./deduplication.ts";
import { Liveness } from "./liveness.ts";
import { AMPLIFICATION_MAX, ReachabilityProof } from "./reachability.ts";
import { HEAD_ESTIMATE, Outbox, type OutboxHost, type Outgoing } from "./retransmission.ts";

const empty = new Uint8Array(4);

/** One peer over UDP or DTLS: the message layer of RFC 7252 §4. */
export class DatagramChannel extends CoapChannel implements OutboxHost {
  readonly reliable = false;
  readonly payloadMax: number;
  readonly szxMax: number;
  readonly #exchanges: ExchangesOfPeer;
  /** Made at the first message of ours that is no answer. */
  #outbox: Outbox | undefined = undefined;
  readonly #proof: ReachabilityProof;
  readonly #liveness: Liveness;
  #address: string;
  #port: number;
  heardAt: Instant;
  /** When silence has lasted long enough to forget the peer; `NEVER` once it has, and something keeps it. */
  #forgetAt: Instant;

  constructor(listener: Listener, host: ChannelHost, now: Instant) {
    super(listener, host, now);
    this.szxMax = listener.szxMax;
    this.payloadMax = blockSize(listener.szxMax);
    this.#exchanges = new ExchangesOfPeer(listener.memory);
    this.#address = host.peer.address;
    this.#port = host.peer.port;
    this.#proof = new ReachabilityProof(host, listener.settings);
    this.#liveness = new Liveness(this, listener.settings);
    this.heardAt = now;
    this.#forgetAt = after(now, listener.transmission.EXCHANGE_LIFETIME);
  }

  get observed(): boolean {
    return this.server.observed;
  }

  silent(): void {
    this.server.silent();
  }

  get proven(): boolean {
    return this.#proof.given;
  }

  get idReady(): boolean {
    return this.#outbox === undefined || this.#outbox.ids.readyAt(this.now) <= this.now;
  }

  get #out(): Outbox {
    this.#outbox ??= new Outbox(this, this.listener);
    return this.#outbox;
  }

  sendView(bytes: Uint8Array): void {
    this.host.sendView(bytes);
  }

  allows(bytes: number): boolean {
    return this.#proof.allows(bytes);
  }

  get provingUntil(): Instant {
    return this.#proof.given || !this.#proof.pinging ? this.now : this.#proof.due;
  }

  messageId(): number {
    return this.#proof.given ? this.#out.ids.next(this.now) : this.#proof.draw();
  }

  chance(): number {
    const [high = 0, low = 0] = this.host.random(2);
    return (high * 256 + low) / 0x10000;
  }

  protected read(bytes: Uint8Array, now: Instant): void {
    const { message, counters } = this.listener;
    this.heardAt = now;
    if (this.#forgetAt === NEVER) this.#forgetAt = after(now, this.listener.transmission.EXCHANGE_LIFETIME);
    const { address, port } = this.host.peer;
    if (port !== this.#port || address !== this.#address) this.#moved();
    const error = this.listener.decodeOnce(bytes);
    if (error !== undefined) {
      counters.malformed.value++;
      if (error.reaction !== "format") return;
      if (message.type === Type.CON) this.#sendEmpty(Type.RST, message.messageId);
      else if (this.#repeatsToken(message)) this.#empty(message, now);
      return;
    }
    this.sites.heard(now);
    if (message.code === EMPTY) this.#empty(message, now);
    else if (isRequest(message.code)) this.#request(message, now);
    else this.#response(message, now);
  }

  /**
   * Some clients give an empty ACK or RST the token of what it answers. RFC 7252 §4.1 makes that a format error; it
   * is overlooked where message id and token both are those of a message that waits for just this.
   */
  #repeatsToken(message: CoapMessage): boolean {
    const { type, code, size, messageId, tokenLength } = message;
    if (code !== EMPTY || tokenLength > TOKEN_LENGTH_MAX || size !== HEADER_LENGTH + tokenLength)
      return false;
    if (this.#outbox?.carries(messageId, message.token) === true) return true;
    return type === Type.RST && this.server.notified(messageId, message.token);
  }

  /** The device is at a new address: that one has proven nothing yet. */
  #moved(): void {
    const { peer } = this.host;
    this.#address = peer.address;
    this.#port = peer.port;
    this.#proof.forget();
  }

  #empty(message: CoapMessage, now: Instant): void {
    const { type, messageId } = message;
    if (type === Type.CON) this.#sendEmpty(Type.RST, messageId);
    else if (type === Type.ACK || type === Type.RST) {
      if (this.#answersPing(messageId)) return;
      const how = type === Type.ACK ? "acknowledged" : "reset";
      if (this.#settle(messageId, how, now)) return;
      if (type === Type.RST && this.server.reset(messageId)) return;
      this.#proof.stray(messageId);
    }
  }

  /** An answer to a CON of ours; false when none of this id is in flight. */
  #settle(messageId: number, how: "acknowledged" | "answered" | "reset", now: Instant): boolean {
    const outstanding = this.#outbox?.inFlight ?? 0;
    const settled = this.#outbox?.settle(messageId, how, now) === true;
    if (!settled || this.#proof.given) return settled;
    if (this.#proof.repeated(messageId, outstanding + (this.#proof.pinging ? 1 : 0))) this.#proven();
    else this.probe();
    return true;
  }

  #answersPing(messageId: number): boolean {
    const answers = this.#proof.answeredBy(messageId, this.#outbox?.inFlight ?? 0);
    if (answers === "no") return false;
    if (answers === "proven") this.#proven();
    else {
      this.probe();
      this.server.postpone(this.#proof.due);
    }
    return true;
  }

  /** What was held back goes out. */
  #proven(): void {
    this.#outbox?.release(this.now);
    this.server.release();
  }

  #request(message: CoapMessage, now: Instant): void {
    const { type, messageId } = message;
    // RFC 7252 §4.2: a request in an ACK or RST is nonsense; it is ignored.
    if (type === Type.ACK || type === Type.RST) return;
    const known = this.#exchanges.duplicate(messageId, now);
    if (known !== undefined) {
      this.listener.counters.duplicates.value++;
      if (known.reply !== undefined) this.host.sendView(known.reply);
      return;
    }
    const { EXCHANGE_LIFETIME, NON_LIFETIME } = this.listener.transmission;
    const lifetime = type === Type.CON ? EXCHANGE_LIFETIME : NON_LIFETIME;
    const remembered = this.#exchanges.remember(messageId, lifetime, now);
    if (!this.#proof.given && this.#proof.checkEcho(message.opaque(Option.Echo), now)) this.#proven();
    this.server.receive(message, type === Type.CON, remembered);
  }

  #response(message: CoapMessage, now: Instant): void {
    const { type, messageId } = message;
    if (type === Type.RST) return;
    const ask = this.askOf(message);
    if (ask !== undefined && this.#proof.unguessable(message.tokenLength)) this.#proven();
    if (type === Type.ACK) {
      // A ping that is taken for a request, and answered like one, has been answered all the same.
      if (this.#answersPing(messageId)) return;
      // A piggybacked response must match message id and token (RFC 7252 §5.3.2).
      const outgoing = this.#outbox?.owner(messageId);
      if (outgoing === undefined) {
        this.#proof.stray(messageId);
        return;
      }
      if (outgoing !== ask) {
        this.#acknowledgedOddly(outgoing, message, now);
        return;
      }
      this.#settle(messageId, "answered", now);
      if (message.badCriticalOption() < 0) ask.respond(message, now);
      else ask.fail("reset", now);
      return;
    }
    const known = this.#exchanges.duplicate(messageId, now);
    if (known !== undefined) {
      this.listener.counters.duplicates.value++;
      if (known.reply !== undefined) this.host.sendView(known.reply);
      return;
    }
    if (ask === undefined || message.badCriticalOption() >= 0) {
      this.#sendEmpty(Type.RST, messageId);
      if (ask === undefined) this.sites.stray(now);
      return;
    }
    if (type !== Type.CON) {
      ask.respond(message, now);
      return;
    }
    const { EXCHANGE_LIFETIME } = this.listener.transmission;
    const remembered = this.#exchanges.remember(messageId, EXCHANGE_LIFETIME, now);
    const acknowledgement = new PendingAck(this.host, this.listener.memory, messageId, remembered);
    ask.respond(message, now, acknowledgement);
    acknowledgement.heard();
  }

  /** There are clients whose ACK of a response says 2.03. It has the message id, which is what an ACK is about. */
  #acknowledgedOddly(outgoing: Outgoing, { code, messageId }: CoapMessage, now: Instant): void {
    if (outgoing instanceof PendingAsk || codeClass(code) !== 2) return;
    this.#settle(messageId, "acknowledged", now);
  }

  #sendEmpty(type: Type, messageId: number): void {
    this.host.send(emptyMessage(type, messageId, empty));
  }

  respond(exchange: Exchange, reply: Reply, response: CoapResponse): void {
    if (exchange.separate && exchange.confirmable) {
      if (!this.#proof.allows((reply.payload?.length ?? 0) + HEAD_ESTIMATE)) {
        this.#hold(exchange, response);
        return;
      }
      this.#out.send(new SeparateResponse(this, exchange, reply), this.now);
      return;
    }
    const piggybacked = exchange.confirmable;
    const messageId = piggybacked ? exchange.messageId : this.#out.ids.next(this.now);
    const type = piggybacked ? Type.ACK : Type.NON;
    let bytes = this.#encodeAnswer(type, messageId, exchange, reply);
    if (!this.#proof.allows(bytes.length)) {
      if (!isError(response.code)) {
        this.#hold(exchange, response);
        return;
      }
      reply.payload = undefined;
      bytes = this.#encodeAnswer(type, messageId, exchange, reply);
    }
    if (exchange.remembered === undefined || !piggybacked) {
      this.host.send(bytes);
      return;
    }
    this.host.sendView(this.listener.memory.keep(exchange.remembered, bytes));
  }

  /**
   * Keeps the answer back until the ping is answered, or for too long not. A ping has no token, and clients whose
   * request has none may take it for the response: who asks for blocks gets small ones at once then.
   */
  #hold(exchange: Exchange, response: CoapResponse): void {
    const mistakable = exchange.tokenLength === 0 && exchange.wanted !== undefined;
    if (mistakable && this.server.inSmallBlocks(exchange, response)) return;
    this.listener.counters.heldBack.value++;
    exchange.state = "held";
    exchange.held = response;
    exchange.due = this.probe();
  }

  probe(): Instant {
    if (this.#proof.given) return NEVER;
    const messageId = this.#proof.ask(this.now);
    if (messageId !== undefined) this.#sendEmpty(Type.CON, messageId);
    return this.#proof.due;
  }

  fits(exchange: Exchange, reply: Reply): boolean {
    const bytes = this.#encodeAnswer(Type.ACK, 0, exchange, reply);
    // As much for each of these requests, whatever earlier ones have left: clients want all blocks of one size.
    const ping = this.#proof.pinging ? HEADER_LENGTH : 0;
    const steady = AMPLIFICATION_MAX * exchange.requestSize - ping;
    return bytes.length <= steady && this.#proof.allows(bytes.length);
  }

  notificationSzx(observation: PeerObservation): number {
    if (this.#proof.given) return observation.szx;
    return Math.min(observation.szx, szxFor(this.host.reachability.allowance - HEAD_ESTIMATE));
  }

  challenge(exchange: Exchange): void {
    const reply = new Reply();
    const echo = this.#proof.newEcho(this.now);
    reply.source = { code: Response.Unauthorized, options: [{ number: Option.Echo, value: echo }] };
    const piggybacked = exchange.confirmable && !exchange.separate;
    const messageId = piggybacked ? exchange.messageId : this.#out.ids.next(this.now);
    const type = piggybacked ? Type.ACK : Type.NON;
    const bytes = this.#encodeReply(type, messageId, exchange.token, reply);
    if (piggybacked && exchange.remembered !== undefined)
      this.host.sendView(this.listener.memory.keep(exchange.remembered, bytes));
    else this.host.send(bytes);
  }

  acknowledge(exchange: Exchange): void {
    if (!exchange.confirmable || exchange.separate) return;
    const ack = emptyMessage(Type.ACK, exchange.messageId, empty);
    if (exchange.remembered === undefined) this.host.send(ack);
    else this.host.sendView(this.listener.memory.keep(exchange.remembered, ack));
  }

  reject(exchange: Exchange): void {
    this.#sendEmpty(Type.RST, exchange.messageId);
    exchange.state = "answered";
  }

  #encodeAnswer(type: Type, messageId: number, exchange: Exchange, reply: Reply): Uint8Array {
    const { writer } = this.listener;
    const { tokenSource, tokenStart, tokenLength } = exchange;
    reply.write(writer);
    return writer.datagram(
      type,
      reply.source.code,
      messageId,
      tokenSource,
      tokenStart,
      tokenLength,
      reply.payload,
    );
  }

  #encodeReply(type: Type, messageId: number, token: Uint8Array, reply: Reply): Uint8Array {
    const { writer } = this.listener;
    reply.write(writer);
    return writer.datagram(type, reply.source.code, messageId, token, 0, token.length, reply.payload);
  }

  encodeSeparate(messageId: number, token: Uint8Array, reply: Reply): Uint8Array {
    return copy(this.#encodeReply(Type.CON, messageId, token, reply));
  }

  notify(observation: PeerObservation): number {
    const messageId = this.#out.ids.next(this.now);
    this.host.send(this.#notification(observation, Type.NON, messageId));
    return messageId;
  }

  confirm(outgoing: Outgoing): void {
    this.#out.send(outgoing, this.now);
  }

  withdraw(outgoing: Outgoing): void {
    this.#outbox?.withdraw(outgoing, this.now);
  }

  encodeNotification(observation: PeerObservation, messageId: number): Uint8Array {
    return copy(this.#notification(observation, Type.CON, messageId));
  }

  #notification(observation: PeerObservation, type: Type, messageId: number): Uint8Array {
    this.server.fillNotification(observation);
    return this.#encodeReply(type, messageId, observation.tokenBytes, observation.reply);
  }

  ask(ask: PendingAsk): void {
    if (ask.request.nonConfirmable !== true) {
      this.#out.send(ask, this.now);
      return;
    }
    this.host.sendView(ask.encode(this.#out.ids.next(this.now), this.now));
  }

  encodeAsk(ask: PendingAsk, messageId: number): Uint8Array {
    const { writer } = this.listener;
    const { token, request } = ask;
    const payload = ask.write(writer);
    const type = request.nonConfirmable === true ? Type.NON : Type.CON;
    return copy(writer.datagram(type, request.method, messageId, token, 0, token.length, payload));
  }

  protected transportDeadline(): Instant {
    // Looked at again behind each input: what keeps it may end by any.
    const forgetAt = this.#forgetAt === NEVER && !this.#kept ? this.now : this.#forgetAt;
    return earliest(
      earliest(this.#outbox?.deadline() ?? NEVER, forgetAt),
      earliest(this.#liveness.deadline(this.heardAt), this.#proof.again),
    );
  }

  protected transportDue(now: Instant): void {
    if (this.#outbox !== undefined && this.#outbox.deadline() <= now) this.#outbox.wake(now);
    const ping = this.#proof.repeat(now);
    // As long as that leaves enough for an Echo challenge, the last resort of an answer that waits.
    const reserve = this.server.holds ? HEAD_ESTIMATE : 0;
    if (ping !== undefined && this.#proof.allows(HEADER_LENGTH + reserve)) this.#sendEmpty(Type.CON, ping);
    this.#liveness.due(this.heardAt, now);
    this.#forget(now);
  }

  /** Something is under way with it, or it has something here. */
  get #kept(): boolean {
    return this.busy || this.#outbox?.busy === true;
  }

  /** RFC 7252 §4.5: of a message that came before that, no copy is on its way any more. */
  #forget(now: Instant): void {
    if (this.#forgetAt !== NEVER) {
      if (this.#forgetAt > now) return;
      this.#exchanges.sweep(now);
      const silentUntil = after(this.heardAt, this.listener.transmission.EXCHANGE_LIFETIME);
      this.#forgetAt = silentUntil > now ? silentUntil : NEVER;
    }
    if (this.#forgetAt === NEVER && !this.#kept) this.shut("idle");
  }

  protected farewell(): void {}

  protected releaseTransport(): void {
    this.#outbox?.clear();
    this.#exchanges.clear();
  }
}
