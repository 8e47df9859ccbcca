import type { ClientId } from "#core/contract/answers.ts";
import type { Client } from "#core/contract/client.ts";
import type { Frame } from "./codec/frame.ts";
import { Header } from "./frames.ts";
import { type Problem, problem } from "./problem.ts";
import { flagOf } from "./properties.ts";

/** Stands between a client id and the name of a session of one of its subscriptions; no client id may hold it. */
export const SESSION_SEPARATOR = "//";

/** Whose durable subscriptions those of a connection are. */
interface Owner {
  readonly client: Client;
  readonly clientId: string | undefined;
  readonly username: string | undefined;
}

/**
 * The session of a durable subscription belongs to the client that names itself with `client-id`; without one to the
 * user, as RabbitMQ's do. A client id can begin with no separator, so the two never meet.
 */
export const durableSessionId = ({ client, clientId, username }: Owner, name: string): ClientId =>
  clientId === undefined
    ? `${SESSION_SEPARATOR}${username ?? ""}${SESSION_SEPARATOR}${name}`
    : `${client.id}${SESSION_SEPARATOR}${name}`;

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
