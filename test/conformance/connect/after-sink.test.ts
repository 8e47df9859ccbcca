/** `ack: after_sink`: the publisher of any protocol is answered when the sink is. */
import type { ServerResponse } from "node:http";
import mqtt, { type MqttClient } from "mqtt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadText } from "#core/config/load.ts";
import { MODULES } from "#core/modules.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { hexOf, message, SnSocket } from "../../support/mqtt-sn-socket.ts";
import { StompSocket } from "../../support/stomp-socket.ts";
import { CoapSocket } from "../../support/store-coap.ts";
import { until } from "../../support/store-process.ts";
import { WebSink } from "../../support/web-sink.ts";

describe("ack: after_sink", () => {
  let web: WebSink;
  let gateway: TestGateway;
  const waiting: ServerResponse[] = [];
  const clients: MqttClient[] = [];
  const answerAll = (): void => {
    for (const response of waiting.splice(0)) response.end();
  };

  beforeEach(async () => {
    web = await new WebSink().start();
    web.answer = (_, response) => waiting.push(response);
    gateway = await startGateway({
      gateways: { mqtt: {}, coap: {}, "mqtt-sn": { dropRepeatedQos1: true }, stomp: {} },
      connectors: {
        // Clients of one lane would wait for each other.
        hook: { kind: "http", url: web.url, order: "none" },
        other: { kind: "http", url: `${web.url}/other`, order: "none" },
      },
      rules: {
        two: {
          sql: 'SELECT payload FROM "held/both"',
          ack: "after_sink",
          actions: [{ kind: "http", connector: "other", body: "${payload}" }],
        },
        r: {
          sql: 'SELECT payload FROM "held/#"',
          ack: "after_sink",
          actions: [{ kind: "http", connector: "hook", body: "${payload}" }],
        },
      },
    });
  });
  afterEach(async () => {
    answerAll();
    await Promise.all(clients.splice(0).map((client) => client.endAsync(true)));
    await gateway.stop();
    await web.stop();
  });

  const connect = async (): Promise<MqttClient> => {
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${gateway.port("mqtt", "tcp")}`, {
      ...{ clientId: "m", protocolVersion: 5, reconnectPeriod: 0 },
    });
    client.on("error", () => {});
    clients.push(client);
    return client;
  };
  /** Packets that it is sent, by their names. */
  const packetsOf = (client: MqttClient): string[] => {
    const packets: string[] = [];
    client.on("packetreceive", ({ cmd }) => packets.push(cmd));
    return packets;
  };

  it("withholds MQTT's PUBACK and PUBREC, and answers what needs no sink before", async () => {
    const client = await connect();
    const packets = packetsOf(client);
    const once = client.publishAsync("held/a", "1", { qos: 1 });
    const exactly = client.publishAsync("held/b", "2", { qos: 2 });
    await until(() => web.requests.length === 2, "both requests to the sink");
    await client.subscribeAsync("x");
    expect(packets).toEqual(["suback"]);
    answerAll();
    await Promise.all([once, exactly]);
    expect(packets).toEqual(["suback", "puback", "pubrec", "pubcomp"]);
  });

  it("waits for the sinks of every rule that matches, the last of them", async () => {
    const client = await connect();
    const packets = packetsOf(client);
    const published = client.publishAsync("held/both", "1", { qos: 1 });
    await until(() => waiting.length === 2, "a request to each");
    const [first, second] = waiting.splice(0);
    first!.end();
    const taken = () =>
      ["hook", "other"].reduce(
        (sum, name) => sum + gateway.composition.rules.connectors.get(name)!.counters.success,
        0,
      );
    await until(() => taken() === 1, "one of them has it");
    await client.subscribeAsync("x");
    expect(packets).toEqual(["suback"]);
    second!.end();
    await published;
  });

  it("answers with success when a sink refuses for good and the message is dead-lettered: its reason stands there", async () => {
    web.answer = (_, response) => {
      response.statusCode = 400;
      response.end("no");
    };
    const client = await connect();
    const letters: string[] = [];
    client.on("message", (_, payload) => letters.push(JSON.parse(payload.toString()).reason));
    await client.subscribeAsync("$dead-letter/#", { qos: 1 });
    const { reasonCode = 0 } = (await client.publishAsync("held/a", "1", { qos: 1 })) as {
      reasonCode?: number;
    };
    expect(reasonCode).toBe(0);
    const device = new CoapSocket(gateway.port("coap", "udp"));
    expect(await device.put("held/a", "2")).toMatch(/^2\.0[14]$/);
    device.close();
    await until(() => letters.length === 2, "both letters");
    expect(letters[0]).toMatch(/400/);
  });

  it("goes on waiting while the sink fails as may heal, and answers when it has it", async () => {
    let tries = 0;
    web.answer = (_, response) => {
      response.statusCode = ++tries < 3 ? 503 : 200;
      response.end();
    };
    const client = await connect();
    await client.publishAsync("held/a", "1", { qos: 1 });
    expect(tries).toBe(3);
  });

  it("answers when the connector that was changed meanwhile has it, and when it is there no more", async () => {
    const client = await connect();
    const { text } = gateway;
    const reload = (change: (settings: Record<string, Record<string, object>>) => void): void => {
      const settings = JSON.parse(text);
      change(settings);
      gateway.composition.reload(() => loadText(MODULES, JSON.stringify(settings)).config);
    };
    const published = client.publishAsync("held/a", "1", { qos: 1 });
    await until(() => web.requests.length === 1, "the request to the sink");
    waiting.splice(0);
    reload(({ connectors }) => Object.assign(connectors!["hook"]!, { timeout: "7s" }));
    await until(() => web.requests.length === 2, "the request of the changed connector");
    answerAll();
    await published;
    const last = client.publishAsync("held/a", "2", { qos: 1 });
    await until(() => web.requests.length === 3, "the next");
    reload((settings) => {
      delete settings["rules"]!["r"];
      delete settings["connectors"]!["hook"];
    });
    await last;
  });

  it("knows what an MQTT-SN client repeats meanwhile (dropRepeatedQos1): one request, and one PUBACK for both", async () => {
    const client = await SnSocket.open(gateway.port("mqtt-sn", "udp"));
    expect(await client.ask(message(`04 04 01 003c ${hexOf("repeats")}`))).toMatch(/^030500$/);
    const topic = (await client.ask(message(`0a 0000 0001 ${hexOf("held/a")}`))).slice(4, 8);
    await client.send(message(`0c 20 ${topic} 0002 ${hexOf("1")}`));
    await until(() => web.requests.length === 1, "the request to the sink");
    await client.send(message(`0c a0 ${topic} 0002 ${hexOf("1")}`));
    expect(await client.ask("0216")).toBe("0217");
    answerAll();
    expect(await client.next()).toBe(`070d${topic}000200`);
    expect(await client.ask("0216")).toBe("0217");
    expect([client.unread, web.requests.length]).toEqual([0, 1]);
    await client.close();
  });

  it("withholds CoAP's 2.04, and answers a later request about another topic before", async () => {
    const client = new CoapSocket(gateway.port("coap", "udp"));
    let code: string | undefined;
    const put = client.put("held/a", "1").then((answer) => {
      code = answer;
    });
    await until(() => web.requests.length === 1, "the request to the sink");
    expect(await client.put("free", "1")).toMatch(/^2\.0[14]$/);
    expect(code).toBeUndefined();
    answerAll();
    await put;
    expect(code).toMatch(/^2\.0[14]$/);
    // What was repeated meanwhile is the same request (RFC 7252 §4.2).
    expect(web.bodies).toEqual(["1"]);
    client.close();
  });

  it("withholds MQTT-SN's PUBACK, and answers PINGREQ before", async () => {
    const client = await SnSocket.open(gateway.port("mqtt-sn", "udp"));
    expect(await client.ask(message(`04 04 01 003c ${hexOf("held")}`))).toMatch(/^030500$/);
    const registered = await client.ask(message(`0a 0000 0001 ${hexOf("held/a")}`));
    const topic = registered.slice(4, 8);
    await client.send(message(`0c 20 ${topic} 0002 ${hexOf("1")}`));
    await until(() => web.requests.length === 1, "the request to the sink");
    expect(await client.ask("0216")).toBe("0217");
    expect(client.unread).toBe(0);
    answerAll();
    expect(await client.next()).toBe(`070d${topic}000200`);
    await client.close();
  });

  it("withholds MQTT-SN's PUBREC of QoS 2, and gives PUBCOMP when that is released", async () => {
    const client = await SnSocket.open(gateway.port("mqtt-sn", "udp"));
    expect(await client.ask(message(`04 04 01 003c ${hexOf("twice")}`))).toMatch(/^030500$/);
    const topic = (await client.ask(message(`0a 0000 0001 ${hexOf("held/a")}`))).slice(4, 8);
    await client.send(message(`0c 40 ${topic} 0003 ${hexOf("1")}`));
    await until(() => web.requests.length === 1, "the request to the sink");
    expect(await client.ask("0216")).toBe("0217");
    expect(client.unread).toBe(0);
    answerAll();
    expect(await client.next()).toBe("040f0003");
    expect(await client.ask("04100003")).toBe("040e0003");
    expect(web.bodies).toEqual(["1"]);
    await client.close();
  });

  it("withholds the RECEIPT of STOMP's COMMIT until the sinks have all that was sent in it", async () => {
    const client = await StompSocket.connected(gateway.port("stomp", "tcp"));
    client.say("BEGIN", { transaction: "t" });
    for (const body of ["1", "2"]) client.say("SEND", { destination: "held/a", transaction: "t" }, body);
    client.say("COMMIT", { transaction: "t", receipt: "committed" });
    await until(() => waiting.length === 2, "both requests to the sink");
    const [first, second] = waiting.splice(0);
    first!.end();
    const { counters } = gateway.composition.rules.connectors.get("hook")!;
    await until(() => counters.success === 1, "one of them is there");
    client.say("SEND", { destination: "free", receipt: "free" }, "1");
    expect((await client.next()).headers).toContainEqual(["receipt-id", "free"]);
    second!.end();
    expect((await client.next()).headers).toContainEqual(["receipt-id", "committed"]);
    client.socket.destroy();
  });

  it("withholds STOMP's RECEIPT, and gives that of a later frame first", async () => {
    const client = await StompSocket.connected(gateway.port("stomp", "tcp"));
    client.say("SEND", { destination: "held/a", receipt: "held" }, "1");
    await until(() => web.requests.length === 1, "the request to the sink");
    client.say("SEND", { destination: "free", receipt: "free" }, "1");
    expect((await client.next()).headers).toContainEqual(["receipt-id", "free"]);
    answerAll();
    expect((await client.next()).headers).toContainEqual(["receipt-id", "held"]);
    client.socket.destroy();
  });
});
