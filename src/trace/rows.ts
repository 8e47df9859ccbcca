/** What a trace holds: one row for each thing that happened, in its order. */
import type { Sender } from "../contract/dissection.ts";
import type { Transport } from "../contract/peer.ts";
import type { AskedFor } from "../contract/refused.ts";

/** One channel, as rows name it. */
export interface Place {
  /** A number of its own, as long as this process traces. */
  readonly channel: number;
  readonly gateway: string;
  readonly listener: string;
  readonly transport: Transport;
  readonly address: string;
  readonly port: number;
  /** Behind a forwarder. */
  readonly node?: string | undefined;
  /** Those of its clients that were known. */
  readonly clients: readonly string[];
}

interface Head {
  /** Grows by one; rows of one recording have gaps. */
  readonly number: number;
  /** What set it off: rows with the same number follow from the same frame, timer or call. */
  readonly cause: number;
  /** Milliseconds since the epoch, with fractions. */
  readonly at: number;
}

/** A frame between a device and its channel. */
export interface FrameRow extends Head, Place {
  readonly kind: "frame";
  readonly from: Sender;
  /** As its specification calls it. */
  readonly name: string;
  readonly summary: string;
  readonly fields: Readonly<Record<string, unknown>>;
  /** As it was sent, secrets overwritten; its beginning where it is long. */
  readonly bytes: Uint8Array;
  readonly length: number;
  /** It holds a secret, which was overwritten. */
  readonly masked: boolean;
  /** Name of the exchange that it belongs to, within its channel. */
  readonly exchange?: string | undefined;
  readonly expects: boolean;
  /** The how manieth repeat it is; 0 for the first time. */
  readonly again: number;
}

/** A datagram for which there is no channel. */
export interface StrayRow extends Head {
  readonly kind: "stray";
  readonly gateway: string;
  readonly listener: string;
  readonly transport: Transport;
  readonly address: string;
  readonly port: number;
  readonly from: Sender;
  readonly name: string;
  readonly summary: string;
  readonly bytes: Uint8Array;
  readonly length: number;
  /** Why nobody got it; absent for an answer. */
  readonly why?: string;
}

/** A message enters the bus. */
export interface MessageRow extends Head {
  readonly kind: "message";
  readonly origin: string;
  /** As it is on the bus, mountpoint and rewriting applied. */
  readonly topic: string;
  readonly qos: number;
  readonly retain: boolean;
  readonly payload: Uint8Array;
  readonly length: number;
  /** `gateway:client id`; empty where the gateway itself is the publisher. */
  readonly publisher: string;
}

/** It has been routed: to how many, and what became of it there. */
export interface RoutedRow extends Head {
  readonly kind: "routed";
  readonly topic: string;
  readonly matched: boolean;
  readonly given: number;
  readonly waits: number;
  readonly dropped: number;
}

/** One message on its way to one client. */
export interface DeliveryRow extends Head {
  readonly kind: "delivery";
  readonly state: "given" | "waits" | "done" | "again" | "dead" | "dropped";
  readonly gateway: string;
  readonly client: string;
  readonly topic: string;
  readonly qos: number;
  /** Why it waits or was dropped. */
  readonly why?: string;
  /** What state the client's channel is in, where it waits. */
  readonly asleep?: boolean;
  /** `given`: how long it has waited, in milliseconds. */
  readonly waited?: number;
}

/** A client came, went, or changed its subscriptions. */
export interface StepRow extends Head, Place {
  readonly kind: "step";
  readonly what: "connect" | "subscribe" | "unsubscribe" | "disconnect";
  readonly client: string;
  readonly asked: string;
  readonly answer: string;
}

/** A channel is in another state: awake, asleep. */
export interface StateRow extends Head, Place {
  readonly kind: "state";
  readonly was: string;
  readonly is: string;
}

/** A timer of a channel has come, and something follows from it. */
export interface TimerRow extends Head, Place {
  readonly kind: "timer";
}

/** A channel is gone. */
export interface ClosedRow extends Head, Place {
  readonly kind: "closed";
  readonly reason: string;
}

export interface RefusalRow extends Head {
  readonly kind: "refusal";
  readonly gateway: string;
  readonly listener: string;
  readonly address: string;
  readonly port: number;
  readonly client: string | undefined;
  readonly user: string | undefined;
  readonly what: AskedFor;
  readonly asked: string | undefined;
  readonly refusal: string;
  readonly by: string;
}

/** So much happened at once that some of it was not looked at. */
export interface SkippedRow extends Head {
  readonly kind: "skipped";
  readonly count: number;
}

export type TraceRow =
  | FrameRow
  | StrayRow
  | MessageRow
  | RoutedRow
  | DeliveryRow
  | StepRow
  | StateRow
  | TimerRow
  | ClosedRow
  | RefusalRow
  | SkippedRow;

/** A row before it has a number. */
export type NewRow = TraceRow extends infer Row
  ? Row extends TraceRow
    ? Omit<Row, keyof Head>
    : never
  : never;
