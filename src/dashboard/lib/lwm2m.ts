/** What is known of an LwM2M device in this tab: values as they came, requests and what became of them. */

import { useEffect, useState } from "preact/hooks";
import type { Problem } from "./api.ts";
import { keepFollowing, type SentEvent } from "./events.ts";
import { moment } from "./format.ts";
import type { Resource } from "./lwm2m-values.ts";

export interface ObjectOf {
  readonly id: number;
  readonly version: string;
  readonly instances: readonly number[];
  readonly definition?: { readonly name: string; readonly urn: string; readonly multiple: boolean };
  readonly resources: readonly Resource[];
}

export interface Device {
  readonly endpoint: string;
  readonly clientId: string;
  readonly state: string;
  readonly registeredAt?: number;
  readonly lastUpdate: number;
  readonly expiresAt: number;
  readonly peer: {
    readonly transport: string;
    readonly address: string;
    readonly port: number;
    readonly identity?: string;
  };
  readonly lifetime: number;
  readonly version: string;
  readonly binding: string;
  readonly queueMode: boolean;
  readonly objects: readonly string[];
  readonly attributes: Readonly<Record<string, string>>;
  readonly waiting: number;
  readonly observed: readonly string[];
}

export interface Known {
  readonly value: unknown;
  readonly at: number;
}

export interface Asked {
  readonly id: string;
  readonly request: string;
  readonly path: string;
  readonly state: string;
  readonly since: number;
  readonly took?: number;
  /** What the device said, or why it was not asked. */
  readonly answer?: string;
}

export interface Step {
  readonly at: number;
  readonly report: Readonly<Record<string, unknown>>;
}

interface DeviceMemory {
  readonly values: Map<string, Known>;
  readonly points: Map<string, { at: number; value: number }[]>;
  asked: readonly Asked[];
  firmware: readonly Step[];
}

const memories = new Map<string, DeviceMemory>();
const DEVICES = 20;
const POINTS = 2_000;
const REQUESTS = 50;

function memoryOf(endpoint: string): DeviceMemory {
  let memory = memories.get(endpoint);
  if (memory === undefined) {
    memory = { values: new Map(), points: new Map(), asked: [], firmware: [] };
    memories.set(endpoint, memory);
    if (memories.size > DEVICES) memories.delete(memories.keys().next().value ?? "");
  }
  return memory;
}

interface Item {
  readonly path?: string;
  readonly value?: unknown;
  readonly time?: number;
}

/** `content` of a report, wherever it stands in it. */
function contentIn(report: unknown): readonly Item[] {
  if (typeof report !== "object" || report === null) return [];
  const { content, data } = report as { content?: unknown; data?: unknown };
  if (Array.isArray(content)) return content as Item[];
  return contentIn(data);
}

function learn(memory: DeviceMemory, report: unknown, at: number): void {
  for (const { path, value, time } of contentIn(report)) {
    if (path === undefined || value === undefined) continue;
    const when = time === undefined ? at : time * 1_000;
    memory.values.set(path, { value, at: when });
    const number = typeof value === "boolean" ? Number(value) : value;
    if (typeof number !== "number") continue;
    const points = memory.points.get(path) ?? [];
    points.push({ at: when, value: number });
    if (points.length > POINTS) points.shift();
    memory.points.set(path, points);
  }
}

interface Result {
  readonly id: string;
  readonly request?: string;
  readonly msgType?: string;
  readonly state: string;
  readonly failure?: string;
  readonly data?: { readonly code?: string; readonly codeMsg?: string; readonly reason?: string };
}

const said = ({ failure, data }: Result): string | undefined =>
  failure ??
  (data === undefined
    ? undefined
    : [data.code, data.codeMsg?.replaceAll("_", " "), data.reason].filter(Boolean).join(" "));

/** What has become of a request: by its own answer, or by an event later. */
export function noteResult(endpoint: string, result: Result, path: string, began: number, now: number): void {
  const memory = memoryOf(endpoint);
  const known = memory.asked.find(({ id }) => id === result.id);
  // The event may come before the answer, and knows neither what was asked for nor since when.
  const since = path === "" ? (known?.since ?? began) : began;
  const entry: Asked = {
    id: result.id,
    request: known?.request ?? result.request ?? result.msgType ?? "",
    path: known?.path || path,
    state: result.state,
    since,
    ...(result.state === "waiting" ? {} : { took: Math.max(0, now - since), answer: said(result) }),
  };
  memory.asked = [entry, ...memory.asked.filter(({ id }) => id !== result.id)].slice(0, REQUESTS);
  learn(memory, result.data, now);
}

interface DeviceEvent {
  readonly kind: string;
  readonly at: string;
  readonly report: Readonly<Record<string, unknown>>;
}

/** Follows what happens to a device; `turn` grows with each change, `arrived` with each registration. */
export function useDevice(endpoint: string): {
  readonly memory: DeviceMemory;
  readonly arrived: number;
  readonly problem: Problem | undefined;
  changed(): void;
} {
  const [, setTurn] = useState(0);
  const [arrived, setArrived] = useState(0);
  const [problem, setProblem] = useState<Problem | undefined>(undefined);
  const memory = memoryOf(endpoint);
  const changed = (): void => setTurn((turn) => turn + 1);
  useEffect(() => {
    const abort = new AbortController();
    const following = {
      query: { device: endpoint },
      signal: abort.signal,
      heard(events: readonly SentEvent[]): void {
        setProblem(undefined);
        for (const { event, data } of events) {
          if (event === "dropped") continue;
          const { kind, at, report } = data as DeviceEvent;
          const time = Date.parse(at);
          if (kind === "result") noteResult(endpoint, report as unknown as Result, "", time, time);
          else if (kind === "firmware")
            memory.firmware = [{ at: time, report }, ...memory.firmware].slice(0, REQUESTS);
          else if (kind === "register" || kind === "update") setArrived((count) => count + 1);
          learn(memory, report, time);
        }
        if (events.length > 0) changed();
      },
    };
    keepFollowing("/devices/lwm2m/events", following, setProblem).catch(setProblem);
    return () => abort.abort();
  }, [endpoint]);
  return { memory, arrived, problem, changed };
}

/** Asks a device for something; what becomes of it is told in the page. */
export type Order = (request: string, parameters: Readonly<Record<string, unknown>>) => Promise<void>;

export type Memory = ReturnType<typeof useDevice>["memory"];

export function shown(value: unknown): string {
  if (value === undefined) return "–";
  if (typeof value === "object") return JSON.stringify(value);
  return String(value);
}

export const valueText = (value: unknown, { type, units }: Pick<Resource, "type" | "units">): string => {
  if (type === "time" && typeof value === "number") return moment(value * 1_000);
  return `${shown(value)}${units === "" || value === undefined ? "" : ` ${units}`}`;
};
