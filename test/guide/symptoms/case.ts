import type { Site, SiteSettings } from "./site.ts";

/** One row of docs/no-answer.md, provoked. */
export interface Case {
  /** What the page says is seen, as it stands in the row's first cell. */
  readonly row: string;
  /** A device does it; returns what it was told, which is what the cell has in `code`. */
  play(site: Site): Promise<readonly (string | undefined)[]>;
}

/** Cases at one gateway, one after the other. */
export interface Group {
  readonly name: string;
  settings(): SiteSettings | Promise<SiteSettings>;
  readonly cases: readonly Case[];
  /** What the settings made outside the gateway. */
  end?(): void | Promise<void>;
}
