/**
 * The same bytes without the methods of a Buffer, whose `slice` is a view where that of every other array copies:
 * code that has to keep bytes must get a copy wherever they came from.
 */
export const plainBytes = (bytes: Buffer): Uint8Array =>
  new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
