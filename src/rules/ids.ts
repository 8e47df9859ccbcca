/** Ids of events: when, in which process, and the how many-th; 32 digits, in the order of time. */
export function eventIds(now: () => number, random: (length: number) => Uint8Array): () => string {
  const process = hex(random(6));
  let count = 0;
  return () => {
    count = (count + 1) >>> 0;
    return Math.floor(now()).toString(16).padStart(12, "0") + process + count.toString(16).padStart(8, "0");
  };
}

const hex = (octets: Uint8Array): string =>
  Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
