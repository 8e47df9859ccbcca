/** RECEIPT says that a frame was processed (STOMP 1.2 RECEIPT): it waits until the store has what that changed. */
import { expect, it } from "vitest";
import { commitWhenTold } from "../../support/commit-when-told.ts";
import { brief, StompClient, stompListener } from "../../support/stomp-client.ts";
import { World } from "../../support/world.ts";

const DURABLE = { id: "0", destination: "in", ack: "client-individual", "durable-subscription-name": "d" };

function open() {
  const store = commitWhenTold();
  const world = new World({ commits: store.commits });
  const client = StompClient.connected(stompListener(world), { "client-id": "c" });
  const said = (): string[] => client.heard().map((one) => brief(one, "receipt-id"));
  /** What comes when everything written so far is committed. */
  const commit = (): string[] => {
    store.commitAll();
    world.settle();
    return said();
  };
  return { world, client, store, said, commit };
}

it("of SUBSCRIBE to a durable subscription", () => {
  const { client, said, commit } = open();
  client.say("SUBSCRIBE", { ...DURABLE, receipt: "s" });
  expect(said()).toEqual([]);
  expect([...commit(), ...commit()]).toEqual(["RECEIPT receipt-id=s"]);
});

it("of UNSUBSCRIBE that ends a durable subscription", () => {
  const { client, said, commit } = open();
  client.say("SUBSCRIBE", DURABLE);
  commit();
  client.say("UNSUBSCRIBE", { id: "0", "durable-subscription-name": "d", receipt: "u" });
  expect(said()).toEqual([]);
  expect(commit()).toEqual(["RECEIPT receipt-id=u"]);
});

it("of DISCONNECT: it speaks for all frames before it, also for those without a receipt", () => {
  const { client, said, commit } = open();
  client.say("SEND", { destination: "a" }, "x");
  client.say("DISCONNECT", { receipt: "bye" });
  expect(said()).toEqual([]);
  expect(commit()).toEqual(["RECEIPT receipt-id=bye"]);
  expect(client.closed).toBe(true);
});

it("does not come when the store could not be written; the connection ends instead", () => {
  const { world, client, store, said } = open();
  client.say("SUBSCRIBE", DURABLE);
  store.commitAll();
  client.say("UNSUBSCRIBE", { id: "0", "durable-subscription-name": "d", receipt: "u" });
  store.failAll();
  world.settle();
  expect(said().map((line) => line.split(" ")[0])).toEqual(["ERROR"]);
  expect(client.closed).toBe(true);
});
