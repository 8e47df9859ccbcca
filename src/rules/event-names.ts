import { topicFilterProblem } from "../bus/topic.ts";

/** What happens, by the name that EMQX 5 gives it behind `$events/`. */
export const EVENT_KINDS = [
  "message_publish",
  "message_delivered",
  "message_acked",
  "message_dropped",
  "delivery_dropped",
  "client_connack",
  "client_connected",
  "client_disconnected",
  "client_asleep",
  "client_awake",
  "client_check_authn_complete",
  "client_check_authz_complete",
  "session_created",
  "session_resumed",
  "session_subscribed",
  "session_unsubscribed",
  "session_terminated",
] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

/** The name of an event in its own `event` field. */
export const eventName = (kind: EventKind): string => kind.replace("_", ".");

/** As EMQ X 4.0 names them in FROM, and its hooks, which its webhook names, with the field `client_id`. */
const OF_4: Readonly<Record<string, EventKind>> = {
  "message.publish": "message_publish",
  "message.deliver": "message_delivered",
  "message.delivered": "message_delivered",
  "message.acked": "message_acked",
  "message.dropped": "message_dropped",
  "client.authenticate": "client_check_authn_complete",
  "client.check_acl": "client_check_authz_complete",
  "client.connack": "client_connack",
  "client.connected": "client_connected",
  "client.disconnected": "client_disconnected",
  "client.subscribe": "session_subscribed",
  "client.unsubscribe": "session_unsubscribed",
  "session.created": "session_created",
  "session.resumed": "session_resumed",
  "session.subscribed": "session_subscribed",
  "session.unsubscribed": "session_unsubscribed",
  "session.terminated": "session_terminated",
};

/** Paths of EMQX 6, where the word before the first `_` is not the folder. */
const OF_6: Readonly<Record<string, EventKind>> = {
  "message/delivery_dropped": "delivery_dropped",
};

/** What a rule is run for. */
export type MeantSource =
  | { readonly kind: "topic"; readonly filter: string }
  | { readonly kind: "event"; readonly event: EventKind; readonly generation: 4 | 5 };

/** A source in FROM, or what is wrong with it. */
export function sourceOf(name: string): MeantSource | string {
  const old = Object.hasOwn(OF_4, name) ? OF_4[name] : undefined;
  if (old !== undefined) return { kind: "event", event: old, generation: 4 };
  if (name.startsWith("$events/")) return eventOf(name.slice("$events/".length));
  if (name.startsWith("$bridges/"))
    return "what a bridge brings is published: expected the topic filter that it is published to";
  const problem = topicFilterProblem(name);
  return problem === undefined ? { kind: "topic", filter: name } : `no topic filter: ${problem}`;
}

function eventOf(path: string): MeantSource | string {
  const kind = OF_6[path] ?? path.replace("/", "_");
  const event = EVENT_KINDS.find((each) => each === kind);
  if (event !== undefined) return { kind: "event", event, generation: 5 };
  return `there is no such event: expected $events/ and one of ${EVENT_KINDS.join(", ")}`;
}
