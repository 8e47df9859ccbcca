/** CoAP messages for scripted devices (RFC 7252 §3), written apart from the gateway's codec so that both can be wrong alone. */
export const CON = 0;
export const NON = 1;
export const ACK = 2;
export const RST = 3;

export interface WireOption {
  readonly number: number;
  readonly value: Uint8Array;
}

export interface WireMessage {
  readonly type: number;
  /** Dotted: `0.01`, `2.05`. */
  readonly code: string;
  readonly id: number;
  /** In hexadecimal. */
  readonly token: string;
  readonly options: readonly WireOption[];
  readonly payload: Uint8Array;
}

export const uint = (value: number): Uint8Array => {
  const bytes: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Uint8Array.from(bytes);
};

const readUint = (bytes: Uint8Array): number => bytes.reduce((value, byte) => value * 256 + byte, 0);

export const textOption = (number: number, value: string): WireOption => ({
  number,
  value: Buffer.from(value),
});
export const uintOption = (number: number, value: number): WireOption => ({ number, value: uint(value) });

export function writeMessage(
  message: Partial<WireMessage> & { type: number; code: string; id: number },
): Uint8Array {
  const token = Buffer.from(message.token ?? "", "hex");
  const [group = "0", detail = "0"] = message.code.split(".");
  const head = [0x40 | (message.type << 4) | token.length, (Number(group) << 5) | Number(detail)];
  const parts = [Buffer.from([...head, message.id >> 8, message.id & 0xff]), token];
  let last = 0;
  for (const { number, value } of [...(message.options ?? [])].sort((a, b) => a.number - b.number)) {
    const [delta, deltaMore] = nibble(number - last);
    const [length, lengthMore] = nibble(value.length);
    parts.push(Buffer.from([(delta << 4) | length, ...deltaMore, ...lengthMore]), Buffer.from(value));
    last = number;
  }
  const payload = message.payload ?? new Uint8Array(0);
  if (payload.length > 0) parts.push(Buffer.from([0xff]), Buffer.from(payload));
  return Buffer.concat(parts);
}

function nibble(value: number): [number, number[]] {
  if (value < 13) return [value, []];
  if (value < 269) return [13, [value - 13]];
  return [14, [(value - 269) >> 8, (value - 269) & 0xff]];
}

export function readMessage(bytes: Uint8Array): WireMessage {
  const tokenLength = (bytes[0] as number) & 15;
  const code = bytes[1] as number;
  const options: WireOption[] = [];
  let at = 4 + tokenLength;
  let number = 0;
  while (at < bytes.length && bytes[at] !== 0xff) {
    const head = bytes[at++] as number;
    const extended = (value: number): number => {
      if (value < 13) return value;
      if (value === 13) return 13 + (bytes[at++] as number);
      at += 2;
      return 269 + (bytes[at - 2] as number) * 256 + (bytes[at - 1] as number);
    };
    number += extended(head >> 4);
    const length = extended(head & 15);
    options.push({ number, value: bytes.slice(at, at + length) });
    at += length;
  }
  return {
    type: ((bytes[0] as number) >> 4) & 3,
    code: `${code >> 5}.${String(code & 31).padStart(2, "0")}`,
    id: (bytes[2] as number) * 256 + (bytes[3] as number),
    token: Buffer.from(bytes.slice(4, 4 + tokenLength)).toString("hex"),
    options,
    payload: at < bytes.length ? bytes.slice(at + 1) : new Uint8Array(0),
  };
}

export const textsOf = (message: WireMessage, number: number): string[] =>
  message.options
    .filter((option) => option.number === number)
    .map((option) => Buffer.from(option.value).toString());

export const uintOf = (message: WireMessage, number: number): number | undefined => {
  const found = message.options.find((option) => option.number === number);
  return found === undefined ? undefined : readUint(found.value);
};
