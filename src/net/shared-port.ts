/** A UDP port whose datagrams the system spreads among the workers of this machine, each with a socket of its own. */
import { addressKey } from "../lib/address-key.ts";
import { bindAny } from "./address.ts";
import { bindBatches } from "./batch/bind.ts";
import { batches } from "./batch/self-test.ts";
import { bindError } from "./listen-errors.ts";
import type { Descriptor } from "./system/descriptor.ts";
import {
  IP_MULTICAST_ALL,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_MULTICAST_ALL,
  SO_ATTACH_REUSEPORT_CBPF,
  SOL_SOCKET,
} from "./system/linux.ts";
import type { SystemCalls } from "./system/system-calls.ts";
import { type DatagramListenerOptions, ListenError } from "./transport.ts";

export interface SharedPort {
  readonly port: number;
  /** One for each worker, in their order. */
  readonly descriptors: readonly number[];
  /** Why records with a connection id go where their address leads, and not to the worker that the id names. */
  readonly unsteered: Error | undefined;
}

/**
 * The sockets are bound here once, and outlive the workers that watch them. So the system's choice, by the addresses of both
 * sides, stays the same when a worker ends, and what comes meanwhile waits for the next one. Throws `ListenError`.
 */
export async function openSharedPort(options: DatagramListenerOptions, workers: number): Promise<SharedPort> {
  const { bind } = options;
  const found = options.batches === false ? new Error("udp.batches is false") : batches();
  if (found instanceof Error) {
    const where = addressKey(bind, options.port);
    const need = "udp.batches, and Linux with glibc and the optional package koffi";
    throw new ListenError(
      "listen-failed",
      `cannot share ${where} among ${workers} workers (${found.message}): a UDP port needs ${need}; or set node.workers to 1, or enable: false for this listener`,
    );
  }
  const opened: Descriptor[] = [];
  try {
    // Without SO_REUSEPORT first: whoever has the port already would otherwise share it with us.
    const { calls } = found;
    const alone = await bindAny(bind, (address) => bindBatches(calls, plain(options), address));
    const { port } = alone.name();
    alone.close();
    for (let index = 0; index < workers; index++) {
      const shared = index === 0 ? options : plain(options);
      const how = { ...shared, port, reusePort: true };
      const descriptor = await bindAny(bind, (address) => bindBatches(calls, how, address));
      opened.push(descriptor);
      if (index > 0) leaveGroups(descriptor);
    }
    const unsteered = options.transport === "dtls" ? steer(calls, opened[0]!) : undefined;
    return { port, descriptors: opened.map(({ number }) => number), unsteered };
  } catch (error) {
    for (const descriptor of opened) descriptor.close();
    throw bindError(error, bind, options.port);
  }
}

/** What comes to a group is for one worker. */
const plain = (options: DatagramListenerOptions): DatagramListenerOptions => ({ ...options, multicast: [] });

function leaveGroups(descriptor: Descriptor): void {
  descriptor.set(IPPROTO_IP, IP_MULTICAST_ALL, 0);
  if (descriptor.six) descriptor.set(IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
}

/** RFC 9146 §4: content type, version, epoch and sequence number stand before the connection id. */
const CONNECTION_ID_AT = 11;
const TLS12_CID = 25;

/** Instructions of classic BPF (the kernel's filter.rst): what they do, how many they skip if true and if false, a number. */
type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, operand: number];
const LOAD_OCTET = 0x30;
const JUMP_IF_EQUAL = 0x15;
const RETURN_LOADED = 0x16;
const RETURN = 0x06;

/** Which socket: that of the first octet of a connection id. Where there is no such socket, the system chooses by address. */
const STEERING: readonly Instruction[] = [
  [LOAD_OCTET, 0, 0, 0],
  [JUMP_IF_EQUAL, 0, 2, TLS12_CID],
  [LOAD_OCTET, 0, 0, CONNECTION_ID_AT],
  [RETURN_LOADED, 0, 0, 0],
  [RETURN, 0, 0, 0xffffffff],
];

function steer(calls: SystemCalls, socket: Descriptor): Error | undefined {
  const program = new Uint8Array(new ArrayBuffer(STEERING.length * 8));
  const view = new DataView(program.buffer);
  for (const [index, [code, ifTrue, ifFalse, operand]] of STEERING.entries()) {
    view.setUint16(index * 8, code, true);
    view.setUint8(index * 8 + 2, ifTrue);
    view.setUint8(index * 8 + 3, ifFalse);
    view.setUint32(index * 8 + 4, operand, true);
  }
  // struct sock_fprog: number of instructions, and where they are.
  const request = new Uint8Array(16);
  new DataView(request.buffer).setUint16(0, STEERING.length, true);
  new DataView(request.buffer).setBigUint64(8, calls.addressOf(program), true);
  try {
    socket.setBytes(SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, request);
    return undefined;
  } catch (error) {
    return error as Error;
  }
}
