/** Webhooks: what EMQ X's plug-in of that name posts to a service, as rules. */
import { type Static, Type } from "@sinclair/typebox";
import { fillDefaults, isTree } from "../settings/defaults.ts";
import { closed, type JsonSchema } from "../settings/json-schema.ts";
import { choice, NAME_PATTERN, text } from "../settings/kinds.ts";
import { valueAt } from "../settings/path.ts";
import { type Locate, problem } from "../settings/problem.ts";
import { validate } from "../settings/validate.ts";
import { layRule, unusableFilter } from "./made-rules.ts";
import type { OverriddenValues } from "./overrides.ts";

/** What of each event is posted beside its action, client id and user name; its source; whether it has a topic. */
const EVENTS = {
  "client.connected": {
    fields: "peerhost AS ipaddress, keepalive, proto_ver, connected_at",
  },
  "client.disconnected": { fields: "reason" },
  "client.subscribe": { fields: "topic, qos", topic: true, from: "session_subscribed" },
  "client.unsubscribe": { fields: "topic", topic: true, from: "session_unsubscribed" },
  "session.created": { fields: "" },
  "session.subscribed": { fields: "topic, qos", topic: true },
  "session.unsubscribed": { fields: "topic", topic: true },
  "session.terminated": { fields: "reason" },
  "message.publish": { fields: "topic, qos, retain", topic: true },
  "message.deliver": { fields: "topic, qos, retain", topic: true, from: "message_delivered" },
  "message.acked": { fields: "topic, qos, retain", topic: true },
} as const;
type EventName = keyof typeof EVENTS;
const NAMES = Object.keys(EVENTS) as EventName[];

/** As the manual has it in `action`: the words of two are others than those of the event. */
const ACTIONS: Partial<Readonly<Record<EventName, string>>> = {
  "message.deliver": "message_delivered",
  "message.acked": "message_acked",
};

const WebhookSchema = Type.Object(
  {
    connector: text({ description: "Name of a connector of kind http: where, and how it is signed." }),
    path: text({ description: "Put behind the connector's url.", default: "" }),
    events: Type.Array(choice(NAMES, { description: "An event." }), {
      description: "What is posted.",
      default: NAMES,
      uniqueItems: true,
    }),
    topic: text({ description: "Of events with a topic: topic filter.", default: "#" }),
    clientIdAs: choice(["clientid", "client_id"], {
      description: "The field of the client id: clientid since EMQ X 4, client_id before.",
      default: "clientid",
    }),
    encodePayload: choice(["none", "base64", "base62"], {
      description: "base64, or EMQ X's base62: for payloads that are no text.",
      default: "none",
    }),
  },
  { description: "Events posted to an HTTP service, in the form of EMQ X's webhook plug-in." },
);
type WebhookSettings = Static<typeof WebhookSchema>;

export const WebhooksSchema = Type.Record(Type.String({ pattern: NAME_PATTERN }), WebhookSchema, {
  description: "Webhooks by name: each becomes rules, which are named <webhook>-<event>.",
  default: {},
  additionalProperties: false,
});
export type WebhooksConfig = Static<typeof WebhooksSchema>;

const schema = closed(JSON.parse(JSON.stringify(WebhookSchema)) as JsonSchema);

/** Lays the rules of all webhooks over the values, as if they stood in the configuration. */
export function layWebhooks(values: OverriddenValues, locate: Locate): void {
  const webhooks = valueAt(values.values, ["webhooks"]);
  for (const [name, given] of Object.entries(isTree(webhooks) ? webhooks : {})) {
    const filled = fillDefaults(schema, given);
    // What is wrong with its form is said with the rest.
    if (validate(schema, filled, locate).length > 0) continue;
    layWebhook(name, filled as unknown as WebhookSettings, values, locate);
  }
}

function layWebhook(name: string, settings: WebhookSettings, values: OverriddenValues, locate: Locate): void {
  const { connector, path, events, topic } = settings;
  const wrong = (key: string, value: string, allowed: string): void => {
    const place = ["webhooks", name, key];
    values.problems.push(problem(locate, { path: place, says: `is "${value}"`, value, allowed }));
  };
  const filterProblem = unusableFilter(topic);
  if (valueAt(values.values, ["connectors", connector, "kind"]) !== "http")
    wrong("connector", connector, "a connector of kind http");
  else if (filterProblem !== undefined)
    wrong("topic", topic, `a topic filter (this one has: ${filterProblem})`);
  else
    for (const event of events) {
      const actions = [{ kind: "http", connector, path }];
      const rule = { sql: sqlOf(event, settings), actions };
      layRule(values, locate, ["webhooks", name], event.replace(".", "_"), rule);
    }
}

function sqlOf(event: EventName, { topic, clientIdAs, encodePayload }: WebhookSettings): string {
  const { fields, ...more } = EVENTS[event];
  const { topic: filtered = false, from = event.replace(".", "_") } = more as {
    readonly topic?: boolean;
    readonly from?: string;
  };
  const action = ACTIONS[event] ?? event.replace(".", "_");
  const payload = encodePayload === "none" ? "payload" : `${encodePayload}_encode(payload) AS payload`;
  const isMessage = event.startsWith("message.");
  const sender = event === "message.publish" ? ["clientid", "username"] : ["from_clientid", "from_username"];
  const selected = [
    `'${action}' AS action`,
    ...(event === "message.publish" ? [] : [`clientid AS ${clientIdAs}`, "username"]),
    ...(isMessage ? [`${sender[0]} AS from_${clientIdAs}`, `${sender[1]} AS from_username`] : []),
    ...(fields === "" ? [] : [fields]),
    ...(isMessage ? [payload, "timestamp AS ts"] : []),
  ].join(", ");
  if (event === "message.publish") return `SELECT ${selected} FROM "${topic}"`;
  const where = filtered && topic !== "#" ? ` WHERE topic =~ '${topic}'` : "";
  return `SELECT ${selected} FROM "$events/${from}"${where}`;
}
