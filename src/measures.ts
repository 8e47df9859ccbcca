/** What the configuration wants measured of single topics and subscriptions. */
import type { Config } from "./config/schema.ts";
import type { CoreParts } from "./core.ts";
import type { Metrics } from "./observe/metrics.ts";
import { SlowSubscriptions } from "./operate/slow-subscriptions.ts";
import { TopicMetrics, WAYS } from "./operate/topic-metrics.ts";

export class Measures {
  readonly topics: TopicMetrics;
  readonly slow: SlowSubscriptions;
  readonly #now: () => number;

  constructor(config: Config, { core, gate, followers }: CoreParts, metrics: Metrics) {
    this.#now = () => core.now;
    this.topics = new TopicMetrics({ look: (looker) => gate.look(looker), followers });
    this.slow = new SlowSubscriptions(followers, () => core.now);
    metrics.gauges(
      "topic_messages",
      "Messages of the filters in topicMetrics since they are counted",
      ["filter", "way", "qos"],
      () => rowsOf(this.topics),
    );
    this.reload(config);
  }

  reload({ topicMetrics, slowSubscriptions }: Config): void {
    this.topics.take(topicMetrics, this.#now());
    this.slow.take(slowSubscriptions);
  }
}

const rowsOf = (topics: TopicMetrics) =>
  topics.all.flatMap(({ filter, messages }) =>
    WAYS.flatMap((way) =>
      messages[way].map((count, qos) => [{ filter, way, qos: String(qos) }, count] as const),
    ),
  );
