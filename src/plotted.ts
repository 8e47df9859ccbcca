/** What is kept for those who look on: which numbers over time, which topics; and the beat at which it is looked at. */
import type { Composition } from "./compose.ts";
import type { Counter } from "./contract/note.ts";
import { REFUSALS } from "./lib/refusals.ts";
import { systemClock } from "./net/clock.ts";
import { Census } from "./operate/census.ts";
import { ClientHistories } from "./operate/client-histories.ts";
import { STATES } from "./operate/client-state.ts";
import { Series, type Source } from "./operate/series.ts";
import { TopicDirectory } from "./operate/topic-directory.ts";

const LOOK_MS = 1_000;
/** A step of the census: two thousand clients a second. */
const STEP_MS = 250;

export interface Plotted {
  readonly series: Series;
  readonly histories: ClientHistories;
  readonly topics: TopicDirectory;
  stop(): void;
}

export function startPlotted(running: Composition): Plotted {
  const { metrics } = running;
  const histories = new ClientHistories(running.config.api.histories);
  const census = new Census(running.operator.clients, histories);
  const series = new Series([
    ...trafficOf(running),
    ...censusOf(census),
    ...lossesOf(running),
    ...refusalsOf(running),
    ...processOf(running),
  ]);
  metrics.gauge(
    "history_bytes",
    "Memory of what is kept for plots: numbers of the node, states of clients",
    () => series.bytes + histories.bytes,
  );
  metrics.gauge(
    "history_refused",
    "How often a client's states were not kept, because api.histories clients have theirs",
    () => histories.refused,
  );
  const topics = new TopicDirectory(running.gate, {
    max: running.config.api.topics,
    retained: () => iterable(running.bus.replay("#", Number.POSITIVE_INFINITY)),
  });
  const counting = setInterval(() => census.step(systemClock.now()), STEP_MS).unref();
  const looking = setInterval(() => {
    const now = systemClock.now();
    series.look(now);
    topics.rest(now);
    running.measures.topics.look(now);
  }, LOOK_MS).unref();
  const stop = () => {
    clearInterval(counting);
    clearInterval(looking);
  };
  return { series, histories, topics, stop };
}

const iterable = <Item>(iterator: Iterator<Item>): Iterable<Item> => ({ [Symbol.iterator]: () => iterator });

function trafficOf({ core, operator }: Composition): Source[] {
  return [...operator.gateways.list().map(({ name }) => name), "http"].flatMap((gateway): Source[] => {
    const cells = core.traffic.of(gateway);
    return [
      { name: `in.${gateway}`, kind: "rate", unit: "messages", read: () => cells.in },
      { name: `out.${gateway}`, kind: "rate", unit: "messages", read: () => cells.out },
    ];
  });
}

const censusOf = (census: Census): Source[] => [
  ...STATES.map(
    (state): Source => ({
      name: `clients.${state}`,
      kind: "level",
      unit: "clients",
      read: () => census.counts[state],
    }),
  ),
  { name: "waiting", kind: "level", unit: "messages", read: () => census.counts.waiting },
  { name: "waiting.bytes", kind: "level", unit: "bytes", read: () => census.counts.waitingBytes },
];

function lossesOf({ sessionCounters }: Composition): Source[] {
  const lost: Readonly<Record<string, Counter>> = {
    "queue-full": sessionCounters.droppedFull,
    expired: sessionCounters.droppedExpired,
    away: sessionCounters.droppedAway,
    moved: sessionCounters.droppedMoved,
    revoked: sessionCounters.droppedRevoked,
    memory: sessionCounters.droppedMemory,
    deleted: sessionCounters.droppedDeleted,
    dead: sessionCounters.dead,
  };
  return Object.entries(lost).map(([reason, counter]) => ({
    name: `lost.${reason}`,
    kind: "rate",
    unit: "messages",
    read: () => counter.value,
  }));
}

const refusalsOf = ({ refusals }: Composition): Source[] =>
  REFUSALS.map((refusal) => ({
    name: `refused.${refusal}`,
    kind: "rate",
    unit: "refusals",
    read: () => refusals.countOf(refusal),
  }));

const processOf = ({ core, alarms }: Composition): Source[] => [
  { name: "bytes.in", kind: "rate", unit: "bytes", read: () => core.counters.bytesReceived.value },
  { name: "bytes.out", kind: "rate", unit: "bytes", read: () => core.counters.bytesSent.value },
  { name: "memory", kind: "level", unit: "bytes", read: () => process.memoryUsage.rss() },
  { name: "alarms", kind: "level", unit: "alarms", read: () => alarms.active.length },
];
