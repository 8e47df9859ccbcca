/** IP address ranges that the configuration lists (`10.0.0.0/8`, `2001:db8::/32`, `192.0.2.7`). */

interface Range {
  readonly groups: readonly number[];
  readonly bits: number;
}

/** An address as eight 16-bit groups, IPv4 mapped into `::ffff:0:0/96`; undefined when it is none. */
function groupsOf(address: string): number[] | undefined {
  const v4 = /^(?:::ffff:)?(\d+)\.(\d+)\.(\d+)\.(\d+)$/i.exec(address);
  if (v4 !== null) {
    const octets = v4.slice(1).map(Number);
    if (octets.some((octet) => octet > 255)) return undefined;
    const [a = 0, b = 0, c = 0, d = 0] = octets;
    return [0, 0, 0, 0, 0, 0xffff, (a << 8) | b, (c << 8) | d];
  }
  const halves = address.split("::");
  if (halves.length > 2) return undefined;
  const [head = [], tail = []] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...new Array<string>(missing).fill("0"), ...tail];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return groups.map((group) => Number.parseInt(group, 16));
}

function parseRange(range: string): Range {
  const [address = "", suffix] = range.split("/");
  const groups = groupsOf(address);
  const width = address.includes(":") ? 128 : 32;
  const prefix = suffix === undefined ? width : Number(suffix);
  if (groups === undefined || !Number.isInteger(prefix) || prefix < 0 || prefix > width) {
    throw new RangeError(`${range} is no IP address or range`);
  }
  return { groups, bits: prefix + 128 - width };
}

function contains({ groups, bits }: Range, address: readonly number[]): boolean {
  for (let at = 0; at < 8 && at * 16 < bits; at++) {
    const left = Math.min(16, bits - at * 16);
    const mask = (0xffff << (16 - left)) & 0xffff;
    if (((groups[at] ?? 0) & mask) !== ((address[at] ?? 0) & mask)) return false;
  }
  return true;
}

export class AddressRanges {
  readonly #ranges: readonly Range[];

  /** Throws a RangeError for text that is no range: the configuration is wrong. */
  constructor(ranges: readonly string[]) {
    this.#ranges = ranges.map(parseRange);
  }

  has(address: string): boolean {
    const groups = groupsOf(address);
    return groups !== undefined && this.#ranges.some((range) => contains(range, groups));
  }
}
