/** STOMP for tests, written from the specification and apart from the gateway's codec: naive, slow, strict. */
export interface ServerFrame {
  readonly command: string;
  /** In order, as sent, repeated ones included; unescaped as the version says. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Buffer;
}

const ESCAPES: Record<string, Record<string, string>> = {
  "1.0": {},
  "1.1": { "\\n": "\n", "\\c": ":", "\\\\": "\\" },
  "1.2": { "\\n": "\n", "\\c": ":", "\\\\": "\\", "\\r": "\r" },
};

const unescaped = (text: string, version: string): string =>
  text.replace(/\\(.|$)/gs, (pair) => {
    if (version === "1.0") return pair;
    const meant = ESCAPES[version]?.[pair];
    if (meant === undefined) throw new Error(`undefined escape ${JSON.stringify(pair)} in ${version}`);
    return meant;
  });

const escaped = (text: string): string =>
  text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\r", "\\r").replaceAll(":", "\\c");

/** A client frame as STOMP 1.2 writes it; CONNECT is not escaped. No content-length unless given. */
export function frame(
  command: string,
  headers: Record<string, string> = {},
  body: string | Uint8Array = "",
): Buffer {
  const plain = command === "CONNECT" || command === "STOMP";
  const lines = Object.entries(headers).map(([name, value]) =>
    plain ? `${name}:${value}` : `${escaped(name)}:${escaped(value)}`,
  );
  return Buffer.concat([
    Buffer.from(`${[command, ...lines].join("\n")}\n\n`),
    Buffer.from(body),
    Buffer.from("\0"),
  ]);
}

/** Reads server frames off a buffer that grows. */
export class FrameReader {
  version = "1.2";
  #rest: Buffer = Buffer.alloc(0);
  /** Ends of line between frames, without the one that a frame ends with. */
  beats = 0;
  #afterFrame = false;

  push(bytes: Uint8Array): ServerFrame[] {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    const frames: ServerFrame[] = [];
    for (;;) {
      if (this.#afterFrame && this.#rest.length > 0) {
        if (this.#rest[0] !== 0x0a) throw new Error("no end of line after the frame");
        this.#afterFrame = false;
        this.#rest = this.#rest.subarray(1);
      }
      while (this.#rest[0] === 0x0a) {
        this.beats++;
        this.#rest = this.#rest.subarray(1);
      }
      const found = this.#one();
      if (found === undefined) return frames;
      frames.push(found);
    }
  }

  get pending(): number {
    return this.#rest.length;
  }

  #one(): ServerFrame | undefined {
    const blank = this.#rest.indexOf("\n\n");
    if (blank === -1) return undefined;
    const [command = "", ...lines] = this.#rest.subarray(0, blank).toString("utf8").split("\n");
    if (!/^(CONNECTED|MESSAGE|RECEIPT|ERROR)$/.test(command))
      throw new Error(`not a server frame: ${command}`);
    const version = command === "CONNECTED" ? "1.0" : this.version;
    const headers = lines.map((line) => {
      const colon = line.indexOf(":");
      if (colon < 1) throw new Error(`bad header line ${JSON.stringify(line)}`);
      const value = line.slice(colon + 1);
      if (version !== "1.0" && value.includes(":")) throw new Error(`unescaped colon in ${line}`);
      return [unescaped(line.slice(0, colon), version), unescaped(value, version)] as const;
    });
    const length = headers.find(([name]) => name === "content-length")?.[1];
    const start = blank + 2;
    const end = length === undefined ? this.#rest.indexOf(0, start) : start + Number(length);
    if (end === -1 || end >= this.#rest.length) return undefined;
    if (this.#rest[end] !== 0) throw new Error("no NUL after the body");
    const body = Buffer.from(this.#rest.subarray(start, end));
    this.#rest = this.#rest.subarray(end + 1);
    this.#afterFrame = true;
    return { command, headers, body };
  }
}

/** First value of a header. */
export const header = (of: ServerFrame | undefined, name: string): string | undefined =>
  of?.headers.find(([known]) => known === name)?.[1];
