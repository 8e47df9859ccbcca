/** How a gateway tells people what is in a frame: for traces, off the hot path and only while one runs. */
import type { Peer } from "./peer.ts";

/** Who has sent a frame. */
export type Sender = "device" | "gateway";

/** What is in one frame. */
export interface Dissection {
  /** As the specification calls it: `PUBLISH`, `CON PUT`. */
  readonly name: string;
  /** What matters of it, in one line that goes on behind the name. */
  readonly summary: string;
  readonly fields: Readonly<Record<string, unknown>>;
  /**
   * Names, within its channel, of the exchanges that the frame belongs to: an acknowledgement has a name in common with
   * what it acknowledges. The first that is known counts.
   */
  readonly exchanges: readonly string[];
  /** It begins these exchanges; else it goes on with one. */
  readonly begins: boolean;
  /** The other side has to answer it. */
  readonly expects: boolean;
  /** Octets that nobody may see: passwords, keys. From, and up to but without. */
  readonly secrets: readonly (readonly [from: number, to: number])[];
}

/** Reads the frames of one channel, in their order; it may remember what later ones need to be understood. */
export interface Dissector {
  /**
   * Streams: octets of the frame that begins at `at`; undefined while that cannot be told. What is no frame is as long as
   * all that is there.
   */
  lengthOf?(bytes: Uint8Array, at: number, from: Sender): number | undefined;
  /** Never throws: what cannot be read is named `malformed`. */
  dissect(frame: Uint8Array, from: Sender): Dissection;
}

/** Whose frames a dissector reads. */
export interface Dissected {
  readonly peer: Peer;
  readonly listener: string;
  /** Of a channel that was there before: as its client was announced (`MQTT 5.0`). */
  readonly protocol: string | undefined;
}

/** A frame of which no more can be said than what is wrong with it. All of it is hidden: nobody knows what it holds. */
export const unreadable = (frame: Uint8Array, problem: string, clause?: string): Dissection => ({
  name: "malformed",
  summary: clause === undefined ? problem : `${problem} (${clause})`,
  fields: { problem, ...(clause === undefined ? {} : { clause }) },
  exchanges: [],
  begins: true,
  expects: false,
  secrets: [[0, frame.length]],
});
