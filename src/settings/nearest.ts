/** How many edits lie between two words: letters put in, left out, replaced, or swapped with their neighbour. */
export function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const neighbours = swapped ? beforePrevious[j - 2]! + 1 : Number.POSITIVE_INFINITY;
      current[j] = Math.min(previous[j]! + 1, current[j - 1]! + 1, replaced, neighbours);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length]!;
}

const plain = (word: string): string => word.replaceAll(/[_-]/g, "").toLowerCase();

/** The known word that was probably meant: at most a third of its letters differ. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const candidate of known) {
    const distance = editDistance(plain(word), plain(candidate));
    if (distance < least && distance <= Math.max(1, Math.floor(candidate.length / 3))) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}
