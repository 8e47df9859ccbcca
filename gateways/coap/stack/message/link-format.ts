import { text as strictText } from "#core/lib/bytes.ts";

/** A target and its attributes (RFC 6690 §2). An attribute without a value is `true`. */
export interface Link {
  /** With its leading slash: `/ps`. */
  readonly target: string;
  readonly attributes?: Readonly<Record<string, string | number | true>>;
}

/** Values that RFC 6690 §2 leaves without quotes: numbers of `sz` and `ct`, and flags. */
function formatAttribute(name: string, value: string | number | true): string {
  if (value === true) return name;
  if (typeof value === "number") return `${name}=${value}`;
  return `${name}="${value.replace(/["\\]/g, "\\$&")}"`;
}

function formatLink(link: Link): string {
  let written = `<${link.target}>`;
  for (const [name, value] of Object.entries(link.attributes ?? {})) {
    written += `;${formatAttribute(name, value)}`;
  }
  return written;
}

export const formatLinks = (links: readonly Link[]): string => links.map(formatLink).join(",");

/**
 * Whether a link passes one query of `/.well-known/core` (RFC 6690 §4.1): `rt=core.ps`, `href=/ps*`, `obs`.
 * Attributes with several values separated by spaces match by any of them; a trailing `*` matches a prefix.
 */
export function linkMatches(link: Link, query: string): boolean {
  const equals = query.indexOf("=");
  const name = equals < 0 ? query : query.slice(0, equals);
  const wanted = equals < 0 ? undefined : query.slice(equals + 1);
  const value = name === "href" ? link.target : link.attributes?.[name];
  if (value === undefined) return false;
  if (wanted === undefined) return true;
  if (value === true) return wanted === "";
  const matches = wanted.endsWith("*")
    ? (each: string) => each.startsWith(wanted.slice(0, -1))
    : (each: string) => each === wanted;
  const written = String(value);
  return name === "href" ? matches(written) : matches(written) || written.split(" ").some(matches);
}

const SPACE = /[ \t\r\n]/;

/**
 * Reads links as devices write them: spaces and line breaks between parts, unquoted or quoted values, empty
 * attributes. Undefined when a target is not in angle brackets or a quote is not closed.
 */
export function parseLinks(bytes: Uint8Array): Link[] | undefined {
  const source = strictText(bytes);
  if (source === undefined) return undefined;
  const reader = new LinkReader(source);
  const links: Link[] = [];
  while (!reader.atEnd()) {
    const link = reader.link();
    if (link === undefined) return undefined;
    links.push(link);
  }
  return links;
}

class LinkReader {
  readonly #source: string;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  /** Skips separators; true when nothing is left. */
  atEnd(): boolean {
    this.#skip(",");
    return this.#at >= this.#source.length;
  }

  link(): Link | undefined {
    if (this.#source[this.#at] !== "<") return undefined;
    const close = this.#source.indexOf(">", this.#at);
    if (close < 0) return undefined;
    const target = this.#source.slice(this.#at + 1, close).trim();
    this.#at = close + 1;
    const attributes: Record<string, string | number | true> = {};
    for (;;) {
      this.#skip("");
      if (this.#source[this.#at] !== ";") break;
      this.#skip(";");
      if (!this.#attribute(attributes)) return undefined;
    }
    const next = this.#source[this.#at];
    if (next !== undefined && next !== ",") return undefined;
    return { target, attributes };
  }

  #attribute(into: Record<string, string | number | true>): boolean {
    const name = this.#until("=;,");
    this.#skip("");
    let value: string | true | undefined = true;
    if (this.#source[this.#at] === "=") {
      this.#at++;
      this.#skip("");
      value = this.#source[this.#at] === '"' ? this.#quoted() : this.#until(";,");
    }
    if (value === undefined) return false;
    // RFC 6690 §2: of a repeated attribute the first counts.
    if (name !== "" && name !== "__proto__" && !Object.hasOwn(into, name)) into[name] = value;
    return true;
  }

  #quoted(): string | undefined {
    let value = "";
    for (let at = this.#at + 1; at < this.#source.length; at++) {
      const character = this.#source[at] as string;
      if (character === '"') {
        this.#at = at + 1;
        return value;
      }
      value += character === "\\" ? (this.#source[++at] ?? "") : character;
    }
    return undefined;
  }

  #until(stops: string): string {
    const start = this.#at;
    while (this.#at < this.#source.length && !stops.includes(this.#source[this.#at] as string)) this.#at++;
    return this.#source.slice(start, this.#at).trim();
  }

  #skip(also: string): void {
    while (this.#at < this.#source.length) {
      const character = this.#source[this.#at] as string;
      if (character !== also && !SPACE.test(character)) return;
      this.#at++;
    }
  }
}
