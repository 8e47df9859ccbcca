import type { Answer, RetainedAnswer, Ticket } from "#core/contract/answers.ts";
import type { Channel, ChannelHost, StopReason } from "#core/contract/channel.ts";
import type { Client, ConnectAnswer, ConnectRequest } from "#core/contract/client.ts";
import type { Delivery } from "#core/contract/delivery.ts";
import type { Note } from "#core/contract/note.ts";
import type { Peer } from "#core/contract/peer.ts";
import type { Refused } from "#core/contract/refused.ts";
import { lossyText, utf8 } from "#core/lib/bytes.ts";
import { after, earliest, type Instant, seconds } from "#core/lib/time.ts";
import type { StompConfig } from "./config.ts";

/** SockJS's own heart-beat, which keeps proxies from closing an idle WebSocket. */
const HEART_BEAT = seconds(25);
const OPEN = utf8("o");
const BEAT = utf8("h");
const CLOSE_NORMAL = utf8('c[1000,"Normal closure"]');
const CLOSE_BROKEN = utf8('c[1003,"Broken framing"]');

/** `<prefix>/<server>/<session>/websocket`, where server and session are the client's invention. */
export function sockJsPaths(prefixes: readonly string[]): (path: string | undefined) => boolean {
  const escaped = prefixes.map((prefix) => prefix.replace(/\/$/, "").replace(/[^\w/]/g, "\\$&"));
  if (escaped.length === 0) return () => false;
  const pattern = new RegExp(`^(?:${escaped.join("|")})/[^/.]+/[^/.]+/websocket/?$`);
  return (path) => path !== undefined && pattern.test(path);
}

/** What the inner channel takes for its host: each send becomes one message of one string. */
class SockJsHost implements ChannelHost {
  readonly #host: ChannelHost;

  constructor(host: ChannelHost) {
    this.#host = host;
  }

  get limits() {
    return this.#host.limits;
  }

  get peer(): Peer {
    return this.#host.peer;
  }

  send(bytes: Uint8Array): void {
    // Bodies that are no UTF-8 cannot go over SockJS, which knows text only.
    this.#host.send(utf8(`a${JSON.stringify([lossyText(bytes)])}`));
  }

  sendView(bytes: Uint8Array): void {
    this.send(bytes);
  }

  connect(request: ConnectRequest, ticket: Ticket) {
    return this.#host.connect(request, ticket);
  }

  claim(name: string): void {
    this.#host.claim(name);
  }

  unclaim(name: string): void {
    this.#host.unclaim(name);
  }

  pauseReading(): void {
    this.#host.pauseReading();
  }

  resumeReading(): void {
    this.#host.resumeReading();
  }

  reserve(bytes: number): boolean {
    return this.#host.reserve(bytes);
  }

  release(bytes: number): void {
    this.#host.release(bytes);
  }

  get reachability() {
    return this.#host.reachability;
  }

  turn(run: (now: Instant) => void): void {
    this.#host.turn(run);
  }

  get paused(): boolean {
    return this.#host.paused === true;
  }

  note(note: Note): void {
    this.#host.note(note);
  }

  refused(refused: Refused): void {
    this.#host.refused(refused);
  }

  random(length: number): Uint8Array {
    return this.#host.random(length);
  }

  close(reason: string): void {
    this.#host.send(CLOSE_NORMAL);
    this.#host.close(reason);
  }
}

/** A STOMP channel behind SockJS's framing: `o`, `h`, `a["..."]` and `c[...]` out, `["..."]` in. */
class SockJsChannel implements Channel {
  readonly #inner: Channel;
  readonly #host: ChannelHost;
  readonly #lengthMax: number;
  #beatAt: Instant;
  #broken = false;

  constructor(inner: Channel, host: ChannelHost, now: Instant, lengthMax: number) {
    this.#inner = inner;
    this.#host = host;
    this.#lengthMax = lengthMax;
    this.#beatAt = after(now, HEART_BEAT);
    host.send(OPEN);
  }

  /** One WebSocket message: a string, or an array of strings, in JSON. */
  receive(bytes: Uint8Array, now: Instant): void {
    if (this.#broken || bytes.length === 0) return;
    const texts = bytes.length > this.#lengthMax ? undefined : stringsOf(lossyText(bytes));
    if (texts === undefined) {
      this.#broken = true;
      this.#host.send(CLOSE_BROKEN);
      this.#host.close("broken SockJS framing");
      return;
    }
    for (const text of texts) this.#inner.receive(utf8(text), now);
  }

  deliver(client: Client, delivery: Delivery, now: Instant): void {
    this.#inner.deliver(client, delivery, now);
  }

  answered(ticket: Ticket, answer: Answer, now: Instant): void {
    this.#inner.answered(ticket, answer, now);
  }

  found(ticket: Ticket, answer: RetainedAnswer, now: Instant): void {
    this.#inner.found?.(ticket, answer, now);
  }

  connected(ticket: Ticket, answer: ConnectAnswer, now: Instant): void {
    this.#inner.connected(ticket, answer, now);
  }

  wake(now: Instant): void {
    if (this.#beatAt <= now) {
      this.#beatAt = after(now, HEART_BEAT);
      this.#host.send(BEAT);
    }
    this.#inner.wake(now);
  }

  stop(reason: StopReason, now: Instant, client?: Client): void {
    this.#inner.stop(reason, now, client);
  }

  closed(now: Instant): void {
    this.#inner.closed(now);
  }

  get buffered(): number {
    return this.#inner.buffered ?? 0;
  }

  deadline(): Instant {
    return earliest(this.#beatAt, this.#inner.deadline());
  }

  status(client: Client, now: Instant): string {
    return this.#inner.status(client, now);
  }

  describe(client: Client, now: Instant): object {
    return this.#inner.describe(client, now);
  }
}

function stringsOf(json: string): readonly string[] | undefined {
  try {
    const value: unknown = JSON.parse(json);
    const texts = Array.isArray(value) ? value : [value];
    return texts.every((text) => typeof text === "string") ? texts : undefined;
  } catch {
    return undefined;
  }
}

/** JSON may double a text's length, and worse for control characters. */
const JSON_GROWTH = 6;

export function openSockJs(
  host: ChannelHost,
  now: Instant,
  open: (host: ChannelHost) => Channel,
  config: StompConfig,
): Channel {
  const { limits } = config;
  const bodyMax = Math.min(limits.body, host.limits.packetSize);
  const lengthMax = JSON_GROWTH * (bodyMax + limits.headers * limits.headerLength) + 2;
  return new SockJsChannel(open(new SockJsHost(host)), host, now, lengthMax);
}
