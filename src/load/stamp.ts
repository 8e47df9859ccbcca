/** When a message was sent stands in its payload, so that whoever gets it knows how long it took. */

/** A mark, and milliseconds since the epoch as a double. */
const MARK = 0x49_42_4e_31; // IBN1
const STAMP_SIZE = 12;

/** Milliseconds since the epoch, with fractions: the same for all processes of one machine. */
export const clock = (): number => performance.timeOrigin + performance.now();

/** One that is too short says nothing of when. */
export function stamped(size: number, at: number): Uint8Array {
  const payload = new Uint8Array(size);
  if (size < STAMP_SIZE) return payload;
  const view = new DataView(payload.buffer);
  view.setUint32(0, MARK);
  view.setFloat64(4, at);
  return payload;
}

/** When it was sent, if that is told. */
export function stampOf(payload: Uint8Array): number | undefined {
  if (payload.length < STAMP_SIZE) return undefined;
  const view = new DataView(payload.buffer, payload.byteOffset);
  return view.getUint32(0) === MARK ? view.getFloat64(4) : undefined;
}
