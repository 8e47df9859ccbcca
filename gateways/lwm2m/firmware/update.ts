/**
 * One firmware update through object 5 (LwM2M 1.1 Appendix E.6): deliver the package, watch State and Update
 * Result, start the update, and publish each step.
 */

import { NO_BYTES } from "#core/lib/bytes.ts";
import { after, type Instant, NEVER } from "#core/lib/time.ts";
import { isError } from "#gateways/coap/stack/message/codes.ts";
import { isJsonObject, type Json, type JsonObject } from "../content/exact-json.ts";
import type { Device } from "../device.ts";
import type { Operation } from "../operation.ts";
import { Path } from "../path.ts";
import type { Settlement } from "../request-queue.ts";
import { type Answer, codeName } from "../responses.ts";
import type { Shared } from "../shared.ts";
import { type FirmwareOrder, firmwareOrder } from "./order.ts";

const at = (resource: number): Path => Path.of(5, 0, resource) as Path;
const PACKAGE = at(0);
const PACKAGE_URI = at(1);
const UPDATE = at(2);
const STATE = at(3);
const RESULT = at(5);

/** /5/0/3. */
const STATES = ["idle", "downloading", "downloaded", "updating"] as const;
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
const DOWNLOADED = 2;
const INITIAL = 0;

type Phase = "delivering" | "downloading" | "updating" | "finished";
const PHASES: readonly string[] = ["delivering", "downloading", "updating"];

export class FirmwareUpdate {
  readonly #device: Device;
  readonly order: FirmwareOrder;
  readonly #echo: JsonObject;
  #phase: Phase = "delivering";
  deadline: Instant;

  constructor(device: Device, order: FirmwareOrder, echo: JsonObject, now: Instant) {
    this.#device = device;
    this.order = order;
    this.#echo = echo;
    this.deadline = after(now, device.shared.config.firmware.timeout);
  }

  get active(): boolean {
    return this.#phase !== "finished";
  }

  /** JSON for the session's memo: a device restarts in the middle of this, and registers again. */
  get remembered(): JsonObject | undefined {
    if (!this.active) return undefined;
    const { mode, file, uri, update } = this.order;
    return { order: { mode, file, uri, update }, echo: this.#echo, phase: this.#phase };
  }

  /** Goes on where an earlier registration of the device left off. */
  static resume(device: Device, memo: Json | undefined, now: Instant): FirmwareUpdate | undefined {
    if (!isJsonObject(memo) || !isJsonObject(memo["order"])) return undefined;
    const order = firmwareOrder(memo["order"]);
    const phase = memo["phase"];
    if (!order.ok || typeof phase !== "string" || !PHASES.includes(phase)) return undefined;
    const echo = isJsonObject(memo["echo"]) ? memo["echo"] : {};
    const update = new FirmwareUpdate(device, order.value.firmware, echo, now);
    update.#phase = phase as Phase;
    return update;
  }

  /** After the registration is answered. A delivery that was cut off begins again. */
  continue(now: Instant): void {
    if (this.#phase === "delivering") {
      this.begin(now);
      return;
    }
    this.#observe(STATE, now);
    this.#observe(RESULT, now);
    if (this.#phase === "updating") this.#read(RESULT, now);
    else this.#read(STATE, now);
  }

  /** Why an order cannot be carried out, before anything is sent. */
  static problem(order: FirmwareOrder, shared: Shared): string | undefined {
    const { baseUri } = shared.config.firmware;
    if (order.file !== undefined && !shared.packages.has(order.file)) return `no firmware file ${order.file}`;
    if (order.mode === "pull" && order.uri === undefined && baseUri === "")
      return "firmware.baseUri is not set";
    return undefined;
  }

  begin(now: Instant): void {
    this.#report("started", now);
    this.#observe(STATE, now);
    this.#observe(RESULT, now);
    const written = (settlement: Settlement, later: Instant) => this.#delivered(settlement, later);
    this.#device.ask(this.#delivery(), written, now);
  }

  /** An answer of any observation of this device; those of /5/0 move the update on. */
  notified(answer: Answer, now: Instant): void {
    for (const { path, value } of answer.entries ?? []) {
      if (path.equals(STATE)) this.#stateIs(Number(value), now);
      else if (path.equals(RESULT)) this.#resultIs(Number(value), now);
    }
  }

  wake(now: Instant): void {
    if (now < this.deadline || !this.active) return;
    this.#finish("failed", now, { reason: "no progress in time" });
  }

  #delivery(): Operation {
    const { mode, file, uri } = this.order;
    if (mode === "push") {
      const value = this.#device.shared.packages.get(file ?? "")?.bytes ?? new Uint8Array(0);
      const entries = [{ path: PACKAGE, value, type: "opaque" as const }];
      return { kind: "write", mode: "replace", path: PACKAGE, query: [], entries };
    }
    const { baseUri } = this.#device.shared.config.firmware;
    const value = uri ?? `${baseUri.replace(/\/$/, "")}/fw/${encodeURIComponent(file ?? "")}`;
    const entries = [{ path: PACKAGE_URI, value, type: "string" as const }];
    return { kind: "write", mode: "replace", path: PACKAGE_URI, query: [], entries };
  }

  #delivered(settlement: Settlement, now: Instant): void {
    const problem = problemOf(settlement);
    if (problem !== undefined) {
      this.#finish("failed", now, { reason: `the package was not taken: ${problem}` });
      return;
    }
    if (this.#phase !== "delivering") return;
    this.#enter("downloading");
    this.#progress(now);
    this.#report(this.order.mode === "push" ? "delivered" : "downloading", now);
    this.#read(STATE, now);
  }

  /** Watched both ways: devices that cannot be observed are read. */
  #observe(path: Path, now: Instant): void {
    const operation = { kind: "observe" as const, path, query: [] };
    if (this.#device.observations.has(path.toString())) return;
    this.#device.observeInternally(operation, now);
  }

  #read(path: Path, now: Instant): void {
    const operation: Operation = { kind: "read", path, query: [] };
    this.#device.ask(
      operation,
      (settlement, later) => {
        if (settlement.kind === "answered" && !isError(settlement.answer.code))
          this.notified(settlement.answer, later);
      },
      now,
    );
  }

  #stateIs(state: number, now: Instant): void {
    if (!this.active) return;
    this.#progress(now);
    this.#report(STATES[state] ?? "unknown", now, { state });
    if (state !== DOWNLOADED || this.#phase === "updating") return;
    if (this.#phase === "delivering" || !this.order.update) {
      if (!this.order.update) this.#finish("downloaded", now, { state });
      return;
    }
    this.#enter("updating");
    const operation: Operation = { kind: "execute", path: UPDATE, args: NO_BYTES };
    this.#device.ask(operation, (settlement, later) => this.#started(settlement, later), now);
  }

  #started(settlement: Settlement, now: Instant): void {
    const problem = problemOf(settlement);
    if (problem !== undefined)
      this.#finish("failed", now, { reason: `the update was not started: ${problem}` });
    else if (this.active) this.#read(RESULT, now);
  }

  #resultIs(result: number, now: Instant): void {
    if (!this.active || result === INITIAL) return;
    // Before the update starts a success can only be that of the update before this one.
    if (result === 1 && this.#phase !== "updating") return;
    this.#finish(result === 1 ? "success" : "failed", now, {
      result,
      resultMsg: RESULTS[result] ?? "unknown",
    });
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
    this.#device.firmwareChanged();
  }

  #progress(now: Instant): void {
    this.deadline = after(now, this.#device.shared.config.firmware.timeout);
  }

  #finish(status: string, now: Instant, detail: JsonObject): void {
    if (!this.active) return;
    this.#enter("finished");
    this.deadline = NEVER;
    this.#report(status, now, detail);
  }

  #report(status: string, now: Instant, detail: JsonObject = {}): void {
    const { mode, file, uri } = this.order;
    const data = { status, mode, file, uri, ...detail };
    this.#device.report("firmware", { ...this.#echo, msgType: "firmware", data }, now);
  }
}

function problemOf(settlement: Settlement): string | undefined {
  if (settlement.kind === "failed") return settlement.why;
  const { code, reason } = settlement.answer;
  return isError(code) ? (reason ?? codeName(code)) : undefined;
}
