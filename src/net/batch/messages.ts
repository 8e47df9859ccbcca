/**
 * The memory of `recvmmsg` and `sendmmsg`, one of each for all sockets of a thread: a call is filled, made and read in
 * one go. Layouts are those of glibc with 64 bits, the low byte first; `self-test.ts` tries them before they are used.
 */

import { isMapped, MAPPED_WORD, type Words } from "../system/addresses.ts";
import {
  AF_INET,
  AF_INET6,
  IP_PKTINFO,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_PKTINFO,
  MSG_TRUNC,
  SOCKADDR_BYTES,
  SOCKADDR_IN_BYTES,
} from "../system/linux.ts";
import type { SystemCalls } from "../system/system-calls.ts";
import type { OutgoingDatagram } from "../transport.ts";
import { Arrived, type Path } from "./paths.ts";

/** Datagrams a call. */
export const BATCH = 64;
/** Room for any datagram: 65,507 bytes at most over IPv4, 65,527 over IPv6. What is not used is no memory. */
const SLOT_BYTES = 65_536;
const SLOT_SHIFT = 16;

// struct mmsghdr: msg_name, msg_namelen, msg_iov, msg_iovlen, msg_control, msg_controllen, msg_flags; msg_len. In words.
const HEADER_WORDS = 16;
const NAME = 0;
const NAME_LENGTH = 2;
const IOV = 4;
const IOV_COUNT = 6;
const CONTROL = 8;
const CONTROL_LENGTH = 10;
const FLAGS = 12;
const LENGTH = 14;
/** struct iovec: iov_base, iov_len. */
const IOVEC_WORDS = 4;
const NAME_WORDS = 8;
const CONTROL_WORDS = 32;
const CONTROL_BYTES = 4 * CONTROL_WORDS;
// struct cmsghdr: cmsg_len, cmsg_level, cmsg_type, and then what it says.
const CMSG_WORDS = 4;
const CMSG_BYTES = 16;
const IP_PKTINFO_BYTES = 12;
const IPV6_PKTINFO_BYTES = 20;
const aligned = (bytes: number): number => (bytes + 7) & ~7;

const HEADERS_AT = 0;
const IOVECS_AT = HEADERS_AT + BATCH * HEADER_WORDS;
const NAMES_AT = IOVECS_AT + BATCH * IOVEC_WORDS;
const CONTROLS_AT = NAMES_AT + BATCH * NAME_WORDS;
const ALL_WORDS = CONTROLS_AT + BATCH * CONTROL_WORDS;

/** Headers, and all that they point to. */
class Messages {
  /** What the call is given. */
  readonly headers: Uint8Array;
  protected readonly words: Uint32Array;
  protected readonly bytes: Uint8Array;
  protected readonly content: Uint8Array;
  /** Addresses have 47 bits: numbers hold them. */
  protected readonly contentAt: number;
  readonly #at: number;

  constructor(calls: SystemCalls, contentBytes: number) {
    const memory = new ArrayBuffer(4 * ALL_WORDS);
    this.words = new Uint32Array(memory);
    this.bytes = new Uint8Array(memory);
    this.headers = this.bytes.subarray(0, 4 * IOVECS_AT);
    this.content = new Uint8Array(new ArrayBuffer(contentBytes));
    this.#at = Number(calls.addressOf(this.bytes));
    this.contentAt = Number(calls.addressOf(this.content));
    for (let index = 0; index < BATCH; index++) {
      const header = HEADERS_AT + index * HEADER_WORDS;
      this.point(header + NAME, this.#at + 4 * (NAMES_AT + index * NAME_WORDS));
      this.point(header + IOV, this.#at + 4 * (IOVECS_AT + index * IOVEC_WORDS));
      this.words[header + IOV_COUNT] = 1;
    }
  }

  /** Where a control message of this index lies, or nowhere. */
  protected control(index: number, bytes: number): void {
    const header = HEADERS_AT + index * HEADER_WORDS;
    const place = bytes === 0 ? 0 : this.#at + 4 * (CONTROLS_AT + index * CONTROL_WORDS);
    this.point(header + CONTROL, place);
    this.words[header + CONTROL_LENGTH] = bytes;
  }

  /** A word takes the low 32 bits of what it is given. */
  protected point(word: number, place: number): void {
    this.words[word] = place;
    this.words[word + 1] = place / 2 ** 32;
  }
}

/** What `recvmmsg` fills. */
export class Received extends Messages {
  readonly arrived = new Arrived();

  constructor(calls: SystemCalls) {
    super(calls, BATCH * SLOT_BYTES);
    for (let index = 0; index < BATCH; index++) {
      const iovec = IOVECS_AT + index * IOVEC_WORDS;
      this.point(iovec, this.contentAt + index * SLOT_BYTES);
      this.words[iovec + 2] = SLOT_BYTES;
      this.control(index, CONTROL_BYTES);
      this.#reset(index);
    }
  }

  /**
   * Reads who sent a message, and to which address, into `arrived`, and makes its header ready for the next call. False
   * for what is no datagram to work on: of no port, so that nobody could be answered, or cut.
   */
  read(index: number): boolean {
    const header = HEADERS_AT + index * HEADER_WORDS;
    const whole = (this.words[header + FLAGS]! & MSG_TRUNC) === 0;
    const named = this.#readName(NAMES_AT + index * NAME_WORDS);
    this.#readControl(CONTROLS_AT + index * CONTROL_WORDS, this.words[header + CONTROL_LENGTH]!);
    this.#reset(index);
    return whole && named && this.arrived.port !== 0;
  }

  /** A copy: the place is used again. */
  contentOf(index: number): Uint8Array {
    const start = index << SLOT_SHIFT;
    return this.content.slice(start, start + this.words[HEADERS_AT + index * HEADER_WORDS + LENGTH]!);
  }

  #reset(index: number): void {
    const header = HEADERS_AT + index * HEADER_WORDS;
    this.words[header + NAME_LENGTH] = SOCKADDR_BYTES;
    this.words[header + CONTROL_LENGTH] = CONTROL_BYTES;
  }

  #readName(name: number): boolean {
    const { words, arrived } = this;
    const first = words[name]!;
    const family = first & 0xffff;
    arrived.port = ((first >> 8) & 0xff00) | (first >>> 24);
    if (family === AF_INET) {
      setMapped(arrived.peer, words[name + 1]!);
      arrived.zone = 0;
    } else if (family === AF_INET6) {
      for (let at = 0; at < 4; at++) arrived.peer[at] = words[name + 2 + at]!;
      arrived.zone = words[name + 6]!;
    } else return false;
    return true;
  }

  /** On a socket for both families, an IPv4 datagram has both kinds, of which IP_PKTINFO says more. */
  #readControl(control: number, length: number): void {
    const { words, arrived } = this;
    arrived.localKnown = false;
    arrived.toGroup = false;
    let mapped = false;
    for (let at = 0; at + CMSG_BYTES <= length; ) {
      const word = control + at / 4;
      const size = words[word]!;
      if (size < CMSG_BYTES || at + size > length) return;
      const [level, type] = [words[word + 2], words[word + 3]];
      if (level === IPPROTO_IP && type === IP_PKTINFO) {
        // ipi_spec_dst is the address to answer from, ipi_addr where the datagram was sent to.
        setMapped(arrived.local, words[word + CMSG_WORDS + 1]!);
        arrived.toGroup = words[word + CMSG_WORDS + 1] !== words[word + CMSG_WORDS + 2];
        arrived.localKnown = true;
        mapped = true;
      } else if (level === IPPROTO_IPV6 && type === IPV6_PKTINFO && !mapped) {
        for (let index = 0; index < 4; index++) arrived.local[index] = words[word + CMSG_WORDS + index]!;
        arrived.toGroup = (arrived.local[0] & 0xff) === 0xff;
        arrived.localKnown = !arrived.toGroup;
      }
      at += aligned(size);
    }
  }
}

function setMapped(words: [number, number, number, number], ipv4: number): void {
  words[0] = 0;
  words[1] = 0;
  words[2] = MAPPED_WORD;
  words[3] = ipv4;
}

/** What `sendmmsg` takes. */
export class Sending extends Messages {
  #used = 0;

  constructor(calls: SystemCalls) {
    super(calls, 4 * SLOT_BYTES);
  }

  clear(): void {
    this.#used = 0;
  }

  /**
   * Writes one datagram into a place of the batch. False when it does not fit: not any more into this batch, or, when that
   * is empty, never.
   */
  put(index: number, datagram: OutgoingDatagram, path: Path, six: boolean, ownAddress: boolean): boolean {
    const { bytes, port } = datagram;
    if (index >= BATCH || this.#used + bytes.length > this.content.length) return false;
    if (bytes.length > SLOT_BYTES || (!six && !isMapped(path.peer))) return false;
    this.content.set(bytes, this.#used);
    const iovec = IOVECS_AT + index * IOVEC_WORDS;
    this.point(iovec, this.contentAt + this.#used);
    this.words[iovec + 2] = bytes.length;
    this.#used += bytes.length;
    this.#name(index, path, port, six);
    const local = ownAddress ? path.local : undefined;
    if (local === undefined) this.control(index, 0);
    else if (six) this.#fromIpv6(index, local);
    else this.#fromIpv4(index, local);
    return true;
  }

  #name(index: number, { peer, zone }: Path, port: number, six: boolean): void {
    const { words } = this;
    const name = NAMES_AT + index * NAME_WORDS;
    const swapped = ((port & 0xff) << 8) | (port >> 8);
    words[name] = (six ? AF_INET6 : AF_INET) | (swapped << 16);
    words[HEADERS_AT + index * HEADER_WORDS + NAME_LENGTH] = six ? SOCKADDR_BYTES : SOCKADDR_IN_BYTES;
    if (!six) {
      words[name + 1] = peer[3];
      words[name + 2] = 0;
      words[name + 3] = 0;
      return;
    }
    words[name + 1] = 0;
    for (let at = 0; at < 4; at++) words[name + 2 + at] = peer[at]!;
    words[name + 6] = zone;
  }

  #fromIpv4(index: number, local: Words): void {
    const said = this.#controlMessage(index, IPPROTO_IP, IP_PKTINFO, IP_PKTINFO_BYTES);
    // No interface: by the routes.
    this.words[said] = 0;
    this.words[said + 1] = local[3];
    this.words[said + 2] = 0;
  }

  #fromIpv6(index: number, local: Words): void {
    const said = this.#controlMessage(index, IPPROTO_IPV6, IPV6_PKTINFO, IPV6_PKTINFO_BYTES);
    for (let at = 0; at < 4; at++) this.words[said + at] = local[at]!;
    this.words[said + 4] = 0;
  }

  #controlMessage(index: number, level: number, type: number, bytes: number): number {
    const control = CONTROLS_AT + index * CONTROL_WORDS;
    this.control(index, aligned(CMSG_BYTES + bytes));
    this.words[control] = CMSG_BYTES + bytes;
    this.words[control + 1] = 0;
    this.words[control + 2] = level;
    this.words[control + 3] = type;
    return control + CMSG_WORDS;
  }
}
