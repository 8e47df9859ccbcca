/** NATS where one node each sends for a session: when that dies, the session is there, and is sent nothing (R3b). */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type NatsCluster, startNats } from "../support/clusters.ts";
import { lacks } from "../support/programs.ts";
import { type Heard, Site } from "./site.ts";

const PATIENCE = 400_000;

describe.skipIf(lacks("nats-server"))("nats-server with consumer_replicas: 1", { timeout: PATIENCE }, () => {
  let cluster: NatsCluster;
  let site: Site;
  beforeAll(async () => {
    cluster = await startNats(["consumer_replicas: 1"]);
    // What has not come by then does not come.
    site = await Site.open(cluster, { profile: "nats" }, { grace: "15s" });
  }, PATIENCE);
  afterAll(async () => {
    await site?.stop();
    await cluster?.stop();
  }, PATIENCE);

  /** One whose session is connected at the node that sends for it. */
  async function atItsConsumer(): Promise<{ device: Heard; topic: string; name: string }> {
    for (let number = 0; ; number++) {
      const [name, topic] = [`deaf-${number}`, `deaf/${number}`];
      const device = await site.device({ clientId: name, clean: false });
      await device.client.subscribeAsync(topic, { qos: 1 });
      const [consumer] = await cluster.consumersOf(topic);
      if (consumer === site.nodeOf(name)) return { device, topic, name };
      await device.client.endAsync();
    }
  }

  it("finds a session that hears nothing after its node was killed, and makes it anew", async () => {
    const { device, topic, name } = await atItsConsumer();
    const teller = await site.device({ clientId: "teller", clean: false });
    const { deaf } = site.gateway.composition.upstream!.engine.context.counters;
    const node = site.nodeOf(name);
    await node.kill();
    // Until something comes: what was taken while it was deaf is lost with the session that it had.
    for (let number = 0; device.messages.length === 0; number++) {
      await teller.client.publishAsync(topic, `${number}`, { qos: 1 });
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    expect(deaf.value).toBeGreaterThanOrEqual(2);
    await node.restart();
    await teller.client.publishAsync(topic, "again", { qos: 1 });
    await device.hears(`${topic} again 1`);
  });
});
