import type { TSchema } from "@sinclair/typebox";
import type { Alarms } from "../lib/alarm.ts";
import type { Duration, Instant } from "../lib/time.ts";
import type { ClientId } from "./answers.ts";
import type { Channel } from "./channel.ts";
import type { Will } from "./client.ts";
import type { Dissected, Dissector } from "./dissection.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Counter, Note } from "./note.ts";
import type { GatewayOperations } from "./operations.ts";
import type { Transport } from "./peer.ts";

/** What a gateway keeps beside sessions, under keys of its own: plain data and bytes. */
export interface Shelf {
  /** The value is made when it is committed; `Client.kept` waits for that. */
  put(key: string, value: () => unknown): void;
  remove(key: string): void;
  /** What is there; when the process begins, what the last one has left. */
  entries(): Iterable<readonly [key: string, value: unknown]>;
}

/** What is remembered of a client. */
export interface Recalled {
  readonly clientId: ClientId;
  readonly memo: unknown;
}

/** What the core does for a gateway as a whole. */
export interface GatewayHost {
  /** Exposed as `isthmus_<gateway>_<name>_total`, with the label `kind` when given. */
  counter(name: string, help: string, kind?: string): Counter;
  random(length: number): Uint8Array;
  note(note: Note): void;
  /** The bus accepts messages; MQTT-SN advertises only then. */
  healthy(): boolean;
  /** Reads a file that the configuration names (predefined topics, bootstrap profiles). Start-up only. */
  readFile(path: string): Uint8Array;
  /** Names of the files in a folder that the configuration names, sorted. Start-up only. */
  listFiles(folder: string): readonly string[];
  /** What gateways that were opened before this one offer under a name (`Gateway.offers`): LwM2M's CoAP sites. */
  offered(name: string): readonly unknown[];
  /** The channel of a client of this gateway that is connected. */
  channelOf(clientId: ClientId): Channel | undefined;
  /** Sessions of this gateway that exist when it opens, read back from a store, and what it remembered of each. */
  remembered(): Iterable<Recalled>;
  /**
   * Looks for a client of that other name (`Client.remember`) which another gateway before the same cluster remembers;
   * `found` runs later. False, or absent: there is nobody to ask.
   */
  recall?(alias: string, found: (one: Recalled | undefined, now: Instant) => void): boolean;
  /** Of a remembered client that has not come yet, what `Client.promised` is of one that is here. */
  promised(clientId: ClientId, until: Instant): void;
  /** Outlives the process where there is a store. */
  readonly shelf: Shelf;
  /** Removes the retained message of a topic, mountpoint included, in nobody's name. */
  clearRetained(topic: string): void;
  /** For what belongs to no channel. */
  readonly alarms: Alarms;
  /**
   * The last word about a remembered client that stays away: published in its name as a will is, without anybody
   * authorising it anew, and what is remembered of it becomes what `memo` makes of that. Nothing is done when it is
   * connected or its session has ended. `said` runs when it was, now or later.
   */
  lastWord(
    clientId: ClientId,
    word: Omit<Will, "delay"> | undefined,
    memo: (memo: unknown) => unknown,
    said: () => void,
  ): void;
}

export interface ListenerInfo {
  /** The listener's name in the configuration. */
  readonly name: string;
  readonly transport: Transport;
}

/** How a listener of this gateway speaks over WebSocket. */
export interface WebSocketProfile {
  /** The path that the protocol's own specification gives it, accepted beside those of the listener. */
  readonly path?: string | undefined;
  /** Accepted subprotocols, best first. */
  readonly subprotocols: readonly string[];
  /** Refuse a handshake that offers none of them. */
  readonly subprotocolRequired: boolean;
  /** `mirror`: text or binary as the client's last message, text before the first. */
  readonly frames: "binary" | "mirror";
  /** Path prefixes under which SockJS clients connect. */
  readonly sockjs?: readonly string[];
}

/** A running gateway. */
export interface Gateway<Config = never> {
  endpoint(listener: ListenerInfo): Endpoint;
  /** Parts that another gateway may serve on its own listeners, by name; that gateway knows their type. */
  readonly offers?: Readonly<Record<string, readonly unknown[]>>;
  /** What operators may see and ask of its devices, beside what the core knows of every client. */
  readonly operations?: GatewayOperations | undefined;
  /**
   * Reads the files that the configuration names again, and takes new options as far as `GatewayModule.restart` does not
   * name them; these are as they were. Throws when something cannot be used, and then goes on with what it had.
   */
  reload?(config: Config): void;
  /** Its listeners are closed and its clients gone: ends what is left of it. It may be opened anew. */
  stop?(): void;
}

/** What is wrong with a gateway's own settings, which its schema cannot say. */
export interface SettingProblem {
  /** From the gateway's section on: `["raw", 0, "framing", "offset"]`. */
  readonly path: readonly (string | number)[];
  readonly value: unknown;
  /** What is allowed, in words. */
  readonly allowed: string;
}

/** What a gateway folder exports from its `index.ts`. */
export interface GatewayModule<Config> {
  /** Folder and configuration key: `mqtt`, `mqtt-sn`, `coap`, `lwm2m`, `stomp`, `tcp`. */
  readonly name: string;
  /** TypeBox schema of this gateway's own options (listeners, mountpoint and limits are the core's). */
  readonly schema: TSchema;
  /** How devices may reach it; a listener with another transport is refused. Absent: any. */
  readonly transports?: readonly Transport[];
  /** False: it runs only where the configuration says `enable: true`. */
  readonly enabledByDefault?: boolean;
  websocket?(config: Config): WebSocketProfile;
  /** Looks at settings that have passed the schema, before anything is opened. */
  check?(config: Config): readonly SettingProblem[];
  /**
   * Options of its own, dotted from the gateway's section on (`retry`, `limits.topics`), that take effect only when the
   * gateway is started again; what is inside them too. All others change while it runs, by `Gateway.reload`, some of
   * them for connections made from then on. Absent: nothing changes while it runs.
   */
  readonly restart?: readonly string[];
  /** What it remembered of a client (`Client.remember`), with its times later by so much: the machine's clock was set. */
  moved?(memo: unknown, by: Duration): unknown;
  /** Schema of what its channels say of a client (`Channel.describe`). */
  readonly describes?: TSchema;
  /** Its clients take messages of any topic, so that an operator may subscribe one of them to something. */
  readonly anyTopic?: boolean;
  /** Protocol names that devices may agree on over DTLS (ALPN, RFC 7301); without, what they offer is ignored. */
  readonly protocolNames?: readonly string[];
  /** Reads what goes over one channel, for a trace; without it that shows octets, and hides them all. */
  dissector?(of: Dissected, config: Config): Dissector;
  open(config: Config, host: GatewayHost): Gateway<Config>;
}
