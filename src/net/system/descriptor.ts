import { networkInterfaces } from "node:os";
import { getSystemErrorName } from "node:util";
import type { DatagramListenerOptions } from "../transport.ts";
import { isMapped, textOf, type Words, wordsOf } from "./addresses.ts";
import {
  AF_INET,
  AF_INET6,
  DATAGRAM_SOCKET,
  EINVAL,
  F_DUPFD_CLOEXEC,
  IP_ADD_MEMBERSHIP,
  IP_PKTINFO,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_JOIN_GROUP,
  IPV6_RECVPKTINFO,
  IPV6_V6ONLY,
  SO_RCVBUF,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SO_SNDBUF,
  SOCKADDR_BYTES,
  SOCKADDR_IN_BYTES,
  SOL_SOCKET,
} from "./linux.ts";
import type { SystemCalls } from "./system-calls.ts";

type Reuse = Partial<Pick<DatagramListenerOptions, "reuseAddress" | "reusePort">>;

/** A descriptor that is bound, and not watched yet. */
export class Descriptor {
  readonly calls: SystemCalls;
  readonly number: number;
  readonly six: boolean;

  private constructor(calls: SystemCalls, six: boolean, number: number) {
    this.calls = calls;
    this.six = six;
    this.number = number;
  }

  /** A new one, for datagrams if nothing else is said. Throws what the system says. */
  static open(calls: SystemCalls, six: boolean, type: number = DATAGRAM_SOCKET): Descriptor {
    const number = calls.socket(six ? AF_INET6 : AF_INET, type, 0);
    if (number < 0) throw systemError("socket", calls.error());
    return new Descriptor(calls, six, number);
  }

  /** Another one for a socket that is bound already, which stays bound when this one is closed. */
  static duplicate(calls: SystemCalls, bound: number): Descriptor {
    const number = calls.fcntl(bound, F_DUPFD_CLOEXEC, 0);
    if (number < 0) throw systemError("fcntl", calls.error());
    const name = new Uint8Array(SOCKADDR_BYTES);
    calls.getsockname(number, name, new Uint32Array([name.length]));
    return new Descriptor(calls, new DataView(name.buffer).getUint16(0, true) === AF_INET6, number);
  }

  bind(address: string, port: number, reuse: Reuse): void {
    if (reuse.reuseAddress === true) this.set(SOL_SOCKET, SO_REUSEADDR, 1);
    if (reuse.reusePort === true) this.set(SOL_SOCKET, SO_REUSEPORT, 1);
    if (this.six) this.set(IPPROTO_IPV6, IPV6_V6ONLY, 0);
    const words = wordsOf(address);
    if (words === undefined) throw systemError("bind", EINVAL);
    const zone = address.split("%")[1];
    const name = sockaddr(words, port, this.six, zone === undefined ? 0 : this.#interfaceNumber(zone));
    this.#done("bind", this.calls.bind(this.number, name, name.length));
  }

  /** Each datagram says what it was sent to; on a socket for both families IPv4 says it in its own way. */
  tellDestinations(): void {
    this.set(IPPROTO_IP, IP_PKTINFO, 1);
    if (this.six) this.set(IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  }

  listen(backlog: number): void {
    this.#done("listen", this.calls.listen(this.number, backlog));
  }

  /** Its address and port, as they are. */
  name(): Place {
    return nameOfSocket(this.calls, this.number);
  }

  set(level: number, name: number, value: number): void {
    this.setBytes(level, name, new Uint8Array(new Int32Array([value]).buffer));
  }

  setBytes(level: number, name: number, value: Uint8Array): void {
    this.#done("setsockopt", this.calls.setsockopt(this.number, level, name, value, value.length));
  }

  get(level: number, name: number): number {
    const value = new Int32Array(1);
    this.#done("getsockopt", this.calls.getsockopt(this.number, level, name, value, new Uint32Array([4])));
    return value[0] as number;
  }

  /** `by`: an address or the name of one of our interfaces. */
  join(group: string, by: string | undefined): void {
    const words = wordsOf(group);
    if (words === undefined) throw systemError("setsockopt", EINVAL);
    if (isMapped(words)) {
      // struct ip_mreqn: group, address of the interface, number of the interface.
      const request = new Uint32Array([words[3], 0, 0]);
      const own = by === undefined ? undefined : wordsOf(by);
      if (own !== undefined) request[1] = own[3];
      else if (by !== undefined) request[2] = this.#interfaceNumber(by);
      this.setBytes(IPPROTO_IP, IP_ADD_MEMBERSHIP, new Uint8Array(request.buffer));
    } else {
      // struct ipv6_mreq: group, number of the interface.
      const request = new Uint32Array([...words, by === undefined ? 0 : this.#interfaceNumber(by)]);
      this.setBytes(IPPROTO_IPV6, IPV6_JOIN_GROUP, new Uint8Array(request.buffer));
    }
  }

  setRecvBufferSize(bytes: number): void {
    this.set(SOL_SOCKET, SO_RCVBUF, bytes);
  }

  getRecvBufferSize(): number {
    return this.get(SOL_SOCKET, SO_RCVBUF);
  }

  setSendBufferSize(bytes: number): void {
    this.set(SOL_SOCKET, SO_SNDBUF, bytes);
  }

  getSendBufferSize(): number {
    return this.get(SOL_SOCKET, SO_SNDBUF);
  }

  close(): void {
    this.calls.close(this.number);
  }

  /** Of an interface by its name, or by one of its addresses. */
  #interfaceNumber(by: string): number {
    const named = Object.entries(networkInterfaces()).find(([, of]) =>
      of?.some(({ address }) => address === by),
    );
    const number = this.calls.if_nametoindex(named?.[0] ?? by);
    if (number === 0) throw systemError("if_nametoindex", this.calls.error());
    return number;
  }

  #done(call: string, result: number): number {
    if (result < 0) throw systemError(call, this.calls.error());
    return result;
  }
}

export interface Place {
  readonly address: string;
  readonly port: number;
}

/** The address and port of ours of a socket. */
export function nameOfSocket(calls: SystemCalls, socket: number): Place {
  const name = new Uint8Array(SOCKADDR_BYTES);
  if (calls.getsockname(socket, name, new Uint32Array([name.length])) < 0) {
    throw systemError("getsockname", calls.error());
  }
  return placeIn(name);
}

/** What a `struct sockaddr` says, of either family. */
export function placeIn(name: Uint8Array): Place {
  const port = (name[2]! << 8) | name[3]!;
  if (name[0] === AF_INET) return { address: `${name[4]}.${name[5]}.${name[6]}.${name[7]}`, port };
  const view = new DataView(name.buffer, name.byteOffset);
  const word = (at: number): number => view.getUint32(at, true);
  return { address: textOf([word(8), word(12), word(16), word(20)]), port };
}

/** Of an IPv4 address. */
export function sockaddrOf(address: string, port: number): Uint8Array {
  const words = wordsOf(address);
  if (words === undefined) throw systemError("connect", EINVAL);
  return sockaddr(words, port, false, 0);
}

function sockaddr(words: Words, port: number, six: boolean, zone: number): Uint8Array {
  const bytes = new Uint8Array(six ? SOCKADDR_BYTES : SOCKADDR_IN_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, six ? AF_INET6 : AF_INET, true);
  view.setUint16(2, port);
  if (six) {
    for (const [index, word] of words.entries()) view.setUint32(8 + 4 * index, word, true);
    view.setUint32(24, zone, true);
  } else view.setUint32(4, words[3], true);
  return bytes;
}

/** As Node would throw it. */
export function systemError(call: string, number: number): Error {
  const code = getSystemErrorName(-number);
  return Object.assign(new Error(`${call} ${code}`), { code, errno: -number, syscall: call });
}
