/**
 * Until when a device counts as connected whatever becomes of this process (MQTT-SN 1.2 §6.14): it has no connection
 * that could break, and the gateway's own end is nothing that it would know of.
 */
import { after, type Duration, type Instant, latest } from "#core/lib/time.ts";
import type { MqttSnChannel } from "../channel.ts";

/** So much later than its silence ends an active device is expected, so that not each message has to be kept. */
const SLACK = 1 / 8;

/**
 * A sleeper is expected to the end of its sleep. An active device is expected only for its will's sake; without one
 * its session counts from the gateway's end.
 */
export function expectWithin(channel: MqttSnChannel, patience: Duration, now: Instant): void {
  const { client, state } = channel;
  if (client === undefined) return;
  if (state === "asleep" || state === "awake") client.expectUntil(after(now, patience));
  else if (channel.will === undefined) client.expectUntil(undefined);
  else client.expectUntil(after(now, (patience * (1 + SLACK)) as Duration));
}

/** An active device was heard: written only when what is kept would be too early. */
export function expectOn(channel: MqttSnChannel, now: Instant): void {
  const { client, patience, state } = channel;
  if (state !== "active" || client?.expectedUntil === undefined) return;
  if (after(now, patience) > client.expectedUntil) expectWithin(channel, patience, now);
}

/** The channel goes, and the device knows nothing of it: it is lost when its time is over. */
export function leaveExpected(channel: MqttSnChannel, now: Instant): void {
  const { client, state, will, heardAt, patience } = channel;
  if (client === undefined) return;
  if (will !== undefined || state === "asleep" || state === "awake") {
    client.expectUntil(latest(now, after(heardAt, patience)));
  }
  client.end("expected");
}
