/** What is said of one device on MQTT: answers to its commands, notifications, reports. */
import type { Client } from "#core/contract/client.ts";
import type { Delivery } from "#core/contract/delivery.ts";
import type { Counter } from "#core/contract/note.ts";
import type { Instant } from "#core/lib/time.ts";
import type { Acknowledgement } from "#gateways/coap/stack/site.ts";
import type { Operation } from "../commands/operation.ts";
import { type Answer, answerData } from "../commands/responses.ts";
import type { JsonObject } from "../content/exact-json.ts";
import type { Observed } from "../observing/observations.ts";
import type { Reporter } from "./reporter.ts";
import { notifyReport } from "./reports.ts";
import { type Description, shownContent } from "./shown-value.ts";

/** What is known of a notification beside its content. */
export interface Notification {
  readonly observed: Pick<Observed, "operation" | "echo" | "automatic">;
  readonly answer: Answer;
  readonly sequence: number;
  readonly acknowledgement?: Acknowledgement | undefined;
}

/** What of its device this needs. */
export interface Reported {
  readonly client: Client;
  readonly reporter: Reporter;
  /** What content is described by, when the settings say so. */
  readonly description: Description | undefined;
  /** A value was published that the device has reported by itself. */
  valueReported(answer: Answer, now: Instant): void;
}

export class DeviceReports {
  readonly #of: Reported;
  readonly #notifications: Counter;

  constructor(of: Reported, notifications: Counter) {
    this.#of = of;
    this.#notifications = notifications;
  }

  report(to: Parameters<Reporter["publish"]>[0], report: JsonObject, now: Instant): void {
    this.#of.reporter.publish(to, report, now);
  }

  /** Publishes the last word on a command; the session may then forget it. */
  answer(delivery: Delivery, report: JsonObject, now: Instant): void {
    const { client, reporter } = this.#of;
    const settle = () => {
      if (delivery.id !== 0) client.settle(delivery.id, "done");
    };
    reporter.publish("response", report, now, settle, delivery.message.properties?.correlationData);
  }

  /** JSON `data` of an answer under its operation. */
  answerData(operation: Operation, answer: Answer, now: Instant): JsonObject {
    const { entries, links } = answer;
    const shown = entries === undefined ? undefined : shownContent(entries, now / 1000, this.#of.description);
    return answerData(operation, answer, links ?? shown);
  }

  notify({ observed, answer, sequence, acknowledgement }: Notification, now: Instant): void {
    this.#notifications.value++;
    const data = this.answerData(observed.operation, answer, now);
    const report = notifyReport(observed.echo, sequence, observed.automatic, data);
    // The device may forget what it is told that we have. Not acknowledging what a broken store cannot keep would end
    // its observation (RFC 7641 §4.5), and cost all readings that follow.
    acknowledgement?.hold();
    this.#of.reporter.publish("notify", report, now, () => acknowledgement?.give());
    this.#of.valueReported(answer, now);
  }
}
