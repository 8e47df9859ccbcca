/** One CoAP listener: the sites it serves, and what all its peers share. */
import type { Channel, ChannelHost } from "#core/contract/channel.ts";
import type { Datagram, Endpoint, Route } from "#core/contract/endpoint.ts";
import type { GatewayHost } from "#core/contract/gateway.ts";
import { isStream, type Peer } from "#core/contract/peer.ts";
import { concat, NO_BYTES, utf8 } from "#core/lib/bytes.ts";
import type { Instant } from "#core/lib/time.ts";
import { observedClaim } from "./client/asks.ts";
import { Listener } from "./listener.ts";
import { EMPTY, isRequest, Signal } from "./message/codes.ts";
import { type CoapMessage, type FormatError, Type, tokenKey } from "./message/message.ts";
import { emptyMessage } from "./message/writer.ts";
import { DatagramChannel } from "./reliability/datagram-channel.ts";
import { AMPLIFICATION_MAX } from "./reliability/reachability.ts";
import { StreamChannel } from "./reliability/stream-channel.ts";
import { groupAnswer } from "./server/group-request.ts";
import { WellKnownCore } from "./server/well-known.ts";
import type { StackSettings } from "./settings.ts";
import type { Site } from "./site.ts";

const TO_CHANNEL: Route = { to: "channel" };
/** Only a request begins something; whatever else a stranger sends belongs to nothing that we know. */
const opensExchange = (message: CoapMessage): boolean =>
  isRequest(message.code) && (message.type === Type.CON || message.type === Type.NON);
const responds = ({ code, type }: CoapMessage): boolean =>
  code !== EMPTY && !isRequest(code) && (type === Type.CON || type === Type.NON);
const NONSENSE: Route = { to: "nobody", why: "not CoAP" };
const NOT_FOR_A_GROUP: Route = {
  to: "nobody",
  why: "sent to a group, which is answered nothing but /.well-known/core",
};
/** Without a bound on what unproven addresses are sent: what passes any network (RFC 7252 §4.6). */
const GROUP_ANSWER_MAX = 1152;

/** What all peers of a listener hold together; nothing of it outlives them. */
export interface Held {
  readonly exchanges: number;
  readonly replyBytes: number;
  readonly bodyBytes: number;
  readonly observations: number;
}

export class CoapEndpoint implements Endpoint {
  readonly #listener: Listener;
  readonly #wellKnown: WellKnownCore;
  readonly #random: (length: number) => Uint8Array;
  readonly unprovenFactor: number | undefined;

  constructor(listener: Listener, wellKnown: WellKnownCore, random: (length: number) => Uint8Array) {
    this.#listener = listener;
    this.#wellKnown = wellKnown;
    this.#random = random;
    this.unprovenFactor = listener.settings.amplification === "off" ? undefined : AMPLIFICATION_MAX;
  }

  /** What a stranger sends that needs no memory gets none: nonsense and pings are answered from here. */
  route(datagram: Datagram, known: boolean): Route {
    const { message } = this.#listener;
    const error = this.#listener.decode(datagram.bytes);
    if (datagram.path?.toGroup === true) return this.#toGroup(datagram.bytes.length, error);
    const notified = error === undefined ? this.#observed(message) : undefined;
    if (notified !== undefined) return { to: "channel", claim: notified };
    if (!known && (error !== undefined || !opensExchange(message))) {
      return error === undefined && this.#expected(message, datagram)
        ? TO_CHANNEL
        : this.#strange(message, error);
    }
    if (error !== undefined || !isRequest(message.code)) return TO_CHANNEL;
    const site = this.#listener.siteOf(message);
    const claim = site < 0 ? undefined : this.#listener.sites[site]?.claim?.(message);
    return claim === undefined ? TO_CHANNEL : { to: "channel", claim };
  }

  /** RFC 7252 §8: no exchange, no reset and no error comes of it, and an answer takes its time. */
  #toGroup(length: number, error: FormatError | undefined): Route {
    const { message, settings } = this.#listener;
    if (error !== undefined) {
      this.#listener.counters.malformed.value++;
      return NOT_FOR_A_GROUP;
    }
    const [high = 0, low = 0] = this.#random(2);
    const most = Math.min(GROUP_ANSWER_MAX, (this.unprovenFactor ?? Number.POSITIVE_INFINITY) * length);
    const bytes = groupAnswer(this.#listener, this.#wellKnown, message, high * 256 + low, most);
    if (bytes === undefined) return NOT_FOR_A_GROUP;
    return { to: "sender", bytes, leisure: { most: settings.leisure, wanted: () => true } };
  }

  /** A notification of a peer that we observe, which may have moved: it is known by its token (RFC 7641 §3.2). */
  #observed(message: CoapMessage): string | undefined {
    const { observed } = this.#listener;
    if (observed.size === 0 || !responds(message)) return undefined;
    const key = tokenKey(message.bytes, message.tokenStart, message.tokenLength);
    return observed.has(key) ? observedClaim(key) : undefined;
  }

  /** An answer or a notification of a peer that a site knows from before a restart. */
  #expected(message: CoapMessage, { address, port }: Datagram): boolean {
    return responds(message) && this.#listener.sites.some((site) => site.expects?.(address, port) === true);
  }

  /** RFC 7252 §4.2, §4.3: a CON that cannot be processed is reset, all else is ignored. */
  #strange(message: CoapMessage, error: FormatError | undefined): Route {
    if (error !== undefined) this.#listener.counters.malformed.value++;
    if (error?.reaction === "silent" || message.type !== Type.CON) return NONSENSE;
    return { to: "sender", bytes: emptyMessage(Type.RST, message.messageId, new Uint8Array(4)) };
  }

  get held(): Held {
    const { memory, budget, observations } = this.#listener;
    return { exchanges: memory.size, replyBytes: memory.bytes, bodyBytes: budget.used, observations };
  }

  /** CSM, which has to come first, and Abort with a diagnostic payload (RFC 8323 §5.3, §5.6). */
  turnAway(_first: Uint8Array, why: string): Uint8Array {
    const { writer } = this.#listener;
    const csm = writer.begin().stream(Signal.CSM, NO_BYTES, undefined).slice();
    return concat(csm, writer.begin().stream(Signal.Abort, NO_BYTES, utf8(why)));
  }

  open(peer: Peer, host: ChannelHost, now: Instant): Channel {
    return isStream(peer.transport)
      ? new StreamChannel(this.#listener, host, now)
      : new DatagramChannel(this.#listener, host, now);
  }
}

/**
 * Puts sites on a listener. `main.ts` composes: the sites of the CoAP gateway and of LwM2M on one listener, or
 * each on its own. Throws when two sites serve the same prefix.
 */
export function createCoapEndpoint(
  sites: readonly Site[],
  settings: StackSettings,
  host: GatewayHost,
): CoapEndpoint {
  const prefixes = sites.flatMap((site) => site.prefixes);
  const twice = prefixes.find((prefix, index) => prefixes.indexOf(prefix) !== index);
  if (twice !== undefined) throw new Error(`two CoAP sites serve /${twice}`);
  const wellKnown = new WellKnownCore(sites);
  const random = (length: number): Uint8Array => host.random(length);
  return new CoapEndpoint(new Listener([...sites, wellKnown], settings, host), wellKnown, random);
}
