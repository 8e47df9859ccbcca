import { Errand } from "../bus/errand.ts";
import type { Instant } from "../lib/time.ts";
import { Context, type Failed, type Filter, type Packet, type PacketType } from "./filter.ts";
import { type FilterSettings, KINDS } from "./kinds.ts";
import { FilterError } from "./settings.ts";
import type { SinkHost } from "./sinks.ts";

/** The flow ends here, and the packet goes on its way. */
export const END = "END";

export interface PipelineSettings {
  readonly enable: boolean;
  /** For people. */
  readonly description: string;
  readonly packetType: PacketType;
  /** Absent: all. */
  readonly gateways?: readonly string[] | undefined;
  /** Messages reach subscribers here as well. */
  readonly brokerMode: boolean;
  /** Empty: filters in their order. */
  readonly flow: readonly {
    readonly filter: string;
    readonly jumpIf: Readonly<Record<string, string>>;
  }[];
  readonly filters: readonly FilterSettings[];
}

/** Something of a pipeline that cannot work, and where. */
export class PipelineError extends Error {
  override readonly name = "PipelineError";
  /** Keys below the pipeline. */
  readonly at: readonly (string | number)[];

  constructor(at: readonly (string | number)[], says: string) {
    super(says);
    this.at = at;
  }
}

export interface PipelineHost extends Omit<SinkHost, "pipeline" | "place" | "lost"> {
  now(): Instant;
  /** What a filter came to: `passed`, or one of its results. */
  count(pipeline: string, filter: string, result: string): void;
}

interface Step {
  readonly name: string;
  /** Undefined: the flow ends here. */
  readonly filter: Filter | undefined;
  /** Where the flow goes on after a result. */
  readonly jumps: ReadonlyMap<string, number>;
}

/** What became of a packet. */
export type Outcome =
  | { readonly kind: "pass"; readonly errand: Errand | undefined }
  | { readonly kind: "drop" }
  | ({ readonly kind: "refuse" } & Failed);

export class Pipeline {
  readonly name: string;
  readonly settings: PipelineSettings;
  readonly #steps: readonly Step[];
  readonly #host: PipelineHost;

  /** Throws `PipelineError`. */
  constructor(name: string, settings: PipelineSettings, host: PipelineHost) {
    this.name = name;
    this.settings = settings;
    this.#host = host;
    this.#steps = compiledSteps(name, settings, host);
  }

  /** `context`: for whoever wants to see what filters made of it. */
  run(packet: Packet, context = new Context(packet, this.#host.now())): Outcome {
    const failed = this.#flow(context);
    if (failed !== undefined) return { kind: "refuse", ...failed };
    const swallows = packet.type === "Publish" && !this.settings.brokerMode;
    if (context.parcels.length > 0) return { kind: "pass", errand: new Errand(swallows, context.parcels) };
    return swallows ? { kind: "drop" } : { kind: "pass", errand: undefined };
  }

  #flow(context: Context): Failed | undefined {
    const steps = this.#steps;
    let place = 0;
    while (place < steps.length) {
      const { name, filter, jumps } = steps[place]!;
      if (filter === undefined) return undefined;
      const failed = filter.handle(context);
      this.#host.count(this.name, name, failed?.result ?? "passed");
      if (failed === undefined) {
        place++;
        continue;
      }
      const next = jumps.get(failed.result);
      if (next === undefined) return failed;
      // Only what lies ahead: a flow ends.
      place = next;
    }
    return undefined;
  }
}

type Flow = PipelineSettings["flow"];

function compiledSteps(pipeline: string, settings: PipelineSettings, host: PipelineHost): readonly Step[] {
  const { filters, flow } = settings;
  checkNames(filters);
  const opened = new Map(
    filters.map((each, place) => [each.name, openFilter(pipeline, settings, place, host)] as const),
  );
  const nodes: Flow = flow.length > 0 ? flow : filters.map((each) => ({ filter: each.name, jumpIf: {} }));
  return nodes.map((node, place) => {
    const { filter: name } = node;
    if (name === END) return { name, filter: undefined, jumps: new Map() };
    const filter = opened.get(name);
    if (filter === undefined) {
      const known = filters.map((each) => each.name).join(", ");
      const says = `is "${name}", and there is no such filter: expected one of ${known}, ${END}`;
      throw new PipelineError(["flow", place, "filter"], says);
    }
    return { name, filter, jumps: jumpsOf(node, place, nodes, filters) };
  });
}

function checkNames(filters: PipelineSettings["filters"]): void {
  for (const [place, { name }] of filters.entries()) {
    const isTaken = name === END || filters.findIndex((other) => other.name === name) < place;
    if (isTaken)
      throw new PipelineError(
        ["filters", place, "name"],
        `is "${name}": expected a name that no other filter has, and not ${END}`,
      );
  }
}

function openFilter(pipeline: string, settings: PipelineSettings, place: number, host: PipelineHost): Filter {
  const of = settings.filters[place]!;
  const { packets, open } = KINDS[of.kind]!;
  const { packetType } = settings;
  if (!packets.includes(packetType)) {
    const says = `is ${of.kind}, which is for packets of type ${packets.join(", ")}, not ${packetType}`;
    throw new PipelineError(["filters", place, "kind"], says);
  }
  try {
    const lost = (result: string): void => host.count(pipeline, of.name, result);
    return open(of, { ...host, pipeline, place, lost });
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    throw new PipelineError(["filters", place, ...error.at], error.message);
  }
}

function jumpsOf(
  { filter, jumpIf }: Flow[number],
  place: number,
  nodes: Flow,
  filters: PipelineSettings["filters"],
): ReadonlyMap<string, number> {
  const { results } = KINDS[filters.find(({ name }) => name === filter)!.kind]!;
  const jumps = new Map<string, number>();
  for (const [result, target] of Object.entries(jumpIf)) {
    const at = ["flow", place, "jumpIf", result];
    if (!results.includes(result))
      throw new PipelineError(at, `is no result of ${filter}: expected ${results.join(", ")}`);
    const next =
      target === END
        ? nodes.length
        : nodes.findIndex((node, index) => index > place && node.filter === target);
    if (next < 0)
      throw new PipelineError(
        at,
        `is "${target}": expected a filter behind ${filter} in the flow, or ${END}`,
      );
    jumps.set(result, next);
  }
  return jumps;
}
