/** Receipts over a real store: they wait where something durable has to be kept, and nowhere else. */
import { expect, it } from "vitest";
import { KeptWorld } from "../../support/kept-world.ts";
import { brief, StompClient, stompListener } from "../../support/stomp-client.ts";
import { World } from "../../support/world.ts";

const DURABLE = { id: "0", destination: "in", ack: "client-individual", "durable-subscription-name": "d" };

it("of a durable subscription, of what it has to keep, and of its end", async () => {
  const kept = new KeptWorld();
  const world = kept.of(new World(kept.options));
  const listener = stompListener(world);
  const client = StompClient.connected(listener, { "client-id": "c" });
  const waits = async (who: StompClient, command: string, headers: Record<string, string>) => {
    const said = (): string[] => who.heard().map((one) => brief(one, "receipt-id"));
    who.say(command, { ...headers, receipt: command });
    expect(said(), `${command} before the commit`).toEqual([]);
    await kept.commit();
    expect(said()).toEqual([`RECEIPT receipt-id=${command}`]);
  };
  await waits(client, "SUBSCRIBE", DURABLE);
  client.stream.end();
  world.settle();
  await kept.commit();
  const publisher = StompClient.connected(listener);
  await waits(publisher, "SEND", { destination: "in", qos: "1" });
  const again = StompClient.connected(listener, { "client-id": "c" });
  await waits(again, "UNSUBSCRIBE", { id: "0", "durable-subscription-name": "d" });
  expect(kept.engine.records).toBe(0);
});

it("and of what nobody keeps at once", () => {
  const kept = new KeptWorld();
  const client = StompClient.connected(stompListener(kept.of(new World(kept.options))));
  client.say("SUBSCRIBE", { id: "0", destination: "in", receipt: "s" });
  client.say("SEND", { destination: "a", qos: "1", receipt: "m" });
  client.say("UNSUBSCRIBE", { id: "0", receipt: "u" });
  client.say("DISCONNECT", { receipt: "d" });
  expect(client.heard().map((one) => brief(one, "receipt-id"))).toEqual(
    ["s", "m", "u", "d"].map((id) => `RECEIPT receipt-id=${id}`),
  );
});
