/** Clients as the API lists them, and which of them a view wants. */
import type { ClientRow } from "../../api/answers/clients.ts";

export type { ClientRow };

export const keyOf = ({ gateway, clientId }: Pick<ClientRow, "gateway" | "clientId">): string =>
  `${gateway}/${clientId}`;

export const placeOf = ({
  address,
  port,
  node,
}: Pick<ClientRow, "address" | "port" | "node">): string | undefined => {
  if (address === undefined) return undefined;
  const host = address.includes(":") ? `[${address}]` : address;
  return `${host}${port === undefined ? "" : `:${port}`}${node === undefined ? "" : ` node ${node}`}`;
};

/** What a filter may say, as the API has it. */
export interface ClientFilter {
  readonly gateway?: string;
  readonly state?: string;
  readonly user?: string;
  readonly clientId?: string;
  readonly prefix?: string;
  readonly text?: string;
  readonly address?: string;
  readonly listener?: string;
  readonly protocol?: string;
  readonly waitingOver?: string;
  readonly heard?: string;
}

export const FILTERS = [
  "gateway",
  "state",
  "user",
  "clientId",
  "prefix",
  "text",
  "address",
  "listener",
  "protocol",
  "waitingOver",
  "heard",
] as const;

const WORDS: Readonly<Record<string, keyof ClientFilter>> = {
  gateway: "gateway",
  state: "state",
  user: "user",
  id: "clientId",
  address: "address",
  listener: "listener",
  protocol: "protocol",
  waiting: "waitingOver",
  heard: "heard",
  contains: "text",
};

const UNITS: Readonly<Record<string, number>> = { s: 1, min: 60, m: 60, h: 3_600, d: 86_400 };

/** `1h`, `90s` in seconds. */
function secondsIn(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(s|min|m|h|d)$/.exec(text);
  return match === null ? undefined : Number(match[1]) * UNITS[match[2]!]!;
}

export interface ReadFilter {
  readonly filter: ClientFilter;
  /** What nobody knows, and the words that there are. */
  readonly problem?: string;
}

/** `gateway:mqtt-sn state:overdue heard:>1h waiting:>0 id:pump*`; free words are the beginning of id, user or endpoint. */
export function readFilter(text: string): ReadFilter {
  const filter: Record<string, string> = {};
  for (const word of text.split(/\s+/).filter((one) => one !== "")) {
    const at = word.indexOf(":");
    const name = WORDS[word.slice(0, at)];
    if (at <= 0) {
      filter["prefix"] = word;
      continue;
    }
    if (name === undefined)
      return {
        filter,
        problem: `"${word.slice(0, at)}" is no filter. These are: ${Object.keys(WORDS).join(", ")}`,
      };
    const value = word.slice(at + 1);
    if (name === "clientId" && value.endsWith("*")) filter["prefix"] = value.slice(0, -1);
    else if (name === "waitingOver") {
      const more = /^>(\d+)$/.exec(value);
      if (more === null) return { filter, problem: "waiting: is written as waiting:>0" };
      filter[name] = more[1]!;
    } else if (name === "heard") {
      if (secondsIn(value.replace(/^>/, "")) === undefined)
        return { filter, problem: "heard: is written as heard:>1h (s, min, h, d)" };
      filter[name] = value.replace(/^>/, "");
    } else filter[name] = value;
  }
  return { filter };
}

/** What the API is asked with. */
export function queryOf(filter: ClientFilter, now: number): Record<string, string | undefined> {
  const { heard, ...rest } = filter;
  const seconds = heard === undefined ? undefined : secondsIn(heard);
  return {
    ...rest,
    heardBefore: seconds === undefined ? undefined : new Date(now - seconds * 1_000).toISOString(),
  };
}

const SAID: Readonly<Record<string, string>> = {
  waitingOver: "waiting over",
  clientId: "id",
  prefix: "begins with",
  text: "contains",
  heard: "silent for",
};
export const chipOf = (name: string, value: string): string => `${SAID[name] ?? name} ${value}`;
