/** Devices that never come back, after a restart or a lost connection: the ends of their registrations, reported once each. */
import { JSON_PROPERTIES } from "../messages/reporter.ts";
import { deregisterReport, encodeReport } from "../messages/reports.ts";
import { topicFor } from "../messages/topics.ts";
import type { Shared } from "../shared.ts";
import { withoutRegistration } from "./memo.ts";
import type { Remembered } from "./remembered.ts";

export function reportEnd(
  { clientId, username, peer, registration }: Remembered,
  { host, config, counters }: Shared,
): void {
  const { ep } = registration;
  const word = {
    topic: topicFor(config.topics.register, { ep, clientId, username, address: peer.address }),
    payload: encodeReport(deregisterReport(ep, "lifetime")),
    qos: config.reportQos,
    retain: false,
    options: { properties: JSON_PROPERTIES },
  };
  host.lastWord(clientId, config.deregisterReports ? word : undefined, withoutRegistration, () => {
    counters.expirations.value++;
  });
}
