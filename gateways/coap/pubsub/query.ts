import type { QoS } from "#core/bus/message.ts";
import { type Duration, seconds } from "#core/lib/time.ts";
import type { CoapMessage } from "../stack/message/message.ts";
import { Option } from "../stack/message/options.ts";

/** What a request says in its query, by long and short names. Absent parts are undefined. */
export interface Query {
  clientId: string | undefined;
  token: string | undefined;
  username: string | undefined;
  password: string | undefined;
  qos: QoS | undefined;
  retain: boolean | undefined;
  /** Message expiry. */
  expiry: Duration | undefined;
  noLocal: boolean;
  retainHandling: 0 | 1 | 2 | undefined;
  /** `clean` of a connection. */
  cleanStart: boolean | undefined;
  /** `topic` of the form of 2016. */
  topic: string | undefined;
  userProperties: (readonly [string, string])[] | undefined;
}

/** Seconds that MQTT 5 can say (§3.3.2.3.3). */
const EXPIRY_MAX = 0xffffffff;
const USER_PROPERTIES_MAX = 16;
const USER_PROPERTY = "up.";

/** Nothing was said: the query of most requests, made once. */
export const NO_QUERY: Readonly<Query> = Object.freeze({
  clientId: undefined,
  token: undefined,
  username: undefined,
  password: undefined,
  qos: undefined,
  retain: undefined,
  expiry: undefined,
  noLocal: false,
  retainHandling: undefined,
  cleanStart: undefined,
  topic: undefined,
  userProperties: undefined,
});

const LONG_NAMES: ReadonlyMap<string, string> = new Map([
  ["c", "clientid"],
  ["t", "token"],
  ["u", "username"],
  ["p", "password"],
  ["q", "qos"],
  ["r", "retain"],
]);

const flagOf = (value: string): boolean | undefined =>
  value === "true" || value === "1" ? true : value === "false" || value === "0" ? false : undefined;

/** 0, 1 or 2 in one digit. */
const smallNumber = (value: string): 0 | 1 | 2 | undefined =>
  /^[012]$/.test(value) ? (Number(value) as 0 | 1 | 2) : undefined;

interface Reader {
  readonly field: keyof Query;
  readonly allowed: string;
  /** Undefined when the value is out of range. */
  readonly parse: (value: string) => unknown;
}
const reader = (field: keyof Query, allowed: string, parse: Reader["parse"]): Reader => ({
  field,
  allowed,
  parse,
});

const notEmpty = (value: string): string | undefined => (value === "" ? undefined : value);
const any = (value: string): string => value;
const expiryOf = (value: string): Duration | undefined =>
  /^\d{1,10}$/.test(value) && Number(value) <= EXPIRY_MAX ? seconds(Number(value)) : undefined;

const READERS: ReadonlyMap<string, Reader> = new Map([
  ["clientid", reader("clientId", "a client id", notEmpty)],
  ["token", reader("token", "a token", notEmpty)],
  ["username", reader("username", "text", any)],
  ["password", reader("password", "text", any)],
  ["qos", reader("qos", "0, 1 or 2", smallNumber)],
  ["retain", reader("retain", "true or false", flagOf)],
  ["expiry", reader("expiry", `0 to ${EXPIRY_MAX} seconds`, expiryOf)],
  ["nl", reader("noLocal", "true or false", flagOf)],
  ["rh", reader("retainHandling", "0, 1 or 2", smallNumber)],
  ["clean", reader("cleanStart", "true or false", flagOf)],
  ["topic", reader("topic", "a topic", notEmpty)],
]);

/** What a request says, or which part of it is wrong, in words for the diagnostic payload. */
export function readQuery(message: CoapMessage): Readonly<Query> | string {
  if (!message.has(Option.UriQuery)) return NO_QUERY;
  const parts = message.strings(Option.UriQuery);
  if (parts === undefined) return "query is not UTF-8";
  const query: Query = { ...NO_QUERY };
  for (const part of parts) {
    const equals = part.indexOf("=");
    const name = equals < 0 ? part : part.slice(0, equals);
    const value = equals < 0 ? "" : part.slice(equals + 1);
    if (name.startsWith(USER_PROPERTY)) {
      query.userProperties ??= [];
      if (query.userProperties.length >= USER_PROPERTIES_MAX)
        return `more than ${USER_PROPERTIES_MAX} user properties`;
      query.userProperties.push([name.slice(USER_PROPERTY.length), value]);
      continue;
    }
    const known = READERS.get(LONG_NAMES.get(name) ?? name);
    // Other names are not ours to judge.
    if (known === undefined) continue;
    const parsed = known.parse(value);
    if (parsed === undefined) return `${name} must be ${known.allowed}`;
    (query as unknown as Record<string, unknown>)[known.field] = parsed;
  }
  return query;
}
