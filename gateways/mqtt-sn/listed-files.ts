/** The two lists that may come from files: what is wrong with them is said by file, entry and key. */
import type { GatewayHost } from "#core/contract/gateway.ts";
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

/** Reads all of them before it says what is wrong with any. */
export class ListedFiles {
  readonly #host: Pick<GatewayHost, "readFile">;
  readonly #problems: string[] = [];

  constructor(host: Pick<GatewayHost, "readFile">) {
    this.#host = host;
  }

  read<Entry>(
    key: string,
    file: string,
    entriesOf: (file: string, bytes: Uint8Array) => readonly Entry[],
  ): readonly Entry[] {
    if (file === "") return [];
    try {
      return entriesOf(file, this.#host.readFile(file));
    } catch (error) {
      for (const line of (error as Error).message.split("\n")) this.#problems.push(`${key}: ${line}`);
      return [];
    }
  }

  failOnProblems(): void {
    if (this.#problems.length > 0) throw new FileError(this.#problems.join("\n"));
  }
}

export const predefinedTopicsIn = (file: string, bytes: Uint8Array): readonly PredefinedTopic[] =>
  entriesIn<PredefinedTopic>(
    file,
    bytes,
    TOPIC_KEYS,
    ({ id, client }) => `id ${id}${client === undefined ? "" : ` of ${client}`}`,
  );

export const clientsIn = (file: string, bytes: Uint8Array): readonly ListedClient[] =>
  entriesIn<ListedClient>(file, bytes, CLIENT_KEYS, ({ client }) => `client ${client}`);

/** `nameOf`: what no two entries may have in common. */
function entriesIn<Entry>(
  file: string,
  bytes: Uint8Array,
  keys: Readonly<Record<string, Rule>>,
  nameOf: (entry: Entry) => string,
): Entry[] {
  let list: unknown;
  try {
    list = JSON.parse(lossyText(bytes));
  } catch (error) {
    throw new FileError(`${file} is no JSON: ${(error as Error).message}`);
  }
  if (!Array.isArray(list)) throw new FileError(`${file} holds no list; allowed: [{...}, ...]`);
  const wrong = list.flatMap((entry, index) => mistakesOf(entry, keys).map((what) => `[${index}]${what}`));
  wrong.push(...twinsIn(list, (entry) => mistakesOf(entry, keys).length === 0, nameOf));
  if (wrong.length > 0) throw new FileError(wrong.map((what) => `${file}: ${what}`).join("\n"));
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

/** Entries that are wrong in themselves have no name to compare. */
function twinsIn<Entry>(
  entries: readonly Entry[],
  isSound: (entry: Entry) => boolean,
  nameOf: (entry: Entry) => string,
): string[] {
  const seen = new Map<string, number>();
  return entries.flatMap((entry, index) => {
    if (!isSound(entry)) return [];
    const name = nameOf(entry);
    const first = seen.get(name);
    if (first === undefined) seen.set(name, index);
    return first === undefined ? [] : [`[${index}] has ${name}, as [${first}] has; name each once`];
  });
}
