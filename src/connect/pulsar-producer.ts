/** One topic of Pulsar's, by its WebSocket API: messages are sent, and each is answered by itself. */
import type { RawData, WebSocket } from "ws";
import { octetsOf } from "../rules/value.ts";
import { connectionFailure, DoubtfulFailure, type Item, SinkFailure } from "./connector.ts";

/** What a message is. */
interface Parameters {
  readonly topic: string;
  readonly key: string;
  readonly payload: string | Uint8Array;
  readonly properties: Readonly<Record<string, string>>;
}

/** Of what it answers to a message. */
export const ANSWER_MAX = 64 * 1024;

/** Its answers that say that the message is at fault: no JSON for it, or no base64 (pulsar.apache.org, "WebSocket API"). */
const AT_FAULT: readonly string[] = ["send-error:3", "send-error:7"];
/** A producer that cannot be made, and who may not: an operator can mend them. */
const MENDED: readonly string[] = ["send-error:1", "send-error:5", "send-error:6"];
/** "Unknown error": whatever the proxy's own client was told, which it names behind (`PulsarClientException`). */
const UNKNOWN = "send-error:8";
/** Of those, what passes or what an operator can mend: brokers and bookies that are away, slow or too busy; quotas; rights. */
const PASSES =
  /\$(Timeout|NotConnected|AlreadyClosed|Connect|Lookup|TooManyRequests|BrokerPersistence|BrokerMetadata|Producer(Busy|Fenced|QueueIsFull|BlockedQuotaExceeded)|MemoryBufferIsFull|Authentication|Authorization|NotFound|TopicDoesNotExist|Checksum)(Exception|Error)\b/;
/** And what says that the message is at fault, or that its topic takes none any more. */
const REFUSES =
  /\$(InvalidMessage|IncompatibleSchema|SchemaSerialization|InvalidTopicName|NotAllowed|FeatureNotSupported|Crypto|TopicTerminated)(Exception|Error)\b/;

function refusalIn(result: string, errorMsg: unknown): SinkFailure {
  const why = typeof errorMsg === "string" ? errorMsg : "";
  const says = why === "" ? result : `${result}: ${why}`;
  if (AT_FAULT.includes(result)) return new SinkFailure(says, false);
  if (MENDED.includes(result)) return new SinkFailure(says, true);
  if (result !== UNKNOWN) return new DoubtfulFailure(says);
  if (PASSES.test(why)) return new SinkFailure(says, true);
  return REFUSES.test(why) ? new SinkFailure(says, false) : new DoubtfulFailure(says);
}

/** RFC 6455 §7.4.1: larger than it takes. */
const TOO_BIG = 1009;

export const unreadable = (what: string): SinkFailure =>
  new SinkFailure(`what it answers cannot be read: ${what}`, true);

interface Answer {
  readonly result?: unknown;
  readonly errorMsg?: unknown;
  readonly context?: unknown;
}

function answerIn(data: RawData): Answer | undefined {
  try {
    const found: unknown = JSON.parse(String(data));
    return typeof found === "object" && found !== null ? found : undefined;
  } catch {
    return undefined;
  }
}

/** One topic's connection; answers name by their context what they answer. */
export class Producer {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<string, (failure: SinkFailure | undefined) => void>();
  #last = 0;

  constructor(socket: WebSocket, lost: (why: SinkFailure) => void) {
    this.#socket = socket;
    socket.on("error", (error) => lost(connectionFailure(error) ?? unreadable(error.message)));
    socket.on("close", (code) =>
      lost(
        code === TOO_BIG
          ? new SinkFailure("the message is larger than it takes", false)
          : new SinkFailure(`the connection has ended (${code})`, true),
      ),
    );
    socket.on("message", (data) => {
      if (!this.#take(answerIn(data))) lost(unreadable(String(data).slice(0, 80)));
    });
  }

  send(items: readonly Item[]): Promise<readonly (SinkFailure | undefined)[]> {
    return Promise.all(items.map((item) => this.#give(item)));
  }

  #give({ id, parameters }: Item): Promise<SinkFailure | undefined> {
    const { key, payload, properties } = parameters as unknown as Parameters;
    const context = String(++this.#last);
    const message = {
      payload: Buffer.from(octetsOf(payload)).toString("base64"),
      properties: { ...properties, "delivery-id": id },
      ...(key === "" ? {} : { key }),
      context,
    };
    return new Promise((resolve) => {
      this.#waiting.set(context, resolve);
      this.#socket.send(JSON.stringify(message));
    });
  }

  /** False where it is no answer. */
  #take(answer: Answer | undefined): boolean {
    if (answer === undefined || typeof answer.result !== "string") return false;
    const { result, errorMsg, context } = answer;
    const failure = result === "ok" ? undefined : refusalIn(result, errorMsg);
    // What it could not read it answers without a context: which one that is, each by itself shows.
    if (typeof context !== "string") {
      for (const resolve of this.#waiting.values()) resolve(failure);
      this.#waiting.clear();
      return failure !== undefined;
    }
    this.#waiting.get(context)?.(failure);
    return this.#waiting.delete(context);
  }

  close(): void {
    this.#socket.terminate();
  }
}
