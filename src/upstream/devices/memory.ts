/** Where the gateways before one cluster keep what they remember of devices. */

/** Texts under keys; each call is answered once, in the order of the calls for one key. */
export interface DeviceMemory {
  /** Other gateways write and read the same one. Else all of it is read at the start, and nothing is looked for. */
  readonly shared: boolean;
  /** `unavailable`: it cannot be said now. */
  find(key: string, found: (text: string | "unavailable" | undefined) => void): void;
  /** `seconds`: it may be forgotten after that; undefined: never. `done` says whether it is kept now. */
  put(key: string, text: string, seconds: number | undefined, done: (kept: boolean) => void): void;
  remove(key: string): void;
  /** What is there when the process begins; of a shared one nothing. */
  entries(): Iterable<readonly [key: string, text: string]>;
  stop(): void;
}
