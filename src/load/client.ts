import type { LoadOptions } from "./options.ts";

/** Why a client did not get in, or a message was not taken, in few words: they are counted by them. */
export class Declined extends Error {}

/** What a client tells the load that it is part of. */
export interface LoadUser {
  /** A message that was sent has its answer, or never gets one. */
  answered(client: LoadClient, sentAt: number, good: boolean): void;
  received(payload: Uint8Array): void;
  /** It may send again. */
  writable(client: LoadClient): void;
  /** It was in, and is not any more: why, in few words. */
  lost(client: LoadClient, why: string): void;
}

/** One client of whatever protocol. */
export interface LoadClient {
  readonly id: string;
  /** It has no window for another message now. */
  readonly full: boolean;
  /** Resolves when it is let in; rejects with `Declined`. */
  connect(): Promise<void>;
  /** Resolves when the subscription is made; rejects with `Declined`. */
  subscribe(filter: string, qos: 0 | 1 | 2): Promise<void>;
  publish(topic: string, payload: Uint8Array, sentAt: number): void;
  /** Something may be due: keep-alive. */
  tick(): void;
  end(): Promise<void>;
}

export type ClientOptions = Pick<
  LoadOptions,
  "qos" | "retain" | "inflight" | "version" | "keepAlive" | "username" | "password"
>;
