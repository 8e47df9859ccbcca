/** What runs from the loss of a connection on runs from the end of the process, and not from the next one's beginning. */
import { describe, expect, it } from "vitest";
import { type Duration, minutes, seconds } from "#core/lib/time.ts";
import { mqtt } from "#gateways/mqtt/index.ts";
import { Lives } from "../../support/lives.ts";
import { MqttDevice, mqttDefaults } from "../../support/mqtt-device.ts";
import { StompClient, stompListener } from "../../support/stomp-client.ts";
import type { World } from "../../support/world.ts";

/** The next process says every ten seconds that it is there; and it may have ended just before it would have. */
const DOUBT = seconds(10);

function device(world: World, properties: object, will?: object): MqttDevice {
  const gateway = world.open(mqtt, mqttDefaults());
  const listener = world.streams("mqtt", gateway.endpoint({ name: "tcp", transport: "tcp" }));
  const client = new MqttDevice(listener.connect(), 5);
  const connect = { cmd: "connect", protocolId: "MQTT", protocolVersion: 5, keepalive: 0, clientId: "c" };
  client.send({ ...connect, clean: false, properties, ...(will === undefined ? {} : { will }) });
  return client;
}

const WILL = {
  ...{ topic: "will", payload: Buffer.from("gone"), qos: 1, retain: false },
  properties: { willDelayInterval: 60 },
};

async function killed(downFor: Duration, properties: object, will?: object): Promise<Lives> {
  const lives = new Lives();
  device(lives.world, properties, will);
  lives.world.advance(minutes(60));
  lives.alive();
  await lives.commit();
  lives.kill(downFor);
  return lives;
}

describe("MQTT 5 §3.1.3.2.2: after kill -9 a will delay of 60 s", () => {
  const SESSION = { sessionExpiryInterval: 3600 };

  it("that was over before the restart is over", async () => {
    const lives = await killed(minutes(5), SESSION, WILL);
    const heard = lives.world.listen("will");
    lives.restore();
    expect(heard).toHaveLength(1);
  });

  it("goes on with what was left of it", async () => {
    const lives = await killed(seconds(30), SESSION, WILL);
    const heard = lives.world.listen("will");
    lives.restore();
    lives.world.advance(seconds(29));
    expect(heard).toHaveLength(0);
    lives.world.advance(DOUBT);
    lives.world.advance(seconds(2));
    expect(heard).toHaveLength(1);
  });
});

describe("MQTT 5 §3.1.2.11.2: after kill -9 a session", () => {
  it.each([
    ["is there while its expiry has not passed", 5, true],
    ["is gone when it has passed meanwhile", 15, false],
  ])("%s", async (_, down, present) => {
    const lives = await killed(minutes(down), { sessionExpiryInterval: 600 });
    lives.restore();
    expect(lives.world.sessions.get("mqtt", "c") !== undefined).toBe(present);
    if (!present) return;
    lives.world.advance(minutes(4));
    expect(lives.world.sessions.count).toBe(1);
    lives.world.advance(minutes(2));
    expect(lives.world.sessions.count).toBe(0);
  });

  it("of whoever died with the first seconds of its connection is not thought older than it is", async () => {
    const lives = new Lives();
    lives.alive();
    lives.world.advance(minutes(60));
    device(lives.world, { sessionExpiryInterval: 60 });
    lives.alive();
    await lives.commit();
    lives.kill(seconds(30));
    lives.restore();
    expect(lives.world.sessions.count).toBe(1);
  });
});

it("after kill -9 a durable subscription of STOMP lives as long as it would have (`durableExpiry`)", async () => {
  for (const [down, left] of [
    [5, 1],
    [15, 0],
  ] as const) {
    const lives = new Lives();
    const client = StompClient.connected(stompListener(lives.world, { durableExpiry: "10m" }), {
      "client-id": "plant",
    });
    client.say("SUBSCRIBE", { id: "0", destination: "a", "durable-subscription-name": "work" });
    lives.world.advance(minutes(60));
    lives.alive();
    await lives.commit();
    lives.kill(minutes(down));
    lives.restore();
    expect(lives.world.sessions.count).toBe(left);
  }
});
