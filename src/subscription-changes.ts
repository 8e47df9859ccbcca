/** Subscriptions of clients that others change by what they say on a connector's channel: EMQ X's `mqtt_channel`. */
import type { QoS } from "./bus/message.ts";
import type { CoreParts } from "./core.ts";
import { Clients } from "./operate/clients.ts";
import { fromJson, isMap, member, textOf, type Value } from "./rules/value.ts";

/** Octets that one may have: the longest topic and client id that there can be have room. */
const LENGTH_MAX = 131_072;
/** Subscriptions that a client may come to have by it. */
const SUBSCRIPTIONS_MAX = 10_000;
/** How often it is said that something cannot be used. */
const SAY_AGAIN_MS = 60_000;

/** What became of one: done; of a client, or a subscription, that is not here; not as things stand; not to be read. */
const OUTCOMES = ["done", "unknown", "refused", "unreadable"] as const;
type Outcome = (typeof OUTCOMES)[number];

interface Change {
  readonly type: "subscribe" | "unsubscribe";
  readonly gateway: string;
  readonly clientId: string;
  readonly topic: string;
  readonly qos: QoS;
}

/** Of one connector. */
interface Heard {
  readonly counts: Record<Outcome, number>;
  saidAt: number;
  unsaid: number;
}

type Parts = Pick<CoreParts, "core" | "gateways">;

export class SubscriptionChanges {
  readonly #parts: Parts;
  readonly #clients: Clients;
  readonly #heard = new Map<string, Heard>();

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#clients = new Clients(parts.core, parts.gateways);
  }

  /** Of each connector that has heard something: how many became what. */
  *counts(): Generator<readonly [{ readonly connector: string; readonly outcome: Outcome }, number]> {
    for (const [connector, { counts }] of this.#heard)
      for (const outcome of OUTCOMES) yield [{ connector, outcome }, counts[outcome]];
  }

  heard(connector: string, payload: Uint8Array): void {
    const { core } = this.#parts;
    core.tick();
    let of = this.#heard.get(connector);
    if (of === undefined) {
      const counts = { done: 0, unknown: 0, refused: 0, unreadable: 0 };
      of = { counts, saidAt: Number.NEGATIVE_INFINITY, unsaid: 0 };
      this.#heard.set(connector, of);
    }
    const change = changeIn(payload);
    const [outcome, problem] =
      typeof change === "string" ? (["unreadable", change] as const) : this.#make(change);
    of.counts[outcome]++;
    // Clients of other gateways, or of other brokers that listen too: that is as it should be.
    if (problem === undefined || outcome === "unknown") return;
    of.unsaid++;
    if (core.now - of.saidAt < SAY_AGAIN_MS) return;
    const detail = { connector, messages: of.unsaid, problem };
    of.saidAt = core.now;
    of.unsaid = 0;
    core.note("rules", { level: "warn", event: "channel-message-unusable", detail });
  }

  #make({ type, gateway, clientId, topic, qos }: Change): readonly [Outcome, problem?: string] {
    const subscriptions = this.#parts.core.directory.find(gateway, clientId)?.attendance?.subscriptions;
    if (type === "subscribe" && subscriptions !== undefined && subscriptions.size >= SUBSCRIPTIONS_MAX)
      return ["refused", `client ${clientId} has ${SUBSCRIPTIONS_MAX} subscriptions`];
    const done =
      type === "subscribe"
        ? this.#clients.subscribe(gateway, clientId, topic, { qos })
        : this.#clients.unsubscribe(gateway, clientId, topic);
    if (done.ok) return ["done"];
    return [done.refusal === "unknown" ? "unknown" : "refused", done.reason];
  }
}

/** The manual has it as a text. */
const QOS: ReadonlyMap<Value, QoS> = new Map<Value, QoS>([
  [undefined, 0],
  ...([0, 1, 2] as const).flatMap((qos) => [[qos, qos] as const, [`${qos}`, qos] as const]),
]);

/** What it asks for, or what is wrong with it. */
function changeIn(payload: Uint8Array): Change | string {
  if (payload.length > LENGTH_MAX) return `it has ${payload.length} octets, and may have ${LENGTH_MAX}`;
  const text = textOf(payload);
  if (typeof text !== "string") return "it is no text";
  let given: Value;
  try {
    given = fromJson(text);
  } catch (error) {
    return (error as Error).message;
  }
  if (!isMap(given)) return "it is no JSON object";
  const [type, clientId, topic] = ["type", "clientid", "topic"].map((key) => member(given, key));
  const gateway = member(given, "gateway") ?? "mqtt";
  const qos = QOS.get(member(given, "qos"));
  if (type !== "subscribe" && type !== "unsubscribe") return "type is neither subscribe nor unsubscribe";
  if (typeof clientId !== "string" || clientId === "") return "clientid is no text";
  if (typeof topic !== "string" || topic === "") return "topic is no text";
  if (typeof gateway !== "string") return "gateway is no text";
  if (qos === undefined) return "qos is none of 0, 1 and 2";
  return { type, gateway, clientId, topic, qos };
}
