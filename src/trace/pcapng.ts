/**
 * Frames as a pcapng capture (draft-ietf-opsawg-pcapng) that Wireshark reads as the protocols that they are: each frame in
 * an IP packet whose headers are made up. Our own end has an address of the documentation ranges and the protocol's usual
 * port, whatever ours is, because by that Wireshark knows the protocol. For MQTT-SN it has to be told, since nobody has
 * assigned that a port: `-d udp.port==1884,mqttsn`. STOMP it shows as the text of a TCP stream.
 */
import { isStream } from "../contract/peer.ts";
import { concat, utf8 } from "../lib/bytes.ts";
import type { FrameRow, StrayRow, TraceRow } from "./rows.ts";
import { sentenceOf } from "./text.ts";

const SECTION = 0x0a0d0d0a;
const INTERFACE = 1;
const PACKET = 6;
const BYTE_ORDER = 0x1a2b3c4d;

/** Link type (draft-ietf-opsawg-pcaplinktype): bare IPv4 or IPv6 packets. */
const LINK_RAW = 101;

const OPTION_END = 0;
const OPTION_COMMENT = 1;
const OPTION_NAME = 2;
const OPTION_PROGRAM = 4;

/** RFC 5737 and RFC 3849: nobody has these addresses. */
const OUR_IPV4 = "192.0.2.1";
const OUR_IPV6 = "2001:db8::1";

const UDP = 17;
const TCP = 6;
/** What one TCP segment of ours holds: an IPv4 packet has 65,535 octets at most. */
const SEGMENT_MAX = 60_000;

/** Ports by which Wireshark knows the protocols, and that of MQTT-SN, which it can be told. */
const PORTS: Readonly<Record<string, number>> = {
  mqtt: 1883,
  "mqtt-sn": 1884,
  coap: 5683,
  lwm2m: 5683,
  stomp: 61_613,
  tcp: 8090,
};

/** The beginning of a capture; what `PcapWriter.packets` returns is appended. */
export function pcapHeader(): Uint8Array {
  const section = concat(uint32(BYTE_ORDER), uint16(1), uint16(0), new Uint8Array(8).fill(0xff));
  return concat(
    block(SECTION, concat(section, options([OPTION_PROGRAM, utf8("Isthmus trace")]))),
    block(INTERFACE, interfaceOf(LINK_RAW, "frames under made-up IP headers")),
  );
}

const interfaceOf = (link: number, name: string): Uint8Array =>
  concat(uint16(link), uint16(0), uint32(0), options([OPTION_NAME, utf8(name)]));

/** Where a TCP stream stands, one way and the other. */
interface Stream {
  device: number;
  gateway: number;
}

/** Writes one capture: streams go on from packet to packet. */
export class PcapWriter {
  readonly #streams = new Map<string, Stream>();

  /** The blocks of one row; nothing for rows that are no frames. */
  packets(row: TraceRow): Uint8Array {
    if (row.kind !== "frame" && row.kind !== "stray") return new Uint8Array(0);
    return isStream(row.transport) ? this.#segments(row) : datagram(row);
  }

  #segments(row: FrameRow | StrayRow): Uint8Array {
    const stream = this.#streamOf(row);
    const blocks: Uint8Array[] = [];
    const { bytes, from } = row;
    for (let at = 0; at === 0 || at < bytes.length; at += SEGMENT_MAX) {
      const part = bytes.subarray(at, at + SEGMENT_MAX);
      const [sequence, acknowledged] =
        from === "device" ? [stream.device, stream.gateway] : [stream.gateway, stream.device];
      const ends = endsOf(row);
      const header = tcpHeader(ends, sequence, acknowledged);
      blocks.push(packet(row, ip(ends, TCP, header, part)));
      stream[from] = (stream[from] + part.length) >>> 0;
    }
    // What was cut off is missing in the stream, as it is in the row.
    stream[from] = (stream[from] + row.length - bytes.length) >>> 0;
    return concat(...blocks);
  }

  #streamOf({ address, port, gateway }: FrameRow | StrayRow): Stream {
    const key = `${gateway} ${address} ${port}`;
    let stream = this.#streams.get(key);
    if (stream === undefined) {
      stream = { device: 1, gateway: 1 };
      this.#streams.set(key, stream);
    }
    return stream;
  }
}

interface Ends {
  readonly version: 4 | 6;
  readonly source: Uint8Array;
  readonly target: Uint8Array;
  readonly sourcePort: number;
  readonly targetPort: number;
}

function endsOf({ address, port, gateway, from }: FrameRow | StrayRow): Ends {
  const version = address.includes(":") ? 6 : 4;
  const device = version === 6 ? ipv6(address) : ipv4(address);
  const ours = version === 6 ? ipv6(OUR_IPV6) : ipv4(OUR_IPV4);
  const ourPort = PORTS[gateway] ?? 0;
  return from === "device"
    ? { version, source: device, target: ours, sourcePort: port, targetPort: ourPort }
    : { version, source: ours, target: device, sourcePort: ourPort, targetPort: port };
}

function datagram(row: FrameRow | StrayRow): Uint8Array {
  const ends = endsOf(row);
  const { bytes } = row;
  const header = concat(
    uint16BE(ends.sourcePort),
    uint16BE(ends.targetPort),
    uint16BE(8 + bytes.length),
    uint16BE(0),
  );
  return packet(row, ip(ends, UDP, header, bytes));
}

/** PSH and ACK: each frame is there at once. */
const TCP_FLAGS = 0x5018;
const TCP_WINDOW = 0xffff;

const tcpHeader = ({ sourcePort, targetPort }: Ends, sequence: number, acknowledged: number): Uint8Array =>
  concat(
    uint16BE(sourcePort),
    uint16BE(targetPort),
    uint32BE(sequence),
    uint32BE(acknowledged),
    uint16BE(TCP_FLAGS),
    uint16BE(TCP_WINDOW),
    new Uint8Array(4),
  );

/** An IP packet around a transport header whose checksum is set here. */
function ip(ends: Ends, protocol: number, header: Uint8Array, payload: Uint8Array): Uint8Array {
  const body = concat(header, payload);
  const pseudo = concat(ends.source, ends.target, uint32BE(body.length), uint32BE(protocol));
  const sum = checksum(concat(pseudo, body)) || 0xffff;
  body.set(uint16BE(sum), protocol === UDP ? 6 : 16);
  if (ends.version === 6) {
    const head = concat(uint32BE(0x6000_0000), uint16BE(body.length), Uint8Array.of(protocol, 64));
    return concat(head, ends.source, ends.target, body);
  }
  const head = concat(
    Uint8Array.of(0x45, 0),
    uint16BE(20 + body.length),
    uint32BE(0),
    Uint8Array.of(64, protocol, 0, 0),
    ends.source,
    ends.target,
  );
  head.set(uint16BE(checksum(head)), 10);
  return concat(head, body);
}

/** An enhanced packet block, the row's sentence as its comment. Times are in microseconds. */
function packet(row: FrameRow | StrayRow, bytes: Uint8Array): Uint8Array {
  const micros = BigInt(Math.round(row.at * 1000));
  const cut = row.length - row.bytes.length;
  const comment = `cause ${row.cause}: ${sentenceOf(row)}${row.kind === "frame" && row.masked ? " (secrets are ***)" : ""}`;
  return block(
    PACKET,
    concat(
      uint32(0),
      uint32(Number(micros >> 32n)),
      uint32(Number(micros & 0xffff_ffffn)),
      uint32(bytes.length),
      uint32(bytes.length + cut),
      pad(bytes),
      options([OPTION_COMMENT, utf8(comment)]),
    ),
  );
}

function block(type: number, body: Uint8Array): Uint8Array {
  const length = uint32(12 + body.length);
  return concat(uint32(type), length, body, length);
}

function options(...list: readonly (readonly [code: number, value: Uint8Array])[]): Uint8Array {
  const parts = list.map(([code, value]) => concat(uint16(code), uint16(value.length), pad(value)));
  return concat(...parts, uint16(OPTION_END), uint16(0));
}

const padded = (length: number): number => (length + 3) & ~3;

function pad(bytes: Uint8Array): Uint8Array {
  if (bytes.length === padded(bytes.length)) return bytes;
  const whole = new Uint8Array(padded(bytes.length));
  whole.set(bytes);
  return whole;
}

/** Blocks are in the order of this machine that their own header tells: little-endian. */
const uint16 = (value: number): Uint8Array => Uint8Array.of(value & 0xff, value >>> 8);
const uint32 = (value: number): Uint8Array =>
  Uint8Array.of(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24);
const uint16BE = (value: number): Uint8Array => Uint8Array.of(value >>> 8, value & 0xff);
const uint32BE = (value: number): Uint8Array =>
  Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);

/** RFC 1071. */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] as number) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x1_0000);
  return ~sum & 0xffff;
}

const ipv4 = (address: string): Uint8Array => Uint8Array.from(address.split("."), Number);

/** A whole IPv6 address, in any spelling without a zone. */
function ipv6(address: string): Uint8Array {
  const [head = "", tail] = address.split("::", 2);
  const groups = (text: string): number[] => (text === "" ? [] : text.split(":").flatMap(groupOf));
  const before = groups(head);
  const behind = tail === undefined ? [] : groups(tail);
  const all = [...before, ...new Array<number>(8 - before.length - behind.length).fill(0), ...behind];
  return concat(...all.map(uint16BE));
}

/** The last four octets may be spelt as an IPv4 address. */
function groupOf(text: string): number[] {
  if (!text.includes(".")) return [Number.parseInt(text, 16)];
  const [a = 0, b = 0, c = 0, d = 0] = ipv4(text);
  return [(a << 8) | b, (c << 8) | d];
}
