/**
 * What time brings. Each case waits for at least as long as is said, and for what must come; they run side by side,
 * before brokers of their own.
 */
import { enter, type Gone, leave, NEWER, type Open, STAYS, subscribe, tell, V5 } from "./steps.ts";
import type { Version } from "./talker.ts";

export interface TimedCase {
  readonly name: string;
  readonly versions: readonly Version[];
  /** `id`: of this run alone; its clients and topics begin with it. */
  readonly script: (open: Open, version: Version, gone: Gone, id: string) => Promise<void>;
}

const seconds = (count: number) => new Promise<void>((resolve) => setTimeout(resolve, count * 1000));

const staying = (sessionExpiryInterval: number) => ({ clean: false, properties: { sessionExpiryInterval } });

async function listener(open: Open, version: Version, id: string) {
  const app = await enter(open, version, `${id}-app`);
  await app.ask(subscribe(1, [`${id}/#`, 1]));
  return app;
}

/** Whether a session is there that was left with an expiry. */
const expires =
  (before: number, properties: object | undefined, wait: number): TimedCase["script"] =>
  async (open, _version, gone, id) => {
    const device = await enter(open, 5, id, staying(before));
    await device.ask(subscribe(1, [`${id}/x`, 1]));
    await leave(device, gone, properties);
    await seconds(wait);
    await (await enter(open, 5, id, staying(before))).finish();
  };

export const TIMED: readonly TimedCase[] = [
  {
    name: "a client that says nothing for one and a half times its keep alive is lost [MQTT-3.1.2-22]",
    versions: NEWER,
    async script(open, version, _gone, id) {
      const app = await listener(open, version, id);
      const will = { topic: `${id}/will`, payload: "gone", qos: 1, retain: false };
      const device = await enter(open, version, id, { keepalive: 1, will });
      await app.take(1);
      await device.next(2);
      await app.finish();
    },
  },
  {
    name: "5.0: a will is delayed [MQTT-3.1.3-9]",
    versions: V5,
    async script(open, version, _gone, id) {
      const app = await listener(open, version, id);
      const properties = { willDelayInterval: 1 };
      const will = { topic: `${id}/will`, payload: "gone", qos: 1, retain: false, properties };
      (await enter(open, version, id, { ...STAYS, will })).cut();
      await app.take(1);
      await app.finish();
    },
  },
  {
    name: "5.0: the delayed will of one that is back in time never comes",
    versions: V5,
    async script(open, version, _gone, id) {
      const app = await listener(open, version, id);
      const will = (topic: string, willDelayInterval: number) => ({
        ...{ topic: `${id}/${topic}`, payload: "gone", qos: 1, retain: false },
        properties: { willDelayInterval },
      });
      (await enter(open, version, id, { ...STAYS, will: will("back", 4) })).cut();
      const again = await enter(open, version, id, STAYS);
      // Its will is due later than the other one was.
      (await enter(open, version, `${id}-lost`, { ...STAYS, will: will("lost", 5) })).cut();
      await app.take(`${id}/lost`);
      for (const each of [again, app]) await each.finish();
    },
  },
  {
    name: "5.0: a will does not wait longer than its session is kept [MQTT-3.1.3-9]",
    versions: V5,
    async script(open, version, _gone, id) {
      const app = await listener(open, version, id);
      const properties = { willDelayInterval: 100 };
      const will = { topic: `${id}/will`, payload: "gone", qos: 1, retain: false, properties };
      (await enter(open, version, id, { ...staying(1), will })).cut();
      await app.take(1);
      await app.finish();
    },
  },
  { name: "5.0: a session ends when its expiry is over", versions: V5, script: expires(1, undefined, 4) },
  {
    name: "5.0: DISCONNECT has a session end sooner",
    versions: V5,
    script: expires(100, { sessionExpiryInterval: 1 }, 4),
  },
  {
    name: "5.0: DISCONNECT has a session stay longer",
    versions: V5,
    script: expires(1, { sessionExpiryInterval: 100 }, 4),
  },
  {
    name: "5.0: a message whose expiry is over does not come, and another says what is left of its own",
    versions: V5,
    async script(open, version, gone, id) {
      const device = await enter(open, version, id, STAYS);
      await device.ask(subscribe(1, [`${id}/#`, 1]));
      await leave(device, gone);
      const app = await enter(open, version, `${id}-app`);
      const expiry = (messageExpiryInterval: number) => ({ properties: { messageExpiryInterval } });
      await tell(app, `${id}/short`, 1, 1, expiry(1));
      await tell(app, `${id}/long`, 1, 2, expiry(100));
      await tell(app, `${id}/kept`, 1, 3, { ...expiry(1), retain: true });
      await seconds(3);
      await tell(app, `${id}/end`, 1, 4);
      const again = await enter(open, version, id, STAYS);
      await again.take(`${id}/end`);
      // What was retained is gone, too.
      await again.ask(subscribe(2, [`${id}/#`, 1]));
      await tell(app, `${id}/last`, 1, 5);
      await again.take(`${id}/last`);
      for (const each of [again, app]) await each.finish();
    },
  },
];
