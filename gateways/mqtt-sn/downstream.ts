/** What the downlink needs of the connection that it belongs to. */
import type { ChannelHost } from "#core/contract/channel.ts";
import type { Client } from "#core/contract/client.ts";
import type { Instant } from "#core/lib/time.ts";
import type { Setup } from "./setup.ts";
import type { Topics } from "./topics.ts";

export interface Downstream {
  readonly setup: Setup;
  readonly host: ChannelHost;
  readonly client: Client;
  readonly topics: Topics;
  /** Predefined ids that this client has subscribed by id. */
  readonly predefinedInUse: Set<number> | undefined;
  readonly heardAt: Instant;
  /** Octets that a forwarder's wrapping adds to each message. */
  readonly wrapping: number;
  send(bytes: Uint8Array): void;
  /** The id of a name, a new one if need be; 0 when the client has too many. */
  assignId(name: string): number;
  /** A client that is awake has not answered our repeats. */
  unanswered(now: Instant): void;
  /** A client that is awake has all that waited for it. */
  flushed(now: Instant): void;
}
