/** One registered device: its registration, its requests in order, its observations, and what is reported of it. */

import type { PublishAnswer, Ticket } from "#core/contract/answers.ts";
import type { Client } from "#core/contract/client.ts";
import type { Delivery } from "#core/contract/delivery.ts";
import { after, type Duration, earliest, type Instant, NEVER, seconds, ZERO } from "#core/lib/time.ts";
import { isError, Response } from "#gateways/coap/stack/message/codes.ts";
import type { CoapPeer } from "#gateways/coap/stack/site.ts";
import { AwakeWindow } from "./awake-window.ts";
import { parseCommand } from "./commands/command.ts";
import { CommandRequest } from "./commands/command-request.ts";
import { addressesEndDevice, type Operation, requestPath } from "./commands/operation.ts";
import { type Line, RequestQueue, type Settlement, type Waiting } from "./commands/request-queue.ts";
import type { Target } from "./commands/requests.ts";
import type { Answer } from "./commands/responses.ts";
import type { JsonObject } from "./content/exact-json.ts";
import type { Types } from "./content/value.ts";
import type { FirmwareOrder } from "./firmware/order.ts";
import { type FirmwareTarget, FirmwareUpdate } from "./firmware/update.ts";
import { DeviceReports, type Reported } from "./messages/device-reports.ts";
import { Reporter } from "./messages/reporter.ts";
import {
  badCommandReport,
  deregisterReport,
  type EndReason,
  registrationReport,
} from "./messages/reports.ts";
import type { Description } from "./messages/shown-value.ts";
import type { Place } from "./messages/topics.ts";
import type { Path } from "./objects/path.ts";
import { automaticPaths, keyOf, ObservationTable, type Observed } from "./observing/observations.ts";
import { RenewedObservation, type Renewing } from "./observing/renewed-observation.ts";
import { gatewayLinks, readEndDevices } from "./registration/end-devices.ts";
import {
  type KeptRegistration,
  recall,
  remember,
  weightOf,
  withoutRegistration,
  withRegistration,
} from "./registration/memo.ts";
import { promisedUntil, type Registration } from "./registration/registration.ts";
import type { Remembered } from "./registration/remembered.ts";
import { heldFor, type Shared, sessionExpiryFor, targetOf } from "./shared.ts";

/** What a body adds to the time of its request: a block of 1,024 bytes may take 2 s on a slow network. */
const BODY_TIME_PER_BYTE = seconds(2) / 1024;
/** So long before the end of its lifetime a sleeper is looked for at other gateways. */
const LOOK_AHEAD = seconds(10);

/** Where a device stands at this moment, for operators. */
export interface Standing {
  /** Since this process knows of it. */
  readonly registeredAt: Instant;
  readonly renewedAt: Instant;
  readonly until: Instant;
  readonly awakeUntil: Instant;
  readonly waiting: number;
  readonly observed: readonly string[];
}

export class Device implements Line, Reported, Renewing {
  readonly client: Client;
  readonly location: string;
  readonly reporter: Reporter;
  readonly shared: Shared;
  readonly peer: CoapPeer;
  readonly queue: RequestQueue;
  readonly observations = new ObservationTable();
  readonly reports: DeviceReports;
  #registration: Registration;
  #target: Target;
  readonly awakeWindow: AwakeWindow;
  /** It listens no more, and nothing is under way: its session rests. */
  #rests = false;
  /** When the lifetime began to run. */
  #renewedAt: Instant;
  readonly #registeredAt: Instant;
  /** The memo of the device's last life, until what was observed then is taken up. */
  #before: unknown;
  #firmware: FirmwareUpdate | undefined = undefined;
  /** Nothing is asked of a device before it knows that it is registered. */
  #phase: "arriving" | "registered" | "closed" = "arriving";

  constructor(
    shared: Shared,
    peer: CoapPeer,
    client: Client,
    place: Place,
    location: string,
    registration: Registration,
    now: Instant,
  ) {
    this.shared = shared;
    this.peer = peer;
    this.client = client;
    this.location = location;
    this.reporter = new Reporter(peer, client, place, shared.config, shared.events);
    this.reports = new DeviceReports(this, shared.counters.notifications);
    this.queue = new RequestQueue(this);
    this.#registration = registration;
    this.#renewedAt = now;
    this.#promise();
    this.#registeredAt = now;
    this.#target = targetOf(registration, shared);
    this.awakeWindow = new AwakeWindow(this, shared.events, this.#awakeTime(), now);
    this.#before = client.memo;
  }

  get registration(): Registration {
    return this.#registration;
  }
  get target(): Target {
    return this.#target;
  }
  get types(): Types {
    return this.#target.types;
  }

  /** What content is described by, when the settings say so. */
  get description(): Description | undefined {
    const { config, definitions } = this.shared;
    const { list, version } = this.#registration;
    return config.describeContent ? { definitions, versions: list.versions, version } : undefined;
  }

  /** Before the answer, which waits until the store has it: who is told its location finds it after a crash. */
  keep(): void {
    this.#remember();
  }

  /** After the answer to Register. */
  begin(now: Instant): void {
    this.reports.report("register", registrationReport("register", this.#registration), now);
    if (this.#takeUp(now)) this.#remember();
    this.#readEndDevices([], now);
  }

  /** An uplink other than Update renews no lifetime: it runs from when it was renewed before. */
  renewedAt(at: Instant): void {
    this.#renewedAt = at;
    this.#promise();
  }

  #promise(): void {
    this.client.promised = promisedUntil(this.#renewedAt, this.#registration.lt, this.shared.config);
  }

  /** A gateway that lists other instances of object 25 than `known` is asked what they are. */
  #readEndDevices(known: readonly string[], now: Instant): void {
    if (!this.shared.config.readEndDevices || gatewayLinks(this.#registration.list).join() === known.join())
      return;
    const read = readEndDevices((report, later) => this.reports.report("endDevices", report, later));
    this.ask(read.operation, read.settled, now);
  }

  /** After a restart of the gateway, at the first that is heard of a device that need not register again. */
  resume(now: Instant): void {
    this.#takeUp(now);
    this.#remember();
  }

  /** The same when that is an Update. */
  resumeUpdated(withObjects: boolean, known: readonly string[], now: Instant): void {
    this.#reportUpdate(withObjects, now);
    this.resume(now);
    this.#readEndDevices(known, now);
  }

  /**
   * Observes again what was observed, and what the settings say; what waits goes out. True when there is something
   * to remember beside the registration.
   */
  #takeUp(now: Instant): boolean {
    this.#phase = "registered";
    const { renew, auto, max } = this.shared.config.observations;
    const wanted = new Map<string, Omit<Observed, "ask">>();
    const recalled = recall(this.#before);
    this.#before = undefined;
    this.#firmware = FirmwareUpdate.resume(this.#firmwareTarget, recalled.firmware, now);
    if (renew) for (const known of recalled.observations) wanted.set(keyOf(known), known);
    for (const path of automaticPaths(auto, this.#registration.list.objects)) {
      const operation: Observed["operation"] = { kind: "observe", path, query: [] };
      if (!wanted.has(keyOf({ operation })))
        wanted.set(keyOf({ operation }), { operation, echo: {}, automatic: true });
    }
    for (const [key, observed] of [...wanted].slice(0, max)) {
      // Entered at once, so that a second registration before the answer still knows of it.
      this.observations.set(key, { ...observed, ask: undefined });
      this.queue.push(new RenewedObservation(this, observed), now);
    }
    const inherited = this.shared.inherited.get(this.client.id) ?? [];
    this.shared.inherited.delete(this.client.id);
    for (const held of inherited) this.deliver(held.delivery, now);
    this.#firmware?.continue(now);
    this.shared.devices.arrived(this, now);
    this.queue.pump(now);
    return recalled.observations.length + this.observations.size > 0 || recalled.firmware !== undefined;
  }

  update(registration: Registration, withObjects: boolean, now: Instant): void {
    const known = gatewayLinks(this.#registration.list);
    this.#registration = registration;
    this.#target = targetOf(registration, this.shared);
    this.#renewedAt = now;
    this.#promise();
    this.#keepSession();
    this.#remember();
    this.#reportUpdate(withObjects, now);
    this.#readEndDevices(known, now);
  }

  #reportUpdate(withObjects: boolean, now: Instant): void {
    const { updateReports } = this.shared.config;
    if (updateReports === "always" || (updateReports === "contains_object_list" && withObjects)) {
      this.reports.report("update", registrationReport("update", this.#registration), now);
    }
  }

  /** Anything was heard of the device: it listens for a while (LwM2M 1.1 §6.5). */
  heard(now: Instant): void {
    this.awakeWindow.heard(now);
    if (!this.#rests) return;
    this.#rests = false;
    this.client.rest(undefined);
  }

  /** It listens until then, and has nothing to do until it is heard again. */
  get #restsFrom(): Instant {
    const may = this.sleeps && !this.#rests && this.#phase === "registered" && !this.queue.busy;
    return may ? this.awakeWindow.until : NEVER;
  }

  awake(now: Instant): boolean {
    if (this.#phase !== "registered") return false;
    return !this.#registration.queueMode || now < this.awakeWindow.until;
  }

  silent(now: Instant): void {
    this.awakeWindow.silent(now);
  }

  timeout(bodyLength: number): Duration {
    const { requestTimeout, queueMode } = this.shared.config;
    const cycle = this.#registration.queueMode ? queueMode.edrxCycle : 0;
    return (requestTimeout + cycle + bodyLength * BODY_TIME_PER_BYTE) as Duration;
  }

  observationsChanged(): void {
    if (this.#phase !== "closed") this.#remember();
  }

  get standing(): Standing {
    return {
      registeredAt: this.#registeredAt,
      renewedAt: this.#renewedAt,
      until: this.#expiresAt,
      awakeUntil: this.awakeWindow.until,
      waiting: this.queue.length,
      observed: this.observations.keys(),
    };
  }

  get sleeps(): boolean {
    return this.#registration.queueMode;
  }

  get ep(): string {
    return this.#registration.ep;
  }

  get waiting(): number {
    return this.queue.length;
  }

  #changed(): void {
    if (this.#phase !== "closed") this.#remember();
  }

  deliver(delivery: Delivery, now: Instant): void {
    const { commands } = this.shared.config;
    const command = parseCommand(delivery.message.payload, this.types);
    this.shared.counters.commands.value++;
    if (!command.ok) {
      this.shared.counters.badCommands.value++;
      this.reports.answer(delivery, badCommandReport(command.error), now);
      return;
    }
    if ("firmware" in command.value.task) {
      this.#orderFirmware(command.value.task.firmware, command.value.echo, delivery, now);
      return;
    }
    const { operation } = command.value.task;
    const reason = this.refusal(operation);
    if (reason !== undefined) {
      const { msgType, echo } = command.value;
      this.reports.answer(
        delivery,
        badCommandReport({ msgType, echo, requestPath: requestPath(operation), reason }),
        now,
      );
      return;
    }
    const request = new CommandRequest(this.reports, operation, command.value, {
      delivery,
      ttl: commands.ttl,
    });
    const full =
      command.value.ttl !== 0 && (this.queue.length >= commands.max || this.#observesTooMuch(operation));
    if (full || !request.keep(this.peer.host)) {
      this.reports.answer(delivery, request.report("queue_full"), now);
    } else if (request.immediate) {
      this.queue.sendNow(request, now);
    } else if (this.queue.push(request, now) && (command.value.reportQueued || commands.reportQueued)) {
      this.reports.report("response", request.report("queued"), now);
    }
  }

  /** Why an operation is not for this device. */
  refusal(operation: Operation): string | undefined {
    return addressesEndDevice(operation) && gatewayLinks(this.#registration.list).length === 0
      ? "the path has a prefix, but this device has not registered object 25"
      : undefined;
  }

  /** An operator's request: it waits its turn like a command, or is told why it cannot. */
  operate(request: Waiting, now: Instant): void {
    const { max } = this.shared.config.commands;
    if (this.queue.length >= max || this.#observesTooMuch(request.operation))
      request.settled({ kind: "failed", why: "queue_full" }, now);
    else this.queue.push(request, now);
  }

  /** A notification is an uplink like any other: what waits may go now. */
  valueReported(answer: Answer, now: Instant): void {
    this.queue.pump(now);
    if (!isError(answer.code)) this.#firmware?.notified(answer, now);
  }

  /** A request of the gateway's own; it waits its turn like a command. */
  ask(operation: Operation, settled: (settlement: Settlement, now: Instant) => void, now: Instant): void {
    const due = after(now, this.shared.config.commands.ttl);
    this.queue.push({ operation, due, settled }, now);
  }

  /** Observes for the gateway's own purposes; notifications are published as automatic ones. */
  #observeInternally(path: Path, now: Instant): void {
    const operation = { kind: "observe" as const, path, query: [] };
    this.queue.push(new RenewedObservation(this, { operation, echo: {}, automatic: true }), now);
  }

  answered(ticket: Ticket, answer: PublishAnswer): boolean {
    return this.reporter.answered(ticket, answer);
  }

  get deadline(): Instant {
    const own = earliest(earliest(this.#expiresAt, this.queue.due), this.awakeWindow.deadline);
    return earliest(earliest(own, this.#restsFrom), this.#firmware?.deadline ?? NEVER);
  }

  /** False when the registration has ended: its lifetime is over. */
  wake(now: Instant): boolean {
    if (now >= this.#expiresAt) return false;
    this.awakeWindow.look(now);
    this.queue.pump(now);
    this.#firmware?.wake(now);
    if (now >= this.#restsFrom) {
      this.#rests = true;
      this.client.rest(after(this.#expiresAt, -LOOK_AHEAD as Duration));
    }
    return true;
  }

  /** Ends its registration. Commands of QoS 1 and 2 go back to the session. Who is kicked is disconnected by the core. */
  end(why: EndReason, now: Instant): void {
    const waiting = this.close();
    this.#forgetRegistration();
    if (this.shared.config.deregisterReports) {
      this.reports.report("register", deregisterReport(this.#registration.ep, why), now);
    }
    for (const command of waiting) {
      if (command.delivery.id !== 0) continue;
      this.reports.report("response", command.report("cancelled"), now);
    }
    if (why !== "kicked") this.client.end(why === "deregistered" ? "closed" : "silent");
  }

  /** It has ended, so that after a restart its location is nothing; the observations stay with the session. */
  #forgetRegistration(): void {
    const { sessionExpiry } = this.shared.config;
    if ((this.client.sessionExpiry ?? ZERO) > sessionExpiry) this.client.setSessionExpiry(sessionExpiry);
    this.client.remember(withoutRegistration(this.client.memo));
  }

  /** Forgets its requests; returns the commands among them. Nothing more is published by them. */
  close(): CommandRequest[] {
    this.#phase = "closed";
    for (const observed of this.observations.values()) observed.ask?.cancel();
    const commands = this.queue
      .close()
      .filter((request): request is CommandRequest => request instanceof CommandRequest);
    for (const command of commands) command.leave();
    return commands;
  }

  #observesTooMuch(operation: Operation): boolean {
    if (operation.kind !== "observe" && operation.kind !== "observe-composite") return false;
    const { max } = this.shared.config.observations;
    return this.observations.size >= max && !this.observations.has(keyOf({ operation }));
  }

  #orderFirmware(order: FirmwareOrder, echo: JsonObject, delivery: Delivery, now: Instant): void {
    const refused = this.firmwareRefusal(order);
    const code = refused === undefined ? Response.Changed : Response.BadRequest;
    const data = {
      code: refused === undefined ? "2.04" : "4.00",
      codeMsg: code === Response.Changed ? "changed" : "bad_request",
    };
    const reason = refused === undefined ? undefined : refused;
    this.reports.answer(
      delivery,
      { ...echo, msgType: "firmware", data: { reqPath: "/5/0", ...data, reason } },
      now,
    );
    if (refused === undefined) this.beginFirmware(order, echo, now);
  }

  /** Why an update cannot begin now. */
  firmwareRefusal(order: FirmwareOrder): string | undefined {
    return this.#firmware?.active === true
      ? "an update is running"
      : FirmwareUpdate.problem(order, this.#firmwareTarget);
  }

  beginFirmware(order: FirmwareOrder, echo: JsonObject, now: Instant): void {
    this.#firmware = new FirmwareUpdate(this.#firmwareTarget, order, echo, now);
    this.#firmware.begin(now);
  }

  get #firmwareTarget(): FirmwareTarget {
    return {
      packages: this.shared.packages,
      settings: this.shared.config.firmware,
      ask: (operation, settled, now) => this.ask(operation, settled, now),
      watch: (path, now) => {
        if (!this.observations.has(path.toString())) this.#observeInternally(path, now);
      },
      report: (report, now) => this.reports.report("firmware", report, now),
      changed: () => this.#changed(),
    };
  }

  #awakeTime(): Duration {
    const { awake, psmActiveTimer } = this.shared.config.queueMode;
    return psmActiveTimer > 0 ? (Math.min(awake, psmActiveTimer) as Duration) : awake;
  }

  get #expiresAt(): Instant {
    return after(this.#renewedAt, heldFor(this.#registration.lt, this.shared.config));
  }

  /** Its session outlives a restart as long as the registration does. */
  #keepSession(): void {
    const wanted = sessionExpiryFor(this.#registration.lt, this.shared.config);
    if (this.client.sessionExpiry !== wanted) this.client.setSessionExpiry(wanted);
  }

  /** What is remembered of its registration; undefined before it has begun, and after its end. */
  get lasting(): Omit<Remembered, "clientId"> | undefined {
    return this.#phase === "registered" ? { ...this.#kept(), until: this.#expiresAt } : undefined;
  }

  #kept(): KeptRegistration {
    const { transport, address, port, identity } = this.peer.host.peer;
    return {
      location: this.location,
      username: this.reporter.username,
      renewedAt: this.#renewedAt,
      peer: { transport, address, port, identity },
      registration: this.#registration,
    };
  }

  #remember(): void {
    const weight = weightOf(this.#registration) + this.observations.weight;
    this.client.remember(this, weight, this.location);
  }

  /** Its memo, made when it is written, and when the device is lost. */
  toJSON(): string {
    return this.#before === undefined
      ? remember(this.#kept(), this.observations, this.#firmware?.remembered)
      : withRegistration(this.#before, this.#kept());
  }
}
