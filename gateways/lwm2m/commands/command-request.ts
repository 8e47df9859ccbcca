import type { Delivery } from "#core/contract/delivery.ts";
import { after, type Duration, earliest, type Instant, NEVER, seconds } from "#core/lib/time.ts";
import type { Room } from "#gateways/coap/stack/blockwise/transfer.ts";
import type { Acknowledgement } from "#gateways/coap/stack/site.ts";
import type { JsonObject } from "../content/exact-json.ts";
import type { DeviceReports } from "../messages/device-reports.ts";
import { answerReport, type Fate, fateReport } from "../messages/reports.ts";
import type { Observed } from "../observing/observations.ts";
import type { Command } from "./command.ts";
import { type Operation, requestPath } from "./operation.ts";
import type { Failure, Settlement, Waiting } from "./request-queue.ts";
import type { Answer } from "./responses.ts";

const UNDATED =
  "it may have waited in the cluster for longer than its ttl: say mheaders.time, or set a message expiry (MQTT 5)";

/** A cluster that counts a message expiry down hands out nothing that is older. */
const mayBeOld = ({ message, since }: Delivery): boolean =>
  since !== undefined && message.expiresAt === NEVER;

/** As early as that may have been: a command that may be older than its ttl is not executed. */
function publishedAt(delivery: Delivery, time: number | undefined): Instant {
  const { message, since } = delivery;
  if (time !== undefined) return earliest((time * 1000) as Instant, message.publishedAt);
  return mayBeOld(delivery) ? (since as Instant) : message.publishedAt;
}

/** One command on its way to the device; everything that becomes of it is said on the response topic. */
export class CommandRequest implements Waiting {
  readonly #reports: DeviceReports;
  readonly #command: Command;
  readonly operation: Operation;
  readonly delivery: Delivery;
  readonly due: Instant;
  #room: Room | undefined = undefined;

  constructor(
    reports: DeviceReports,
    operation: Operation,
    command: Command,
    {
      delivery,
      ttl,
    }: { readonly delivery: Delivery /** Where the command does not say. */; readonly ttl: Duration },
  ) {
    this.#reports = reports;
    this.#command = command;
    this.operation = operation;
    this.delivery = delivery;
    const wait = command.ttl === undefined ? ttl : seconds(command.ttl);
    this.due = earliest(after(publishedAt(delivery, command.time), wait), delivery.message.expiresAt);
  }

  /** It has waited where nobody counted, and nothing says for how long. */
  get #undated(): boolean {
    return this.#command.time === undefined && mayBeOld(this.delivery);
  }

  /** To be sent whatever the device does, or not at all. */
  get immediate(): boolean {
    return this.#command.ttl === 0 && !mayBeOld(this.delivery);
  }

  /** It waits, or is asked. At QoS 0 it is in no session, and needs room here; false: there is none. */
  keep(room: Room): boolean {
    const { id, message } = this.delivery;
    if (id !== 0) return true;
    if (!room.reserve(message.weight)) return false;
    this.#room = room;
    return true;
  }

  /** It is settled, or goes elsewhere. */
  leave(): void {
    this.#room?.release(this.delivery.message.weight);
    this.#room = undefined;
  }

  get observed(): Pick<Observed, "echo" | "automatic"> {
    return { echo: this.#command.echo, automatic: false };
  }

  report(fate: Fate): JsonObject {
    const { msgType, echo, place } = this.#command;
    const why = fate === "expired" && this.#undated ? { reason: UNDATED } : undefined;
    return fateReport(fate, msgType, echo, { ...place, reqPath: requestPath(this.operation), ...why });
  }

  acknowledged(now: Instant): void {
    this.#reports.report("response", this.report("ack"), now);
  }

  settled(settlement: Settlement, now: Instant): void {
    this.leave();
    if (settlement.kind === "answered") {
      const { msgType, echo } = this.#command;
      const data = this.#reports.answerData(this.operation, settlement.answer, now);
      const report = answerReport(msgType, echo, data);
      const { sequence } = settlement;
      const begun = sequence === undefined ? report : { ...report, seqNum: sequence };
      this.#reports.answer(this.delivery, begun, now);
    } else if (settlement.why !== "gone") {
      this.#reports.answer(this.delivery, this.report(settlement.why), now);
    } else if (this.delivery.id === 0) {
      this.#reports.report("response", this.report("cancelled"), now);
    }
  }

  lost(why: Failure, now: Instant): void {
    if (why !== "gone") this.#reports.report("response", this.report(why), now);
  }

  notified(answer: Answer, sequence: number, now: Instant, acknowledgement?: Acknowledgement): void {
    const { operation } = this;
    if (operation.kind !== "observe" && operation.kind !== "observe-composite") return;
    this.#reports.notify(
      { observed: { operation, ...this.observed }, answer, sequence, acknowledgement },
      now,
    );
  }
}
