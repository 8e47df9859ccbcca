/**
 * Many devices behind one UDP socket, each with an address of its own on the loopback network, by the gateway's own system
 * calls. With a socket a device, Node's datagram sockets would cost the generator more than the server that is measured.
 */
import { getSystemErrorName } from "node:util";
import { bindBatches } from "../../../dist/src/net/batch/bind.js";
import { BATCH } from "../../../dist/src/net/batch/messages.js";
import { Path } from "../../../dist/src/net/batch/paths.js";
import { batches } from "../../../dist/src/net/batch/self-test.js";
import { wordsOf } from "../../../dist/src/net/system/addresses.js";
import { EAGAIN, MSG_DONTWAIT, MSG_NOSIGNAL } from "../../../dist/src/net/system/linux.js";

const BUFFER_BYTES = 4 << 20;

/**
 * @param {number} port   of the server, on 127.0.0.1
 * @returns devices that are used as connected sockets of Node are; undefined where the system has no such calls
 */
export function openDatagrams(port) {
  const found = batches();
  if (found instanceof Error) return undefined;
  const { calls, received, sending } = found;
  const options = /** @type {any} */ ({ port: 0, multicast: [], broadcast: false });
  const descriptor = bindBatches(calls, options, "0.0.0.0");
  descriptor.setRecvBufferSize(BUFFER_BYTES);
  descriptor.setSendBufferSize(BUFFER_BYTES);
  const peer = /** @type {import("../../../dist/src/net/system/addresses.js").Words} */ (
    wordsOf("127.0.0.1")
  );
  /** By the last word of a device's address. @type {Map<number, (message: Buffer) => void>} */
  const devices = new Map();
  /** @type {import("../../../dist/src/net/transport.js").OutgoingDatagram[]} */
  let due = [];
  let [scheduled, reading, closed] = [false, false, false];

  const flush = () => {
    scheduled = false;
    let at = 0;
    while (at < due.length && !closed) {
      sending.clear();
      let count = 0;
      for (let next = due[at]; next !== undefined; next = due[at + ++count])
        if (!sending.put(count, next, /** @type {any} */ (next.path), false, true)) break;
      const sent = calls.sendmmsg(descriptor.number, sending.headers, count, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent < 0 && calls.error() !== EAGAIN)
        throw new Error(`sendmmsg: ${getSystemErrorName(-calls.error())}`);
      // The kernel has no room, for now.
      if (sent <= 0) break;
      at += sent;
    }
    due = due.slice(at);
    if (due.length > 0) schedule();
  };
  const schedule = () => {
    if (scheduled || reading) return;
    scheduled = true;
    setImmediate(flush);
  };
  const read = () => {
    reading = true;
    const count = calls.recvmmsg(descriptor.number, received.headers, BATCH, MSG_DONTWAIT, null);
    for (let index = 0; index < count; index++) {
      if (!received.read(index)) continue;
      const bytes = received.contentOf(index);
      devices.get(received.arrived.local[3])?.(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    }
    reading = false;
    flush();
  };
  const watching = calls.watch(descriptor.number, read);

  return {
    /** @param {number} index */
    device(index) {
      const address = `127.${64 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
      const local = /** @type {typeof peer} */ (wordsOf(address));
      const path = new Path(peer, port, 0, local, false);
      return {
        /** @param {Uint8Array} bytes   not to be changed in this turn of the loop */
        send(bytes) {
          due.push({ bytes, address: path.address, port, path });
          schedule();
        },
        /** @param {"message"} _event @param {(message: Buffer) => void} hear */
        on: (_event, hear) => void devices.set(local[3], hear),
        close: () => void devices.delete(local[3]),
      };
    },
    close() {
      closed = true;
      watching.close();
      descriptor.close();
    },
  };
}
