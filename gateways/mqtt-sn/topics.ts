/** Topic ids: normal ones of one client, and predefined ones of everybody (MQTT-SN 1.2 §6.5, §6.7, §7.3). */
import { text } from "#core/lib/bytes.ts";
import type { MqttSnConfig } from "./config.ts";
import { NORMAL, SHORT, TOPIC_ID_MAX, TOPIC_ID_MIN, type TopicIdType } from "./packets.ts";

/** What the client has been told, in this connection, of an id that we have assigned. */
const UNTOLD = 0;
const KNOWN = 1;
const REFUSED = 2;
/** Told in vain: it never said that it had heard (§6.10). */
const ASSUMED = 3;

const STATES = ["untold", "known", "refused", "assumed"] as const;

/** A name without its text. */
const NAME = 32;

const NO_NAMES: readonly string[] = [];

/** Above this many names a scan is slower than an index. */
const SCAN_MAX = 16;

/** Ids whose state fits into one small integer, two bits each; most clients have no more. */
const PACKED_MAX = 15;

/**
 * The normal topic ids of one client. Ids go up from 1 and are never given away again in a session. Kept small,
 * because every sleeping device has one: `names` never has spare room, and what was told is a few bits.
 */
export class Topics {
  names: readonly string[];
  /** Bytes of the names. */
  weight: number;
  #packed = 0;
  #rest: Uint8Array | undefined = undefined;
  #index: Map<string, number> | undefined = undefined;

  constructor(names: readonly string[] = NO_NAMES) {
    this.names = names;
    this.weight = names.reduce((sum, name) => sum + NAME + name.length, 0);
  }

  nameOf(id: number): string | undefined {
    return this.names[id - TOPIC_ID_MIN];
  }

  /** 0 when the name has no id. */
  idOf(name: string): number {
    if (this.names.length <= SCAN_MAX) return this.names.indexOf(name) + TOPIC_ID_MIN;
    this.#index ??= new Map(this.names.map((each, at) => [each, at + TOPIC_ID_MIN]));
    return this.#index.get(name) ?? 0;
  }

  /** The id of a name, a new one if need be; 0 when the client has `limit` of them. */
  assign(name: string, limit: number): number {
    const known = this.idOf(name);
    if (known !== 0) return known;
    if (this.names.length >= limit || this.names.length >= TOPIC_ID_MAX) return 0;
    this.names = this.names.concat(name);
    this.weight += NAME + name.length;
    const id = this.names.length;
    this.#index?.set(name, id);
    return id;
  }

  isKnown(id: number): boolean {
    const told = this.#told(id);
    return told === KNOWN || told === ASSUMED;
  }

  isRefused(id: number): boolean {
    return this.#told(id) === REFUSED;
  }

  learnt(id: number): void {
    this.#tell(id, KNOWN);
  }

  /** The client rejected our REGISTER: the name is not offered again in this connection (§6.10). */
  refused(id: number): void {
    this.#tell(id, REFUSED);
  }

  /** It never answered our REGISTER, but is there: perhaps it has understood. */
  assumed(id: number): void {
    this.#tell(id, ASSUMED);
  }

  isAssumed(id: number): boolean {
    return this.#told(id) === ASSUMED;
  }

  forgotten(id: number): void {
    this.#tell(id, UNTOLD);
  }

  /** A new connection: ids stay valid, but each is announced before we use it (§6.5). */
  forgetAll(): void {
    this.#packed = 0;
    this.#rest = undefined;
  }

  /** For operators. */
  stateOf(id: number): "known" | "assumed" | "refused" | "untold" {
    return STATES[this.#told(id)] ?? "untold";
  }

  #told(id: number): number {
    if (id <= PACKED_MAX) return (this.#packed >> (2 * (id - TOPIC_ID_MIN))) & 3;
    return this.#rest?.[id] ?? UNTOLD;
  }

  #tell(id: number, what: number): void {
    if (id < TOPIC_ID_MIN || id > this.names.length) return;
    if (id <= PACKED_MAX) {
      const at = 2 * (id - TOPIC_ID_MIN);
      this.#packed = (this.#packed & ~(3 << at)) | (what << at);
      return;
    }
    if (this.#rest === undefined || this.#rest.length <= id) {
      const grown = new Uint8Array(Math.min(TOPIC_ID_MAX + 1, id * 2));
      if (this.#rest !== undefined) grown.set(this.#rest);
      this.#rest = grown;
    }
    this.#rest[id] = what;
  }
}

interface Table {
  readonly nameOf: Map<number, string>;
  readonly idOf: Map<string, number>;
}
const newTable = (): Table => ({ nameOf: new Map(), idOf: new Map() });

/** Predefined topic ids from the configuration; a client's own entries come before those for everybody. */
export class PredefinedTopics {
  readonly #everybody = newTable();
  readonly #clients = new Map<string, Table>();

  constructor(entries: MqttSnConfig["predefinedTopics"]) {
    for (const { id, topic, client } of entries) {
      const table = client === undefined ? this.#everybody : this.#tableOf(client);
      table.nameOf.set(id, topic);
      table.idOf.set(topic, id);
    }
  }

  nameOf(id: number, client: string): string | undefined {
    return this.#clients.get(client)?.nameOf.get(id) ?? this.#everybody.nameOf.get(id);
  }

  /** Whether the type means anything to this client. */
  existFor(client: string): boolean {
    return this.#everybody.nameOf.size > 0 || this.#clients.has(client);
  }

  /** 0 when the name has no predefined id for this client. */
  idOf(name: string, client: string): number {
    const own = this.#clients.get(client);
    const id = own?.idOf.get(name) ?? this.#everybody.idOf.get(name) ?? 0;
    // An entry of the client may give the id of an entry for everybody another meaning.
    return own !== undefined && id !== 0 && this.nameOf(id, client) !== name ? 0 : id;
  }

  #tableOf(client: string): Table {
    const table = this.#clients.get(client) ?? newTable();
    this.#clients.set(client, table);
    return table;
  }
}

const shortName = new Uint8Array(2);

/** The two octets of a short topic name as text; `undefined` when they are no topic name (§6.7). */
export function shortTopic(id: number): string | undefined {
  const [first, second] = [id >> 8, id & 0xff];
  // A name of one octet, filled up by a client that calls it short; no name has a NUL in it.
  if (second === 0 && first < 0x80 && maySpell(first)) return String.fromCharCode(first);
  if (!maySpell(first) || !maySpell(second)) return undefined;
  if (first < 0x80 && second < 0x80) return String.fromCharCode(first, second);
  shortName[0] = first;
  shortName[1] = second;
  return text(shortName);
}

/** No NUL, `#` or `+`. */
const maySpell = (octet: number): boolean => octet !== 0 && octet !== 0x23 && octet !== 0x2b;

/** The short form of a name of exactly two octets; 0 for any other. */
export function shortTopicId(name: string): number {
  if (name.length === 2) {
    const [first, second] = [name.charCodeAt(0), name.charCodeAt(1)];
    return first < 0x80 && second < 0x80 ? (first << 8) | second : 0;
  }
  const code = name.length === 1 ? name.charCodeAt(0) : 0;
  // One letter of two octets in UTF-8.
  return code >= 0x80 && code < 0x800 ? ((0xc0 | (code >> 6)) << 8) | 0x80 | (code & 0x3f) : 0;
}

/**
 * The topic of an id that is flagged as predefined. Where none are configured the type can mean nothing, and some
 * libraries flag the ids so that they have registered.
 */
export const predefinedTopic = (
  predefined: PredefinedTopics,
  clientId: string,
  topics: Topics | undefined,
  id: number,
): string | undefined =>
  predefined.existFor(clientId) ? predefined.nameOf(id, clientId) : topics?.nameOf(id);

/** The topic that a publish is for; `undefined` when there is none under this id (§6.6, §6.7). */
export function topicOf(
  predefined: PredefinedTopics,
  clientId: string,
  topics: Topics | undefined,
  type: TopicIdType,
  id: number,
): string | undefined {
  if (type === NORMAL) return topics?.nameOf(id);
  // A library flags its registered ids as short; no short name begins with NUL, so these cannot be meant.
  if (type === SHORT) return shortTopic(id) ?? (id <= 0xff ? topics?.nameOf(id) : undefined);
  return predefinedTopic(predefined, clientId, topics, id);
}
