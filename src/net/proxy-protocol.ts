/**
 * The header that a load balancer puts before the bytes of a client: PROXY protocol versions 1 and 2
 * (haproxy.org, proxy-protocol.txt). A listener that expects it refuses everything else, for the address in it
 * is believed.
 */
import { isIP, isIPv4, isIPv6 } from "node:net";
import { lossyText } from "../lib/bytes.ts";
import { type DecodeError, decodeError, err, ok, type Result } from "../lib/result.ts";
import { plainAddress } from "./address.ts";
import { crc32c } from "./crc32c.ts";

export interface ProxyHeader {
  /** The client's; undefined when the proxy speaks for itself (health checks) or does not know. */
  readonly source: { readonly address: string; readonly port: number } | undefined;
  /** Common name of the client certificate that the proxy has verified. */
  readonly commonName: string | undefined;
  /** Bytes of the header; the client's follow. */
  readonly length: number;
}

type Parsed = Result<ProxyHeader, DecodeError> | "incomplete";

const SIGNATURE = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
const V1_START = Uint8Array.of(0x50, 0x52, 0x4f, 0x58, 0x59, 0x20); // "PROXY "
/** Longest line of version 1, with its line end (§2.1). */
const V1_LENGTH_MAX = 107;
const V2_FIXED_LENGTH = 16;
/** Far above what any proxy sends; the length field would allow 65,535. */
const V2_PAYLOAD_MAX = 4096;

export function parseProxyHeader(bytes: Uint8Array): Parsed {
  const start = bytes[0] === V1_START[0] ? V1_START : SIGNATURE;
  for (let at = 0; at < Math.min(bytes.length, start.length); at++) {
    if (bytes[at] !== start[at]) return decodeError("PROXY protocol §2", at, "no PROXY protocol header");
  }
  if (bytes.length < start.length) return "incomplete";
  return start === V1_START ? parseVersion1(bytes) : parseVersion2(bytes);
}

function parseVersion1(bytes: Uint8Array): Parsed {
  const wrong = (problem: string) => decodeError("PROXY protocol §2.1", 0, problem);
  const end = bytes.subarray(0, V1_LENGTH_MAX).indexOf(0x0a);
  if (end < 0) return bytes.length < V1_LENGTH_MAX ? "incomplete" : wrong("line longer than 107 bytes");
  if (bytes[end - 1] !== 0x0d) return wrong("line does not end with CR LF");
  const length = end + 1;
  const words = lossyText(bytes.subarray(V1_START.length, end - 1)).split(" ");
  if (words[0] === "UNKNOWN") return ok({ source: undefined, commonName: undefined, length });
  const [family, source = "", destination = "", sourcePort = "", destinationPort = ""] = words;
  const version = family === "TCP4" ? 4 : family === "TCP6" ? 6 : undefined;
  if (version === undefined || words.length !== 5) return wrong("not TCP4, TCP6 or UNKNOWN with four fields");
  if (isIP(source) !== version || isIP(destination) !== version) return wrong(`not addresses of ${family}`);
  const port = parsePort(sourcePort);
  if (port === undefined || parsePort(destinationPort) === undefined) return wrong("not a port number");
  return ok({ source: { address: plainAddress(source), port }, commonName: undefined, length });
}

function parsePort(digits: string): number | undefined {
  if (!/^(0|[1-9]\d{0,4})$/.test(digits)) return undefined;
  const port = Number(digits);
  return port <= 0xffff ? port : undefined;
}

const wrong2 = (at: number, problem: string) => decodeError("PROXY protocol §2.2", at, problem);
/** Octets of the two addresses and ports by address family: unspecified, IPv4, IPv6, UNIX. */
const ADDRESS_LENGTHS = [0, 12, 36, 216];
const COMMAND_LOCAL = 0x20;
const COMMAND_PROXY = 0x21;
const UNSPECIFIED = 0;
const STREAM = 1;

function parseVersion2(bytes: Uint8Array): Parsed {
  if (bytes.length < V2_FIXED_LENGTH) return "incomplete";
  const command = byteAt(bytes, 12);
  if (command !== COMMAND_LOCAL && command !== COMMAND_PROXY) return wrong2(12, "unknown version or command");
  const payload = shortAt(bytes, 14);
  if (payload > V2_PAYLOAD_MAX) return wrong2(14, `header longer than ${V2_PAYLOAD_MAX} bytes`);
  const length = V2_FIXED_LENGTH + payload;
  if (bytes.length < length) return "incomplete";
  const header = bytes.subarray(0, length);
  // §2.2: what a LOCAL command carries is to be skipped.
  if (command === COMMAND_LOCAL) return ok({ source: undefined, commonName: undefined, length });
  const family = byteAt(header, 13) >> 4;
  const protocol = byteAt(header, 13) & 0x0f;
  const addresses = ADDRESS_LENGTHS[family];
  if (addresses === undefined || (protocol !== STREAM && protocol !== UNSPECIFIED)) {
    return wrong2(13, "address family or transport protocol that no stream has");
  }
  if (payload < addresses) return wrong2(14, "too short for its addresses");
  const extensions = parseExtensions(header, V2_FIXED_LENGTH + addresses);
  if (!extensions.ok) return extensions;
  return ok({ source: sourceOf(header, family), commonName: extensions.value, length });
}

const byteAt = (bytes: Uint8Array, at: number): number => bytes[at] as number;
const shortAt = (bytes: Uint8Array, at: number): number => (byteAt(bytes, at) << 8) | byteAt(bytes, at + 1);

function sourceOf(header: Uint8Array, family: number): ProxyHeader["source"] {
  const at = V2_FIXED_LENGTH;
  if (family === 1) {
    const address = header.subarray(at, at + 4).join(".");
    return isIPv4(address) ? { address, port: shortAt(header, at + 8) } : undefined;
  }
  if (family !== 2) return undefined;
  const groups = Array.from({ length: 8 }, (_, index) => shortAt(header, at + 2 * index).toString(16));
  const address = canonicalIpv6(groups.join(":"));
  return isIPv6(address) || isIPv4(address) ? { address, port: shortAt(header, at + 32) } : undefined;
}

/** Shortened as the system writes the addresses of sockets (RFC 5952), mapped IPv4 as IPv4. */
function canonicalIpv6(groups: string): string {
  const short = new URL(`http://[${groups}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([\da-f]+):([\da-f]+)$/.exec(short);
  if (mapped === null) return short;
  const [high, low] = [Number.parseInt(mapped[1] ?? "", 16), Number.parseInt(mapped[2] ?? "", 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}

const PP2_TYPE_CRC32C = 0x03;
const PP2_TYPE_SSL = 0x20;
const PP2_SUBTYPE_SSL_CN = 0x22;
/** The client showed a certificate, on this connection or in the session that it resumed. */
const PP2_CLIENT_CERT = 0x02 | 0x04;
/** Flags and verify field before the sub-TLVs of PP2_TYPE_SSL (§2.2.6). */
const SSL_FIXED_LENGTH = 5;

/** Walks the type-length-value fields; the value is the common name in PP2_TYPE_SSL, if it was verified. */
function parseExtensions(header: Uint8Array, start: number): Result<string | undefined, DecodeError> {
  let commonName: string | undefined;
  for (let at = start; at < header.length; ) {
    const end = endOfField(header, at, header.length);
    if (end === undefined) return wrong2(at, "a field is longer than the header");
    const type = byteAt(header, at);
    if (type === PP2_TYPE_CRC32C && !checksumHolds(header, at + 3, end)) {
      return err({ clause: "PROXY protocol §2.2.4", at, problem: "wrong checksum" });
    }
    if (type === PP2_TYPE_SSL) {
      const name = verifiedName(header, at + 3, end);
      if (!name.ok) return name;
      commonName = name.value;
    }
    at = end;
  }
  return ok(commonName);
}

function endOfField(bytes: Uint8Array, at: number, limit: number): number | undefined {
  if (at + 3 > limit) return undefined;
  const end = at + 3 + shortAt(bytes, at + 1);
  return end <= limit ? end : undefined;
}

function verifiedName(
  header: Uint8Array,
  start: number,
  end: number,
): Result<string | undefined, DecodeError> {
  if (end - start < SSL_FIXED_LENGTH) return wrong2(start, "PP2_TYPE_SSL is too short");
  const shown = (byteAt(header, start) & PP2_CLIENT_CERT) !== 0;
  const verified = header.subarray(start + 1, start + SSL_FIXED_LENGTH).every((octet) => octet === 0);
  let name: string | undefined;
  for (let at = start + SSL_FIXED_LENGTH; at < end; ) {
    const next = endOfField(header, at, end);
    if (next === undefined) return wrong2(at, "a field is longer than PP2_TYPE_SSL");
    if (byteAt(header, at) === PP2_SUBTYPE_SSL_CN) name = lossyText(header.subarray(at + 3, next));
    at = next;
  }
  return ok(shown && verified ? name : undefined);
}

/** The checksum is over the whole header with its own four octets as zero (§2.2.4). */
function checksumHolds(header: Uint8Array, start: number, end: number): boolean {
  if (end - start !== 4) return false;
  // Not `slice`: that of a Buffer is a view.
  const blank = new Uint8Array(header);
  blank.fill(0, start, end);
  const stated = ((shortAt(header, start) << 16) | shortAt(header, start + 2)) >>> 0;
  return crc32c(blank) === stated;
}
