import { describe, expect, it } from "vitest";
import { milliseconds } from "#core/lib/time.ts";
import { mulberry32 } from "../../support/random.ts";
import { SlowStore } from "../../support/slow-store.ts";
import { StompClient, stompListener } from "../../support/stomp-client.ts";
import { frame, header, type ServerFrame } from "../../support/stomp-frames.ts";
import { type StreamListener, World } from "../../support/world.ts";

const MESSAGES = 12;

/**
 * A worker that answers each message with two messages and its acknowledgement in one transaction, and whose
 * connection breaks after some number of octets, again and again.
 */
class Worker {
  /** Messages that were delivered although their COMMIT had been answered. */
  readonly broken: string[] = [];
  /** Messages whose COMMIT was answered with a RECEIPT, to any worker. */
  readonly #committed: Set<string>;
  readonly #name: string;
  readonly #listener: StreamListener;
  readonly #random: () => number;
  readonly #subscribe: Record<string, string>;
  #client: StompClient | undefined = undefined;
  #budget = 0;
  #out: Buffer = Buffer.alloc(0);
  #transactions = 0;

  constructor(
    name: string,
    listener: StreamListener,
    random: () => number,
    subscribe: Record<string, string>,
    committed: Set<string>,
  ) {
    this.#committed = committed;
    this.#name = name;
    this.#listener = listener;
    this.#random = random;
    this.#subscribe = subscribe;
  }

  /** Connects if need be, hears what there is to hear, and sends on a part of what it has to say. */
  step(patience: number): void {
    const client = this.#client ?? this.#connect(patience);
    for (const one of client.heard()) this.#hear(one);
    const length = Math.min(this.#budget, this.#out.length, 1 + Math.floor(this.#random() * 80));
    client.raw(this.#out.subarray(0, length));
    this.#out = this.#out.subarray(length);
    this.#budget -= length;
    if (this.#budget > 0) return;
    // What has arrived counts as heard, or is lost on the way.
    if (this.#random() < 0.5) for (const one of client.heard()) this.#hear(one);
    client.stream.drop();
    this.#client = undefined;
  }

  #connect(patience: number): StompClient {
    const client = new StompClient(this.#listener);
    this.#client = client;
    this.#budget = 1 + Math.floor(this.#random() * patience);
    const login = { "accept-version": "1.2", host: "h", "client-id": this.#name };
    this.#out = Buffer.concat([frame("CONNECT", login), frame("SUBSCRIBE", this.#subscribe)]);
    return client;
  }

  #hear(one: ServerFrame): void {
    if (one.command === "ERROR") throw new Error(`${header(one, "message")}: ${one.body}`);
    if (one.command === "RECEIPT") this.#committed.add(header(one, "receipt-id") ?? "");
    if (one.command !== "MESSAGE") return;
    const body = one.body.toString();
    if (this.#committed.has(body)) this.broken.push(body);
    const transaction = `t${this.#transactions++}`;
    this.#out = Buffer.concat([
      this.#out,
      frame("BEGIN", { transaction }),
      frame("SEND", { destination: "out/left", transaction }, body),
      frame("ACK", { id: header(one, "ack") ?? "", transaction }),
      frame("SEND", { destination: "out/right", transaction }, body),
      frame("COMMIT", { transaction, receipt: body }),
    ]);
  }
}

/** How many messages there are of each body. */
function counted(messages: readonly { payload: Uint8Array }[]): [body: string, count: number][] {
  const counts = new Map<string, number>();
  for (const { payload } of messages) {
    const body = Buffer.from(payload).toString();
    counts.set(body, (counts.get(body) ?? 0) + 1);
  }
  return [...counts].sort();
}

/** Runs workers on durable subscriptions until every message is committed; returns what they sent. */
function run(seed: number, workers: number, destination: string, slow: boolean) {
  const random = mulberry32(seed);
  const store = new SlowStore();
  const world = new World({ seed, ...(slow ? { commits: store.commits } : {}) });
  store.keepAllOf(world);
  const left = world.listen("out/left");
  const right = world.listen("out/right");
  const listener = stompListener(world);
  const committed = new Set<string>();
  const subscribe = { id: "0", destination, ack: "client-individual", "durable-subscription-name": "work" };
  const names = Array.from({ length: workers }, (_, n) => `worker-${n}`);
  const team = names.map((name) => new Worker(name, listener, random, subscribe, committed));
  let published = 0;
  for (let step = 0; step < 5000 && counted(left).length < MESSAGES; step++) {
    // The patience grows, so that even an unlucky run comes to an end.
    for (const worker of team) worker.step(200 + step * 2);
    // What is published before the subscription exists is nobody's.
    const ready = world.sessions.get("stomp", "worker-0//work")?.subscriptions.size === 1;
    if (ready && published < MESSAGES && random() < 0.3) world.publish("in", `${published++}`, { qos: 1 });
    while (store.due.length > 0 && random() < 0.7) store.answer();
    world.settle();
    world.advance(milliseconds(Math.floor(random() * 50)));
  }
  const broken = team.flatMap((worker) => worker.broken);
  return { committed: [...committed].sort(), left: counted(left), right: counted(right), broken };
}

const ALL = Array.from({ length: MESSAGES }, (_, n) => `${n}`).sort();

describe("connections cut at any octet, with transactions and unacknowledged messages open", () => {
  it.each([
    [1, "in", false],
    [1, "in", true],
    [3, "$share/team/in", false],
    [3, "$share/team/in", true],
  ])("%i durable workers on %s (slow store: %s)", (workers, destination, slow) => {
    for (let seed = 1; seed <= 30; seed++) {
      const { committed, left, right, broken } = run(seed, workers, destination, slow);
      const why = `seed ${seed}`;
      // Nothing is lost: in the end the work on every message was committed, whether its receipt arrived or not.
      expect(ALL, why).toEqual(expect.arrayContaining(committed));
      expect(left.map(([body]) => body).sort(), why).toEqual(ALL);
      // Nothing committed is half there.
      expect(left, why).toEqual(right);
      // Without a store to wait for, a transaction that was not acknowledged was not sent either.
      if (!slow) expect(left.every(([, count]) => count === 1)).toBe(true);
      // Nothing acknowledged comes again.
      expect(broken, why).toEqual([]);
    }
  });
});
