/**
 * Where a message has been: the marks of the rules, pipelines and bridges that it has passed between gateways, in a user
 * property of MQTT 5 and in a header of HTTP. Who finds its own mark there passes it on no further, so that gateways which
 * send to each other come to an end (upstream sheet U-065).
 */
import type { MessageProperties } from "./message.ts";

/** Name of the user property, and of the header. */
export const VIA = "isthmus-via";
/** A chain that is longer is taken for a circle: its marks may be of processes that were started again. */
const MARKS_MAX = 16;
const MARK = /^[A-Za-z0-9_-]{8}$/;
const MARK_OCTETS = 6;
/** Names whose marks are remembered. */
const NAMES_MAX = 10_000;
const NONE: readonly string[] = [];

/** Marks that a line has; what is none is nobody's. */
export const marksIn = (line: string): readonly string[] =>
  line.split(/ *, */, MARKS_MAX).filter((mark) => MARK.test(mark));

export function marksOf(
  properties: Pick<MessageProperties, "userProperties"> | undefined,
): readonly string[] {
  const pairs = properties?.userProperties;
  if (pairs === undefined) return NONE;
  return pairs.flatMap(([name, line]) => (name === VIA ? marksIn(line) : NONE));
}

/** The same properties with these marks in place of those that were there. */
export function withMarks(
  properties: MessageProperties | undefined,
  marks: readonly string[],
): MessageProperties | undefined {
  if (marks.length === 0) return properties;
  const others = (properties?.userProperties ?? []).filter(([name]) => name !== VIA);
  return { ...properties, userProperties: [...others, [VIA, lineOf(marks)]] };
}

export const lineOf = (marks: readonly string[]): string => marks.join(",");

/** It has been here before, or too far away to say. */
export const isCircle = (marks: readonly string[], own: string): boolean =>
  marks.length >= MARKS_MAX || marks.includes(own);

/**
 * The marks of this process, by name. By chance, and other ones in the next process: names may be the same at two gateways,
 * and say nothing to whoever reads them.
 */
export class Marks {
  readonly #random: (octets: number) => Uint8Array;
  readonly #known = new Map<string, string>();

  constructor(random: (octets: number) => Uint8Array) {
    this.#random = random;
  }

  of(name: string): string {
    let mark = this.#known.get(name);
    if (mark === undefined) {
      mark = Buffer.from(this.#random(MARK_OCTETS)).toString("base64url");
      // Names come and go; a circle of one whose mark is forgotten is seen a round later.
      if (this.#known.size >= NAMES_MAX) this.#known.clear();
      this.#known.set(name, mark);
    }
    return mark;
  }
}
