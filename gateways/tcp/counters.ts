import type { GatewayHost } from "#core/contract/gateway.ts";
import type { Counter } from "#core/contract/note.ts";

export interface Counters {
  readonly received: Counter;
  readonly sent: Counter;
  readonly malformed: Counter;
  readonly refused: Counter;
  readonly undeliverable: Counter;
}

export const countersOf = (host: GatewayHost): Counters => ({
  received: host.counter("frames_received", "Frames of devices"),
  sent: host.counter("messages_sent", "Messages sent to devices"),
  malformed: host.counter("malformed", "Frames that break the format; each ends its connection"),
  refused: host.counter("publishes_refused", "Messages of devices that were refused; devices are not told"),
  undeliverable: host.counter("undeliverable", "Messages that no frame can carry to the device"),
});
