import type { CoapMessage } from "../message/message.ts";

/** SZX 7 is reserved on datagrams and means BERT on streams (RFC 7959 §2.2, RFC 8323 §6). */
export const SZX_BERT = 7;
export const SZX_MAX = 6;

/** One Block1 or Block2 option: block number, whether more follow, size exponent (RFC 7959 §2.2). */
export interface Block {
  readonly number: number;
  readonly more: boolean;
  readonly szx: number;
}

export const blockSize = (szx: number): number => 1 << (Math.min(szx, SZX_MAX) + 4);
export const blockOffset = (block: Block): number => block.number * blockSize(block.szx);

/** The exponent of the largest block that is not larger than `size` bytes. */
export function szxFor(size: number): number {
  for (let szx = SZX_MAX; szx > 0; szx--) if (blockSize(szx) <= size) return szx;
  return 0;
}

export const packBlock = (number: number, more: boolean, szx: number): number =>
  number * 16 + (more ? 8 : 0) + szx;

export function readBlock(message: CoapMessage, option: number): Block | undefined {
  const packed = message.uint(option);
  if (packed === undefined) return undefined;
  return { number: packed >>> 4, more: (packed & 8) !== 0, szx: packed & 7 };
}
