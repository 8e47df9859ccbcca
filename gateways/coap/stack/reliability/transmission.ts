import type { Duration } from "#core/lib/time.ts";
import type { StackSettings } from "../settings.ts";

/** Transmission parameters and the times that follow from them (RFC 7252 §4.8). */
export interface Transmission {
  readonly ACK_TIMEOUT: Duration;
  readonly ACK_RANDOM_FACTOR: number;
  readonly MAX_RETRANSMIT: number;
  readonly NSTART: number;
  /** From the first to the last transmission of a CON. */
  readonly MAX_TRANSMIT_SPAN: Duration;
  /** From the first transmission to giving up. */
  readonly MAX_TRANSMIT_WAIT: Duration;
  /** How long a message id of a CON may not be used again. */
  readonly EXCHANGE_LIFETIME: Duration;
  /** The same for a NON. */
  readonly NON_LIFETIME: Duration;
}

type Parameters = Pick<
  StackSettings,
  "ackTimeout" | "ackRandomFactor" | "maxRetransmit" | "nstart" | "maxLatency"
>;

export function transmission(settings: Parameters): Transmission {
  const { ackTimeout: ACK_TIMEOUT, ackRandomFactor, maxRetransmit: MAX_RETRANSMIT } = settings;
  const { maxLatency: MAX_LATENCY } = settings;
  const stretched = ACK_TIMEOUT * ackRandomFactor;
  const MAX_TRANSMIT_SPAN = stretched * (2 ** MAX_RETRANSMIT - 1);
  const PROCESSING_DELAY = ACK_TIMEOUT;
  return {
    ACK_TIMEOUT,
    ACK_RANDOM_FACTOR: ackRandomFactor,
    MAX_RETRANSMIT,
    NSTART: settings.nstart,
    MAX_TRANSMIT_SPAN: MAX_TRANSMIT_SPAN as Duration,
    MAX_TRANSMIT_WAIT: (stretched * (2 ** (MAX_RETRANSMIT + 1) - 1)) as Duration,
    EXCHANGE_LIFETIME: (MAX_TRANSMIT_SPAN + 2 * MAX_LATENCY + PROCESSING_DELAY) as Duration,
    NON_LIFETIME: (MAX_TRANSMIT_SPAN + MAX_LATENCY) as Duration,
  };
}
