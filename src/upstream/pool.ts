import type { Message } from "../bus/message.ts";
import type { PublishAnswer, RetainedAnswer, Ticket } from "../contract/answers.ts";
import type { Instant } from "../lib/time.ts";
import type { UpstreamContext } from "./context.ts";
import type { PublishAsker } from "./exchange.ts";
import { FirstContact, type NoContact } from "./first-contact.ts";
import { hashOf } from "./hash.ts";
import type { Server } from "./server-choice.ts";
import { ServiceConnection } from "./service-connection.ts";

/** The connections of the gateway itself. A device is always served by the same one, so that its order holds. */
export class Pool {
  readonly #context: UpstreamContext;
  readonly connections: readonly ServiceConnection[];

  /** `name`: no other gateway has it. */
  constructor(context: UpstreamContext, name: string) {
    this.#context = context;
    const { connections } = context.options.pool;
    this.connections = Array.from(
      { length: connections },
      (_, index) => new ServiceConnection(context, `${name}-${index + 1}`),
    );
  }

  /** One is always there: it tells whether the cluster is. `contact` hears that first. */
  start(now: Instant, contact: (problem: NoContact | undefined) => void): void {
    const [first] = this.connections;
    if (first === undefined) return;
    first.contact = new FirstContact(this.#context, now, contact);
    first.start(now);
  }

  stop(now: Instant): void {
    for (const connection of this.connections) connection.stop(now);
  }

  /** Moves one connection away from a server. False: none is there. */
  moveFrom(server: Server, now: Instant): boolean {
    const there = this.connections.find((connection) => connection.server === server);
    there?.move(now);
    return there !== undefined;
  }

  publish(device: string, message: Message, asker: PublishAsker, ticket: Ticket): PublishAnswer | "pending" {
    return this.#of(device).publish(message, asker, ticket);
  }

  lookUp(
    device: string,
    filter: string,
    limit: number,
    answer: (found: RetainedAnswer) => void,
  ): RetainedAnswer | "pending" {
    return this.#of(device).lookUp(filter, limit, answer);
  }

  #of(device: string): ServiceConnection {
    return this.connections[hashOf(device) % this.connections.length] as ServiceConnection;
  }
}
