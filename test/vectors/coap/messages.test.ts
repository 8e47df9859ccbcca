import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { CoapMessage, decodeDatagram, type Type } from "#gateways/coap/stack/message/message.ts";
import { MessageWriter } from "#gateways/coap/stack/message/writer.ts";

interface Vector {
  readonly name: string;
  readonly clause: string;
  readonly bytes: string;
  readonly type: Type;
  readonly code: number;
  readonly id: number;
  readonly token: string;
  readonly options: readonly (readonly [number, string])[];
  readonly payload: string;
}
const file = new URL("messages.json", import.meta.url);
const vectors = JSON.parse(readFileSync(file, "utf8")) as Vector[];
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));

const fieldsOf = (message: CoapMessage): Omit<Vector, "name" | "clause" | "bytes"> => ({
  type: message.type,
  code: message.code,
  id: message.messageId,
  token: hex(message.token),
  options: Array.from({ length: message.optionCount }, (_, index) => [
    message.numberAt(index),
    hex(message.valueAt(index)),
  ]),
  payload: hex(message.payload),
});

function encode(value: Vector, options = value.options): string {
  const writer = new MessageWriter().begin();
  for (const [number, each] of options) writer.add(number, bytesOf(each));
  const token = bytesOf(value.token);
  return hex(
    writer.datagram(value.type, value.code, value.id, token, 0, token.length, bytesOf(value.payload)),
  );
}

describe.each(vectors)("$name ($clause)", (vector) => {
  const { name: _name, clause: _clause, bytes, ...value } = vector;

  it("is decoded", () => {
    const message = new CoapMessage();
    expect(decodeDatagram(bytesOf(bytes), message)).toBeUndefined();
    expect(fieldsOf(message)).toEqual(value);
    expect(fieldsOf(message.copy())).toEqual(value);
  });

  it("is encoded, in whatever order its options are given", () => {
    expect(encode(vector)).toBe(bytes);
    const numbers = new Set(value.options.map(([number]) => number));
    if (numbers.size === value.options.length)
      expect(encode(vector, [...value.options].reverse())).toBe(bytes);
  });

  it("is an error or another message when cut at any byte, and never a longer one", () => {
    const whole = bytesOf(bytes);
    for (let length = 0; length < whole.length; length++) {
      const message = new CoapMessage();
      const error = decodeDatagram(whole.slice(0, length), message);
      if (length < 4) expect(error?.reaction).toBe("silent");
      if (error !== undefined) continue;
      expect(message.end).toBeLessThanOrEqual(length);
      for (let index = 0; index < message.optionCount; index++) {
        expect(message.startAt(index) + message.lengthAt(index)).toBeLessThanOrEqual(length);
      }
    }
  });
});
