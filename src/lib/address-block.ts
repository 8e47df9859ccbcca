/**
 * The block of addresses that one subscriber of a network usually has, as a key: an IPv4 address (or its /24), the /64 of
 * an IPv6 address.
 */
export function addressBlock(address: string, ipv4Bits: 24 | 32): string {
  if (!address.includes(":")) return ipv4Bits === 32 ? address : address.slice(0, address.lastIndexOf("."));
  const [head = "", tail] = address.split("::", 2);
  const groups = head === "" ? [] : head.split(":");
  if (tail !== undefined && groups.length < 4) {
    const behind = tail === "" ? [] : tail.split(":");
    while (groups.length + behind.length < 8) groups.push("0");
    groups.push(...behind);
  }
  return groups.slice(0, 4).join(":");
}
