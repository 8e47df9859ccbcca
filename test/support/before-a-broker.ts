/**
 * The walks that are not run where sessions are at a broker (`npm run test:upstream`), by name and with the reason: what is
 * not in this list passes there. A name that no test of its file has fails the run, so that nothing stays here unseen.
 */
import { beforeEach } from "vitest";

/** They are about what the store of this process keeps: there a broker has it, or it is gone with the process. */
const STORE =
  "is about what this process keeps, which is at the broker or, of what a gateway remembers, gone with the process";
/** They look at bus, sessions or trace of this process, where a broker's are meant. */
const INSIDE = "looks at bus or sessions of this process";
/** MQTT has no word for it. */
const BROKER = "wants what a plain broker cannot do";

const ALL = "all";

const LEFT_OUT: Readonly<
  Record<string, readonly (readonly [why: string, tests: typeof ALL | readonly string[]])[]>
> = {
  "coap/collection-kept": [[STORE, ALL]],
  "coap/kept-by-a-store": [[STORE, ALL]],
  "coap/pending": [
    [
      STORE,
      [
        "only when what must be kept is committed",
        "lets go of who was checked for one request when that is answered",
      ],
    ],
  ],
  "coap/spoofed-observers": [
    [
      INSIDE,
      [
        "whose address never proves itself, with its session",
        "the session of a device that has proven itself",
      ],
    ],
  ],
  "core/session-owner": [
    [INSIDE, ["by setting begins a session of her own", "to observe, publish and read: each is 4.03"]],
  ],
  "core/slow-readers": [[INSIDE, ALL]],
  "core/trace": [
    [
      INSIDE,
      [
        "is one cause from the PUT",
        "says that the message waits for a sleeper",
        "decodes each frame of both sides",
        "both its publisher's frames and its subscriber's",
        "but the frame of another that brings a message",
        "and so is what had waited, when only its last frame",
        "and so is the frame of a delayed message",
      ],
    ],
  ],
  // Back-pressure needs to see the subscriber's queue.
  "core/waiting-publishers": [[BROKER, ["is told 0x97 by setting when a queue is full"]]],
  "lwm2m/kept-notifications": [[STORE, ALL]],
  "lwm2m/memory": [[INSIDE, ALL]],
  "lwm2m/operator": [[STORE, ["that was not heard since a restart"]]],
  "lwm2m/restart": [[STORE, ALL]],
  "mqtt/kept-answers": [[STORE, ["CONNACK of a session that ends with its connection waits for nothing"]]],
  "mqtt/kept-by-a-store": [[STORE, ALL]],
  "mqtt/publish-in": [
    [
      STORE,
      ["though the store answers in another", "while too many are due", "to a SUBSCRIBE wait for the store"],
    ],
  ],
  "mqtt/publish-out": [[INSIDE, ["a slow reader has its deliveries held back"]]],
  "mqtt-sn/kept-answers": [[STORE, ALL]],
  "mqtt-sn/kept-by-a-store": [[STORE, ALL]],
  "mqtt-sn/foreign-clients": [[INSIDE, ["two letters are a short name, -T is predefined"]]],
  "mqtt-sn/known-cases": [
    [INSIDE, ["rules may look at the device's address"]],
    // It has handed it out, and says DUP.
    [BROKER, ["awake_same_source_tuple_reused"]],
  ],
  "mqtt-sn/publish-in": [
    [STORE, ["P2 acknowledges a publish and a subscribe only when", "P9 bounds what waits for the store"]],
    [INSIDE, ["P12 takes a short name or a predefined id from anybody", "P12 does not disturb the session"]],
  ],
  "mqtt-sn/restarts": [[STORE, ALL]],
  // What comes during a flush is behind what the broker had: where it ends, the broker says by PINGRESP.
  "mqtt-sn/sleep": [
    [INSIDE, ["answers DISCONNECT without a duration and sends nothing more"]],
    [BROKER, ["joins the running flush, up to a limit"]],
  ],
  "mqtt-sn/unproven": [
    // The connection of a sleeper is released: its PUBREL comes when it wakes.
    [BROKER, ["a late REGACK, a late PUBREC: what follows waits too"]],
    [STORE, ["does not acknowledge a repeat before the store has the message"]],
  ],
  // Who has left a message behind, and who has time for one, only a broker's own queues know.
  "stomp/acknowledging": [
    [
      BROKER,
      [
        "is redelivered to whoever gets it n",
        "counts messages of QoS 0 as well",
        "hands the work to whoever has time for it",
      ],
    ],
  ],
  // Further sessions of a client are other clients there.
  "stomp/durable": [[BROKER, ["keep no-local over a time away"]]],
  "stomp/kept-by-a-store": [[STORE, ALL]],
  "stomp/kept-queues": [[STORE, ALL]],
  "stomp/kept-receipts": [[STORE, ALL]],
  "stomp/sending": [
    [
      STORE,
      [
        "a SEND's receipt waits until the store has it",
        "S15 DISCONNECT waits for what came before it",
        "reading pauses while too many SENDs wait",
      ],
    ],
    // The broker of the test takes no packets above 1 MB.
    [BROKER, ["takes a body above 1 MB"]],
  ],
  "stomp/transactions": [
    [STORE, ["wait until the store has every message", "when the store fails there is no receipt"]],
  ],
  "tcp/framed": [[STORE, ["stops being read while too much of it waits for the store"]]],
};

/** For the run before a broker; nothing in any other. */
export function leaveOut(): void {
  if (process.env["ISTHMUS_TEST_ENGINE"] !== "upstream") return;
  beforeEach((context) => {
    const { file } = context.task;
    if (!checked.has(file.filepath)) check(file);
    const name = fullName(context.task);
    for (const [why, tests] of entriesOf(context.task.file.filepath))
      if (tests === ALL || tests.some((part) => name.includes(part))) context.skip(why);
  });
}

const checked = new Set<string>();

function check(file: Named & { readonly filepath: string }): void {
  checked.add(file.filepath);
  const names = [...namesOf(file)];
  const missing = entriesOf(file.filepath)
    .flatMap(([, tests]) => (tests === ALL ? [] : tests))
    .filter((part) => !names.some((name) => name.includes(part)));
  if (missing.length > 0)
    throw new Error(`test/support/before-a-broker.ts names what is not there: ${missing.join("; ")}`);
}

const entriesOf = (path: string) => LEFT_OUT[/walks\/(.*)\.test\.ts$/.exec(path)?.[1] ?? ""] ?? [];

interface Named {
  readonly name: string;
  readonly suite?: Named | undefined;
  readonly tasks?: readonly Named[];
}

const fullName = ({ name, suite }: Named): string =>
  suite === undefined ? name : `${fullName(suite)} ${name}`;

function* namesOf(task: Named, before = ""): Generator<string> {
  for (const each of task.tasks ?? []) {
    const name = `${before} ${each.name}`;
    if (each.tasks === undefined) yield name;
    else yield* namesOf(each, name);
  }
}
