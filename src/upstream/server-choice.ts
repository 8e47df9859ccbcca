/**
 * Which server a session's connection goes to: the seam between the connections of this folder and whoever knows the
 * servers, how they fare and where each session shall go.
 */

import type { Duration } from "../lib/time.ts";
import type { ServerCaps } from "../mqtt/client/server-limits.ts";
import type { AcceptStream, DialError, Dialling } from "../net/transport.ts";

/** What a choice may look at. */
export interface SessionInfo {
  readonly gateway: string;
  /** The listener that the device came through; undefined for connections that serve many devices. */
  readonly listener: string | undefined;
  /** As the servers know it. */
  readonly clientId: string;
  readonly username: string | undefined;
  /** The device's address; undefined as `listener` is. */
  readonly source: { readonly address: string; readonly port: number } | undefined;
  /** What the device speaks: `MQTT 5.0`, `MQTT-SN 1.2`. */
  readonly protocol: string | undefined;
}

/** One server of a cluster. The same object for as long as its configuration is the same. */
export interface Server {
  /** For logs and metrics, and the only one of this name: `tcp://10.0.0.1:1883`. */
  readonly name: string;
  /** `auto`: MQTT 5.0, and 3.1.1 where that is not understood. */
  readonly version: "auto" | "3.1.1" | "5.0";
  readonly caps: ServerCaps;
  /**
   * Makes a connection. Exactly one of the two is called, later, unless it is cancelled before. `source`: the device for
   * which it is made.
   */
  dial(connected: AcceptStream, failed: (error: DialError) => void, source?: SessionInfo["source"]): Dialling;
  /** The server that this one names in its Server Reference (MQTT 5 §4.11); undefined where we do not go there. */
  elsewhere?(reference: string): Server | undefined;
}

/** Why a connection to a server came to nothing. */
export type ServerFailure =
  | { readonly kind: "dial"; readonly detail: string }
  /** No CONNACK in time, or a connection that was closed before it. */
  | { readonly kind: "silent"; readonly detail: string }
  /** A CONNACK that blames the server, not the session: unavailable, busy, shutting down, rate of connections. */
  | { readonly kind: "refused"; readonly detail: string; readonly reason: number }
  /** It broke the protocol, or answered PINGREQ with nothing. */
  | { readonly kind: "broken"; readonly detail: string };

export interface ServerChoice {
  /** For a new connection of a session; undefined when there is none that may be tried now. */
  choose(session: SessionInfo): Server | undefined;
  /** It has let a session in, in this version of MQTT. */
  succeeded(server: Server, version: 4 | 5): void;
  /** It has answered PINGREQ, and how long that took. */
  answered(server: Server, took: Duration): void;
  /** A connection to it could not be made, or failed in a way that says something about the server. */
  failed(server: Server, failure: ServerFailure): void;
  /** A session that was let in is no longer connected to it, for whatever reason; told once for each `succeeded`. */
  left(server: Server): void;
}
