/** Parts that several answers have. */
import { Type } from "@sinclair/typebox";

export const time = (description: string) =>
  Type.String({ format: "date-time", description: `${description} RFC 3339, UTC.` });

export const count = (description: string) => Type.Integer({ minimum: 0, description });

/** A page of a list. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next?: string;
  readonly count?: number;
}
