/** The header that we put before a connection made for a device: PROXY protocol (haproxy.org, proxy-protocol.txt). */
import { isIP } from "node:net";
import { utf8 } from "../lib/bytes.ts";

export interface End {
  readonly address: string;
  readonly port: number;
}

export type ProxyVersion = "v1" | "v2";

const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
const COMMAND_LOCAL = 0x20;
const COMMAND_PROXY = 0x21;
const FAMILY_AND_STREAM = { 4: 0x11, 6: 0x21 } as const;

/** `source`: the device; undefined: we speak for ourselves. `destination`: the server, as far as it is known. */
export function proxyHeader(version: ProxyVersion, source: End | undefined, destination: End): Uint8Array {
  const family = source === undefined ? undefined : isIP(source.address);
  if (source === undefined || (family !== 4 && family !== 6)) {
    return version === "v1" ? utf8("PROXY UNKNOWN\r\n") : header2(COMMAND_LOCAL, 0, []);
  }
  // Both addresses are of one family (§2.1, §2.2): where they are not, only the device's matters.
  const any = family === 4 ? "0.0.0.0" : "::";
  const to = isIP(destination.address) === family ? destination : { address: any, port: destination.port };
  if (version === "v1") {
    return utf8(`PROXY TCP${family} ${source.address} ${to.address} ${source.port} ${to.port}\r\n`);
  }
  const octets = family === 4 ? octetsOf4 : octetsOf6;
  const ends = [octets(source.address), octets(to.address), short(source.port), short(to.port)];
  return header2(COMMAND_PROXY, FAMILY_AND_STREAM[family], ends.flat());
}

const header2 = (command: number, family: number, body: readonly number[]): Uint8Array =>
  Uint8Array.of(...SIGNATURE, command, family, ...short(body.length), ...body);

const short = (value: number): number[] => [value >> 8, value & 0xff];

const octetsOf4 = (address: string): number[] => address.split(".").map(Number);

function octetsOf6(address: string): number[] {
  // As a URL it is written out in one way, also where IPv4 stands at its end.
  const plain = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = "", tail] = plain.split("::");
  const groups = (part: string): string[] => (part === "" ? [] : part.split(":"));
  const [before, behind] = [groups(head), groups(tail ?? "")];
  const zeros = Array.from({ length: 8 - before.length - behind.length }, () => "0");
  return [...before, ...zeros, ...behind].flatMap((group) => short(Number.parseInt(group, 16)));
}
