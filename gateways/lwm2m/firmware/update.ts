/**
 * One firmware update through object 5 (LwM2M 1.1 Appendix E.6): clear what an earlier one has left, deliver the
 * package, watch State and Update Result, start the update, and publish each step once and in order.
 *
 *   checking ─► clearing ─► delivering ─► downloading ─► updating ─► finished
 *
 * State and Update Result keep the values of the update before until the device takes a new package: until then they
 * are noted and mean nothing.
 */

import { NO_BYTES } from "#core/lib/bytes.ts";
import { after, type Duration, type Instant, NEVER } from "#core/lib/time.ts";
import { isError } from "#gateways/coap/stack/message/codes.ts";
import type { Operation } from "../commands/operation.ts";
import type { Settlement } from "../commands/request-queue.ts";
import { type Answer, codeName } from "../commands/responses.ts";
import { isJsonObject, type Json, type JsonObject } from "../content/exact-json.ts";
import type { Entry } from "../content/value.ts";
import { Path } from "../objects/path.ts";
import { type FirmwareOrder, firmwareOrder } from "./order.ts";
import type { FirmwarePackages } from "./packages.ts";

const at = (resource: number): Path => Path.of(5, 0, resource) as Path;
const PACKAGE = at(0);
const PACKAGE_URI = at(1);
const UPDATE = at(2);
const STATE = at(3);
const RESULT = at(5);

/** /5/0/3. */
const State = { Idle: 0, Downloading: 1, Downloaded: 2, Updating: 3 } as const;
/** /5/0/5; 10 to 12 since version 1.1 of the object. */
const RESULTS = [
  "initial",
  "success",
  "not_enough_flash",
  "out_of_memory",
  "connection_lost",
  "integrity_check_failed",
  "unsupported_package",
  "invalid_uri",
  "update_failed",
  "unsupported_protocol",
  "cancelled",
  "deferred",
] as const;
const Result = { Initial: 0, Success: 1, Deferred: 11 } as const;

type Phase = "checking" | "clearing" | "delivering" | "downloading" | "updating" | "finished";
/** Those from which an update goes on when its device registers again. */
const PHASES: readonly string[] = ["checking", "clearing", "delivering", "downloading", "updating"];

/** Reports on the way in the order in which they make sense: what would be a step back is not said. */
const STEPS = ["started", "downloading", "delivered", "downloaded", "updating"] as const;
type Step = (typeof STEPS)[number];

/** What an update needs of its device. */
export interface FirmwareTarget {
  readonly packages: FirmwarePackages;
  readonly settings: { readonly timeout: Duration; readonly baseUri: string };
  ask(operation: Operation, settled: (settlement: Settlement, now: Instant) => void, now: Instant): void;
  /** Observes, where that is not observed already. */
  watch(path: Path, now: Instant): void;
  report(report: JsonObject, now: Instant): void;
  /** What is remembered of the update has changed. */
  changed(): void;
}

export class FirmwareUpdate {
  readonly #target: FirmwareTarget;
  readonly #order: FirmwareOrder;
  readonly #echo: JsonObject;
  #phase: Phase = "checking";
  #step = -1;
  /** Update Result as it was last seen before it could be that of this update. */
  #stale: number | undefined = undefined;
  /** The device was seen at work on this update, so that falling back to another state is its end. */
  #working = false;
  deadline: Instant;

  constructor(target: FirmwareTarget, order: FirmwareOrder, echo: JsonObject, now: Instant) {
    this.#target = target;
    this.#order = order;
    this.#echo = echo;
    this.deadline = after(now, target.settings.timeout);
  }

  get active(): boolean {
    return this.#phase !== "finished";
  }

  /** JSON for the session's memo: a device restarts in the middle of this, and registers again. */
  get remembered(): JsonObject | undefined {
    if (!this.active) return undefined;
    const { mode, file, uri, update } = this.#order;
    const order = { mode, file, uri, update };
    return { order, echo: this.#echo, phase: this.#phase, step: this.#step, stale: this.#stale };
  }

  /** Goes on where an earlier registration of the device left off. */
  static resume(target: FirmwareTarget, memo: Json | undefined, now: Instant): FirmwareUpdate | undefined {
    if (!isJsonObject(memo) || !isJsonObject(memo["order"])) return undefined;
    const order = firmwareOrder(memo["order"]);
    const { phase, step, stale } = memo as { [name: string]: Json };
    if (!order.ok || typeof phase !== "string" || !PHASES.includes(phase)) return undefined;
    const echo = isJsonObject(memo["echo"]) ? memo["echo"] : {};
    const update = new FirmwareUpdate(target, order.value.firmware, echo, now);
    update.#phase = phase as Phase;
    if (typeof step === "number") update.#step = step;
    if (typeof stale === "number") update.#stale = stale;
    return update;
  }

  /** Why an order cannot be carried out, before anything is sent. */
  static problem(order: FirmwareOrder, { packages, settings }: FirmwareTarget): string | undefined {
    if (order.file !== undefined && packages.fresh(order.file) === undefined)
      return `no firmware file ${order.file}`;
    if (order.mode === "pull" && order.uri === undefined && settings.baseUri === "")
      return "firmware.baseUri is not set";
    return undefined;
  }

  begin(now: Instant): void {
    this.#report("started", now);
    this.#check(now);
  }

  /** After the registration is answered. A delivery that was cut off begins again. */
  continue(now: Instant): void {
    if (this.#phase === "downloading" || this.#phase === "updating") {
      // Who registers again in the middle of an update has restarted into it.
      this.#working = this.#phase === "updating";
      this.#watch(now);
      this.#read(RESULT, now);
      this.#read(STATE, now);
    } else {
      this.#phase = "checking";
      this.#check(now);
    }
  }

  /** An answer of any observation of this device; those of /5/0 move the update on. */
  notified(answer: Answer, now: Instant): void {
    for (const { path, value } of answer.entries ?? []) this.#seen(path, value, now);
  }

  wake(now: Instant): void {
    if (now < this.deadline || !this.active) return;
    this.#finish("failed", now, { reason: "no progress in time" });
  }

  #seen(path: Path, value: Entry["value"], now: Instant): void {
    if (!this.active || !/^\d+$/.test(String(value))) return;
    if (path.equals(STATE)) this.#stateIs(Number(value), now);
    else if (path.equals(RESULT)) this.#resultIs(Number(value), now);
  }

  #watch(now: Instant): void {
    this.#target.watch(STATE, now);
    this.#target.watch(RESULT, now);
  }

  /** What the device has of an earlier update. */
  #check(now: Instant): void {
    this.#watch(now);
    this.#read(RESULT, now);
    this.#target.ask(read(STATE), (settlement, later) => this.#checked(settlement, later), now);
  }

  #checked(settlement: Settlement, now: Instant): void {
    if (this.#phase !== "checking") return;
    if (settlement.kind === "failed") {
      this.#finish("failed", now, { reason: `the device did not say its state: ${settlement.why}` });
      return;
    }
    const state = Number(settlement.answer.entries?.[0]?.value ?? State.Idle);
    if (state === State.Updating) this.#finish("failed", now, { reason: "the device is updating already" });
    else if (state === State.Downloading || state === State.Downloaded) this.#clear(now);
    else this.#deliver(now);
  }

  /** Back to Idle: a package is given up by an empty URI or a NUL as package (LwM2M 1.1 E.6, State). */
  #clear(now: Instant): void {
    this.#enter("clearing");
    const pushed = this.#order.mode === "push";
    const operation = pushed ? write(PACKAGE, Uint8Array.of(0), "opaque") : write(PACKAGE_URI, "", "string");
    this.#target.ask(operation, (settlement, later) => this.#cleared(settlement, later), now);
  }

  #cleared(settlement: Settlement, now: Instant): void {
    if (this.#phase !== "clearing") return;
    const problem = problemOf(settlement);
    if (problem === undefined) this.#deliver(now);
    else this.#finish("failed", now, { reason: `the device keeps an earlier package: ${problem}` });
  }

  #deliver(now: Instant): void {
    this.#enter("delivering");
    this.#target.ask(this.#delivery(), (settlement, later) => this.#delivered(settlement, later), now);
  }

  #delivery(): Operation {
    const { mode, file = "", uri } = this.#order;
    if (mode === "push") return write(PACKAGE, this.#target.packages.get(file)?.bytes ?? NO_BYTES, "opaque");
    const base = this.#target.settings.baseUri.replace(/\/$/, "");
    return write(PACKAGE_URI, uri ?? `${base}/fw/${encodeURIComponent(file)}`, "string");
  }

  #delivered(settlement: Settlement, now: Instant): void {
    if (this.#phase !== "delivering") return;
    const problem = problemOf(settlement);
    if (problem !== undefined) {
      this.#finish("failed", now, { reason: `the package was not taken: ${problem}` });
      return;
    }
    this.#enter("downloading");
    this.#progress(now);
    this.#report(this.#order.mode === "push" ? "delivered" : "downloading", now);
    // Reset with the delivery, by the book; the state decides, so it comes last.
    this.#read(RESULT, now);
    this.#read(STATE, now);
  }

  #stateIs(state: number, now: Instant): void {
    const { mode } = this.#order;
    const transfers = this.#phase === "downloading" || (this.#phase === "delivering" && mode === "push");
    if (transfers && state === State.Downloading) this.#at("downloading", now, state);
    else if (this.#phase === "downloading" && state === State.Downloaded) this.#downloaded(now);
    else if (state === State.Updating && (this.#phase === "downloading" || this.#phase === "updating")) {
      if (this.#phase === "downloading") this.#enter("updating");
      this.#at("updating", now, state);
    } else if (this.#working && (this.#phase === "downloading" || this.#phase === "updating"))
      // It has gone back to where it was: the result is that of this update, whatever it was before.
      this.#target.ask(read(RESULT), (settlement, later) => this.#ended(settlement, later), now);
  }

  /** The device works on it. */
  #at(step: Step, now: Instant, state: number): void {
    this.#working = true;
    this.#progress(now);
    this.#report(step, now, { state });
  }

  #downloaded(now: Instant): void {
    const detail = { state: State.Downloaded };
    if (!this.#order.update) {
      this.#finish("downloaded", now, detail);
      return;
    }
    this.#progress(now);
    this.#report("downloaded", now, detail);
    this.#working = false;
    this.#enter("updating");
    const operation: Operation = { kind: "execute", path: UPDATE, args: NO_BYTES };
    this.#target.ask(operation, (settlement, later) => this.#started(settlement, later), now);
  }

  #started(settlement: Settlement, now: Instant): void {
    if (this.#phase !== "updating") return;
    const problem = problemOf(settlement);
    if (problem === undefined) this.#read(STATE, now);
    else this.#finish("failed", now, { reason: `the update was not started: ${problem}` });
  }

  #resultIs(result: number, now: Instant): void {
    const mine = this.#phase === "downloading" || this.#phase === "updating";
    if (!mine || result === Result.Initial) this.#stale = result;
    else if (result !== this.#stale) this.#conclude(result, now);
  }

  #ended(settlement: Settlement, now: Instant): void {
    const value = settlement.kind === "answered" ? settlement.answer.entries?.[0]?.value : undefined;
    const result = Number(value ?? Result.Initial);
    if (this.active && this.#working && result !== Result.Initial) this.#conclude(result, now);
  }

  #conclude(result: number, now: Instant): void {
    const detail = { result, resultMsg: RESULTS[result] ?? "unknown" };
    if (result === Result.Deferred) {
      this.#defer(detail, now);
      return;
    }
    // Before the update has been started, nothing can have succeeded.
    if (result === Result.Success && this.#phase !== "updating") return;
    this.#finish(result === Result.Success ? "success" : "failed", now, detail);
  }

  /** The device will update when it suits it: nothing has ended (LwM2M 1.1 E.6, Update Result 11). */
  #defer(detail: JsonObject, now: Instant): void {
    this.#stale = Result.Deferred;
    this.#working = false;
    this.#step = STEPS.indexOf("downloaded");
    this.#progress(now);
    this.#publish("deferred", now, detail);
    this.#target.changed();
  }

  #read(path: Path, now: Instant): void {
    this.#target.ask(
      read(path),
      (settlement, later) => {
        if (settlement.kind === "answered" && !isError(settlement.answer.code))
          this.notified(settlement.answer, later);
      },
      now,
    );
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
    this.#target.changed();
  }

  #progress(now: Instant): void {
    this.deadline = after(now, this.#target.settings.timeout);
  }

  #finish(status: string, now: Instant, detail: JsonObject): void {
    if (!this.active) return;
    this.#enter("finished");
    this.deadline = NEVER;
    this.#publish(status, now, detail);
  }

  #report(step: Step, now: Instant, detail: JsonObject = {}): void {
    const next = STEPS.indexOf(step);
    if (next <= this.#step) return;
    this.#step = next;
    this.#publish(step, now, detail);
  }

  #publish(status: string, now: Instant, detail: JsonObject): void {
    const { mode, file, uri } = this.#order;
    const data = { status, mode, file, uri, ...detail };
    this.#target.report({ ...this.#echo, msgType: "firmware", data }, now);
  }
}

const read = (path: Path): Operation => ({ kind: "read", path, query: [] });
const write = (path: Path, value: Uint8Array | string, type: "opaque" | "string"): Operation => {
  const entries = [{ path, value, type }];
  return { kind: "write", mode: "replace", path, query: [], entries };
};

function problemOf(settlement: Settlement): string | undefined {
  if (settlement.kind === "failed") return settlement.why;
  const { code, reason } = settlement.answer;
  return isError(code) ? (reason ?? codeName(code)) : undefined;
}
