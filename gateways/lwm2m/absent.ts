/** Devices that never come back after a restart of the gateway: the ends of their registrations, reported once each. */
import { after, type Instant, NEVER } from "#core/lib/time.ts";
import { withoutRegistration } from "./memo.ts";
import type { Remembered } from "./remembered.ts";
import { JSON_PROPERTIES } from "./reporter.ts";
import { deregisterReport, encodeReport } from "./reports.ts";
import type { Shared } from "./shared.ts";
import { topicFor } from "./topics.ts";

/** Ends reported in one turn; many lifetimes end while the gateway is away. */
const REPORTED_AT_ONCE = 1000;

/** Begins a grace time after the start: for devices that could not update meanwhile, and for applications to return. */
export function watchAbsent(shared: Shared): void {
  const { remembered, host, config } = shared;
  const look = (now: Instant): void => {
    for (const ended of remembered.takeEnded(now, REPORTED_AT_ONCE)) reportEnd(ended, shared);
    if (remembered.nextEnd !== NEVER) host.at(remembered.nextEnd, look);
  };
  const begin = (now: Instant): void => host.at(after(now, config.lifetimeGrace), look);
  if (remembered.size > 0) host.at(0 as Instant, begin);
}

function reportEnd(
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
  if (host.lastWord(clientId, config.deregisterReports ? word : undefined, withoutRegistration))
    counters.expirations.value++;
}
