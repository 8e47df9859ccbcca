import { text, utf8 } from "#core/lib/bytes.ts";
import { after, type Instant, NEVER } from "#core/lib/time.ts";
import {
  type Block,
  blockOffset,
  blockSize,
  packBlock,
  readBlock,
  SZX_BERT,
  SZX_MAX,
} from "../blockwise/block.ts";
import { Reply } from "../blockwise/reply.ts";
import { BodiesOfPeer, type Body, transferKey } from "../blockwise/transfer.ts";
import type { Carrier } from "../carrier.ts";
import { codeClass, formatCode, isError, isSafe, Method, Response } from "../message/codes.ts";
import type { CoapMessage } from "../message/message.ts";
import { describeOption, Option, option } from "../message/options.ts";
import type { PeerObservation } from "../observe/observation.ts";
import { Observations } from "../observe/observations.ts";
import type { RememberedExchange } from "../reliability/deduplication.ts";
import { type CoapResponse, type Observation, type Observer, respondWith } from "../site.ts";
import { type Answering, Exchange } from "./exchange.ts";
import type { SitesOfPeer } from "./sites-of-peer.ts";

const METHOD_LAST = Method.iPATCH;
const CONTINUE = respondWith(Response.Continue);
const PROXYING = { code: Response.ProxyingNotSupported, payload: utf8("this is no proxy") };
const NOT_FOUND = { code: Response.NotFound, payload: utf8("nothing at this path") };
const METHOD_UNKNOWN = { code: Response.MethodNotAllowed, payload: utf8("unknown method") };
const NO_MEMORY = {
  code: Response.ServiceUnavailable,
  options: [option(Option.MaxAge, 30)],
  payload: utf8("no memory for this body now"),
};
const TOO_MANY = { code: Response.TooManyRequests, options: [option(Option.MaxAge, 5)] };
const BLOCK_RESERVED = { code: Response.BadRequest, payload: utf8("block size exponent 7 is reserved") };
const BLOCK_LENGTH = {
  code: Response.BadRequest,
  payload: utf8("Block1: payload is not as long as the block"),
};
const BLOCK_MISSING = {
  code: Response.RequestEntityIncomplete,
  payload: utf8("Block1: an earlier block is missing"),
};

const UNPROVEN = utf8("unproven address: no answer to pings or Echo");

const NONE: readonly Exchange[] = [];

/** The server role towards one peer: every request from its options to its answer. */
export class Server implements Answering {
  readonly #carrier: Carrier;
  readonly #sites: SitesOfPeer;
  #bodies: BodiesOfPeer | undefined = undefined;
  #observations: Observations | undefined = undefined;
  /** Requests that are not answered yet; mostly there are none. */
  #open: readonly Exchange[] = NONE;

  constructor(carrier: Carrier, sites: SitesOfPeer) {
    this.#carrier = carrier;
    this.#sites = sites;
  }

  /** Made when the first body comes or goes in blocks. */
  get bodies(): BodiesOfPeer {
    this.#bodies ??= new BodiesOfPeer(this.#carrier.listener.budget, this.#carrier.host);
    return this.#bodies;
  }

  get busy(): boolean {
    return this.#open.length > 0 || (this.#observations?.size ?? 0) > 0;
  }

  receive(message: CoapMessage, confirmable: boolean, remembered: RememberedExchange | undefined): void {
    const exchange = new Exchange(this, message, confirmable, observeOf(message));
    exchange.remembered = remembered;
    this.#handle(exchange, message);
    if (exchange.state === "answered") return;
    exchange.detach();
    this.#open = this.#open.concat(exchange);
    if (exchange.state === "open" && confirmable && !this.#carrier.reliable) {
      exchange.due = after(this.#carrier.now, this.#carrier.listener.settings.processingDelay);
    }
  }

  #handle(exchange: Exchange, message: CoapMessage): void {
    const { listener } = this.#carrier;
    const bad = message.badCriticalOption();
    if (bad >= 0) {
      // RFC 7252 §5.4.1: a CON is answered 4.02, a NON is rejected.
      if (!exchange.confirmable) this.#carrier.reject(exchange);
      else exchange.refuse(Response.BadOption, `cannot use ${describeOption(message.numberAt(bad))}`);
      return;
    }
    exchange.noResponse = message.uint(Option.NoResponse) ?? 0;
    if (listener.settings.amplification === "always" && !this.#carrier.proven) {
      this.#challenge(exchange);
      return;
    }
    if (message.has(Option.ProxyUri) || message.has(Option.ProxyScheme)) {
      exchange.respond(PROXYING);
      return;
    }
    if (message.code > METHOD_LAST) {
      exchange.respond(METHOD_UNKNOWN);
      return;
    }
    const site = listener.siteOf(message);
    if (site < 0) {
      exchange.respond(NOT_FOUND);
      return;
    }
    if (this.#open.length >= listener.settings.exchanges.perPeer) {
      exchange.respond(TOO_MANY);
      return;
    }
    if (!this.#blocks(exchange, message)) return;
    if (this.#sites.missesProof(site)) {
      listener.counters.heldBack.value++;
      exchange.holdFor(site);
      exchange.due = this.#carrier.probe();
    } else this.#sites.at(site, this.#carrier.now).request(exchange, this.#carrier.now);
  }

  /** True when the request is whole and the site shall have it. */
  #blocks(exchange: Exchange, message: CoapMessage): boolean {
    const sent = readBlock(message, Option.Block1);
    const wanted = readBlock(message, Option.Block2);
    if (wanted === undefined && sent === undefined) return true;
    if (this.#carrier.szxMax !== SZX_BERT && (sent?.szx === SZX_BERT || wanted?.szx === SZX_BERT)) {
      exchange.respond(BLOCK_RESERVED);
      return false;
    }
    exchange.wanted = wanted;
    if (sent !== undefined && !this.#assemble(exchange, message, sent)) return false;
    if (wanted !== undefined && wanted.number > 0 && sent === undefined && exchange.observe === undefined) {
      return !this.#continue(exchange, wanted);
    }
    return true;
  }

  /** RFC 7959 §2.5: true when the last block has come. */
  #assemble(exchange: Exchange, message: CoapMessage, block: Block): boolean {
    const { now, szxMax } = this.#carrier;
    const payload = message.payload;
    exchange.block1 = packBlock(block.number, block.more, Math.min(block.szx, szxMax));
    const size = blockSize(block.szx);
    const even =
      block.szx === SZX_BERT ? payload.length > 0 && payload.length % size === 0 : payload.length === size;
    if (block.more ? !even : block.szx !== SZX_BERT && payload.length > size) {
      exchange.respond(BLOCK_LENGTH);
      return false;
    }
    if (block.number === 0 && !block.more) return true;
    const key = transferKey(message, "in");
    const offset = blockOffset(block);
    if (offset + payload.length > this.bodies.limits.maxBodySize) return this.#tooLarge(exchange, key);
    if ((message.uint(Option.Size1) ?? 0) > this.bodies.limits.maxBodySize)
      return this.#tooLarge(exchange, key);
    const body = block.number === 0 ? this.bodies.begin(key, now) : this.bodies.find(key, now);
    if (body === undefined || (offset !== body.length && !isRepeat(body, offset, payload))) {
      exchange.respond(BLOCK_MISSING);
      return false;
    }
    const appended = offset === body.length ? this.bodies.append(body, payload, now) : "appended";
    if (appended === "too-large") return this.#tooLarge(exchange, key);
    if (appended === "no-memory") {
      exchange.respond(NO_MEMORY);
      return false;
    }
    if (block.more) {
      exchange.respond(CONTINUE);
      return false;
    }
    exchange.payload = body.bytes.subarray(0, body.length);
    this.bodies.drop(key);
    return true;
  }

  #tooLarge(exchange: Exchange, key: string): false {
    this.bodies.drop(key);
    const { maxBodySize } = this.bodies.limits;
    exchange.refuse(Response.RequestEntityTooLarge, `a body may have ${maxBodySize} bytes`, [
      option(Option.Size1, maxBodySize),
    ]);
    return false;
  }

  /** A later block of an answer that was kept. False when there is none, and the site answers afresh. */
  #continue(exchange: Exchange, wanted: Block): boolean {
    const body = this.bodies.find(exchange.key, this.#carrier.now);
    if (body?.response === undefined) return false;
    const reply = this.#carrier.listener.reply.reset();
    reply.continued(body, wanted, this.#carrier, this.bodies, this.#carrier.now);
    this.#send(exchange, reply, body.response);
    return true;
  }

  answer(exchange: Exchange, response: CoapResponse): void {
    this.#answer(exchange, response, exchange.heldObserve);
  }

  #answer(exchange: Exchange, response: CoapResponse, observe: number): void {
    // RFC 7967 §2.1: bits 2, 8 and 16 of the option stand for the classes 2, 4 and 5.
    if ((exchange.noResponse & (1 << (codeClass(response.code) - 1))) !== 0) {
      this.#carrier.acknowledge(exchange);
      this.#close(exchange);
      return;
    }
    if (isError(response.code)) this.#noteError(exchange, response.code, response.payload);
    const { now } = this.#carrier;
    const reply = exchange.separate ? new Reply() : this.#carrier.listener.reply.reset();
    const body = this.#fetched(exchange, now);
    if (body === undefined) reply.cut(response, exchange.wanted, this.#carrier, this, exchange, now);
    else reply.continued(body, exchange.wanted as Block, this.#carrier, this.bodies, now);
    reply.observe = observe;
    this.#send(exchange, reply, response);
  }

  #noteError({ message }: Exchange, code: number, payload = utf8("")): void {
    const detail = { code: formatCode(code), path: message.joinedPath(0), problem: text(payload) };
    this.#carrier.host.note({ level: "debug", event: "coap-error", detail });
  }

  /**
   * What the peer is fetching with a registration: some clients repeat Observe with each block of a notification,
   * and listen from then on under the token of the last.
   */
  #fetched({ observe, wanted, key }: Exchange, now: Instant): Body | undefined {
    if (observe !== 0 || wanted === undefined || wanted.number === 0) return undefined;
    const body = this.bodies.find(key, now);
    return body?.response === undefined ? undefined : body;
  }

  #send(exchange: Exchange, reply: Reply, response: CoapResponse): void {
    reply.block1 = exchange.block1;
    this.#carrier.respond(exchange, reply, response);
    if (exchange.state !== "held") this.#close(exchange);
  }

  #close(exchange: Exchange): void {
    exchange.state = "answered";
    if (this.#open.includes(exchange))
      this.#open = this.#open.length === 1 ? NONE : this.#open.filter((other) => other !== exchange);
    // A separate response that is confirmable begins the observation when it is acknowledged.
    if (!(exchange.separate && exchange.confirmable) || this.#carrier.reliable) exchange.opened?.begin();
  }

  /** The proof of the address goes on: what waits for it waits until then. */
  postpone(due: Instant): void {
    for (const exchange of this.#open) if (exchange.state === "held") exchange.due = due;
  }

  /** An answer waits for the proof. */
  get holds(): boolean {
    for (const exchange of this.#open) if (exchange.state === "held") return true;
    return false;
  }

  /** The address is proven: what was held back goes out. */
  release(): void {
    this.#observations?.leaveUnproven();
    for (const exchange of this.#open) {
      if (exchange.state !== "held") continue;
      exchange.state = "open";
      if (exchange.held !== undefined) this.#answer(exchange, exchange.held, exchange.heldObserve);
      else this.#resume(exchange);
    }
  }

  #resume(exchange: Exchange): void {
    const { now, listener } = this.#carrier;
    exchange.due = exchange.confirmable ? after(now, listener.settings.processingDelay) : NEVER;
    this.#sites.at(exchange.heldFor, now).request(exchange, now);
  }

  accept(exchange: Exchange, response: CoapResponse, observer: Observer): Observation | undefined {
    this.#observations ??= new Observations(this.#carrier);
    const observation = isError(response.code) ? undefined : this.#observations.enter(exchange, observer);
    if (observation === undefined) {
      this.answer(exchange, response);
      return undefined;
    }
    exchange.opened = observation;
    exchange.heldObserve = observation.sequence;
    this.#answer(exchange, response, observation.sequence);
    // Until the address is proven its notifications are confirmable and small (RFC 7641 §7). The ping comes after the
    // response, because simple clients take whatever comes first for that.
    if (!this.#carrier.proven) this.#carrier.probe();
    return observation;
  }

  /** Cuts the notification at hand to its first block; the rest is fetched by requests (RFC 7959 §2.6). */
  fillNotification(observation: PeerObservation): void {
    const { reply } = observation;
    const response = observation.response ?? NOT_FOUND;
    const szx = this.#carrier.notificationSzx(observation);
    const whole = this.#carrier.reliable && !observation.blocks ? this.#carrier.payloadMax : blockSize(szx);
    const large = (response.payload?.length ?? 0) > whole;
    const wanted = large ? { number: 0, more: false, szx } : undefined;
    reply.reset().cut(response, wanted, this.#carrier, this, observation, this.#carrier.now);
    if (!isError(response.code)) reply.observe = observation.sequence;
  }

  observationOf(exchange: Exchange): PeerObservation | undefined {
    return this.#observations?.find(exchange.token);
  }

  deadline(): Instant {
    let next = this.#bodies?.deadline() ?? NEVER;
    for (const exchange of this.#open) if (exchange.due < next) next = exchange.due;
    return next;
  }

  wake(now: Instant): void {
    this.#bodies?.sweep(now);
    for (const exchange of this.#open) {
      if (exchange.due > now) continue;
      exchange.due = NEVER;
      if (exchange.state === "open") {
        // RFC 7252 §5.2.2: the response will come separately.
        this.#carrier.acknowledge(exchange);
        exchange.state = "acknowledged";
        exchange.separate = true;
      } else if (exchange.state === "held") this.#unproven(exchange);
    }
  }

  /**
   * The address did not prove itself in time. A client that does not answer pings may not know Echo either, but
   * blocks are old: it gets the answer in blocks that are small enough, and an Echo only where none is.
   */
  #unproven(exchange: Exchange): void {
    const { held } = exchange;
    if (held !== undefined && this.inSmallBlocks(exchange, held)) return;
    exchange.opened?.fail("timeout");
    exchange.opened = undefined;
    this.#challenge(exchange);
  }

  #challenge(exchange: Exchange): void {
    this.#noteError(exchange, Response.Unauthorized, UNPROVEN);
    this.#carrier.challenge(exchange);
    this.#close(exchange);
  }

  /** Answers a safe request in blocks that may be sent to an unproven address. False where none is small enough. */
  inSmallBlocks(exchange: Exchange, response: CoapResponse): boolean {
    if (!isSafe(exchange.method)) return false;
    const { wanted } = exchange;
    const offset = wanted === undefined ? 0 : blockOffset(wanted);
    const reply = new Reply();
    for (let szx = Math.min(wanted?.szx ?? SZX_MAX, this.#carrier.szxMax); szx >= 0; szx--) {
      const block = { number: offset / blockSize(szx), more: false, szx };
      reply.reset().cut(response, block, this.#carrier, this, exchange, this.#carrier.now);
      reply.observe = exchange.heldObserve;
      reply.size2 = -1;
      if (!this.#carrier.fits(exchange, reply)) continue;
      exchange.state = "open";
      this.#send(exchange, reply, response);
      return true;
    }
    return false;
  }

  closed(): void {
    for (const exchange of this.#open) exchange.state = "answered";
    this.#open = NONE;
    this.#observations?.endAll("gone");
    this.#bodies?.clear();
  }

  get observed(): boolean {
    return (this.#observations?.size ?? 0) > 0;
  }

  /** The peer does not answer any more. */
  silent(): void {
    this.#observations?.silent();
  }

  /** An RST: true when it names a notification. */
  reset(messageId: number): boolean {
    return this.#observations?.reset(messageId) === true;
  }

  /** A NON notification of late had this message id and this token. */
  notified(messageId: number, token: Uint8Array): boolean {
    return this.#observations?.notified(messageId, token) === true;
  }

  /** Tells the observers what has happened in the input at hand. */
  tell(now: Instant): void {
    this.#observations?.tell(now);
  }
}

/** RFC 7641 §2: Observe means something on GET and FETCH, and its values are 0 and 1. */
function observeOf(message: CoapMessage): 0 | 1 | undefined {
  if (message.code !== Method.GET && message.code !== Method.FETCH) return undefined;
  const value = message.uint(Option.Observe);
  return value === 0 || value === 1 ? value : undefined;
}

/** The block before, sent again under a new message id: its Continue was lost. */
function isRepeat(body: Body, offset: number, payload: Uint8Array): boolean {
  if (offset + payload.length !== body.length) return false;
  return Buffer.compare(body.bytes.subarray(offset, body.length), payload) === 0;
}
