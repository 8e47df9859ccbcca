import { getSystemErrorName } from "node:util";
import { sameBytes } from "../../lib/bytes.ts";
import { textOf } from "../system/addresses.ts";
import { Descriptor } from "../system/descriptor.ts";
import { MSG_DONTWAIT, MSG_NOSIGNAL } from "../system/linux.ts";
import { type SystemCalls, systemCalls } from "../system/system-calls.ts";
import { BATCH, Received, Sending } from "./messages.ts";
import { Paths } from "./paths.ts";
import type { Batches } from "./socket.ts";

const SIZES = [0, 1, 1472, 9000];
const LOCALHOST = "127.0.0.1";

let tried: Batches | Error | undefined;

/** The batches of this thread, once they were tried. An error says why there are none. */
export function batches(): Batches | Error {
  tried ??= tryBatches(systemCalls());
  return tried;
}

export function tryBatches(calls: SystemCalls | Error): Batches | Error {
  if (calls instanceof Error) return calls;
  try {
    const made = { calls, received: new Received(calls), sending: new Sending(calls) };
    const problem = tryLoopback(made);
    return problem === undefined ? made : new Error(`the test of recvmmsg and sendmmsg failed: ${problem}`);
  } catch (error) {
    return error as Error;
  }
}

/**
 * Sends datagrams to itself. A layout that is another than this system's shows here, where nothing depends on it: a
 * length, an address or a byte in the wrong place.
 */
function tryLoopback({ calls, received, sending }: Batches): string | undefined {
  const [from, to] = [Descriptor.open(calls, false), Descriptor.open(calls, false)];
  try {
    for (const descriptor of [from, to]) {
      descriptor.tellDestinations();
      descriptor.bind(LOCALHOST, 0, {});
    }
    const path = new Paths().to(LOCALHOST);
    if (path === undefined) return "address";
    const { port } = to.name();
    const sent = SIZES.map((size) => Uint8Array.from({ length: size }, (_, at) => (at * 7 + size) & 0xff));
    for (const [index, bytes] of sent.entries()) {
      if (!sending.put(index, { bytes, address: LOCALHOST, port }, path, false, false)) return "room";
    }
    const taken = calls.sendmmsg(from.number, sending.headers, sent.length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (taken !== sent.length)
      return `sent ${taken} of ${sent.length}: ${getSystemErrorName(-calls.error())}`;
    const count = calls.recvmmsg(to.number, received.headers, BATCH, MSG_DONTWAIT, null);
    if (count !== sent.length) return `received ${count} of ${sent.length}`;
    const right = sent.every((bytes, index) => isFrom(received, index, bytes, from.name().port));
    return right ? undefined : "other bytes or another address than were sent";
  } finally {
    sending.clear();
    from.close();
    to.close();
  }
}

function isFrom(received: Received, index: number, bytes: Uint8Array, port: number): boolean {
  if (!received.read(index) || !sameBytes(received.contentOf(index), bytes)) return false;
  const { arrived } = received;
  const { localKnown, toGroup, local, peer } = arrived;
  return (
    arrived.port === port &&
    localKnown &&
    !toGroup &&
    [local, peer].every((words) => textOf(words) === LOCALHOST)
  );
}
