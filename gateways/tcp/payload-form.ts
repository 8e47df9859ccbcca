/** How the content of a raw frame appears in messages, and the other way round. */
import { text, utf8 } from "#core/lib/bytes.ts";
import type { Instant } from "#core/lib/time.ts";

export type FormName = "binary" | "hex" | "json";

export interface PayloadForm {
  up(content: Uint8Array, now: Instant): Uint8Array;
  /** Undefined when the message is not of this form. */
  down(message: Uint8Array): Uint8Array | undefined;
}

const BINARY: PayloadForm = { up: (content) => content, down: (message) => message };
const HEX: PayloadForm = {
  up: (content) => utf8(Buffer.from(content).toString("hex")),
  down: (message) => fromHex(text(message)?.trim()),
};

export function payloadForm(name: FormName, clientId: () => string): PayloadForm {
  switch (name) {
    case "binary":
      return BINARY;
    case "hex":
      return HEX;
    case "json":
      return {
        up: (content, now) =>
          utf8(JSON.stringify({ clientid: clientId(), ts: now, hex: Buffer.from(content).toString("hex") })),
        down: fromJson,
      };
  }
}

function fromHex(digits: string | undefined): Uint8Array | undefined {
  if (digits === undefined || digits.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(digits)) return undefined;
  return Buffer.from(digits, "hex");
}

/** An object with one of `hex`, `base64`, `text`. */
function fromJson(message: Uint8Array): Uint8Array | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text(message) ?? "");
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { hex, base64, text: words } = value as Readonly<Record<string, unknown>>;
  if (typeof hex === "string") return fromHex(hex);
  if (typeof base64 === "string") return Buffer.from(base64, "base64");
  return typeof words === "string" ? utf8(words) : undefined;
}
