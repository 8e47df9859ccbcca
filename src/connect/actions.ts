import { isCircle, lineOf } from "../bus/via.ts";
import {
  type Action,
  type ActionCounters,
  ActionError,
  type ActionSettings,
  type CompileAction,
  deliveryId,
  newActionCounters,
} from "../rules/action.ts";
import { type Emit, type RepublishSettings, republish } from "../rules/republish.ts";
import { isMap, type Value } from "../rules/value.ts";
import type { Item } from "./connector.ts";
import { kindOf } from "./kinds.ts";
import { cameFrom } from "./mqtt.ts";
import type { Sink } from "./sink.ts";

export interface ActionHost {
  readonly emit: Emit;
  /** Writes an output down. */
  log(rule: string, output: Value, occasion: object): void;
  /** The connectors that are configured, by name: their kinds. */
  kindOf(connector: string): string | undefined;
  sink(connector: string): Sink | undefined;
  /** By which a rule knows again what it has sent to another gateway. */
  mark(rule: string): string;
  /** It has come back: it is not sent again. */
  cameBack(rule: string, connector: string): void;
  /** Of an action: its numbers go on when its rule is configured anew. */
  counters(rule: string, place: number): ActionCounters;
}

/** Compiles actions of all kinds. */
export const compileWith =
  (host: ActionHost): CompileAction =>
  (settings, rule, place) => {
    const counters = host.counters(rule, place);
    if (settings.kind === "republish")
      return republish(settings as RepublishSettings, rule, host.emit, counters);
    if (settings.kind === "console") return toLog(rule, host, counters);
    return toConnector(settings, { rule, place }, host, counters);
  };

function toLog(rule: string, { log }: ActionHost, counters: ActionCounters): Action {
  return {
    ...{ kind: "console", to: "console", counters, keeps: false, full: false },
    prepare: (output, occasion) => ({
      parameters: output,
      perform() {
        log(rule, output, occasion);
        counters.success++;
      },
    }),
  };
}

/** The id of the delivery may be asked for in templates, so that a table can have it in a unique column. */
const ID = "delivery_id";

function toConnector(
  settings: ActionSettings,
  { rule, place }: Pick<Item, "rule" | "place">,
  host: ActionHost,
  counters: ActionCounters,
): Action {
  const { kind } = settings;
  const connector = String(settings["connector"]);
  const configured = host.kindOf(connector);
  if (configured === undefined) throw new ActionError(`there is no connector ${connector}`);
  const found = kindOf(kind);
  if (found === undefined || configured !== kind)
    throw new ActionError(
      `the connector ${connector} is of kind ${configured}: expected kind: ${configured}`,
    );
  const fill = found.compile(settings as never);
  const named = JSON.stringify(settings).includes(ID);
  const mark = found.saysVia === true ? host.mark(rule) : undefined;
  return {
    ...{ kind, to: connector, counters, keeps: true },
    get full() {
      return host.sink(connector)?.full === true;
    },
    prepare(output, occasion) {
      const id = deliveryId(occasion, place);
      const parameters = fill(named && isMap(output) ? { ...output, [ID]: id } : output);
      return {
        parameters,
        perform(hold) {
          const { client, now, through, marks } = occasion;
          const sink = host.sink(connector);
          const comesBack = mark !== undefined && isCircle(marks, mark);
          if (comesBack) host.cameBack(rule, connector);
          // What a broker has sent does not go back to it.
          if (sink === undefined || comesBack || through.includes(cameFrom(connector))) {
            counters.dropped++;
            return;
          }
          const via = mark === undefined ? undefined : lineOf([...marks, mark]);
          sink.take({ id, rule, place, client, at: now, parameters, through, via }, hold?.add());
        },
      };
    },
  };
}

/** For who only checks what is configured. */
export const checking = (kinds: (connector: string) => string | undefined): CompileAction =>
  compileWith({
    emit() {},
    log() {},
    kindOf: kinds,
    sink: () => undefined,
    mark: () => "",
    cameBack() {},
    counters: newActionCounters,
  });
