/**
 * What servers of a kind cannot do, and no wire tells: an MQTT 3.1.1 server names no limits, and some take what they then
 * lose. `clusters.md` has the table, with the test of each row.
 */
import type { ServerCaps } from "../mqtt/client/server-limits.ts";
import type { Server } from "./server-choice.ts";

export interface Profile {
  readonly caps: ServerCaps;
  readonly version: Server["version"];
  /** Run by the tests of this project; the others are by their vendors' words. */
  readonly tested: boolean;
}

const ALL: ServerCaps = { maximumQoS: 2, retain: true, shared: true, wildcards: true, notInTopics: "" };

const profile = (tested: boolean, version: Server["version"], caps: Partial<ServerCaps> = {}): Profile => ({
  caps: { ...ALL, ...caps },
  version,
  tested,
});

export const PROFILES = {
  generic: profile(true, "auto"),
  mosquitto: profile(true, "auto"),
  /** QoS 2 is answered by PUBACK; $share is a topic like any other. 5.0 from 3.13 on. */
  rabbitmq: profile(true, "auto", { maximumQoS: 1, shared: false }),
  /**
   * A QoS 2 PUBLISH closes the connection (until 2.10), a will of QoS 2 is never sent, $share delivers nothing, nor is a
   * topic with a dot or a blank taken.
   */
  nats: profile(true, "3.1.1", { maximumQoS: 1, shared: false, notInTopics: ". " }),
  /** $share closes the connection of a 3.1.1 client; 5.0 clients are told that there is none. */
  ejabberd: profile(true, "auto", { shared: false }),
  emqx: profile(false, "auto"),
  hivemq: profile(false, "auto"),
  /** AWS IoT answers a QoS 2 PUBLISH with nothing at all. */
  aws: profile(false, "auto", { maximumQoS: 1 }),
} as const satisfies Record<string, Profile>;

export type ProfileName = keyof typeof PROFILES;
