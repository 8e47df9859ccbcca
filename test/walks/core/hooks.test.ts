/** Hooks (src/hooks): what operators' modules may inspect, change and refuse, for every gateway. */
import { describe, expect, it } from "vitest";
import { loadText } from "#core/config/load.ts";
import type { Hook } from "#core/hooks/plugin.ts";
import { type Duration, seconds } from "#core/lib/time.ts";
import { MODULES } from "#core/modules.ts";
import { CoapDevice } from "../../support/coap-device.ts";
import { pubsubWorld } from "../../support/coap-site.ts";
import { type MqttDevice, mqttSite } from "../../support/mqtt-device.ts";
import { snWorld } from "../../support/mqtt-sn-device.ts";
import { messageOf, Puppets } from "../../support/puppet.ts";
import { brief, StompClient, stompListener } from "../../support/stomp-client.ts";
import { World, type WorldOptions } from "../../support/world.ts";

/** A listener of puppets behind hooks. */
function site(hooks: readonly Hook[], options: WorldOptions = {}) {
  const world = new World({ hooks, ...options });
  const puppets = new Puppets();
  const listener = world.streams("puppet", puppets);
  const open = () => {
    const stream = listener.connect();
    return { stream, puppet: puppets.last };
  };
  return { world, open };
}

/** Lets promises bring what they have, and then the world what that causes. */
async function late(world: World): Promise<void> {
  for (let round = 0; round < 20; round++) {
    await Promise.resolve();
    world.settle();
  }
}

const payloads = (messages: readonly { payload: Uint8Array }[]): string[] =>
  messages.map(({ payload }) => Buffer.from(payload).toString());

describe("authConnect", () => {
  it("changes the credentials that are checked, and refuses with a reason", () => {
    const seen: unknown[] = [];
    const { open } = site([
      {
        authConnect: (login) => {
          seen.push([login.gateway, login.protocol, login.clientId, login.username]);
          return login.clientId === "bad"
            ? { refuse: "not you", as: "banned" }
            : { clientId: "b", username: "u" };
        },
      },
    ]);
    const { puppet } = open();
    const client = puppet.connect("a");
    expect([client.id, client.username]).toEqual(["b", "u"]);
    expect(open().puppet.tryConnect("bad")).toMatchObject({
      ok: false,
      refusal: "banned",
      reason: "not you",
    });
    expect(seen[0]).toEqual(["puppet", "puppet", "a", undefined]);
  });

  it("may answer later: the channel hears it under its ticket", async () => {
    const { world, open } = site([{ authConnect: async () => ({ username: "later" }) }]);
    const { puppet } = open();
    expect(puppet.tryConnect("a")).toBe("pending");
    await late(world);
    const answer = puppet.connects.pop()?.answer;
    expect(answer?.ok === true && answer.client.username).toBe("later");
  });

  it("lets nobody in who is gone before it has answered", async () => {
    const { world, open } = site([{ authConnect: async () => undefined }]);
    const { stream, puppet } = open();
    puppet.tryConnect("a");
    stream.drop();
    await late(world);
    expect(world.sessions.connected).toBe(0);
  });
});

describe("authPublish", () => {
  it("changes topic, payload, QoS, retain, properties and expiry", () => {
    const change = {
      topic: "new",
      payload: "changed",
      qos: 1,
      retain: true,
      properties: { contentType: "text/plain" },
      expiry: 5000,
    } as const;
    const { world, open } = site([{ authPublish: () => change }]);
    const heard = world.listen("#");
    open().puppet.connect("a").publish(messageOf("old", "p"), 1);
    world.settle();
    const [message] = heard;
    expect(message).toMatchObject({ topic: "new", qos: 1, retain: true, properties: change.properties });
    expect([payloads(heard), message!.expiresAt - message!.publishedAt]).toEqual([["changed"], 5000]);
  });

  it("refuses, drops, and lets pass; the next hook gets what the one before made of it", () => {
    const first: Hook = {
      authPublish: (_client, { topic }) => {
        if (topic === "no") return { refuse: "no", as: "quota" };
        if (topic === "void") return { drop: true };
        return topic === "a" ? { topic: "b" } : undefined;
      },
    };
    const second: Hook = {
      authPublish: (_client, { topic }) => (topic === "b" ? { topic: "c" } : undefined),
    };
    const { world, open } = site([first, second]);
    const heard = world.listen("#");
    const client = open().puppet.connect("a");
    expect(client.publish(messageOf("no", "1"), 1)).toBe("quota");
    expect(client.publish(messageOf("void", "2"), 2)).toBe("accepted");
    client.publish(messageOf("a", "3"), 3);
    client.publish(messageOf("z", "4"), 4);
    world.settle();
    expect(heard.map(({ topic }) => topic)).toEqual(["c", "z"]);
  });

  it("is asked behind the access rules, and not about what those refuse", () => {
    const asked: string[] = [];
    const hook: Hook = {
      authPublish: (_client, { topic }) => {
        asked.push(topic);
        return { topic: "forbidden" };
      },
    };
    const { world, open } = site([hook], { policy: { mayPublish: (_who, topic) => topic !== "forbidden" } });
    const heard = world.listen("#");
    const client = open().puppet.connect("a");
    expect(client.publish(messageOf("forbidden", "1"), 1)).toBe("forbidden");
    client.publish(messageOf("t", "2"), 2);
    world.settle();
    expect([asked, heard.map(({ topic }) => topic)]).toEqual([["t"], ["forbidden"]]);
  });

  it("keeps the order of one client while one of its messages waits, and holds up nobody else", async () => {
    const answers: (() => void)[] = [];
    const hook: Hook = {
      authPublish: (client) =>
        client.clientId === "slow"
          ? new Promise((resolve) => answers.push(() => resolve(undefined)))
          : undefined,
    };
    const { world, open } = site([hook]);
    const heard = world.listen("#");
    const { puppet } = open();
    const slow = puppet.connect("slow");
    const quick = open().puppet.connect("quick");
    for (const payload of ["1", "2", "3"])
      expect(slow.publish(messageOf("t", payload, 1), 7)).toBe("pending");
    expect(slow.subscribe("s", { qos: 1 }, 8)).toBe("pending");
    quick.publish(messageOf("t", "q", 0), 1);
    world.settle();
    expect(payloads(heard)).toEqual(["q"]);
    for (let left = 3; left > 0; left--) {
      answers.shift()?.();
      await late(world);
    }
    expect(payloads(heard)).toEqual(["q", "1", "2", "3"]);
    expect(puppet.answers.map(({ ticket }) => ticket)).toEqual([7, 7, 7, 8]);
    expect([...slow.subscriptions().keys()]).toEqual(["s"]);
  });

  it("bounds what waits of one client: reading stops at half, and more is refused as congested", async () => {
    const answers: (() => void)[] = [];
    const { world, open } = site([
      { authPublish: () => new Promise((resolve) => answers.push(() => resolve(undefined))) },
    ]);
    const heard = world.listen("#");
    const { stream, puppet } = open();
    const client = puppet.connect("a");
    const given = Array.from({ length: 10 }, (_, n) => client.publish(messageOf("t", `${n}`, 1), n + 1));
    expect(given).toEqual([...Array(9).fill("pending"), "congested"]);
    expect(stream.readingPaused).toBe(true);
    while (answers.length > 0) {
      answers.shift()?.();
      await late(world);
    }
    expect([heard.length, stream.readingPaused]).toEqual([9, false]);
  });

  it("is asked about wills too, when they are given", () => {
    const { world, open } = site([
      {
        authPublish: (_client, { topic }) => (topic === "bad" ? { refuse: "no" } : { topic: `x/${topic}` }),
      },
    ]);
    const heard = world.listen("#");
    const will = {
      topic: "will",
      payload: Buffer.from("w"),
      qos: 0,
      retain: false,
      delay: 0 as Duration,
      options: {},
    } as const;
    const one = open();
    one.puppet.connect("a", { will });
    one.stream.drop();
    const two = open();
    two.puppet.connect("b", { will: { ...will, topic: "bad" } });
    two.stream.drop();
    world.settle();
    expect(heard.map(({ topic }) => topic)).toEqual(["x/will"]);
  });
});

describe("authSubscribe", () => {
  it("changes filter and QoS, and what is unsubscribed is what was made of the filter", () => {
    const { world, open } = site([
      { authSubscribe: (_c, { filter }) => ({ filter: `x/${filter}`, qos: 0 }) },
    ]);
    const { puppet } = open();
    const client = puppet.connect("a");
    client.subscribe("t", { qos: 2 }, 1);
    world.settle();
    expect([...client.subscriptions()]).toEqual([["x/t", { qos: 0, asked: "t" }]]);
    world.publish("x/t", "m");
    expect(puppet.take()).toEqual(["m"]);
    client.unsubscribe("t", 2);
    world.settle();
    expect(client.subscriptions().size).toBe(0);
  });

  it("refuses, and is asked about what is read as well", () => {
    const asked: unknown[] = [];
    const { world, open } = site([
      {
        authSubscribe: (_client, wanted) => {
          asked.push(wanted);
          return { refuse: "no" };
        },
      },
    ]);
    const client = open().puppet.connect("a");
    expect(client.subscribe("t", { qos: 1 }, 1)).toBe("forbidden");
    expect(client.retained("t", 10, 2)).toBe("forbidden");
    world.settle();
    expect(asked).toEqual([
      { filter: "t", qos: 1, read: false },
      { filter: "t", qos: 0, read: true },
    ]);
  });
});

describe("notifications", () => {
  it("tell what has happened, in order", () => {
    const told: unknown[] = [];
    const hook: Hook = {
      connected: ({ clientId }, { cleanStart }) => void told.push(["connected", clientId, cleanStart]),
      subscribed: (_client, filter, qos) => void told.push(["subscribed", filter, qos]),
      published: (_client, { topic }) => void told.push(["published", topic]),
      delivered: (_client, { topic, qos }) => void told.push(["delivered", topic, qos]),
      unsubscribed: (_client, filter) => void told.push(["unsubscribed", filter]),
      disconnected: (_client, reason) => void told.push(["disconnected", reason]),
    };
    const { world, open } = site([hook]);
    const { puppet } = open();
    const client = puppet.connect("a", { cleanStart: true });
    client.subscribe("t", { qos: 1 }, 1);
    world.settle();
    client.publish(messageOf("t", "0", 0), 2);
    world.settle();
    client.publish(messageOf("t", "1", 1), 3);
    world.settle();
    expect(told.at(-1)).toEqual(["published", "t"]);
    const handed = puppet.delivered.at(-1)!.delivery;
    client.settle(handed.id, "done");
    client.unsubscribe("t", 4);
    world.settle();
    client.end("closed");
    world.settle();
    expect(told.map((each) => (each as string[])[0]).sort()).toEqual([
      "connected",
      "delivered",
      "delivered",
      "disconnected",
      "published",
      "published",
      "subscribed",
      "unsubscribed",
    ]);
    expect([told[0], told[1], told.at(-3), told.at(-2), told.at(-1)]).toEqual([
      ["connected", "a", true],
      ["subscribed", "t", 1],
      ["delivered", "t", 1],
      ["unsubscribed", "t"],
      ["disconnected", "closed"],
    ]);
  });

  it("come one after the other for one client, also where each takes its time", async () => {
    const told: string[] = [];
    const hook: Hook = {
      published: async (_client, { payload }) => {
        await Promise.resolve();
        told.push(Buffer.from(payload).toString());
      },
    };
    const { world, open } = site([hook]);
    const client = open().puppet.connect("a");
    for (const payload of ["1", "2", "3"]) client.publish(messageOf("t", payload), 1);
    await late(world);
    await late(world);
    expect(told).toEqual(["1", "2", "3"]);
  });

  it("that do not fit into the queue of a client are dropped, and counted", async () => {
    const told: string[] = [];
    const hook: Hook = {
      published: (_client, { payload }) => {
        told.push(Buffer.from(payload).toString());
        return new Promise(() => {});
      },
    };
    const { world, open } = site([hook]);
    const client = open().puppet.connect("a");
    for (let n = 0; n < 20; n++) client.publish(messageOf("t", `${n}`), 1);
    world.settle();
    expect([told, world.counters.get("hook0 published overflow")?.value]).toEqual([["0"], 11]);
    // The one that hangs is given up after its time, and the next is told.
    world.advance(seconds(2));
    await late(world);
    expect(told).toEqual(["0", "1"]);
    expect(world.counters.get("hook0 published late")?.value).toBe(1);
  });
});

describe("a hook in trouble", () => {
  const kinds: Record<string, NonNullable<Hook["authPublish"]>> = {
    throws: () => {
      throw new Error("my fault");
    },
    "gives nonsense": () => ({ topic: "a/#" }),
    "gives a number": () => 5 as never,
    rejects: () => Promise.reject(new Error("my fault")),
    "takes too long": () => new Promise(() => {}),
  };
  it.each(Object.entries(kinds))(
    "that %s is counted and named, and by setting refuses or lets pass",
    async (_what, authPublish) => {
      for (const pass of [false, true]) {
        const { world, open } = site(pass ? [{}, { authPublish }] : [{ authPublish }]);
        const heard = world.listen("#");
        const { puppet } = open();
        const given = puppet.connect("a").publish(messageOf("t", "m", 1), 9);
        await late(world);
        world.advance(seconds(2));
        await late(world);
        const answer = given === "pending" ? puppet.answers[0]?.answer : given;
        expect([answer, heard.length]).toEqual(pass ? ["accepted", 1] : ["unavailable", 0]);
        const name = pass ? "hook1" : "hook0";
        expect(world.counters.get(`${name} authPublish failed`)?.value).toBe(1);
        const note = world.notes.find(({ note }) => note.event === "hook-failed");
        expect(note?.note.detail).toMatchObject({ hook: name, member: "authPublish" });
      }
    },
  );

  it("fails nothing else when a notification throws", () => {
    const { world, open } = site([
      {
        published: () => {
          throw new Error("my fault");
        },
      },
    ]);
    const heard = world.listen("#");
    open().puppet.connect("a").publish(messageOf("t", "m"), 1);
    world.settle();
    expect([heard.length, world.counters.get("hook0 published failed")?.value]).toEqual([1, 1]);
  });
});

describe("the end of a client", () => {
  const slow = () => {
    const answers: (() => void)[] = [];
    const hook: Hook = {
      authPublish: () => new Promise((resolve) => answers.push(() => resolve(undefined))),
    };
    const next = async (world: World) => {
      answers.shift()?.();
      await late(world);
    };
    return { hook, next };
  };

  it("waits for what it sent before: that is published, and then its session is left", async () => {
    const { hook, next } = slow();
    const { world, open } = site([hook]);
    const heard = world.listen("#");
    const { puppet } = open();
    const client = puppet.connect("a");
    client.publish(messageOf("t", "1"), 1);
    client.publish(messageOf("t", "2"), 2);
    client.end("closed");
    expect([heard.length, world.disconnects.length]).toEqual([0, 0]);
    await next(world);
    await next(world);
    expect([payloads(heard), world.disconnects.length]).toEqual([["1", "2"], 1]);
    expect(world.sessions.connected).toBe(0);
  });

  it("waits no longer than it may", async () => {
    const { world, open } = site([{ authPublish: () => new Promise(() => {}) }, {}]);
    const { puppet } = open();
    const client = puppet.connect("a");
    for (let n = 0; n < 9; n++) client.publish(messageOf("t", `${n}`), 1);
    client.end("closed");
    world.advance(seconds(11));
    await late(world);
    expect(world.sessions.connected).toBe(0);
  });

  it("does not hold up another connection that takes the session", async () => {
    const { hook, next } = slow();
    const { world, open } = site([hook]);
    const heard = world.listen("#");
    const first = open().puppet;
    const client = first.connect("a");
    client.publish(messageOf("t", "1"), 1);
    client.publish(messageOf("t", "2"), 2);
    client.end("closed");
    open().puppet.connect("a");
    await next(world);
    expect([world.sessions.connected, heard.length]).toEqual([1, 0]);
    expect(world.disconnects.map(({ event }) => event.clientId)).toEqual(["a"]);
  });
});

const ascii = (text: string): string => Buffer.from(text).toString("hex");
const hex = (...parts: string[]): Uint8Array => Buffer.from(parts.join("").replaceAll(" ", ""), "hex");

/** A publish of `hi` to `t` by a device of each gateway, and before it whatever logs it in. */
const PUBLISHES: Readonly<Record<string, { transport: "tcp" | "udp"; send: readonly Uint8Array[] }>> = {
  mqtt: {
    transport: "tcp",
    send: [hex("10 0d 0004 4d515454 04 02 003c 0001 64"), hex("30 05 0001 74", ascii("hi"))],
  },
  stomp: {
    transport: "tcp",
    send: [
      Buffer.from("CONNECT\naccept-version:1.2\nhost:h\n\n\0"),
      Buffer.from("SEND\ndestination:/topic/t\n\nhi\0"),
    ],
  },
  coap: {
    transport: "udp",
    send: [hex("41 03 0003 02 b2", ascii("ps"), "01", ascii("t"), "ff", ascii("hi"))],
  },
  "mqtt-sn": {
    transport: "udp",
    send: [hex("07 04 04 01 003c 64"), hex("07 0a 0000 0001 74"), hex("09 0c 00 0001 0002", ascii("hi"))],
  },
  // A registration, which the gateway publishes for the device.
  lwm2m: {
    transport: "udp",
    send: [
      hex(
        "41 02 0002 02 b2",
        ascii("rd"),
        "11 28 34",
        ascii("ep=d"),
        "05",
        ascii("lt=60"),
        "03",
        ascii("b=U"),
        "09",
        ascii("lwm2m=1.1"),
        "ff",
        ascii("</3/0>"),
      ),
    ],
  },
};

describe.each(Object.entries(PUBLISHES))("a device of %s", (gateway, { transport, send }) => {
  it("publishes through the hooks", () => {
    const seen: string[] = [];
    const hook: Hook = {
      authConnect: (login) => void seen.push(`connect ${login.gateway}`),
      authPublish: (client, { topic }) => {
        seen.push(`publish ${client.gateway}`);
        return { topic: `hooked/${topic}` };
      },
    };
    const world = new World({ hooks: [hook] });
    const heard = world.listen("hooked/#");
    const module = MODULES.find(({ name }) => name === gateway)!;
    const { config } = loadText(MODULES, "gateways: { coap: { stack: { amplification: off } } }");
    const endpoint = world.open(module, config.gateways[gateway]).endpoint({ name: "test", transport });
    if (transport === "tcp") {
      const stream = world.streams(gateway, endpoint).connect();
      for (const bytes of send) stream.send(bytes);
    } else {
      const device = world.datagrams(gateway, endpoint).device();
      for (const bytes of send) device.send(bytes);
    }
    world.advance(seconds(1));
    expect(heard.length).toBe(1);
    expect(seen).toEqual([`connect ${gateway}`, `publish ${gateway}`]);
  });
});

describe("MQTT behind hooks", () => {
  it("answers CONNECT with 0x87 and the reason, PUBLISH with PUBACK 0x87, SUBSCRIBE with SUBACK 0x87", () => {
    const refuse = { refuse: "not today" };
    const { device } = mqttSite(
      {},
      {
        hooks: [
          {
            authConnect: ({ clientId }) => (clientId === "x" ? refuse : undefined),
            authPublish: () => refuse,
            authSubscribe: () => refuse,
          },
        ],
      },
    );
    const connect = (clientId: string) => ({
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion: 5,
      clean: true,
      clientId,
      keepalive: 60,
    });
    expect(device(5).send(connect("x"))).toMatchObject([
      { cmd: "connack", reasonCode: 0x87, properties: { reasonString: "not today" } },
    ]);
    const one: MqttDevice = device(5);
    one.send(connect("y"));
    const publish = { cmd: "publish", topic: "t", payload: "m", qos: 1, messageId: 1 };
    const subscribe = { cmd: "subscribe", messageId: 2, subscriptions: [{ topic: "t", qos: 1 }] };
    expect(one.send(publish)).toMatchObject([{ cmd: "puback", reasonCode: 0x87 }]);
    expect(one.send(subscribe)).toMatchObject([{ cmd: "suback", granted: [0x87] }]);
  });
});

describe("a hook's refusal is said in the other protocols' own words (U-096)", () => {
  const refuse = { refuse: "not today" };
  const hooks: readonly Hook[] = [
    {
      authConnect: ({ clientId }) => (clientId === "x" ? refuse : undefined),
      authPublish: () => refuse,
      authSubscribe: () => refuse,
    },
  ];

  it("MQTT-SN: return code 3", () => {
    const sensor = snWorld({}, { hooks }).device();
    expect(sensor.connect("x")).toEqual(["CONNACK code 3"]);
    expect(sensor.connect("y")).toEqual(["CONNACK code 0"]);
    expect(sensor.register("t", 1)).toEqual(["REGACK 1 #1 code 0"]);
    expect(sensor.publish(1, "m", { qos: 1, id: 7 })).toEqual(["PUBACK 1 #7 code 3"]);
    expect(sensor.subscribe("t", 1, 0, 8)).toEqual([expect.stringMatching(/^SUBACK .*#8.* code 3$/)]);
  });

  it("CoAP: 4.03, and 4.01 to who has given no name that might help", () => {
    const device = new CoapDevice(pubsubWorld({}, { hooks }).network);
    const put = { code: "PUT", path: "ps/t", payload: "m" } as const;
    expect(device.ask({ ...put, query: ["username=u"] }).code).toBe("4.03");
    expect(device.ask(put).code).toBe("4.01");
  });

  it("STOMP: ERROR", () => {
    const world = new World({ hooks });
    const backend = StompClient.connected(stompListener(world));
    backend.say("SEND", { destination: "t", receipt: "r" }, "m");
    expect(brief(backend.next(), "message")).toBe("ERROR message=access refused");
  });
});
