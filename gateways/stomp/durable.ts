import type { ClientId } from "#core/contract/answers.ts";
import type { Frame } from "./codec/frame.ts";
import { Header } from "./frames.ts";
import { type Problem, problem } from "./problem.ts";
import { flagOf } from "./properties.ts";

/** Stands between a client id and the name of a session of one of its subscriptions; no client id may hold it. */
export const SESSION_SEPARATOR = "//";

export const durableSessionId = (clientId: ClientId, name: string): ClientId =>
  `${clientId}${SESSION_SEPARATOR}${name}`;

export const NO_CLIENT_ID: Problem = problem(
  "durable subscription without client-id",
  "A durable subscription belongs to a client that names itself with client-id in CONNECT.",
);

/**
 * The name of a durable subscription: Artemis's or ActiveMQ's header says it, and RabbitMQ's `durable:true` takes
 * the id. Undefined for a subscription that ends with its connection.
 */
export function durableNameOf(frame: Frame): string | undefined | Problem {
  const name =
    frame.text(Header["durable-subscription-name"]) ?? frame.text(Header["activemq.subscriptionName"]);
  if (name !== undefined) return name === "" ? problem("empty subscription name") : name;
  const durable = flagOf(frame, "durable");
  if (durable !== true) return durable === false ? undefined : durable;
  return frame.text(Header.id) ?? problem("missing header id", "A durable subscription needs a name.");
}
