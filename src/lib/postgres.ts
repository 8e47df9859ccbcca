/** What a PostgreSQL server may send. */
import type { Framing } from "./frames.ts";
import { ANSWER_MAX } from "./guarded.ts";

/** PostgreSQL's "Message Formats": a letter, and a length that has its own four octets in it. */
export const POSTGRES_MESSAGES: Framing = {
  head: 5,
  lengthOf(head) {
    const length = head.readUInt32BE(1);
    return KINDS.includes(head[0]!) && length >= 4 && length <= ANSWER_MAX ? 1 + length : undefined;
  },
};
/** Those that a server sends. */
const KINDS = Buffer.from("123ACDEGHIKNRSTVWZcdnstv");
