import ipaddr from "ipaddr.js";

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Range = readonly [network: Address, bits: number];

/** IPv4-mapped IPv6 is taken as IPv4, so that `10.0.0.0/8` also means a dual-stack socket's peers. */
function parseAddress(text: string): Address | undefined {
  return ipaddr.isValid(text) ? ipaddr.process(text) : undefined;
}

function parseRange(text: string): Range | undefined {
  if (!text.includes("/")) {
    const address = parseAddress(text);
    return address && [address, address.kind() === "ipv4" ? 32 : 128];
  }
  return ipaddr.isValidCIDR(text) ? ipaddr.parseCIDR(text) : undefined;
}

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
