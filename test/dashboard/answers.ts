/** Answers of an API that has something to say everywhere; each number in them is another one. */
import type { Key, User } from "#core/api/answers/accounts.ts";
import type { Alarm } from "#core/api/answers/alarms.ts";
import type { Ban } from "#core/api/answers/bans.ts";
import type { Change } from "#core/api/answers/changes.ts";
import type { ClientDetail, ClientRow, Subscription, WaitingMessage } from "#core/api/answers/clients.ts";
import type { Setting } from "#core/api/answers/config.ts";
import type { Gateway } from "#core/api/answers/gateways.ts";
import type { Login, LoginList } from "#core/api/answers/logins.ts";
import type { Node, Points } from "#core/api/answers/node.ts";
import type { Refusal } from "#core/api/answers/refusals.ts";
import type { OneConnector, OneRule } from "#core/api/answers/rules.ts";
import type { Trace } from "#core/api/answers/traces.ts";
import type { Server } from "#core/api/answers/upstream.ts";

const S = 1_000;
const MIN = 60 * S;
const H = 60 * MIN;
/** Before or after the moment of the answer, in the middle of the minute that it is said as. */
const ago = (length: number): string => `ago ${length + 30 * S}`;
const ahead = (length: number): string => `ago ${-length - 30 * S}`;
/** An answer of now, as it is sent. */
export const answered = (answer: unknown): string =>
  JSON.stringify(answer).replaceAll(/"ago (-?\d+)"/g, (_, length) =>
    JSON.stringify(new Date(Date.now() - Number(length)).toISOString()),
  );

const gateways: readonly Gateway[] = [
  {
    ...{ name: "mqtt", running: true, enabled: true, connections: 7_561, servedBy: [] },
    listeners: [
      {
        ...{ gateway: "mqtt", name: "tcp", transport: "tcp", address: "0.0.0.0", port: 1_883 },
        ...{ open: true, enabled: true, connections: 7_561, dropped: 3, unsent: 4 },
      },
      {
        ...{ gateway: "mqtt", name: "tls", transport: "tls", address: "::", port: 8_883 },
        ...{ open: false, enabled: true, connections: 0, dropped: 0, unsent: 0 },
      },
    ],
  },
  {
    ...{ name: "stomp", running: false, enabled: true, connections: 0, servedBy: [] },
    listeners: [
      {
        ...{ gateway: "stomp", name: "tcp", transport: "tcp", address: "127.0.0.1", port: 61_613 },
        ...{ open: false, enabled: false, connections: 0, dropped: 0, unsent: 0 },
      },
    ],
  },
];

const pump: ClientRow = {
  ...{ clientId: "pump-7", gateway: "mqtt-sn", state: "overdue", phase: "asleep", protocol: "MQTT-SN 1.2" },
  ...{ listener: "udp", transport: "udp", address: "10.1.4.17", port: 40_112 },
  ...{ since: ago(5 * H), heardAt: ago(2 * H + 2 * MIN), dueAt: ago(H), keepAlive: 60 },
  ...{ subscriptions: 3, waiting: 41, waitingBytes: 2_048, onItsWay: 5, lost: 16 },
};
const camera: ClientRow = {
  ...{ clientId: "cam-3", gateway: "coap", state: "awake", phase: "known", listener: "udp" },
  ...{ transport: "dtls", address: "2001:db8::7", port: 5_683, endpoint: "urn:cam:3" },
  ...{ keepAlive: 0, subscriptions: 0, waiting: 0, waitingBytes: 0, onItsWay: 0, lost: 0 },
};
const detail: ClientDetail = {
  ...pump,
  ...{ mountpoint: "site-1/", superuser: true, proven: "user:ana", detail: {} },
  session: {
    ...{ expiry: 3_600, cleanStart: false, unreleased: 2 },
    will: { topic: "will/pump-7", qos: 1, retain: false, bytes: 21, delay: 5 },
  },
};
const waiting: readonly WaitingMessage[] = [
  {
    ...{ id: "1", topic: "cmd/pump-7/set", from: "scada", bytes: 21, qos: 1, retain: false },
    ...{ publishedAt: ago(3 * H + 10 * MIN), expiresAt: ahead(50 * MIN), stage: "handed-out" },
    ...{ payload: '{"rpm":1200}', encoding: "text" },
  },
  {
    ...{ id: "2", topic: "cmd/pump-7/get", from: "", bytes: 2_048, qos: 2, retain: false },
    ...{ publishedAt: ago(3 * H), stage: "queued", payload: "AP8=", encoding: "base64" },
  },
];
const subscriptions: readonly Subscription[] = [
  { filter: "cmd/#", qos: 1, noLocal: true, retainAsPublished: false, retainHandling: 0 },
];

const refusals: readonly Refusal[] = [
  {
    ...{ last: ago(5 * MIN), first: ago(3 * H), count: 9, gateway: "mqtt", listener: "tcp" },
    ...{ address: "203.0.113.9", port: 4_000, client: "ana", what: "connect" },
    ...{ refusal: "unauthenticated", by: "users.yaml, password" },
  },
  {
    ...{ last: ago(2 * MIN), first: ago(3 * H), count: 331, gateway: "mqtt-sn", listener: "udp" },
    ...{ address: "10.1.4.44", port: 1_884, client: "pump-9", what: "publish", asked: "secret/x" },
    ...{ refusal: "forbidden", by: "ACL rule 4" },
  },
];

const rule: OneRule = {
  ...{ id: "warm", enable: false, description: "", sql: "SELECT *\n FROM x", ack: "store" },
  ...{ matched: 1_001, passed: 1_002, noResult: 1_003, failed: 1_004, loops: 1_005 },
  rate: { current: 1.06, max: 2_000, last5m: 0.034 },
  actions: [{ kind: "http", to: "hook", matched: 2_001, success: 2_002, failed: 2_003, dropped: 2_004 }],
};
const connector: OneConnector = {
  ...{ name: "hook", kind: "http", enable: true, state: "disconnected", reason: "refused" },
  ...{ tookMilliseconds: 58, lastFailure: { reason: "503", at: ago(4 * MIN) }, taken: 101, restored: 102 },
  ...{ success: 103, failed: 104, failedRefused: 1, failedTried: 1, failedUnexpected: 1, failedUnread: 1 },
  ...{ expired: 105, full: 106, inflight: 107, queuing: 108, queuedBytes: 1_229, retriedSuccess: 109 },
  ...{ retriedFailed: 1, cameAgain: 1, batches: 110, tries: 111, late: 1, latency: 7 },
};

const server = (url: string, state: Server["state"], draining = false): Server => ({
  ...{ group: "default", url, state, draining, weight: 2, sessions: 1_200 },
});
const alarm: Alarm = {
  ...{ name: "high-memory", severity: "warning", message: "memory is short", details: { used: 91 } },
  raisedAt: ago(4 * MIN),
};
const bans: readonly Ban[] = [
  { clientId: "intruder", reason: "it floods", configured: false },
  { address: "10.0.0.0/8", reason: "elsewhere", until: ahead(3 * H + 12 * MIN), configured: true },
];
const change: Change = {
  ...{ id: 7, at: "2026-11-29T14:02:31.000Z", who: "ana", kind: "user", address: "10.0.0.9" },
  ...{ action: "PATCH /config", object: "config", before: "info", after: "debug", result: "done" },
};
const settings: readonly Setting[] = [
  {
    ...{ key: "log.level", value: "debug", default: "info", meaning: "The least level.", takes: "a level" },
    ...{ origin: "api", live: true, pending: false },
  },
  {
    ...{ key: "node.name", value: "a", default: "b", meaning: "Its name.", takes: "" },
    ...{ origin: "default", live: false, pending: true },
  },
  {
    ...{ key: "node.other", value: "a", default: "a", meaning: "Other.", takes: "" },
    ...{ origin: "default", live: false, pending: false },
  },
];
const lists: readonly LoginList[] = [
  { list: "ours", of: "users", entries: 2, max: 1_000, passwordHash: "scrypt" },
];
const logins: readonly Login[] = [
  {
    ...{ username: "meter-7", clientId: "m7", superuser: false, password: true, scram: true },
    changedAt: ago(4 * MIN),
  },
  { username: "root", superuser: true, password: false, changedAt: ago(26 * H) },
];
const users: readonly User[] = [
  { name: "ana", role: "operator", createdAt: "2026-11-29T14:02:31.000Z", seenAt: ago(4 * MIN) },
];
const keys: readonly Key[] = [
  {
    id: "k1",
    name: "backend",
    role: "viewer",
    fromFile: true,
    expiresAt: ahead(5 * H),
    usedAt: ago(4 * MIN),
  },
  { id: "k2", name: "spare", role: "publisher", fromFile: false },
];
const trace: Trace = {
  ...{ id: "t1", name: "", owner: "ana", client: "pump-7", startedAt: "2026-11-29T14:02:31.000Z" },
  ...{ until: ahead(4 * MIN), running: false, ended: "rows", rows: 5_000, rowsMax: 50_000, bytes: 307_200 },
};
const node: Node = {
  ...{ name: "isthmus-1", version: "0.1.0", startedAt: "2026-11-29T14:02:31.000Z", uptime: 3_900 },
  ...{ time: "2026-11-29T15:02:31.000Z", platform: "linux", runtime: "v20", pid: 7 },
  numbers: { sessions: 12_345, residentBytes: 16 * 1_024 * 1_024 },
};
const points: Points = {
  ...{ step: 1, from: new Date(Date.now() - 3 * S).toISOString() },
  series: [
    "in.mqtt",
    "out.mqtt",
    "clients.awake",
    "clients.asleep",
    "waiting",
    "refused.forbidden",
    "lost.full",
  ].map((name) => ({ name, kind: "level", unit: "", mean: [1, 2, 3], max: [1, 2, 3] })),
};

const all = (items: readonly unknown[]) => ({ items, count: items.length });
/** By path below /api/v1. */
export const ANSWERS: Readonly<Record<string, unknown>> = {
  "/gateways": gateways,
  "/clients": all([pump, camera]),
  "/clients/pump-7": detail,
  "/clients/pump-7/history": { step: 900, kept: false, from: ago(H), states: [], heard: [] },
  "/clients/pump-7/waiting": waiting,
  "/clients/pump-7/subscriptions": subscriptions,
  "/refusals": all(refusals),
  "/rules": all([rule]),
  "/rules/warm": rule,
  "/connectors": all([connector]),
  "/connectors/hook": connector,
  "/upstream/servers": all([
    server("tcp://a:1883", "closed"),
    server("tcp://b:1883", "open"),
    server("tcp://c:1883", "half-open", true),
  ]),
  "/upstream/routes": all([
    { id: "meters", clientId: "meter-*", group: "default", order: 3, configured: true },
  ]),
  "/alarms": all([alarm]),
  "/bans": all(bans),
  "/changes": all([change]),
  "/config": all(settings),
  "/config/overlay": all([{ key: "log.level", value: "debug", beneath: "info", pending: false }]),
  "/authentication/lists": { items: lists },
  "/authentication/users": all(logins),
  "/users": all(users),
  "/keys": all(keys),
  "/sign-ins": [
    {
      ...{ id: "s1", name: "ana", address: "10.0.0.9", since: "2026-11-29T14:02:31.000Z" },
      ...{ seenAt: ago(4 * MIN), until: ahead(11 * H) },
    },
  ],
  "/traces": all([trace]),
  "/node": node,
  "/series": points,
};
