/**
 * What an operator may ask of LwM2M devices, with the commands of `messages.schema.json` as values: accepted at once,
 * and answered later, at the latest when the request expires. A sleeping device is asked when it wakes, and one that
 * is out of reach when it is heard again.
 */
import { CallbackAlarm } from "#core/lib/alarm.ts";
import { RecentMap } from "#core/lib/recent-map.ts";
import { after, type Instant, seconds } from "#core/lib/time.ts";
import { isError } from "#gateways/coap/stack/message/codes.ts";
import { type Command, readCommand } from "../commands/command.ts";
import type { Operation } from "../commands/operation.ts";
import type { Failure, Settlement, Waiting } from "../commands/request-queue.ts";
import { type Answer, answerData } from "../commands/responses.ts";
import type { JsonObject } from "../content/exact-json.ts";
import type { Device } from "../device.ts";
import type { Observed } from "../observing/observations.ts";
import type { Registration } from "../registration/registration.ts";
import { type Shared, targetOf } from "../shared.ts";
import type { DeviceEvent } from "./events.ts";
import { type DeviceStatus, type ObjectStatus, objectsOf, statusOf, statusOfAway } from "./status.ts";

/** What became of a request. */
export interface OperationResult {
  readonly id: string;
  readonly endpoint: string;
  readonly msgType: string;
  /** `waiting`: for its turn, or for the device. `answered`: by the device, be it with an error code. */
  readonly state: "waiting" | "answered" | "failed";
  /** `data` of the message that answers such a command on MQTT. */
  readonly data: JsonObject | undefined;
  readonly failure: Failure | undefined;
  readonly since: Instant;
  readonly until: Instant | undefined;
}

export type Asked =
  | { readonly ok: true; readonly id: string }
  | {
      readonly ok: false;
      readonly refusal: "unknown-endpoint" | "bad-request" | "too-many";
      readonly reason: string;
    };

export interface Lwm2mOperations {
  /** All that are registered, those out of reach last. `now` tells who sleeps. */
  devices(now: Instant): IterableIterator<DeviceStatus>;
  device(endpoint: string, now: Instant): DeviceStatus | undefined;
  /** The object tree, with the names of the definitions; undefined where nobody is registered under that name. */
  objects(endpoint: string): readonly ObjectStatus[] | undefined;
  /** `{msgType, data, encoding?, mheaders?}` as on MQTT; `mheaders.ttl` bounds how long it may wait. */
  ask(endpoint: string, command: JsonObject): Asked;
  result(id: string): OperationResult | undefined;
  /** Registrations, notifications, Send, answers and results as they come; returns what ends it. */
  watch(watcher: (event: DeviceEvent) => void): () => void;
}

export class DeviceOperations implements Lwm2mOperations {
  readonly #shared: Shared;
  readonly #requests: RecentMap<string, OperatorRequest>;
  /** Of devices that are out of reach, by endpoint name. */
  readonly #away = new Map<string, OperatorRequest[]>();
  #awayCount = 0;
  /** Deadlines are looked at behind each input: so there is one for each device that may fall asleep. */
  readonly #watched = new CallbackAlarm((now) => {
    for (const device of this.#shared.devices.all())
      if (device.awakeWindow.beginsToBeWatched(now)) device.peer.turn(() => {});
  });

  constructor(shared: Shared) {
    this.#shared = shared;
    this.#requests = new RecentMap(
      () => shared.config.operator.results,
      ({ result }) => result.state === "waiting",
    );
    shared.devices.onArrival = (device, now) => this.#arrived(device, now);
  }

  *devices(now: Instant): Generator<DeviceStatus> {
    for (const device of this.#shared.devices.all()) yield statusOf(device, now);
    for (const remembered of this.#shared.remembered.all())
      yield statusOfAway(remembered, this.#away.get(remembered.registration.ep)?.length ?? 0);
  }

  device(endpoint: string, now: Instant): DeviceStatus | undefined {
    const device = this.#shared.devices.at(endpoint);
    if (device !== undefined) return statusOf(device, now);
    const remembered = this.#shared.remembered.named(endpoint);
    return remembered === undefined
      ? undefined
      : statusOfAway(remembered, this.#away.get(endpoint)?.length ?? 0);
  }

  objects(endpoint: string): readonly ObjectStatus[] | undefined {
    const registration = this.#registered(endpoint);
    if (registration === undefined) return undefined;
    return objectsOf(registration.list, registration.version, this.#shared.definitions);
  }

  ask(endpoint: string, json: JsonObject): Asked {
    const registration = this.#registered(endpoint);
    if (registration === undefined)
      return { ok: false, refusal: "unknown-endpoint", reason: "no device is registered under this name" };
    const command = readCommand(json, targetOf(registration, this.#shared).types);
    if (!command.ok) return { ok: false, refusal: "bad-request", reason: command.error.reason };
    const away = this.#shared.devices.at(endpoint) === undefined;
    if (away && this.#awayCount >= this.#shared.config.operator.waiting)
      return { ok: false, refusal: "too-many", reason: "too many requests wait for devices out of reach" };
    const id = Buffer.from(this.#shared.host.random(9)).toString("base64url");
    const { ttl } = command.value;
    const wait = ttl === undefined ? this.#shared.config.commands.ttl : seconds(ttl);
    const request = new OperatorRequest({ id, endpoint, command: command.value, wait }, this);
    this.#requests.set(id, request);
    // Not from within whoever asks: a channel has one input at a time, and the time comes with it.
    this.#shared.host.alarms.arm(request.alarm, 0 as Instant);
    return { ok: true, id };
  }

  result(id: string): OperationResult | undefined {
    return this.#requests.get(id)?.result;
  }

  watch(watcher: (event: DeviceEvent) => void): () => void {
    const { events, host } = this.#shared;
    const first = !events.watched;
    const stop = events.watch(watcher);
    if (first) host.alarms.arm(this.#watched, 0 as Instant);
    return stop;
  }

  #registered(endpoint: string): Registration | undefined {
    const { devices, remembered } = this.#shared;
    return devices.at(endpoint)?.registration ?? remembered.named(endpoint)?.registration;
  }

  /** The gateway ends: what waits for devices out of reach waits no more. */
  close(): void {
    const { alarms } = this.#shared.host;
    alarms.disarm(this.#watched);
    for (const request of this.#requests.values()) alarms.disarm(request.alarm);
    this.#away.clear();
    this.#awayCount = 0;
  }

  /** A request's time to begin has come, or to end. */
  rang(request: OperatorRequest, now: Instant): void {
    if (request.begun) this.#expire(request, now);
    else this.#begin(request, now);
  }

  #begin(request: OperatorRequest, now: Instant): void {
    request.begin(now);
    const device = this.#shared.devices.at(request.endpoint);
    if (device !== undefined) {
      device.peer.turn((at) => this.#send(request, device, at));
      return;
    }
    const waiting = this.#away.get(request.endpoint) ?? [];
    waiting.push(request);
    this.#away.set(request.endpoint, waiting);
    this.#awayCount++;
    this.#shared.host.alarms.arm(request.alarm, request.due);
  }

  /** In the input in which a device arrives, behind what it was observed for. */
  #arrived(device: Device, now: Instant): void {
    const waiting = this.#away.get(device.registration.ep);
    if (waiting === undefined) return;
    this.#away.delete(device.registration.ep);
    this.#awayCount -= waiting.length;
    for (const request of waiting) {
      this.#shared.host.alarms.disarm(request.alarm);
      if (request.result.state === "waiting") this.#send(request, device, now);
    }
  }

  #expire(request: OperatorRequest, now: Instant): void {
    const waiting = this.#away.get(request.endpoint);
    const at = waiting?.indexOf(request) ?? -1;
    if (waiting === undefined || at < 0) return;
    waiting.splice(at, 1);
    if (waiting.length === 0) this.#away.delete(request.endpoint);
    this.#awayCount--;
    request.settled({ kind: "failed", why: "expired" }, now);
  }

  #send(request: OperatorRequest, device: Device, now: Instant): void {
    const { task } = request.command;
    request.device = device;
    if ("firmware" in task) {
      const refused = device.firmwareRefusal(task.firmware);
      const code = refused === undefined ? "2.04" : "4.00";
      const reason = refused === undefined ? {} : { reason: refused };
      request.say({ reqPath: "/5/0", code, ...reason }, now);
      if (refused === undefined) device.beginFirmware(task.firmware, request.command.echo, now);
      return;
    }
    const refused = device.refusal(task.operation);
    if (refused === undefined) device.operate(request, now);
    else request.say({ code: "4.00", codeMsg: "bad_request", reason: refused }, now);
  }

  settled({ id, endpoint, result }: OperatorRequest, now: Instant): void {
    const { events } = this.#shared;
    if (!events.watched) return;
    const { state, failure, data, msgType } = result;
    events.tell({ endpoint, kind: "result", report: { id, msgType, state, failure, data }, at: now });
  }
}

type Outcome = Pick<OperationResult, "state" | "data" | "failure" | "until">;

interface Given {
  readonly id: string;
  readonly endpoint: string;
  readonly command: Command;
  readonly wait: ReturnType<typeof seconds>;
}

/** One request, from the operator to its result. */
class OperatorRequest implements Waiting {
  readonly id: string;
  readonly endpoint: string;
  readonly command: Command;
  readonly #wait: Given["wait"];
  readonly #of: DeviceOperations;
  device: Device | undefined = undefined;
  due = 0 as Instant;
  /** Rings when it begins, and when it has waited too long for a device out of reach. */
  readonly alarm = new CallbackAlarm((now) => this.#of.rang(this, now));
  #since = 0 as Instant;
  #outcome: Outcome = { state: "waiting", data: undefined, failure: undefined, until: undefined };

  constructor({ id, endpoint, command, wait }: Given, of: DeviceOperations) {
    this.id = id;
    this.endpoint = endpoint;
    this.command = command;
    this.#wait = wait;
    this.#of = of;
  }

  get begun(): boolean {
    return this.due > 0;
  }

  begin(now: Instant): void {
    this.#since = now;
    this.due = after(now, this.#wait);
  }

  /** Only of one that is no firmware order. */
  get operation(): Operation {
    return (this.command.task as { operation: Operation }).operation;
  }

  get observed(): Pick<Observed, "echo" | "automatic"> {
    return { echo: this.command.echo, automatic: false };
  }

  get result(): OperationResult {
    const { id, endpoint, command } = this;
    return { id, endpoint, msgType: command.msgType, since: this.#since, ...this.#outcome };
  }

  settled(settlement: Settlement, now: Instant): void {
    if (settlement.kind === "answered") {
      const { answer } = settlement;
      this.say(
        this.device?.reports.answerData(this.operation, answer, now) ??
          answerData(this.operation, answer, undefined),
        now,
      );
    } else this.#end({ state: "failed", data: undefined, failure: settlement.why, until: now }, now);
  }

  /** The device, or the gateway for it, has answered. */
  say(data: JsonObject, now: Instant): void {
    this.#end({ state: "answered", data, failure: undefined, until: now }, now);
  }

  notified(
    answer: Answer,
    sequence: number,
    now: Instant,
    acknowledgement?: Parameters<NonNullable<Waiting["notified"]>>[3],
  ): void {
    const { operation } = this;
    if (operation.kind !== "observe" && operation.kind !== "observe-composite") return;
    const observed = { operation, ...this.observed };
    this.device?.reports.notify({ observed, answer, sequence, acknowledgement }, now);
    if (isError(answer.code)) this.device = undefined;
  }

  #end(outcome: Outcome, now: Instant): void {
    this.#outcome = outcome;
    this.#of.settled(this, now);
  }
}
