import type { QoS } from "../bus/message.ts";
import type { SinkHold } from "./hold.ts";
import type { Value } from "./value.ts";

/** An action as it is configured: its kind says which keys it has. */
export interface ActionSettings {
  readonly kind: string;
  readonly [key: string]: unknown;
}

/** Of what event an output is. */
export interface Occasion {
  readonly rule: string;
  /** The id of the event, and which of its outputs this is: together with the rule the id of a delivery. */
  readonly event: string;
  readonly element: number;
  /** Whose event it is, as `gateway:client id`: what is in order is in order for one client. */
  readonly client: string;
  readonly now: number;
  readonly qos: QoS;
  /** Rules that the event came through, this one among them. */
  readonly through: readonly string[];
  /** What it passed between gateways (`via.ts`). */
  readonly marks: readonly string[];
}

/** What becomes of one output: `parameters` is what a test of the rule shows. */
export interface Prepared {
  readonly parameters: Value;
  /** Does it, or puts it where it is kept until it is done. */
  perform(hold: SinkHold | undefined): void;
}

export interface ActionCounters {
  matched: number;
  success: number;
  failed: number;
  dropped: number;
}

export const newActionCounters = (): ActionCounters => ({ matched: 0, success: 0, failed: 0, dropped: 0 });

/** One of a rule's actions, compiled. */
export interface Action {
  readonly kind: string;
  /** What it leads to: a connector's name, or the kind. */
  readonly to: string;
  readonly counters: ActionCounters;
  /** Throws `RuleFailure`. */
  prepare(output: Value, occasion: Occasion): Prepared;
  /** What it hands over is kept. */
  readonly keeps: boolean;
  /** There is no room for what it would hand over, and it may not drop anything. */
  readonly full: boolean;
}

/** Makes an action of its settings. Throws `TemplateError`, and `ActionError` for what else cannot work. */
export type CompileAction = (settings: ActionSettings, rule: string, place: number) => Action;

export class ActionError extends Error {
  override readonly name = "ActionError";
}

/** An id of one delivery to one place, the same each time that it is tried. */
export const deliveryId = ({ event, rule, element }: Occasion, place: number): string =>
  `${event}-${rule}-${place}-${element}`;
