/** Rules and connectors as the API shows them. */

export interface Action {
  readonly kind: string;
  readonly to: string;
  readonly matched: number;
  readonly success: number;
  readonly failed: number;
  readonly dropped: number;
}

export interface Rule {
  readonly id: string;
  readonly enable: boolean;
  readonly description: string;
  readonly sql: string;
  readonly ack: "store" | "after_sink";
  readonly matched: number;
  readonly passed: number;
  readonly noResult: number;
  readonly failed: number;
  readonly loops: number;
  readonly rate: { readonly current: number; readonly max: number; readonly last5m: number };
  readonly actions: readonly Action[];
}

export interface Connector {
  readonly name: string;
  readonly kind: string;
  readonly enable: boolean;
  readonly state: "connecting" | "connected" | "disconnected" | "stopped";
  readonly reason?: string;
  readonly tookMilliseconds?: number;
  readonly lastFailure?: { readonly reason: string; readonly at: string };
  readonly taken: number;
  readonly restored: number;
  readonly success: number;
  readonly failed: number;
  readonly expired: number;
  readonly full: number;
  readonly inflight: number;
  readonly queuing: number;
  readonly queuedBytes: number;
  readonly retriedSuccess: number;
  readonly retriedFailed: number;
  readonly batches: number;
  readonly tries: number;
}
