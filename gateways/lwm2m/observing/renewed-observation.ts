import { type Instant, NEVER } from "#core/lib/time.ts";
import { isError } from "#gateways/coap/stack/message/codes.ts";
import type { Acknowledgement } from "#gateways/coap/stack/site.ts";
import { requestPath } from "../commands/operation.ts";
import type { Failure, RequestQueue, Settlement, Waiting } from "../commands/request-queue.ts";
import type { Answer } from "../commands/responses.ts";
import type { DeviceReports } from "../messages/device-reports.ts";
import { fateReport } from "../messages/reports.ts";
import type { Observed } from "./observations.ts";

/** What it needs of its device. */
export interface Renewing {
  readonly reports: DeviceReports;
  readonly queue: Pick<RequestQueue, "push">;
  readonly sleeps: boolean;
}

/**
 * An observation that nobody asks for now: one that a device had before it registered again (the server must
 * observe again, LwM2M 1.1 §6.4.1), or one of the setting `observations.auto`. Its first answer is published
 * as a notification, because no command waits for it.
 */
export class RenewedObservation implements Waiting {
  readonly #device: Renewing;
  readonly operation: Observed["operation"];
  readonly observed: Pick<Observed, "echo" | "automatic">;
  readonly due = NEVER;

  constructor(device: Renewing, { operation, echo, automatic }: Omit<Observed, "ask">) {
    this.#device = device;
    this.operation = operation;
    this.observed = { echo, automatic };
  }

  settled(settlement: Settlement, now: Instant): void {
    if (settlement.kind === "failed") {
      // It fell asleep before it answered: at the next uplink it is asked again.
      const asleep = settlement.why === "coap_timeout" && this.#device.sleeps;
      if (asleep) this.#device.queue.push(this, now);
      return;
    }
    // Of automatic ones many paths are not readable; an error there is no news.
    if (isError(settlement.answer.code) && this.observed.automatic) return;
    this.notified(settlement.answer, settlement.sequence ?? 0, now);
  }

  lost(why: Failure, now: Instant): void {
    if (why === "gone") return;
    const { kind } = this.operation;
    const data = { reqPath: requestPath(this.operation) };
    this.#device.reports.report("response", fateReport(why, kind, this.observed.echo, data), now);
  }

  notified(answer: Answer, sequence: number, now: Instant, acknowledgement?: Acknowledgement): void {
    const observed = { operation: this.operation, ...this.observed };
    this.#device.reports.notify({ observed, answer, sequence, acknowledgement }, now);
  }
}
