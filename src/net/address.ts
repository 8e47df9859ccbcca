import type { Socket } from "node:net";

const MAPPED = "::ffff:";

/** The address and port of ours that a socket's peer has reached; undefined when it is gone. */
export const localName = ({ localAddress, localPort = 0 }: Socket): string | undefined =>
  localAddress === undefined ? undefined : placeName(plainAddress(localAddress), localPort);

export const placeName = (address: string, port: number): string =>
  address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;

/** An address as the rest of the program knows it: IPv4-mapped IPv6 shown as IPv4, without a zone. */
export function plainAddress(address: string): string {
  if (address.startsWith(MAPPED) && address.includes(".")) return address.slice(MAPPED.length);
  const zone = address.indexOf("%");
  return zone < 0 ? address : address.slice(0, zone);
}

/** The form in which an IPv6 socket reaches any address. */
export const mappedAddress = (address: string): string =>
  address.includes(":") ? address : `${MAPPED}${address}`;

/** Bound to both families on a host that has both. */
const ANY_ADDRESS = "::";
const ANY_IPV4 = "0.0.0.0";

const lacksIpv6 = (error: unknown): boolean => {
  const code = (error as NodeJS.ErrnoException).code;
  return code === "EAFNOSUPPORT" || code === "EADDRNOTAVAIL";
};

/** A host that has no IPv6 serves `::` by `0.0.0.0`. */
export async function bindAny<T>(address: string, bind: (address: string) => Promise<T> | T): Promise<T> {
  try {
    return await bind(address);
  } catch (error) {
    if (address === ANY_ADDRESS && lacksIpv6(error)) return bind(ANY_IPV4);
    throw error;
  }
}

/** A multicast group and by which of our interfaces it is joined: `group`, or `group%address` or `group%name`. */
export function membershipOf(entry: string): { readonly group: string; readonly by: string | undefined } {
  const at = entry.indexOf("%");
  return at < 0 ? { group: entry, by: undefined } : { group: entry.slice(0, at), by: entry.slice(at + 1) };
}
