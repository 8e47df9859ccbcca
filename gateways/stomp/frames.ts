/** The vocabulary of STOMP: versions, commands and headers, spelt as the specifications spell them. */
export type Version = "1.0" | "1.1" | "1.2";
/** Best first: the highest common one is used (STOMP 1.2 Protocol Negotiation). */
export const VERSIONS: readonly Version[] = ["1.2", "1.1", "1.0"];

const COMMANDS = [
  "SEND",
  "ACK",
  "NACK",
  "SUBSCRIBE",
  "UNSUBSCRIBE",
  "BEGIN",
  "COMMIT",
  "ABORT",
  "CONNECT",
  "STOMP",
  "DISCONNECT",
] as const;
/** What a client may say (STOMP 1.2 Client Frames). */
export type Command = (typeof COMMANDS)[number];

/** A longer command line cannot be any command. */
export const COMMAND_LENGTH_MAX = 11;

/** STOMP 1.2 Value Encoding: CONNECT stays as it was in STOMP 1.0, and the STOMP frame is handled the same. */
export const opensSession = (command: Command): boolean => command === "CONNECT" || command === "STOMP";

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
const COMMAND_BYTES: readonly Uint8Array[] = COMMANDS.map(ascii);

const startsWith = (bytes: Uint8Array, at: number, word: Uint8Array): boolean => {
  for (let index = 0; index < word.length; index++) if (bytes[at + index] !== word[index]) return false;
  return true;
};

/** The command in `bytes` from `start` to `end`; commands are case sensitive. */
export function commandAt(bytes: Uint8Array, start: number, end: number): Command | undefined {
  for (let index = 0; index < COMMAND_BYTES.length; index++) {
    const word = COMMAND_BYTES[index] as Uint8Array;
    if (word.length === end - start && startsWith(bytes, start, word)) return COMMANDS[index];
  }
  return undefined;
}

/**
 * Headers that this gateway looks at, each with a number under which a frame remembers where it stands.
 * Number 0 is every other header.
 */
const HEADERS = [
  "",
  "accept-version",
  "host",
  "login",
  "passcode",
  "heart-beat",
  "client-id",
  "destination",
  "receipt",
  "transaction",
  "content-length",
  "content-type",
  "id",
  "ack",
  "message-id",
  "subscription",
  "selector",
  "qos",
  "retain",
  "persistent",
  "expires",
  "expiration",
  "correlation-id",
  "correlation-id-hex",
  "reply-to",
  "redelivered",
  "requeue",
  "prefetch-count",
  "activemq.prefetchSize",
  "durable",
  "durable-subscription-name",
  "activemq.subscriptionName",
  "no-local",
  "browser",
] as const;
export type HeaderName = Exclude<(typeof HEADERS)[number], "">;
export const HEADER_COUNT = HEADERS.length;

/** `Header["reply-to"]` is the number of that header. */
export const Header = Object.fromEntries(
  HEADERS.slice(1).map((name, index) => [name, index + 1]),
) as Readonly<Record<HeaderName, number>>;
/** Any header that is not in the table. */
const OTHER_HEADER = 0;

interface Known {
  readonly number: number;
  readonly bytes: Uint8Array;
}
const KNOWN_BY_LENGTH: Known[][] = [];
for (const [number, name] of HEADERS.entries()) {
  const ofLength = KNOWN_BY_LENGTH[name.length] ?? [];
  KNOWN_BY_LENGTH[name.length] = ofLength;
  if (number !== OTHER_HEADER) ofLength.push({ number, bytes: ascii(name) });
}

/** The number of the header named in `bytes` from `start` to `end`. */
export function headerAt(bytes: Uint8Array, start: number, end: number): number {
  const candidates = KNOWN_BY_LENGTH[end - start];
  if (candidates === undefined) return OTHER_HEADER;
  for (let index = 0; index < candidates.length; index++) {
    const known = candidates[index] as Known;
    if (startsWith(bytes, start, known.bytes)) return known.number;
  }
  return OTHER_HEADER;
}

/** Headers of SEND that say something to this gateway, or that only a server may set: not user headers. */
const CONSUMED = new Set<number>(
  (
    [
      "destination",
      "receipt",
      "transaction",
      "content-length",
      "content-type",
      "ack",
      "message-id",
      "subscription",
      "qos",
      "retain",
      "persistent",
      "expires",
      "expiration",
      "correlation-id",
      "correlation-id-hex",
      "reply-to",
      "redelivered",
    ] satisfies HeaderName[]
  ).map((name) => Header[name]),
);
export const isUserHeader = (number: number): boolean => number === OTHER_HEADER || !CONSUMED.has(number);

const RESERVED_IN_MESSAGE = new Set<string>([...CONSUMED].map((number) => HEADERS[number] as string));
/** A user property of this name would be read as one of MESSAGE's own headers by clients that take the last. */
export const isReservedInMessage = (name: string): boolean => RESERVED_IN_MESSAGE.has(name);
