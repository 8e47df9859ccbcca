import type { Properties } from "../mqtt/properties.ts";
import { ReasonCode } from "../mqtt/reason-codes.ts";
import type { UpstreamContext } from "./context.ts";
import type { Server, ServerFailure, SessionInfo } from "./server-choice.ts";

const REDIRECTS_MAX = 3;

/** Which server a session goes to: who knows the servers says so, but for where a server sends it (MQTT 5 §4.11). */
export class Destination {
  readonly #context: UpstreamContext;
  /** Of the connection that there is, or of the last. */
  server: Server | undefined = undefined;
  /** Where a server has sent this session for good. */
  #moved: Server | undefined = undefined;
  /** Where the next try goes, and no other. */
  #next: Server | undefined = undefined;
  #redirects = 0;

  constructor(context: UpstreamContext) {
    this.#context = context;
  }

  /** Undefined: there is none that can be tried now. */
  choose(info: SessionInfo): Server | undefined {
    const chosen = this.#next ?? this.#moved ?? this.#context.choice.choose(info);
    this.#next = undefined;
    if (chosen !== undefined) this.server = chosen;
    return chosen;
  }

  /** The next try goes where the last one went. */
  stay(): void {
    this.#next = this.server;
  }

  /** The next try goes to another one than the last. False: there is none. */
  tryAnother(info: SessionInfo): boolean {
    const other = this.#context.choice.choose(info);
    if (other === undefined || other === this.server) return false;
    this.#next = other;
    return true;
  }

  /** Servers that send a session back and forth are followed only so often in a row. */
  settled(): void {
    this.#redirects = 0;
  }

  /** CONNACK or DISCONNECT names another server. False where we do not go there. */
  follow(reason: ReasonCode, { serverReference }: Readonly<Properties>): boolean {
    if (serverReference === undefined || !this.#context.options.redirects) return false;
    if (++this.#redirects > REDIRECTS_MAX) {
      this.#context.note({ level: "warn", event: "upstream-redirects", detail: { serverReference } });
      return false;
    }
    const target = this.server?.elsewhere?.(serverReference);
    if (target === undefined) return false;
    this.#context.counters.redirects.value++;
    this.#next = target;
    if (reason === ReasonCode.serverMoved) this.#moved = target;
    return true;
  }

  /** A try to connect has failed. Where it was sent for good is no good: who knows the servers is asked again. */
  blame(failure: ServerFailure): void {
    this.#moved = undefined;
    this.#context.counters.failures.value++;
    this.failed(failure);
  }

  failed(failure: ServerFailure): void {
    this.#context.choice.failed(this.server as Server, failure);
  }
}
