/** What a gateway lets operators see and ask of its devices: values with their schemas, so that an API can show them. */
import type { TSchema } from "@sinclair/typebox";
import type { Instant } from "../lib/time.ts";

/** Something to look at of one device. */
export interface DeviceView {
  /** Kebab-case: `device`, `objects`. */
  readonly name: string;
  /** One sentence for people. */
  readonly summary: string;
  /** Of what `of` returns. */
  readonly schema: TSchema;
  /** `device`: its endpoint name where it has one, else its client id. Undefined: there is none of this name. */
  of(device: string, now: Instant): unknown;
}

/** Something to ask a device for. */
export interface DeviceRequest {
  /** Kebab-case: `read`, `write`, `request`. */
  readonly name: string;
  readonly summary: string;
  readonly parameters: TSchema;
}

export type Asked =
  | { readonly ok: true; readonly id: string }
  | {
      readonly ok: false;
      readonly refusal: "unknown-device" | "bad-request" | "too-many";
      readonly reason: string;
    };

/** What became of a request. */
export interface RequestResult {
  readonly id: string;
  readonly device: string;
  readonly request: string;
  /** `waiting`: for its turn, or for the device. `answered`: by the device, be it with an error code. */
  readonly state: "waiting" | "answered" | "failed";
  /** The answer. */
  readonly data: unknown;
  /** Why it failed. */
  readonly failure: string | undefined;
  readonly since: Instant;
  readonly until: Instant | undefined;
}

/** Something that happens to a device, as it happens. */
export interface DeviceEvent {
  readonly device: string;
  /** `result` for what has become of a request; others as the gateway names them. */
  readonly kind: string;
  readonly report: unknown;
  readonly at: Instant;
}

/**
 * Requests are accepted at once and answered later, at the latest when they expire: a sleeping device is asked when it
 * wakes. How many results are remembered the gateway's configuration says.
 */
export interface GatewayOperations {
  readonly views: readonly DeviceView[];
  readonly requests: readonly DeviceRequest[];
  /** `wait`: seconds that it may wait; the gateway's default when absent. */
  ask(device: string, request: string, parameters: object, wait?: number): Asked;
  result(id: string): RequestResult | undefined;
  /** Returns what ends it. */
  watch(watcher: (event: DeviceEvent) => void): () => void;
}
