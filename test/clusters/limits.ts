/** What servers do against expectation, as a device sees it through the gateway: the rows of `src/upstream/clusters.md`. */
import { expect, it } from "vitest";
import type { Kind } from "./kind.ts";
import type { Site } from "./site.ts";

const numbers = (count: number): string[] => Array.from({ length: count }, (_, index) => `${index + 1}`);

export function limits(kind: Kind, site: () => Site): void {
  const { dots, showsSystem, inFlight, keptFor, waiting, retainedAt, maximumQoS, profile } = kind;
  const { nobody = true, nameAlone = true, speaks } = kind;
  const last = () => site().cluster.nodes.length - 1;

  it(`is spoken to by MQTT ${speaks}`, async () => {
    await site().device({ clientId: "speaks" });
    expect(site().versionOf("speaks")).toBe(speaks === "5.0" ? 5 : 4);
  });

  it(`${nobody ? "lets in" : "refuses"} who says no name, and ${nameAlone ? "lets in" : "refuses"} who says one without a password`, async () => {
    const say = (options: object) => site().admits(0, { protocolVersion: 4, ...options });
    expect([await say({}), await say({ username: "somebody" })]).toEqual([nobody, nameAlone]);
  });

  it("grants a device twelve subscriptions that it asks for at once, however long each takes", async () => {
    const device = await site().device({ clientId: "many" });
    const filters = numbers(12).map((each) => `many/${each}`);
    const granted = await device.client.subscribeAsync(filters, { qos: 1 });
    expect(granted.map(({ qos }) => qos)).toEqual(filters.map(() => 1));
  });

  it(
    {
      kept: "takes a topic with a dot",
      refused: "refuses a topic with a dot or a blank (0x87) instead of losing the connection",
      "dots/a/b": "makes a level of a topic out of each dot",
    }[dots],
    async () => {
      const app = await site().app(0);
      await app.client.subscribeAsync("dots/#", { qos: 1 });
      const device = await site().device({ clientId: "dots", protocolVersion: 5 });
      const publish = (topic: string) => device.client.publishAsync(topic, "x", { qos: 1 });
      if (dots === "refused") {
        for (const topic of ["dots/a.b", "dots/a b"])
          await expect(publish(topic)).rejects.toMatchObject({ code: 0x87 });
        return;
      }
      await publish("dots/a.b");
      await app.hears(`${dots === "kept" ? "dots/a.b" : dots} x 1`);
    },
  );

  it(
    showsSystem
      ? "shows $ topics to who subscribes to #: the gateway keeps them from its devices [MQTT-4.7.2-1]"
      : "does not show $ topics to who subscribes to #",
    async () => {
      const [app, direct] = [await site().app(0), await site().app(0)];
      const device = await site().device({ clientId: "hash" });
      for (const each of [direct, device]) await each.client.subscribeAsync("#", { qos: 1 });
      await app.client.publishAsync("$probe/x", "secret", { qos: 1 });
      await app.client.publishAsync("probed", "end", { qos: 1 });
      const topics = (messages: readonly string[]) => messages.filter((each) => each.startsWith("$"));
      await direct.hears("probed end 1");
      if (showsSystem) await direct.until((messages) => topics(messages).length > 0);
      await device.hears("probed end 1");
      expect(topics(device.messages)).toEqual([]);
      for (const each of [direct, device]) await each.client.unsubscribeAsync("#");
    },
  );

  it(`sends ${inFlight} of 25 messages to a device that takes as many and acknowledges none`, async () => {
    const app = await site().app(last());
    const device = await site().withholding("withholds", 30);
    const { repeats } = site().gateway.composition.upstream!.engine.context.counters;
    const before = repeats.value;
    await device.subscribe("withheld");
    for (const each of numbers(25)) await app.client.publishAsync("withheld", each, { qos: 1 });
    await device.hears(inFlight);
    // NATS sends again on the live connection what is not acknowledged; the device does not see it.
    if (profile === "nats") while (repeats.value === before) await new Promise((go) => setTimeout(go, 50));
    // A word and its answer: what the server would have sent before has come.
    await device.publish("elsewhere");
    expect(device.messages).toEqual(numbers(inFlight));
    device.close();
  });

  it(
    keptFor === undefined
      ? "keeps a session for as long as is asked"
      : `keeps a session for ${keptFor} s at most, and the device is told so`,
    async () => {
      const properties = { sessionExpiryInterval: 3_600 };
      const device = await site().device({ clientId: "hour", protocolVersion: 5, clean: true, properties });
      expect(device.sessionExpiry ?? 3_600).toBe(keptFor ?? 3_600);
    },
  );

  if (waiting !== undefined)
    it(`keeps ${waiting} of 1,100 messages for a device that is away, in order`, async () => {
      const away = { clientId: "away", clean: false };
      const device = await site().device(away);
      await device.client.subscribeAsync("many-wait", { qos: 1 });
      await device.client.endAsync();
      const app = await site().app(last());
      const texts = numbers(1_100);
      await Promise.all(texts.map((each) => app.client.publishAsync("many-wait", each, { qos: 1 })));
      const again = await site().device(away);
      expect(again.sessionPresent).toBe(true);
      await again.until((messages) => messages.length >= waiting);
      await app.client.publishAsync("many-wait", "end", { qos: 1 });
      await again.hears("many-wait end 1");
      const wanted = [...texts.slice(0, waiting), "end"].map((each) => `many-wait ${each} 1`);
      // What is under way as a connection breaks may come twice.
      expect([...new Set(again.messages)]).toEqual(wanted);
    });

  it(
    retainedAt === "all"
      ? "has what is retained at one node at all"
      : "has what is retained at one node there alone",
    async () => {
      const [there, here] = [await site().app(last()), await site().app(0)];
      await there.client.publishAsync("retained/x", "kept", { qos: 1, retain: true });
      await there.client.subscribeAsync("retained/x", { qos: 1 });
      await there.hears("retained/x kept 1");
      if (retainedAt === "all") {
        await here.finds("retained/x", "retained/x kept 1");
        return;
      }
      await here.client.subscribeAsync(["retained/x", "retained/end"], { qos: 1 });
      await there.client.publishAsync("retained/end", "end", { qos: 1 });
      await here.hears("retained/end end 1");
      expect(here.messages).toEqual(["retained/end end 1"]);
    },
  );

  it("hands a session that moves to another node its queue, in order", async () => {
    const { nodes } = site().cluster;
    const moves = { clientId: "moves", clean: false, reconnectPeriod: 0 };
    const device = await site().device(moves);
    await device.client.subscribeAsync("moved", { qos: maximumQoS });
    const at = site().nodeOf("moves");
    await device.client.endAsync();
    // Of ejabberd's connections of one second at two nodes the wrong one may be closed, and the session with it (S1).
    if (profile === "ejabberd") await new Promise((resolve) => setTimeout(resolve, 1_500));
    const app = await site().app(0);
    for (const each of numbers(3)) await app.client.publishAsync("moved", each, { qos: maximumQoS });
    // By another way than the gateway, which would find it where it was.
    const other = nodes.findIndex((node) => node !== at);
    const again = await site().app(Math.max(0, other), moves);
    expect(again.sessionPresent).toBe(true);
    const wanted = numbers(3).map((each) => `moved ${each} ${maximumQoS}`);
    await again.hears(...wanted);
    expect(again.messages).toEqual(wanted);
    await again.client.endAsync();
  });
}
