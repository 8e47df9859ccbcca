import type { Refusal } from "#core/contract/answers.ts";
import type { ChannelHost } from "#core/contract/channel.ts";
import type { AskedFor } from "#core/contract/refused.ts";
import { unreachable } from "#core/lib/assert.ts";
import * as p from "./packets.ts";

/** Of who speaks without CONNECT, or by the client id of no sleeper. */
export const NO_CONNECTION = "no client is connected or asleep here by this address or client id";

/** CONNACK and SUBACK. Only 0 to 3 exist in 1.2 (§5.3.10): "congestion" says try again, "not supported" that it is of no use. */
export function refusalCode(refusal: Refusal): p.ReturnCode {
  switch (refusal) {
    case "congested":
    case "unavailable":
    case "quota":
      return p.CONGESTION;
    case "unauthenticated":
    case "forbidden":
    case "banned":
    case "malformed":
    case "too-large":
      return p.NOT_SUPPORTED;
    default:
      return unreachable(refusal);
  }
}

const KINDS: Readonly<Record<number, string>> = {
  [p.NORMAL]: "topic id",
  [p.PREDEFINED]: "predefined topic id",
  [p.SHORT]: "short topic name",
};

/** Writes down that a device named a topic by an id that says nothing here: the commonest mistake of a new device. */
export function refuseUnknownId(host: ChannelHost, what: AskedFor, kind: p.TopicIdType, id: number): void {
  const by = (): string =>
    kind === p.PREDEFINED
      ? `gateways.mqtt-sn.predefinedTopics has no id ${id} for this client`
      : "nothing was registered under it since the client connected";
  host.refused({
    what,
    asked: `${KINDS[kind] ?? "reserved kind of topic id"} ${id}`,
    refusal: "malformed",
    by,
  });
}
