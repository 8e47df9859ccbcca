import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import mqttPacket from "mqtt-packet";
import { afterAll, describe as anyDescribe, beforeAll, expect, it } from "vitest";
import { type Listener, MqttBench } from "../../support/mqtt-clients.ts";
import { lacks } from "../../support/programs.ts";

const describe = anyDescribe.skipIf(lacks("openssl", "mosquitto_pub", "mosquitto_sub", "mosquitto"));

let bench: MqttBench;
let names = 0;
const name = () => `mosquitto-${names++}`;
beforeAll(async () => {
  bench = await MqttBench.open();
});
afterAll(async () => {
  await bench.close();
  expect(bench.gateway.log).toEqual([]);
});

describe.each(["tcp", "tls"] as const)("mosquitto_pub and mosquitto_sub over %s", (transport) => {
  describe.each(["mqttv31", "mqttv311", "mqttv5"])("%s", (version) => {
    const sub = (...options: string[]) => bench.mosquitto("sub", transport, "-V", version, ...options);
    const pub = (...options: string[]) => bench.mosquitto("pub", transport, "-V", version, ...options).ended;
    const id = () => ["-i", name()];

    it.each(["0", "1", "2"])("exchange messages at QoS %s", async (qos) => {
      const topic = name();
      const reader = sub(...id(), "-t", `${topic}/+`, "-q", qos, "-C", "2", "-F", "%t %q %p");
      await bench.subscribed(`${topic}/+`);
      expect(await pub(...id(), "-t", `${topic}/a`, "-q", qos, "-m", "one")).toMatchObject({
        code: 0,
        err: "",
      });
      expect(await pub(...id(), "-t", `${topic}/b`, "-q", qos, "-m", "two")).toMatchObject({ code: 0 });
      const { code, out } = await reader.ended;
      expect(code).toBe(0);
      expect(String(out)).toBe(`${topic}/a ${qos} one\n${topic}/b ${qos} two\n`);
    });

    it("get all of 5,000 messages at QoS 1 that somebody sends in one go, without waiting for an answer", async () => {
      const topic = name();
      const reader = sub(...id(), "-t", topic, "-q", "1", "-C", "5000", "-F", "%p");
      await bench.subscribed(topic);
      const numbers = Array.from({ length: 5_000 }, (_, index) => String(index));
      const publisher = connect(bench.gateway.port("mqtt", "tcp"), "127.0.0.1");
      publisher.on("error", () => {}).resume();
      publisher.write(
        Buffer.concat([
          mqttPacket.generate({ cmd: "connect", clientId: name(), clean: true, keepalive: 60 } as never),
          ...numbers.map((payload, index) =>
            mqttPacket.generate({ cmd: "publish", topic, payload, qos: 1, messageId: index + 1 } as never),
          ),
        ]),
      );
      expect(
        String((await reader.ended).out)
          .split("\n")
          .slice(0, -1),
      ).toEqual(numbers);
      publisher.destroy();
    });

    it("find a retained message", async () => {
      const topic = name();
      await pub(...id(), "-t", topic, "-r", "-q", "1", "-m", "kept");
      const { out } = await sub(...id(), "-t", topic, "-C", "1", "-F", "%r %p").ended;
      expect(String(out)).toBe("1 kept\n");
    });

    it("carry a payload of 1 MB", async () => {
      const topic = name();
      const payload = randomBytes(1_048_576);
      const writer = bench.mosquitto(
        "pub",
        transport,
        "-V",
        version,
        ...id(),
        "-t",
        topic,
        "-r",
        "-q",
        "1",
        "-s",
      );
      writer.write(payload);
      expect((await writer.ended).code).toBe(0);
      const { out } = await sub(...id(), "-t", topic, "-C", "1", "-N").ended;
      expect(out.equals(payload)).toBe(true);
    });

    it("leave a will", async () => {
      const topic = name();
      const reader = sub(...id(), "-t", topic, "-q", "1", "-C", "1", "-F", "will: %p");
      await bench.subscribed(topic);
      const will = ["--will-topic", topic, "--will-payload", "gone", "--will-qos", "1"];
      const lost = sub(...id(), "-t", `${topic}/elsewhere`, ...will);
      await bench.subscribed(`${topic}/elsewhere`);
      lost.child.kill("SIGKILL");
      expect(String((await reader.ended).out)).toBe("will: gone\n");
    });
  });
});

describe("mosquitto as a bridge", () => {
  it("passes messages on in both directions, each of them once", async () => {
    const there = await bench.mosquittoBridge("# both 1");
    await bench.subscribed("#");
    const here = await bench.client("tcp", {});
    const far = await bench.client(there, {});
    const [topic, back] = [name(), name()];
    await here.client.subscribeAsync(topic, { qos: 1 });
    await far.client.subscribeAsync(back, { qos: 1 });
    for (const payload of ["one", "two"]) {
      await far.client.publishAsync(topic, payload, { qos: 1 });
      await here.client.publishAsync(back, payload, { qos: 1 });
    }
    const payloads = async (listener: Listener) =>
      (await listener.until(2)).map(({ payload }) => String(payload));
    expect(await payloads(here)).toEqual(["one", "two"]);
    expect(await payloads(far)).toEqual(["one", "two"]);
    // What went in circles would be here before what is sent now.
    await here.client.publishAsync(back, "three", { qos: 1 });
    await far.client.publishAsync(topic, "three", { qos: 1 });
    expect((await here.until(3)).length + (await far.until(3)).length).toBe(6);
  });
});

describe("mosquitto_sub with MQTT 5", () => {
  it("shows the properties of a message", async () => {
    const topic = name();
    const properties = ["content-type", "text/plain", "user-property", "a b"];
    const [contentType, text, user, pair] = properties as [string, string, string, string];
    await bench.mosquitto(
      ...(["pub", "tcp", "-V", "5", "-t", topic, "-r", "-m", "x"] as const),
      ...(["-D", "publish", contentType, text, "-D", "publish", user, ...pair.split(" ")] as const),
      ...(["-D", "publish", "message-expiry-interval", "100"] as const),
    ).ended;
    const { out } = await bench.mosquitto("sub", "tcp", "-V", "5", "-t", topic, "-C", "1", "-F", "%C|%P|%E")
      .ended;
    expect(String(out).trim()).toMatch(/^text\/plain\|a:b ?\|(100|99)$/);
  });
});
