import { concat } from "../lib/bytes.ts";
import type { Association } from "./association.ts";
import { ContentType } from "./constants.ts";
import { fragmentOf, HANDSHAKE_HEADER_LENGTH, type HandshakeMessage } from "./handshake/message.ts";
import { plainRecord, RECORD_HEADER_LENGTH } from "./record.ts";

/** One message of a flight; ChangeCipherSpec is none of the handshake's, and goes its own way. */
export type FlightItem =
  | { readonly kind: "message"; readonly message: HandshakeMessage; readonly protected: boolean }
  | { readonly kind: "change-cipher-spec" };

const CHANGE_CIPHER_SPEC = Uint8Array.of(1);
/** The least that a fragment of a message carries; whoever limits records to less gets this. */
const FRAGMENT_MIN = 16;

/** Messages that are sent, and sent again, together (RFC 6347 §4.2.4). */
export class Flight {
  readonly items: readonly FlightItem[];

  constructor(items: readonly FlightItem[]) {
    this.items = items;
  }

  /**
   * As datagrams, each with as many records as fit. Records get new numbers each time they are sent.
   * `plainSequence` gives those of epoch 0.
   */
  datagrams(
    datagramSize: number,
    recordSize: number,
    plainSequence: () => number,
    association: Association | undefined,
  ): readonly Uint8Array[] {
    const datagrams: Uint8Array[] = [];
    let records: Uint8Array[] = [];
    let filled = 0;
    const close = (): void => {
      if (records.length > 0) datagrams.push(records.length === 1 ? records[0]! : concat(...records));
      records = [];
      filled = 0;
    };
    const put = (record: Uint8Array | undefined): void => {
      if (record === undefined) return;
      if (filled + record.length > datagramSize) close();
      records.push(record);
      filled += record.length;
    };
    for (const item of this.items) {
      if (item.kind === "change-cipher-spec") {
        put(plainRecord(ContentType.changeCipherSpec, plainSequence(), CHANGE_CIPHER_SPEC));
      } else if (item.protected) {
        // A Finished is short enough for every limit.
        put(association?.seal(ContentType.handshake, fragmentOf(item.message, 0, item.message.body.length)));
      } else {
        const { message } = item;
        for (let offset = 0; ; ) {
          const overhead = RECORD_HEADER_LENGTH + HANDSHAKE_HEADER_LENGTH;
          if (datagramSize - filled - overhead < Math.min(FRAGMENT_MIN, message.body.length - offset))
            close();
          const room = Math.min(datagramSize - filled - overhead, recordSize - HANDSHAKE_HEADER_LENGTH);
          const length = Math.min(message.body.length - offset, Math.max(room, FRAGMENT_MIN));
          put(plainRecord(ContentType.handshake, plainSequence(), fragmentOf(message, offset, length)));
          offset += length;
          if (offset >= message.body.length) break;
        }
      }
    }
    close();
    return datagrams;
  }
}
