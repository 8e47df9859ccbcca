/**
 * The seam between the CoAP stack and what is served on it.
 *
 * A `Site` serves some path prefixes on a listener: `ps` and `mqtt` of the CoAP gateway, `rd`, `bs` and `dp` of
 * LwM2M. `createCoapEndpoint(sites, options)` (endpoint.ts) puts any number of sites on one listener, so that
 * they share port and socket; `.well-known/core` lists what all of them contribute.
 *
 *   listener --- CoapEndpoint --- one CoapChannel a peer --- message layer, blocks, observe, dedup (the stack)
 *                    |                   |
 *                  Site[] ----open---> PeerSite[]   one object a peer and site, made at the first request
 *                                        |
 *                                     CoapPeer      what the PeerSite may do: ask, connect, tickets, host
 *
 * Rules of the house apply: no clock (every input has `now`), nothing kept of a view beyond the call, inputs are
 * never nested. What the stack does alone, so that a site never sees it: format errors, unknown critical
 * options (4.02), proxy options (5.05), duplicates, acknowledgements and separate responses, retransmission and
 * NSTART, block-wise both ways, No-Response, Echo and amplification, proof of the address before logins that somebody is
 * asked about, `.well-known/core`, 4.04 for paths that no site serves.
 *
 * A site's life for one peer: `open` at the first request whose path starts with one of its prefixes, then
 * `request` for each request. It answers each exactly once with `request.respond`, in the call or later (while
 * a publish is pending, say); the stack sends an empty ACK meanwhile. As a client it calls `peer.ask`. It
 * connects MQTT clients with `peer.connect`; their deliveries, and the answers to asks made under a ticket of
 * `peer.ticket()`, come to this PeerSite and to no other. While `busy()` the peer is not forgotten.
 */
import type { Answer, Pending, RetainedAnswer, Ticket } from "#core/contract/answers.ts";
import type { ChannelHost, StopReason } from "#core/contract/channel.ts";
import type { Client, ConnectAnswer, ConnectRequest } from "#core/contract/client.ts";
import type { Delivery } from "#core/contract/delivery.ts";
import type { Duration, Instant } from "#core/lib/time.ts";
import type { Code } from "./message/codes.ts";
import type { Link } from "./message/link-format.ts";
import type { CoapMessage } from "./message/message.ts";
import type { OptionValue } from "./message/options.ts";

/** Under this name a gateway offers its sites (`Gateway.offers`) to the CoAP gateway, which serves them too. */
export const COAP_SITES = "coap-sites";

/** One thing served on a listener. Has no state of a peer. */
export interface Site {
  /** For status and logs: `pubsub`, `lwm2m`. */
  readonly name: string;
  /** First path segments that it serves, ASCII; `""` serves the empty path. Must not overlap other sites'. */
  readonly prefixes: readonly string[];
  /** As clients of which gateway its peers log in; absent where nobody has to. */
  readonly gateway?: string;
  /** Accepts observers (`CoapRequest.accept`). */
  readonly observable?: boolean;
  /** What `/.well-known/core` lists; read at each such request. */
  links(): readonly Link[];
  /**
   * What a request from any address says about who sends it (a token in the query, a registration location):
   * the name under which a `PeerSite` claimed the device with `peer.host.claim(name)`, undefined for nothing.
   * The request's path starts with one of `prefixes`. Cheap; called for each datagram.
   */
  claim?(message: CoapMessage): string | undefined;
  /**
   * A peer at this address, unknown to the listener, may send answers and notifications to what this site asked it
   * before a restart: then it is opened for them too, and hears `PeerSite.stray`. Cheap.
   */
  expects?(address: string, port: number): boolean;
  open(peer: CoapPeer, now: Instant): PeerSite;
}

/** A site's state for one peer. */
export interface PeerSite {
  request(request: CoapRequest, now: Instant): void;
  /** For a client that this site connected. QoS 1 and 2 are settled through the client. */
  deliver(client: Client, delivery: Delivery, now: Instant): void;
  /** The answer to a publish, subscribe or unsubscribe that was pending. */
  answered(ticket: Ticket, answer: Answer, now: Instant): void;
  /** What was retained, where that was pending. */
  found?(ticket: Ticket, answer: RetainedAnswer, now: Instant): void;
  /** The answer to a `peer.connect` that was pending. */
  connected(ticket: Ticket, answer: ConnectAnswer, now: Instant): void;
  /** When `wake` is wanted, `NEVER` for not at all; read after each input. No search through what may be many. */
  deadline(): Instant;
  wake(now: Instant): void;
  /** With `client`: only that one was taken over or kicked. Else the channel closes right afterwards. */
  stop(reason: StopReason, now: Instant, client?: Client): void;
  /** The peer is gone; nothing can be sent. All asks have failed with `gone` before. */
  closed(now: Instant): void;
  /** It holds something (session, registration, observation) for which the peer must be remembered. */
  busy(): boolean;
  /** How one of its clients is, and what an operator may want to know of it; see `Channel`. */
  status(client: Client, now: Instant): string;
  describe(client: Client, now: Instant): object;
  /** Any datagram of this peer arrived, before it is looked at: LwM2M's awake window. Optional. */
  heard?(now: Instant): void;
  /** A response arrived that belongs to no ask, from a peer that the site `expects`; it was reset (RFC 7641 §3.6). */
  stray?(now: Instant): void;
}

/** What is sent back, and what is sent with a notification. Options need no order. */
export interface CoapResponse {
  readonly code: Code;
  readonly options?: readonly OptionValue[];
  /** Never changed afterwards; large ones are kept while the peer fetches their blocks. */
  readonly payload?: Uint8Array;
}

/**
 * One request, whole: a body that came in blocks is put together before. `message` and `payload` are views,
 * valid only until `PeerSite.request` returns; everything else stays valid.
 */
export interface CoapRequest {
  readonly message: CoapMessage;
  readonly method: Code;
  readonly payload: Uint8Array;
  /** CON, or any message on a stream. */
  readonly confirmable: boolean;
  /** Observe of a GET or FETCH: 0 registers, 1 deregisters (RFC 7641 §2); undefined otherwise. */
  readonly observe: 0 | 1 | undefined;
  /** Answers; a second answer is ignored. */
  respond(response: CoapResponse): void;
  /** Same, with a diagnostic payload (RFC 7252 §5.5.2). */
  refuse(code: Code, diagnostic: string, options?: readonly OptionValue[]): void;
  /**
   * Answers a request with `observe` 0 and enters the peer as an observer; replaces the observation that had
   * the same token, whose observer hears `ended("replaced")`, or continues it. Undefined when a limit forbids it:
   * then the response went out without Observe, which says so to the client (RFC 7641 §4.1). Only with success
   * codes.
   */
  accept(response: CoapResponse, observer: Observer): Observation | undefined;
  /** The observation that this request's token names. For `observe` 1: end it with `end()`. */
  readonly observation: Observation | undefined;
}

/** Why an observation ended: the client asked, reset or never acknowledged, or we gave it up. */
export type ObservationEnd = "deregistered" | "reset" | "timeout" | "replaced" | "gone";

/** Told about one observation. Never called while `notify` or `end` runs. */
export interface Observer {
  /** Only the newest notification waits; older ones that wait are dropped (RFC 7641 §4.5.2). Default: all wait. */
  readonly coalesce?: boolean;
  /**
   * The client has registered again, with the same token: true when this one observes what `previous` did, and
   * shall be told what that one was still to be told. Default: never.
   */
  continues?(previous: Observer): boolean;
  /** A notification is CON at least this long after the last CON; the setting of the stack where undefined. */
  readonly confirmInterval?: Duration | undefined;
  /**
   * What became of a notification: `done` acknowledged (CON) or sent (NON), `dropped` pushed out of the full queue,
   * superseded, or not wanted any more (reset, deregistered), `failed` not acknowledged, or still waiting behind one
   * that was not (then `ended` follows; the newest is told first).
   */
  settled(reference: number, outcome: "done" | "dropped" | "failed", now: Instant): void;
  ended(why: ObservationEnd, now: Instant): void;
}

/** One peer observing one resource (RFC 7641): identified by its token. */
export interface Observation {
  /** Whom it was accepted for. */
  readonly observer: Observer;
  /** The token of the registration, for status. */
  readonly token: string;
  /**
   * Queues a notification; one CON is in flight at a time and later ones wait behind it. A response with an
   * error code ends the observation once sent. `reference` comes back in `settled`; 0 asks for no report.
   */
  notify(response: CoapResponse, confirmable: boolean, reference: number): void;
  /** Notifications that wait or are in flight. */
  readonly pending: number;
  /** What it was notified of last, if that has a payload. */
  readonly last: CoapResponse | undefined;
  /** Forgets it and what is queued; nothing is sent and `ended` is not called. */
  end(): void;
}

/** A request of ours to the peer. */
export interface OutgoingRequest {
  readonly method: Code;
  /** Uri-Path segments. */
  readonly path: readonly string[];
  /** Uri-Query parts. */
  readonly query?: readonly string[];
  /** Content-Format, Accept and the like; not Uri-Path, Uri-Query, Observe or Block options. */
  readonly options?: readonly OptionValue[];
  /** Sent in blocks when larger than a block. */
  readonly payload?: Uint8Array;
  /** Registers an observation: `Asker.response` is then called again for each notification in order. */
  readonly observe?: boolean;
  /** Sent as NON: no retransmission. Default false. */
  readonly nonConfirmable?: boolean;
  /** From the first transmission to the last byte of the response; default `ask.timeout` of the options. */
  readonly timeout?: Duration;
}

/** A response of the peer, whole. Views: copy what is kept. */
export interface IncomingResponse {
  readonly message: CoapMessage;
  readonly code: Code;
  readonly payload: Uint8Array;
  /** The response carried Observe: the observation stands, or this is a notification. */
  readonly observing: boolean;
  /** Of a confirmable one. Given when this has been heard, unless it was held. */
  readonly acknowledgement?: Acknowledgement | undefined;
}

/** The ACK of a message that has been processed already (RFC 7252 §4.2): its sender may forget what it said. */
export interface Acknowledgement {
  /** It is not given before `give` is called: what was said has still to be made safe. */
  hold(): void;
  /** Sends it, once. */
  give(): void;
}

/**
 * Why an ask brought no response. `timeout`: no ACK, or no response in time; `reset`: RST; `blocks`: the
 * block-wise transfer broke or grew over the limit; `gone`: the peer is closed; `full`: too many asks wait.
 */
export type AskFailure = "timeout" | "reset" | "blocks" | "gone" | "full";

/** Told about one ask. Never called while `ask` runs. */
export interface Asker {
  /** The peer has the request and will answer later (empty ACK). */
  acknowledged?(now: Instant): void;
  /** Once; for an observation, once for the first response and then for each newer notification. */
  response(response: IncomingResponse, now: Instant): void;
  failed(why: AskFailure, now: Instant): void;
}

export interface Ask {
  /**
   * Forgets it. Nothing more is heard. A notification of a forgotten observation is answered with RST, which
   * ends it (RFC 7641 §3.6). To end one actively, use `deregister`.
   */
  cancel(): void;
  /** Sends GET (or FETCH) with Observe 1 and the observation's token; the answer goes to `asker`. */
  deregister(asker: Asker): void;
  /** Still waiting for a response, or observing. */
  readonly active: boolean;
}

/** What a PeerSite may do, and only while one of its inputs runs: afterwards deadlines are not read again. */
export interface CoapPeer {
  /** For `peer` (address, identity), `note`, `random`, `claim` and `unclaim`. Never `send` or `close` with it. */
  readonly host: ChannelHost;
  /** UDP or a stream: on a stream nothing is confirmable and nothing is retransmitted. */
  readonly reliable: boolean;
  /** Sends a request to the peer; it waits for NSTART. `failed("full")` comes when too many wait already. */
  ask(request: OutgoingRequest, asker: Asker, now: Instant): Ask;
  /** Requests of ours that wait to be sent or for their response, observations not counted. */
  readonly asking: number;
  /** A ticket for `connect`, `Client.publish` and `Client.subscribe`, whose answer comes to this PeerSite. */
  ticket(): Ticket;
  /** Runs as an input of this peer: for what an input of another peer of the gateway causes here. */
  turn(run: (now: Instant) => void): void;
  /** Connects an MQTT client whose deliveries come to this PeerSite. Use a ticket of `ticket()`. */
  connect(request: ConnectRequest, ticket: Ticket): ConnectAnswer | Pending;
}

/** Plain responses that sites and stack share: nothing is allocated for them. */
export const respondWith = (code: Code): CoapResponse => ({ code });
