import { after, type Duration, type Instant, NEVER, seconds } from "#core/lib/time.ts";
import { type Block, blockSize, packBlock, readBlock } from "../blockwise/block.ts";
import { Download } from "../blockwise/download.ts";
import { blockBytes, type Capacity } from "../blockwise/reply.ts";
import type { Room } from "../blockwise/transfer.ts";
import { type Code, isError, Response } from "../message/codes.ts";
import { type CoapMessage, tokenKey, tokenOf } from "../message/message.ts";
import { Option } from "../message/options.ts";
import type { MessageWriter } from "../message/writer.ts";
import { isNewer } from "../observe/observation.ts";
import type { Outgoing } from "../reliability/retransmission.ts";
import type { Acknowledgement, Ask, Asker, AskFailure, OutgoingRequest } from "../site.ts";

/** After this long a notification counts as newer whatever its number says (RFC 7641 §3.4). */
const FRESHNESS = seconds(128);
/** How often a download starts again because the value changed on the way. */
const RESTARTS_MAX = 3;

/** What an ask needs of its channel. */
export interface Asking extends Capacity {
  /** A stream: notifications come in order, whatever their Observe values say (RFC 8323 §7.1). */
  readonly reliable: boolean;
  readonly askTimeout: Duration;
  readonly bodyMax: number;
  readonly room: Room;
  newToken(): Uint8Array;
  enter(ask: PendingAsk): void;
  leave(ask: PendingAsk): void;
  /** Notifications will follow, which find the peer wherever it has moved to. */
  observing(ask: PendingAsk): void;
  /** Sends what `write` gives: through the outbox on datagrams, at once on streams. */
  transmit(ask: PendingAsk, now: Instant): void;
  encodeAsk(ask: PendingAsk, messageId: number): Uint8Array;
  withdraw(outgoing: Outgoing): void;
  readonly now: Instant;
}

const sameToken = (a: Uint8Array): string => tokenKey(a, 0, a.length);

/** One request of ours, with all its blocks, and its notifications when it observes. */
export class PendingAsk implements Ask, Outgoing {
  readonly #channel: Asking;
  readonly request: OutgoingRequest;
  readonly #asker: Asker;
  /** Its token, as a key. */
  readonly key: string;
  /** When it fails; `NEVER` while only notifications are awaited. */
  due: Instant = NEVER;
  readonly #observe: 0 | 1 | undefined;
  #over = false;
  #observing = false;
  #sequence = -1;
  #heardAt = 0 as Instant;
  /** Offset of the block being sent, and its exponent; the body is sent whole when it fits. */
  #offset = 0;
  #szx: number;
  #uploaded: boolean;
  /** It went, or goes, in blocks. */
  #blockwise: boolean;
  #download: Download | undefined = undefined;
  #restarts = 0;
  /** Fetches the rest of a notification under a token of its own. */
  #fetch: PendingAsk | undefined = undefined;

  constructor(channel: Asking, request: OutgoingRequest, asker: Asker, token?: Uint8Array, observe?: 0 | 1) {
    this.#channel = channel;
    this.request = request;
    this.#asker = asker;
    this.key = sameToken(token ?? channel.newToken());
    this.#observe = observe ?? (request.observe === true ? 0 : undefined);
    this.#szx = channel.szxMax;
    this.#uploaded = (request.payload?.length ?? 0) <= channel.payloadMax;
    this.#blockwise = !this.#uploaded;
  }

  get token(): Uint8Array {
    return tokenOf(this.key);
  }

  get active(): boolean {
    return !this.#over;
  }

  get observing(): boolean {
    return this.#observing;
  }

  start(now: Instant): void {
    this.#channel.enter(this);
    this.#transmit(now);
  }

  cancel(): void {
    if (this.#over) return;
    this.#over = true;
    this.#endDownload();
    this.#fetch?.cancel();
    this.#channel.withdraw(this);
    this.#channel.leave(this);
  }

  deregister(asker: Asker): void {
    const { request, token } = this;
    this.cancel();
    new PendingAsk(this.#channel, { ...request, observe: false }, asker, token, 1).start(this.#channel.now);
  }

  /** Options of the message that is due now; returns its payload. */
  write(writer: MessageWriter): Uint8Array | undefined {
    const { request } = this;
    writer.begin();
    for (const segment of request.path) writer.add(Option.UriPath, segment);
    for (const part of request.query ?? []) writer.add(Option.UriQuery, part);
    writer.addAll(request.options);
    if (this.#observe !== undefined && this.#download === undefined)
      writer.add(Option.Observe, this.#observe);
    if (this.#download !== undefined) {
      writer.add(Option.Block2, this.#download.next);
      return undefined;
    }
    const { payload } = request;
    if (payload === undefined || this.#uploaded) return payload;
    const size = blockBytes(this.#szx, this.#channel);
    const end = Math.min(payload.length, this.#offset + size);
    const number = this.#offset / blockSize(this.#szx);
    writer.add(Option.Block1, packBlock(number, end < payload.length, this.#szx));
    if (this.#offset === 0) writer.add(Option.Size1, payload.length);
    return payload.subarray(this.#offset, end);
  }

  encode(messageId: number, now: Instant): Uint8Array {
    if (this.due === NEVER) this.due = after(now, this.request.timeout ?? this.#channel.askTimeout);
    return this.#channel.encodeAsk(this, messageId);
  }

  acknowledged(now: Instant): void {
    if (!this.#over) this.#asker.acknowledged?.(now);
  }

  failed(why: "timeout" | "reset", now: Instant): void {
    this.fail(why, now);
  }

  fail(why: AskFailure, now: Instant): void {
    if (this.#over) return;
    this.cancel();
    this.#asker.failed(why, now);
  }

  /** A response or notification with this ask's token. */
  respond(message: CoapMessage, now: Instant, acknowledgement?: Acknowledgement): void {
    this.#channel.withdraw(this);
    if (this.#uploaded ? this.#shrinks(message, now) : this.#continueUpload(message, now)) return;
    const block = readBlock(message, Option.Block2);
    const sequence = message.uint(Option.Observe);
    if (this.#observing && this.#download === undefined && !this.#isFresh(sequence, now)) return;
    if (sequence !== undefined && this.#observe === 0 && !isError(message.code)) this.#nowObserving();
    if (block === undefined || (block.number === 0 && !block.more)) {
      this.#deliver(message, message.payload, now, acknowledgement);
    } else {
      acknowledgement?.give();
      this.#downloadBlock(message, block, now);
    }
  }

  /**
   * RFC 7959 §2.9.3: a request that went out whole was too large for the peer, which says how large its blocks may be.
   * Once: from then on it goes in blocks.
   */
  #shrinks(message: CoapMessage, now: Instant): boolean {
    if (message.code !== Response.RequestEntityTooLarge || this.#blockwise) return false;
    const block = readBlock(message, Option.Block1);
    const length = this.request.payload?.length ?? 0;
    if (block === undefined || length <= blockSize(block.szx)) return false;
    this.#blockwise = true;
    this.#uploaded = false;
    this.#szx = Math.min(block.szx, this.#channel.szxMax);
    this.#transmit(now);
    return true;
  }

  /** True when the response only moves the upload on (RFC 7959 §2.3). */
  #continueUpload(message: CoapMessage, now: Instant): boolean {
    const block = readBlock(message, Option.Block1);
    const payload = this.request.payload as Uint8Array;
    if (block === undefined) {
      this.#uploaded = message.code !== Response.Continue;
      if (this.#uploaded) return false;
      this.fail("blocks", now);
      return true;
    }
    if (message.code === Response.RequestEntityTooLarge && block.szx < this.#szx && this.#offset === 0) {
      this.#szx = block.szx;
      this.#transmit(now);
      return true;
    }
    const sent = Math.min(payload.length, this.#offset + blockBytes(this.#szx, this.#channel));
    if (message.code !== Response.Continue) {
      this.#uploaded = true;
      return false;
    }
    if (sent >= payload.length || block.number !== this.#offset / blockSize(this.#szx)) {
      this.fail("blocks", now);
      return true;
    }
    this.#offset = sent;
    this.#szx = Math.min(this.#szx, block.szx);
    this.#transmit(now);
    return true;
  }

  #nowObserving(): void {
    if (this.#observing) return;
    this.#observing = true;
    this.#channel.observing(this);
  }

  #isFresh(sequence: number | undefined, now: Instant): boolean {
    if (sequence === undefined || this.#channel.reliable) return true;
    return this.#sequence < 0 || isNewer(sequence, this.#sequence) || now > after(this.#heardAt, FRESHNESS);
  }

  #downloadBlock(message: CoapMessage, block: Block, now: Instant): void {
    const tag = message.opaque(Option.ETag);
    const etag = tag === undefined ? undefined : sameToken(tag);
    if (this.#download !== undefined && this.#download.etag !== etag) {
      // The value changed on the way (RFC 7959 §2.4): from the start again.
      this.#endDownload();
      if (++this.#restarts > RESTARTS_MAX) this.fail("blocks", now);
      else this.#transmit(now);
      return;
    }
    // Not anew at each block 0: a peer that answers with that for ever would be asked for ever.
    this.#download ??= new Download(this.#channel.bodyMax, this.#channel.room, block.szx, etag);
    if (!this.#download.append(block, message.payload)) {
      this.fail("blocks", now);
      return;
    }
    if (!block.more) {
      this.#deliver(message, this.#download.body, now);
      return;
    }
    if (!this.#observing) {
      this.#transmit(now);
      return;
    }
    this.#note(message.uint(Option.Observe), now);
    this.#fetchRest(this.#download, now);
    this.#download = undefined;
  }

  /** The rest of a notification comes under another token, or the peer would end the observation. */
  #fetchRest(download: Download, now: Instant): void {
    this.#fetch?.cancel();
    const rest = new PendingAsk(
      this.#channel,
      { ...this.request, observe: false },
      {
        response: (response, at) => {
          this.#fetch = undefined;
          this.#asker.response({ ...response, observing: true }, at);
        },
        failed: (why, at) => {
          this.#fetch = undefined;
          if (why !== "gone") this.fail(why, at);
        },
      },
    );
    rest.#download = download;
    this.#fetch = rest;
    this.due = NEVER;
    rest.start(now);
  }

  #endDownload(): void {
    this.#download?.release();
    this.#download = undefined;
  }

  #note(sequence: number | undefined, now: Instant): void {
    if (sequence === undefined) return;
    this.#sequence = sequence;
    this.#heardAt = now;
  }

  #deliver(message: CoapMessage, payload: Uint8Array, now: Instant, acknowledgement?: Acknowledgement): void {
    const sequence = message.uint(Option.Observe);
    const observing = this.#observing && sequence !== undefined;
    this.#endDownload();
    if (observing) {
      this.#note(sequence, now);
      this.#fetch?.cancel();
      this.#fetch = undefined;
      this.due = NEVER;
    } else this.cancel();
    const { code } = message;
    this.#asker.response({ message, code: code as Code, payload, observing, acknowledgement }, now);
  }

  #transmit(now: Instant): void {
    this.#channel.transmit(this, now);
  }
}
