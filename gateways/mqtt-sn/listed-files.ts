/** The two lists that may come from files: what is wrong with them is said by file, entry and key. */
import { lossyText } from "#core/lib/bytes.ts";
import type { MqttSnConfig } from "./config.ts";
import { TOPIC_ID_MAX } from "./packets.ts";

export type PredefinedTopic = MqttSnConfig["predefinedTopics"][number];
export type ListedClient = MqttSnConfig["credentials"]["clients"][number];

/** What an operator reads; its code is that of the error table. */
class FileError extends Error {
  readonly code = "bad-configuration";
}

type Rule = readonly [fits: (value: unknown) => boolean, allowed: string];
const isText = (value: unknown): value is string => typeof value === "string";
const NAME: Rule = [(value) => isText(value) && value !== "", "a text that is not empty"];
const TEXT: Rule = [(value) => isText(value), "a text"];
const maybe = ([fits, allowed]: Rule): Rule => [(value) => value === undefined || fits(value), allowed];

const TOPIC_KEYS: Readonly<Record<string, Rule>> = {
  id: [
    (value) => Number.isInteger(value) && (value as number) >= 1 && (value as number) <= TOPIC_ID_MAX,
    `a whole number from 1 to ${TOPIC_ID_MAX}`,
  ],
  topic: [
    (value) => isText(value) && value !== "" && !/[+#\0]/.test(value),
    "a topic without + and #: it is for publishing, too",
  ],
  client: maybe(NAME),
};
const CLIENT_KEYS: Readonly<Record<string, Rule>> = {
  client: NAME,
  username: maybe(TEXT),
  password: maybe(TEXT),
};

export function predefinedTopicsIn(file: string, bytes: Uint8Array): readonly PredefinedTopic[] {
  const topics = entriesIn<PredefinedTopic>(file, bytes, TOPIC_KEYS);
  refuseTwins(file, topics, ({ id, client }) => `id ${id}${client === undefined ? "" : ` of ${client}`}`);
  return topics;
}

export function clientsIn(file: string, bytes: Uint8Array): readonly ListedClient[] {
  const clients = entriesIn<ListedClient>(file, bytes, CLIENT_KEYS);
  refuseTwins(file, clients, ({ client }) => `client ${client}`);
  return clients;
}

function entriesIn<Entry>(file: string, bytes: Uint8Array, keys: Readonly<Record<string, Rule>>): Entry[] {
  let list: unknown;
  try {
    list = JSON.parse(lossyText(bytes));
  } catch (error) {
    throw new FileError(`${file} is no JSON: ${(error as Error).message}`);
  }
  if (!Array.isArray(list)) throw new FileError(`${file} holds no list; allowed: [{...}, ...]`);
  const wrong = list.flatMap((entry, index) =>
    mistakesOf(entry, keys).map((what) => `${file}: [${index}]${what}`),
  );
  if (wrong.length > 0) throw new FileError(wrong.join("\n"));
  return list;
}

function mistakesOf(entry: unknown, keys: Readonly<Record<string, Rule>>): string[] {
  const known = Object.keys(keys).join(", ");
  if (typeof entry !== "object" || entry === null || Array.isArray(entry))
    return [` is no object; allowed: {${known}}`];
  const strange = Object.keys(entry).filter((key) => !Object.hasOwn(keys, key));
  const given = entry as Readonly<Record<string, unknown>>;
  return [
    ...strange.map((key) => `.${key} is not a known key; allowed: one of ${known}`),
    ...Object.entries(keys)
      .filter(([key, [fits]]) => !fits(given[key]))
      .map(([key, [, allowed]]) => `.${key} is ${shown(key, given[key])}; allowed: ${allowed}`),
  ];
}

const shown = (key: string, value: unknown): string =>
  value === undefined ? "missing" : key === "password" ? "(hidden)" : JSON.stringify(value).slice(0, 60);

function refuseTwins<Entry>(file: string, entries: readonly Entry[], nameOf: (entry: Entry) => string): void {
  const seen = new Map<string, number>();
  for (const [index, entry] of entries.entries()) {
    const first = seen.get(nameOf(entry));
    if (first !== undefined)
      throw new FileError(`${file}: [${index}] has ${nameOf(entry)}, as [${first}] has; name each once`);
    seen.set(nameOf(entry), index);
  }
}
