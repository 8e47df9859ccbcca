import { collectDefaultMetrics, Counter as PromCounter, Gauge as PromGauge, Registry } from "prom-client";
import type { Counter } from "../contract/note.ts";

type Labels = Readonly<Record<string, string>>;

/** One counter of a family, and the labels that tell it from the others. */
interface Cell extends Counter {
  readonly labels: Labels;
}
type Cells = Map<string, Cell>;

export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly values: readonly { readonly labels: Labels; readonly value: number }[];
}

/** Values of a gauge by the value of its label. */
export type Labelled = Iterable<readonly [label: string, value: number]>;

const PREFIX = "isthmus";
const nameOf = (...parts: readonly string[]): string =>
  [PREFIX, ...parts].filter(Boolean).join("_").replaceAll("-", "_");

/**
 * All numbers of this process, in the form that Prometheus reads. The hot path adds to plain cells; only a scrape
 * makes metrics of them.
 */
export class Metrics {
  readonly contentType: string;
  readonly #registry = new Registry();
  readonly #families = new Map<string, Cells>();

  /** `process`: also memory, CPU and event-loop lag of this process. `worker`: whose every number is. */
  constructor(options: { readonly process: boolean; readonly worker?: number | undefined }) {
    this.contentType = this.#registry.contentType;
    if (options.worker !== undefined) this.#registry.setDefaultLabels({ worker: String(options.worker) });
    if (options.process)
      collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: 20 });
  }

  /**
   * What a gateway's host offers as `counter`: metrics `isthmus_<scope>_<name>_total`. The same name and kind give
   * the same cell. The core's own scope is empty.
   */
  counters(scope: string): (name: string, help: string, kind?: string) => Counter {
    return (name, help, kind) =>
      this.#cell(nameOf(scope, name, "total"), help, ["kind"], kind === undefined ? {} : { kind });
  }

  /** What a counter of `counters` stands at; undefined when nobody has made it. */
  valueOf(scope: string, name: string, kind = ""): number | undefined {
    return this.#families.get(nameOf(scope, name, "total"))?.get(kind)?.value;
  }

  /** A family of counters `isthmus_<name>_total` with labels of its own; same labels, same cell. */
  family<Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
  ): (labels: Readonly<Record<Label, string>>) => Counter {
    return (labels) => this.#cell(nameOf(name, "total"), help, labelNames, labels);
  }

  /** A number that is read when it is asked for; a promise of it where it takes long to count. */
  gauge(name: string, help: string, read: () => number | Promise<number>): void {
    const registers = [this.#registry];
    new PromGauge({
      name: nameOf(name),
      help,
      registers,
      async collect() {
        this.set(await read());
      },
    });
  }

  /** As `gauge`, one number for each value of a label; those that are no longer named disappear. */
  labelledGauge(name: string, help: string, label: string, read: () => Labelled): void {
    this.gauges(name, help, [label], () =>
      Array.from(read(), ([value, number]) => [{ [label]: value }, number]),
    );
  }

  /** As `labelledGauge`, with several labels. */
  gauges<Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
    read: () => Iterable<readonly [labels: Readonly<Record<Label, string>>, number: number]>,
  ): void {
    new PromGauge({
      name: nameOf(name),
      help,
      labelNames: [...labelNames],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [labels, number] of read()) this.set({ ...labels }, number);
      },
    });
  }

  /** Constant facts: a gauge that is always 1, with the facts as labels. */
  info(name: string, help: string, facts: Readonly<Record<string, string>>): void {
    const gauge = new PromGauge({
      name: nameOf(name),
      help,
      labelNames: Object.keys(facts),
      registers: [this.#registry],
    });
    gauge.set({ ...facts }, 1);
  }

  /** All families as values. */
  async families(): Promise<readonly MetricFamily[]> {
    const families = await this.#registry.getMetricsAsJSON();
    return families.map(({ name, help, type, values }) => ({
      name,
      help,
      type: String(type),
      values: values.map(({ labels, value }) => ({ labels: { ...labels } as Labels, value })),
    }));
  }

  /** The exposition text. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #cell(name: string, help: string, labelNames: readonly string[], labels: Labels): Counter {
    let cells = this.#families.get(name);
    if (cells === undefined) {
      cells = new Map();
      this.#families.set(name, cells);
      this.#expose(name, help, labelNames, cells);
    }
    const key = labelNames.map((label) => labels[label] ?? "").join("\n");
    let cell = cells.get(key);
    if (cell === undefined) {
      cell = { value: 0, labels };
      cells.set(key, cell);
    }
    return cell;
  }

  #expose(name: string, help: string, labelNames: readonly string[], cells: Cells): void {
    new PromCounter({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const { labels, value } of cells.values()) this.inc({ ...labels }, value);
      },
    });
  }
}
