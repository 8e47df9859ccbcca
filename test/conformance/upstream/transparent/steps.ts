/** How cases are written: who connects, what is said, and what is waited for. */
import type { Talker, Version } from "./talker.ts";

/** `clientId`: under which it connects where nothing else is said. */
export type Open = (version: Version, clientId?: string) => Talker;

/** Resolves when the broker has been told that a client is gone; a gateway between the two tells it a little later. */
export type Gone = (clientId?: string) => Promise<void>;

export interface Case {
  readonly name: string;
  /** Before which broker. */
  readonly broker: "plain" | "limited" | "guarded" | "asking" | "coded";
  readonly versions: readonly Version[];
  readonly script: (open: Open, version: Version, gone: Gone) => Promise<void>;
}

export const ALL: readonly Version[] = [3, 4, 5];
export const V4: readonly Version[] = [4];
export const V5: readonly Version[] = [5];
export const NEWER: readonly Version[] = [4, 5];

/** A session that outlives its connection, in MQTT 5 for longer than any test. */
export const STAYS = { clean: false, properties: { sessionExpiryInterval: 100 } };

/** A case of one connection that is let in first. */
export const one =
  (script: (device: Talker, version: Version) => Promise<void>, options: Record<string, unknown> = {}) =>
  async (open: Open, version: Version): Promise<void> => {
    const device = open(version);
    await device.connect(options);
    await script(device, version);
    await device.finish();
  };

/** Two clients that are let in. */
export const two =
  (script: (a: Talker, b: Talker, version: Version) => Promise<void>) =>
  async (open: Open, version: Version): Promise<void> => {
    const [a, b] = [open(version), open(version)];
    await a.connect({ clientId: "a" });
    await b.connect({ clientId: "b" });
    await script(a, b, version);
    await a.finish();
    await b.finish();
  };

/** The first packet of a connection, and what comes of it. */
export const first =
  (...packets: readonly (Record<string, unknown> | string)[]) =>
  async (open: Open, version: Version): Promise<void> => {
    const device = open(version);
    device.say(...packets);
    await device.next();
    await device.finish();
  };

export const greeting = (options: Record<string, unknown>) => async (open: Open, version: Version) => {
  const device = open(version);
  await device.connect(options);
  await device.finish();
};

/** A client that is let in. */
export async function enter(
  open: Open,
  version: Version,
  clientId: string,
  options: Record<string, unknown> = {},
): Promise<Talker> {
  const talker = open(version, clientId);
  await talker.connect(options);
  return talker;
}

/** Says goodbye, and hears its connection end. */
export async function leave(talker: Talker, gone: Gone, properties?: object): Promise<void> {
  talker.say({ cmd: "disconnect", reasonCode: 0, ...(properties && { properties }) });
  await talker.next();
  await gone(talker.clientId);
}

/** Is lost. */
export async function lose(talker: Talker, gone: Gone): Promise<void> {
  talker.cut();
  await gone(talker.clientId);
}

/** Throws a session away that was to stay. */
export async function forget(open: Open, version: Version, clientId: string): Promise<void> {
  await (await enter(open, version, clientId)).finish();
}

/** Publishes, and waits for all that the broker answers. */
export async function tell(
  talker: Talker,
  topic: string,
  qos: 0 | 1 | 2,
  messageId: number,
  options: object = {},
): Promise<void> {
  talker.say(publish(topic, qos, messageId, options));
  if (qos === 0) return;
  await talker.next();
  if (qos === 2) await talker.ask({ cmd: "pubrel", messageId });
}

export const subscribe = (
  messageId: number,
  ...filters: readonly (readonly [string, 0 | 1 | 2, object?])[]
) => ({
  cmd: "subscribe",
  messageId,
  subscriptions: filters.map(([topic, qos, options = {}]) => ({ topic, qos, ...options })),
});
export const unsubscribe = (messageId: number, ...unsubscriptions: string[]) => ({
  cmd: "unsubscribe",
  messageId,
  unsubscriptions,
});
export const publish = (topic: string, qos: 0 | 1 | 2, messageId = 1, options: object = {}) => ({
  cmd: "publish",
  topic,
  qos,
  payload: "m",
  messageId,
  dup: false,
  retain: false,
  ...options,
});

export const within = (
  broker: Case["broker"],
  name: string,
  versions: readonly Version[],
  script: Case["script"],
): Case => ({ name, broker, versions, script });

export const plainly = (name: string, versions: readonly Version[], script: Case["script"]): Case =>
  within("plain", name, versions, script);
