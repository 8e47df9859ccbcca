/** One UDP or DTLS listener: whose datagram is it, and what do strangers get? */
import type { Channel, ChannelHost } from "#core/contract/channel.ts";
import type { Datagram, Endpoint, Route } from "#core/contract/endpoint.ts";
import type { Peer } from "#core/contract/peer.ts";
import { lossyText } from "#core/lib/bytes.ts";
import type { Instant } from "#core/lib/time.ts";
import { MqttSnChannel } from "./channel.ts";
import { decode, headerLength, messageIn, name } from "./codec.ts";
import { encodeBare } from "./encode.ts";
import { Discovery } from "./operations/discovery.ts";
import { isEncapsulated, nodeName } from "./operations/forward.ts";
import * as p from "./packets.ts";
import { NO_CONNECTION } from "./refusals.ts";
import { ReplyLimit, type Setup } from "./setup.ts";

const TO_OWN_CHANNEL: Route = { to: "channel" };
const MALFORMED: Route = { to: "nobody", why: "malformed" };
const NOT_FOR_US: Route = { to: "nobody", why: "not from a client" };
const LIMITED: Route = { to: "nobody", why: "answered too often" };
const TOO_LONG: Route = { to: "nobody", why: "too long" };
const NOT_A_FORWARDER: Route = {
  to: "nobody",
  why: "gateways.mqtt-sn.forwarders lists no forwarder at this address",
  refusal: "forbidden",
};
const NOT_UNCONNECTED: Route = {
  to: "nobody",
  why: "gateways.mqtt-sn lets nobody at this address publish without a connection (QoS -1)",
  refusal: "forbidden",
};
const GO_AWAY: Route = { to: "sender", bytes: encodeBare(p.DISCONNECT), turnedAway: NO_CONNECTION };

export class MqttSnEndpoint implements Endpoint {
  readonly #setup: Setup;
  readonly #discovery: Discovery;
  readonly #searches: ReplyLimit;
  readonly beacon: Endpoint["beacon"];
  readonly unprovenFactor: number | undefined;

  constructor(setup: Setup) {
    this.#setup = setup;
    this.#discovery = new Discovery(setup);
    this.#searches = new ReplyLimit(setup.config.unknownReplies);
    this.beacon = this.#discovery.beacon();
    const { unprovenFactor } = setup.config;
    this.unprovenFactor = unprovenFactor === 0 ? undefined : unprovenFactor;
  }

  open(_peer: Peer, host: ChannelHost): Channel {
    return new MqttSnChannel(this.#setup, host);
  }

  route(datagram: Datagram, known: boolean, now: Instant): Route {
    if (isEncapsulated(datagram.bytes)) return this.#routeForwarded(datagram, now);
    const bytes = messageIn(datagram.bytes);
    const header = headerLength(bytes);
    if (header === 0) return known ? TO_OWN_CHANNEL : this.#malformed();
    const type = bytes[header - 1] ?? p.ENCAPSULATED;
    switch (type) {
      case p.SEARCHGW:
        return this.#search(datagram, bytes, now, undefined);
      case p.ADVERTISE:
      case p.GWINFO:
        return this.#rumour(bytes);
      case p.PINGREQ:
      case p.CONNECT: {
        if (isTooLongPing(type, bytes, header, this.#setup.config.clientIdLengthMax)) return TOO_LONG;
        const claim = claimOf(type, bytes, header, this.#setup.config.clientIdLengthMax);
        if (claim !== undefined) return { to: "channel", claim };
        break;
      }
    }
    return known ? TO_OWN_CHANNEL : this.#routeStranger(datagram, now);
  }

  /** A sender that has no channel gets none for nothing. */
  #routeStranger(datagram: Datagram, now: Instant): Route {
    const packet = decode(datagram.bytes);
    if (!packet.ok) return this.#malformed();
    if (datagram.bytes.length > this.#setup.config.messageSizeMax) return TOO_LONG;
    switch (packet.value.type) {
      case p.CONNECT:
        return TO_OWN_CHANNEL;
      case p.PUBLISH:
        if (packet.value.qos !== -1) break;
        return this.#setup.mayPublishUnconnected(datagram.address) ? TO_OWN_CHANNEL : NOT_UNCONNECTED;
      case p.CONNACK:
      case p.WILLTOPICREQ:
      case p.WILLMSGREQ:
      case p.SUBACK:
      case p.UNSUBACK:
      case p.WILLTOPICRESP:
      case p.WILLMSGRESP:
        this.#setup.counters.dropped.value++;
        return NOT_FOR_US;
    }
    return this.#setup.strangers.mayAnswer(datagram.address, datagram.port, now) ? GO_AWAY : LIMITED;
  }

  /** The device is the node, whatever else lives at the forwarder's address (§5.5). */
  #routeForwarded(datagram: Datagram, now: Instant): Route {
    const packet = decode(datagram.bytes);
    if (!packet.ok || packet.value.type !== p.ENCAPSULATED) return this.#malformed();
    if (!this.#setup.mayForward(datagram.address)) return NOT_A_FORWARDER;
    const { node } = packet.value;
    const message = messageIn(packet.value.message);
    const header = headerLength(message);
    if (header === 0) return this.#malformed();
    const type = message[header - 1] ?? p.ENCAPSULATED;
    if (type === p.SEARCHGW) return this.#search(datagram, message, now, node);
    if (type === p.ADVERTISE || type === p.GWINFO) return this.#rumour(message);
    if (isTooLongPing(type, message, header, this.#setup.config.clientIdLengthMax)) return TOO_LONG;
    const claim = claimOf(type, message, header, this.#setup.config.clientIdLengthMax);
    return { to: "channel", node: nodeName(node), ...(claim === undefined ? {} : { claim }) };
  }

  #search(
    { address, port, path }: Datagram,
    message: Uint8Array,
    now: Instant,
    node: Uint8Array | undefined,
  ): Route {
    const search = decode(message);
    if (!search.ok || search.value.type !== p.SEARCHGW) return this.#malformed();
    if (!this.#searches.mayAnswer(address, port, now)) return LIMITED;
    return this.#discovery.answer(search.value.radius, node, path?.toGroup ?? true);
  }

  #rumour(bytes: Uint8Array): Route {
    const packet = decode(bytes);
    if (!packet.ok) return this.#malformed();
    if (packet.value.type === p.ADVERTISE) this.#discovery.heard(packet.value.gatewayId);
    else if (packet.value.type === p.GWINFO) this.#discovery.informed(packet.value.gatewayId);
    this.#setup.counters.dropped.value++;
    return NOT_FOR_US;
  }

  #malformed(): Route {
    this.#setup.counters.malformed.value++;
    return MALFORMED;
  }
}

/** Not even a stranger's: no client that we serve can have sent it. */
const isTooLongPing = (type: number, message: Uint8Array, header: number, lengthMax: number): boolean =>
  type === p.PINGREQ && message.length - header > lengthMax;

/**
 * The client id by which a sleeper is found, wherever it comes from (§6.14). Only sleepers have claimed theirs, so
 * a CONNECT finds one that returns, and otherwise opens a connection of its own.
 */
function claimOf(type: number, bytes: Uint8Array, header: number, lengthMax: number): string | undefined {
  let at = bytes.length;
  if (type === p.PINGREQ) at = header;
  else if (type === p.CONNECT && bytes[header + 1] === p.PROTOCOL_ID) at = header + 4;
  if (at >= bytes.length || bytes.length - at > lengthMax) return undefined;
  return lossyText(name(bytes, at));
}
