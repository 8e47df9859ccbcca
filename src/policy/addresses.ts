import ipaddr from "ipaddr.js";

type Address = ipaddr.IPv4 | ipaddr.IPv6;
/** `::ffff:0:0/96` (RFC 4291 §2.5.5.2). */
const MAPPED_BITS = 96;

type Range = readonly [network: Address, bits: number];

/** IPv4-mapped IPv6 is taken as IPv4, so that `10.0.0.0/8` also means a dual-stack socket's peers. */
function parseAddress(text: string): Address | undefined {
  if (!text.includes(":")) {
    // Not `010.0.0.1`, `10.1` or `0x0a.0.0.1`, which other programs take for other addresses than the reader does.
    return ipaddr.IPv4.isValidFourPartDecimal(text) ? ipaddr.IPv4.parse(text) : undefined;
  }
  return ipaddr.isValid(text) ? ipaddr.process(text) : undefined;
}

function parseRange(text: string): Range | undefined {
  const slash = text.indexOf("/");
  const base = slash === -1 ? text : text.slice(0, slash);
  const network = parseAddress(base);
  if (network === undefined) return undefined;
  const width = base.includes(":") ? 128 : 32;
  const bits = slash === -1 ? width : prefixLength(text.slice(slash + 1));
  if (bits === undefined || bits > width) return undefined;
  if (network.kind() === "ipv6" || width === 32) return [network, bits];
  // A range of IPv4-mapped addresses; a wider one is no range of IPv4.
  return bits >= MAPPED_BITS ? [network, bits - MAPPED_BITS] : undefined;
}

const prefixLength = (text: string): number | undefined =>
  /^(?:0|[1-9]\d{0,2})$/.test(text) ? Number(text) : undefined;

/** Whether a text is an IP address or a CIDR range, as rules and bans take it. */
export const isAddressRange = (text: string): boolean => parseRange(text) !== undefined;

/** The one spelling of an address that peers are shown with; the text itself when it is no address. */
export const canonicalAddress = (text: string): string => parseAddress(text)?.toString() ?? text;

/** Whether a text is one address and no range. */
export const isSingleAddress = (text: string): boolean => !text.includes("/");

/** A set of addresses and CIDR ranges, IPv4 and IPv6 mixed. */
export class AddressSet {
  readonly #ranges: readonly Range[];

  /** Texts that are no range match nobody; the configuration refuses them before. */
  constructor(texts: readonly string[]) {
    this.#ranges = texts.map(parseRange).filter((range) => range !== undefined);
  }

  has(text: string): boolean {
    const address = parseAddress(text);
    if (address === undefined) return false;
    return this.#ranges.some(([network, bits]) => {
      return network.kind() === address.kind() && address.match(network, bits);
    });
  }
}
