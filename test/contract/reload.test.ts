/** What `Gateway.reload` promises (src/contract/gateway.ts), over all gateways, and what a changed option does in each. */
import { describe, expect, it } from "vitest";
import { loadText } from "#core/config/load.ts";
import type { GatewayModule } from "#core/contract/gateway.ts";
import { MODULES } from "#core/modules.ts";
import { type CoapConfig, schema } from "#gateways/coap/config.ts";
import { coap } from "#gateways/coap/index.ts";
import { lwm2m } from "#gateways/lwm2m/index.ts";
import { mqtt } from "#gateways/mqtt/index.ts";
import { mqttSn } from "#gateways/mqtt-sn/index.ts";
import { stomp } from "#gateways/stomp/index.ts";
import { tcp } from "#gateways/tcp/index.ts";
import { CoapDevice } from "../support/coap-device.ts";
import { parseDefaults } from "../support/coap-settings.ts";
import { pubsubWorld } from "../support/coap-site.ts";
import { lwm2mConfig } from "../support/lwm2m-config.ts";
import { Lwm2mWorld } from "../support/lwm2m-world.ts";
import { MqttDevice, mqttDefaults, mqttSite } from "../support/mqtt-device.ts";
import { snConfig, snWorld, TRUSTED } from "../support/mqtt-sn-device.ts";
import { StompClient, stompConfig, stompListener } from "../support/stomp-client.ts";
import { header } from "../support/stomp-frames.ts";
import { TcpDevice, tcpConfig, tcpListener } from "../support/tcp-device.ts";
import { World } from "../support/world.ts";
import { channels } from "./channel-cases.ts";

/** What a reload gives a gateway that was opened in a world. */
function reload<Config>(world: World, module: GatewayModule<Config>, config: Config): void {
  const gateway = world.gateways.get(module.name)?.gateway;
  gateway?.reload?.(config as never);
}

describe.each(MODULES.map((module) => [module.name, module] as const))("gateway %s", (name, module) => {
  const config = loadText(MODULES, "").config.gateways[name] as object;

  it("names options that there are, as those that take a restart", () => {
    for (const place of module.restart ?? []) {
      let at: unknown = config;
      for (const key of place.split(".")) at = (at as Record<string, unknown>)[key];
      expect([place, at]).not.toEqual([place, undefined]);
    }
  });

  it("takes new options exactly if it says which it does not take", () => {
    const gateway = new World().open(module, config as never);
    expect(gateway.reload !== undefined).toBe(module.restart !== undefined);
  });
});

describe.each(channels)("a channel of %s", (name, open) => {
  it("outlives a reload", () => {
    const gateway = name.split(" ")[0] as string;
    const module = MODULES.find((each) => each.name === gateway) as GatewayModule<unknown>;
    const { world, loop } = open();
    const before = world.sessions.connected;
    reload(world, module, loadText(MODULES, "").config.gateways[gateway]);
    world.publish("t", "m", { qos: 1 });
    expect([loop.closed, world.sessions.connected]).toEqual([false, before]);
    loop.stop("shutdown");
    world.settle();
    expect(loop.closed).toBe(true);
  });
});

describe("a changed option", () => {
  it("is told to the next MQTT connection, and leaves the others what they were told", () => {
    const { world, listener, device } = mqttSite();
    const old = device(5);
    old.connect("old");
    reload(world, mqtt, { ...mqttDefaults(), inflightMaximum: 1, topicAliasMaximum: 3 });
    const [connack] = new MqttDevice(listener.connect(), 5).connect("new");
    expect(connack?.["properties"]).toMatchObject({ topicAliasMaximum: 3 });
    old.subscribe("t", 1);
    world.publish("t", "1", { qos: 1 });
    world.publish("t", "2", { qos: 1 });
    expect(old.take().map(({ cmd }) => cmd)).toEqual(["publish", "publish"]);
  });

  it("is told to the next STOMP connection", () => {
    const world = new World();
    const listener = stompListener(world);
    reload(world, stomp, stompConfig({ server: "Other/1" }));
    const client = new StompClient(listener);
    expect(header(client.login(), "server")).toBe("Other/1");
  });

  it("is in force for the next connection over plain TCP", () => {
    const world = new World();
    const listener = tcpListener(world);
    const old = new TcpDevice(listener).connect("old");
    reload(world, tcp, tcpConfig({ upTopic: "other/%c" }));
    const heard = world.listen("#");
    new TcpDevice(listener).connect("new").data("x");
    old.data("y");
    expect(heard.map(({ topic }) => topic)).toEqual(["other/new", "tcp/old/up"]);
  });

  it("is in force at once for an MQTT-SN client that sleeps for months", () => {
    const { world, device } = snWorld({ ...TRUSTED, predefinedTopics: [{ id: 7, topic: "before" }] });
    const client = device();
    client.connect("d");
    const heard = world.listen("#");
    reload(world, mqttSn, snConfig({ ...TRUSTED, predefinedTopics: [{ id: 7, topic: "after" }] }));
    client.publish(7, "x", { type: 1 });
    expect(heard.map(({ topic }) => topic)).toEqual(["after"]);
  });

  it("is in force at once for a CoAP client that is known", () => {
    const { world, network } = pubsubWorld();
    const device = new CoapDevice(network);
    const put = () => device.ask({ code: "PUT", path: "ps/t", payload: "x" });
    expect([put().code, world.bus.retainedMessages.count]).toEqual(["2.04", 0]);
    const config = parseDefaults<CoapConfig>(schema, {
      publish: { retain: true },
      stack: { amplification: "off" },
    });
    reload(world, coap, config);
    expect([put().code, world.bus.retainedMessages.count]).toEqual(["2.01", 1]);
  });

  it("is in force at once for LwM2M devices that are registered", () => {
    const world = new Lwm2mWorld();
    const device = world.device("meter").on("GET /3/0/0", { code: "2.05", payload: "Open" });
    device.register();
    world.watch("meter");
    reload(world, lwm2m, lwm2mConfig({ describeContent: true }));
    world.command("meter", { msgType: "read", data: { path: "/3/0/0" } });
    expect(world.reports("meter")[0]?.data["content"]).toMatchObject([{ name: "Manufacturer" }]);
  });
});
