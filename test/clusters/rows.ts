/** What is true of devices of all five gateways before a cluster, and what becomes of them when a node is killed. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Cluster } from "../support/clusters.ts";
import type { Kind } from "./kind.ts";
import { limits } from "./limits.ts";
import { type Heard, Site } from "./site.ts";
import { twoGateways } from "./two-gateways.ts";

const PATIENCE = 170_000;

export function rowsOf(kind: Kind): void {
  const { name, missing, start, keepsSessions, ends = "SIGKILL", maximumQoS, shared, retainedAt } = kind;
  describe.skipIf(missing)(`${name} as the cluster`, { timeout: PATIENCE }, () => {
    let cluster: Cluster;
    let site: Site;
    beforeAll(async () => {
      cluster = await start();
      site = await Site.open(cluster, kind);
    }, PATIENCE);
    // A node that is killed takes the sessions with it that are there: those of the test that kills it.
    afterEach(() => site.leave(), PATIENCE);
    afterAll(async () => {
      await site?.stop();
      await cluster?.stop();
    }, PATIENCE);
    const last = () => cluster.nodes.length - 1;

    it("takes what devices of all five gateways publish, and sends them what is published there", async () => {
      const app = await site.app(last());
      await app.client.subscribeAsync("up/#", { qos: 1 });
      await app.client.subscribeAsync("lwm2m/#", { qos: 1 });
      const device = await site.device({ clientId: "all" });
      await device.client.subscribeAsync("down/all", { qos: 1 });
      await device.client.publishAsync("up/mqtt", "hi", { qos: 1 });
      expect(await site.mqttSn()).toMatch(/^070d.*00$/);
      expect(await site.stomp()).toBe("RECEIPT");
      expect([0x41, 0x44]).toContain(await site.coap());
      expect(await site.lwm2m()).toBe(0x41);
      await app.client.publishAsync("down/all", "there", { qos: 1 });
      await device.hears("down/all there 1");
      const heard = (wanted: string) => (messages: readonly string[]) =>
        messages.some((each) => each.startsWith(wanted));
      for (const topic of ["up/mqtt hi", "up/sn hi", "up/stomp hi", "up/coap hi", "lwm2m/d/up/resp"]) {
        await app.until(heard(topic));
      }
    });

    it(`takes a QoS 2 message of a device once, at QoS ${maximumQoS}`, async () => {
      const app = await site.app(0);
      await app.client.subscribeAsync("qos2", { qos: 2 });
      const device = await site.device({ clientId: "two" });
      await device.client.publishAsync("qos2", "once", { qos: 2 });
      await device.client.publishAsync("qos2", "end", { qos: 1 });
      await app.hears(`qos2 once ${maximumQoS}`, "qos2 end 1");
      expect(app.messages.filter((each) => each.startsWith("qos2 once"))).toHaveLength(1);
    });

    it(
      shared ? "shares subscriptions" : "refuses shared subscriptions instead of losing messages",
      async () => {
        const device = await site.device({ clientId: "shares", protocolVersion: 5 });
        const asked = device.client.subscribeAsync("$share/g/shared", { qos: 1 });
        if (!shared) {
          await expect(asked).rejects.toMatchObject({ packet: { granted: [0x9e] } });
          return;
        }
        await asked;
        await device.client.publishAsync("shared", "m", { qos: 1 });
        await device.hears("shared m 1");
      },
    );

    limits(kind, () => site);
    twoGateways(kind, () => site);

    it(`loses nothing that was acknowledged when a node ends by ${ends} under load`, async () => {
      const app = await site.app(last(), { clientId: "listens", clean: false });
      await app.client.subscribeAsync("load/#", { qos: 1 });
      const loads = await Promise.all(Array.from({ length: 6 }, (_, n) => Load.begin(site, `load-${n}`)));
      await Promise.all(loads.map((load) => load.acknowledged(10)));
      const [first] = cluster.nodes;
      await first!.kill(ends);
      if (cluster.nodes.length === 1) await first!.restart();
      await Promise.all(loads.map((load) => load.acknowledged(load.done + 10)));
      const sent = (await Promise.all(loads.map((load) => load.end()))).flat();
      await app.hears(...sent);
      for (const load of loads) expect(load.inOrder(app.messages)).toEqual(load.sent);
      if (cluster.nodes.length > 1) await first!.restart();
    });

    it(
      keepsSessions
        ? "keeps a session and its queue when its node is killed, and hands it out through the gateway"
        : "loses a session with its node, and the device is told that there is none",
      async () => {
        const asleep = { clientId: "asleep", clean: false, reconnectPeriod: 0 };
        const first = await site.device(asleep);
        await first.client.subscribeAsync("down/asleep", { qos: 1 });
        const node = site.nodeOf("asleep");
        await first.client.endAsync();
        const other = cluster.nodes.findIndex((each) => each !== node);
        const app = await site.app(Math.max(0, other));
        await app.client.publishAsync("down/asleep", "1", { qos: 1 });
        const there = await site.app(cluster.nodes.indexOf(node));
        await there.client.publishAsync("retained/there", "still", { qos: 1, retain: true });
        if (retainedAt === "all") await app.finds("retained/there", "retained/there still 1");
        // mosquitto writes a change down when the next one comes.
        for (const n of [1, 2]) await app.client.publishAsync("other", `${n}`, { qos: 1, retain: true });
        await node.kill();
        if (cluster.nodes.length === 1) await node.restart();
        const again = await site.device(asleep);
        expect(again.sessionPresent).toBe(keepsSessions);
        if (keepsSessions) await again.hears("down/asleep 1 1");
        if (retainedAt === "all") {
          await again.finds("retained/there", "retained/there still 1");
        }
        if (cluster.nodes.length > 1) await node.restart();
      },
    );
  });
}

/** A device that publishes one message after the other, each when the one before was acknowledged. */
class Load {
  readonly sent: string[] = [];
  done = 0;
  readonly #device: Heard;
  readonly #topic: string;
  #going = true;
  #changed: (() => void) | undefined;
  readonly #run: Promise<void>;

  private constructor(device: Heard, name: string) {
    this.#device = device;
    this.#topic = `load/${name}`;
    this.#run = this.#publish();
  }

  static async begin(site: Site, name: string): Promise<Load> {
    const properties = { sessionExpiryInterval: 3_600 };
    return new Load(await site.device({ clientId: name, protocolVersion: 5, properties }), name);
  }

  async #publish(): Promise<void> {
    for (let n = 0; this.#going; n++) {
      await this.#device.client.publishAsync(this.#topic, `${n}`, { qos: 1 });
      this.sent.push(`${this.#topic} ${n} 1`);
      this.done++;
      this.#changed?.();
      // A node may be away for long: what the others publish meanwhile is to be looked through in the end.
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async acknowledged(count: number): Promise<void> {
    while (this.done < count) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  async end(): Promise<readonly string[]> {
    this.#going = false;
    await this.#run;
    return this.sent;
  }

  /** What came of it, the first time each. */
  inOrder(messages: readonly string[]): string[] {
    return [...new Set(messages.filter((each) => each.startsWith(`${this.#topic} `)))];
  }
}
