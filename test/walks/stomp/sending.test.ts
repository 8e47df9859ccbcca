import { describe, expect, it } from "vitest";
import type { Message } from "#core/bus/message.ts";
import { milliseconds, NEVER } from "#core/lib/time.ts";
import { SlowStore } from "../../support/slow-store.ts";
import { brief, StompClient, stompListener } from "../../support/stomp-client.ts";
import { frame, header } from "../../support/stomp-frames.ts";
import { World } from "../../support/world.ts";

const open = (config: Record<string, unknown> = {}, policy = {}, version = "1.2") => {
  const world = new World();
  const heard = world.listen("#");
  const listener = stompListener(world, config, policy);
  const client = StompClient.connected(listener, {}, version);
  return { world, heard, listener, client };
};
/** A world whose store has to keep every message. */
const slow = () => {
  const store = new SlowStore();
  const world = new World({ commits: store.commits });
  store.keepAllOf(world);
  return { world, due: store.due };
};
const text = (message: Message | undefined) => message && Buffer.from(message.payload).toString("utf8");

describe("S16 SEND (STOMP 1.2 SEND)", () => {
  it("publishes its body to its destination", () => {
    const { heard, client } = open();
    client.say("SEND", { destination: "plant/1" }, "21.5");
    expect(heard[0]).toMatchObject({ topic: "plant/1", qos: 1, retain: false, expiresAt: NEVER });
    expect(text(heard[0])).toBe("21.5");
    expect(client.heard()).toEqual([]);
  });

  it.each([
    [{ receipt: "9" }, "missing header destination"],
    [{ destination: "", receipt: "9" }, "empty destination"],
    [{ destination: "/topic/", receipt: "9" }, "empty destination"],
    [{ destination: "a/+/b", receipt: "9" }, "malformed name"],
    [{ destination: "$share/g/a", receipt: "9" }, "malformed destination"],
    [{ destination: "$SYS/a", receipt: "9" }, "access refused"],
    [{ destination: "a", qos: "3", receipt: "9" }, "bad header qos"],
    [{ destination: "a", qos: "one", receipt: "9" }, "bad header qos"],
    [{ destination: "a", retain: "maybe", receipt: "9" }, "bad header retain"],
    [{ destination: "a", persistent: "2", receipt: "9" }, "bad header persistent"],
    [{ destination: "a", expires: "soon", receipt: "9" }, "bad header expires"],
    [{ destination: "a", expiration: "-5", receipt: "9" }, "bad header expiration"],
    [{ destination: "a", "correlation-id-hex": "xyz", receipt: "9" }, "bad header correlation-id-hex"],
  ])("%j is refused with ERROR and its receipt, and closes", (headers, message) => {
    const { heard, client } = open();
    client.say("SEND", headers as Record<string, string>, "x");
    expect(brief(client.next(), "message", "receipt-id")).toBe(`ERROR message=${message} receipt-id=9`);
    expect(client.closed).toBe(true);
    expect(heard).toHaveLength(0);
  });

  it("takes a body above 1 MB where the settings allow it, and hands it on whole", () => {
    const body = Buffer.alloc(3 << 20, "x");
    const limits = { packetSize: 4 << 20 };
    const world = new World({ limits });
    const listener = stompListener(world, { limits: { body: "4MB" } });
    const client = StompClient.connected(listener);
    client.say("SUBSCRIBE", { id: "0", destination: "large" });
    client.say("SEND", { destination: "large", "content-length": String(body.length) }, body);
    expect(client.next()?.body.equals(body)).toBe(true);
    const small = StompClient.connected(stompListener(world));
    small.say("SEND", { destination: "large", "content-length": String(body.length) }, body);
    expect(small.next()?.command).toBe("ERROR");
  });

  it("a SEND that the policy forbids is an ERROR and closes", () => {
    const { heard, client } = open({}, { mayPublish: (_: unknown, topic: string) => topic !== "secret" });
    client.say("SEND", { destination: "open" }, "1");
    client.say("SEND", { destination: "secret", receipt: "r" }, "2");
    expect(brief(client.next(), "message", "receipt-id")).toBe("ERROR message=access refused receipt-id=r");
    expect(client.closed).toBe(true);
    expect(heard.map(text)).toEqual(["1"]);
  });

  it("F5, F13 a body with NULs arrives whole, cut anywhere", () => {
    const body = Buffer.from([0, 1, 0, 255, 10, 0]);
    const bytes = frame("SEND", { destination: "a", "content-length": "6" }, body);
    for (let cut = 1; cut < bytes.length; cut++) {
      const { heard, client } = open();
      client.raw(bytes.subarray(0, cut));
      client.raw(bytes.subarray(cut));
      expect(Buffer.from(heard[0]?.payload ?? [])).toEqual(body);
    }
  });

  it("F13 a thousand frames in one write all arrive", () => {
    const { heard, client } = open();
    const frames = Array.from({ length: 1000 }, (_, n) =>
      frame("SEND", { destination: `t/${n % 7}` }, `${n}`),
    );
    client.raw(Buffer.concat(frames));
    expect(heard.map(text)).toEqual(frames.map((_, n) => `${n}`));
  });

  it("a queued body does not change when the read buffer is used again", () => {
    const { world, listener, client } = open();
    const slow = StompClient.connected(listener);
    slow.say("SUBSCRIBE", { id: "0", destination: "a", ack: "client", "prefetch-count": "1" });
    const bytes = Buffer.concat([1, 2, 3].map((n) => frame("SEND", { destination: "a" }, `body ${n}`)));
    client.raw(bytes.subarray(0, 40));
    client.raw(bytes.subarray(40));
    for (const body of ["body 1", "body 2", "body 3"]) {
      const message = slow.next();
      expect(message?.body.toString()).toBe(body);
      slow.say("ACK", { id: header(message, "ack") ?? "" });
    }
    expect(world.sessions.count).toBe(3);
  });
});

describe("headers of SEND become properties", () => {
  it("content-type, correlation-id, reply-to and the user's own", () => {
    const { heard, client } = open();
    client.say("SEND", {
      destination: "a",
      "content-type": "application/json",
      "correlation-id": "c-7",
      "reply-to": "/topic/answers/1",
      priority: "4",
      id: "mine",
      "weird:name\n": "weird\\value:\r",
    });
    expect(heard[0]?.properties).toEqual({
      contentType: "application/json",
      correlationData: new Uint8Array(Buffer.from("c-7")),
      responseTopic: "answers/1",
      userProperties: [
        ["priority", "4"],
        ["id", "mine"],
        ["weird:name\n", "weird\\value:\r"],
      ],
    });
  });

  it.each([
    [{}, 1],
    [{ qos: "0" }, 0],
    [{ qos: "2" }, 2],
    [{ persistent: "true" }, 1],
    [{ persistent: "false" }, 0],
    [{ persistent: "false", qos: "1" }, 1],
  ])("%j is QoS %i", (headers, qos) => {
    const { heard, client } = open();
    client.say("SEND", { destination: "a", ...headers } as Record<string, string>);
    expect(heard[0]?.qos).toBe(qos);
  });

  it.each([
    [{}, 0],
    [{ receipt: "1" }, 1],
    [{ persistent: "true" }, 1],
    [{ receipt: "1", qos: "0" }, 0],
  ])("with sendQos 0, %j is QoS %i", (headers, qos) => {
    const { heard, client } = open({ sendQos: 0 });
    client.say("SEND", { destination: "a", ...headers } as Record<string, string>);
    expect(heard[0]?.qos).toBe(qos);
  });

  it("retain keeps the message, and an empty body deletes it", () => {
    const { world, client } = open();
    client.say("SEND", { destination: "a", retain: "true" }, "kept");
    expect(world.bus.retained("a", 9).map(text)).toEqual(["kept"]);
    client.say("SEND", { destination: "a", retain: "true" });
    expect(world.bus.retained("a", 9)).toEqual([]);
  });

  it("expires is a point in time, expiration a length of it", () => {
    const { world, heard, client } = open();
    client.say("SEND", { destination: "a", expires: String(world.now + 5000) });
    client.say("SEND", { destination: "a", expiration: "7000" });
    client.say("SEND", { destination: "a", expires: "0" });
    expect(heard.map(({ expiresAt }) => expiresAt)).toEqual([world.now + 5000, world.now + 7000, NEVER]);
  });

  it("a message that has expired is not published, and its receipt is sent", () => {
    const { world, heard, client } = open();
    client.say("SEND", { destination: "a", expires: String(world.now - 1), receipt: "late" });
    expect(heard).toEqual([]);
    expect(brief(client.next(), "receipt-id")).toBe("RECEIPT receipt-id=late");
  });

  it("correlation data that is no text comes as hexadecimal", () => {
    const { heard, client } = open();
    client.say("SEND", { destination: "a", "correlation-id-hex": "00ff" });
    expect([...(heard[0]?.properties?.correlationData ?? [])]).toEqual([0, 255]);
  });
});

describe("S13 receipts", () => {
  it("come for every frame but CONNECT, escaped as they came", () => {
    const { client } = open();
    const receipt = "r:1\\\n";
    client.say("SEND", { destination: "a", receipt });
    client.say("SUBSCRIBE", { id: "0", destination: "a", ack: "client", receipt });
    client.say("UNSUBSCRIBE", { id: "0", receipt });
    client.say("BEGIN", { transaction: "t", receipt });
    client.say("SEND", { destination: "a", transaction: "t", receipt });
    client.say("COMMIT", { transaction: "t", receipt });
    client.say("BEGIN", { transaction: "t", receipt });
    client.say("ABORT", { transaction: "t", receipt });
    client.say("DISCONNECT", { receipt });
    const frames = client.heard();
    expect(frames.map(({ command }) => command)).toEqual(Array(9).fill("RECEIPT"));
    expect(frames.every((one) => header(one, "receipt-id") === receipt)).toBe(true);
  });

  it("a receipt in CONNECT is not answered", () => {
    const client = new StompClient(stompListener(new World()));
    client.say("CONNECT", { "accept-version": "1.2", host: "h", receipt: "no" });
    expect(client.heard().map(({ command }) => command)).toEqual(["CONNECTED"]);
  });

  it("a SEND's receipt waits until the store has it, and others do not wait", () => {
    const { world, due } = slow();
    const client = StompClient.connected(stompListener(world));
    client.say("SEND", { destination: "a", receipt: "kept" }, "x");
    client.say("BEGIN", { transaction: "t", receipt: "begun" });
    expect(client.heard().map((one) => header(one, "receipt-id"))).toEqual(["begun"]);
    due.shift()?.();
    world.settle();
    expect(client.heard().map((one) => header(one, "receipt-id"))).toEqual(["kept"]);
  });

  it("S15 DISCONNECT waits for what came before it", () => {
    const { world, due } = slow();
    const client = StompClient.connected(stompListener(world));
    client.say("SEND", { destination: "a", receipt: "kept" }, "x");
    client.say("DISCONNECT", { receipt: "bye" });
    client.say("SEND", { destination: "a", receipt: "ignored" }, "y");
    expect([client.heard(), client.closed]).toEqual([[], false]);
    due.shift()?.();
    world.settle();
    expect(client.heard().map((one) => header(one, "receipt-id"))).toEqual(["kept"]);
    // And for all that the store was told, be it by frames without a receipt.
    due.shift()?.();
    world.settle();
    expect(client.heard().map((one) => header(one, "receipt-id"))).toEqual(["bye"]);
    expect(client.closed).toBe(true);
    expect(due).toEqual([]);
  });

  it("reading pauses while too many SENDs wait for the store", () => {
    const { world, due } = slow();
    const heard = world.listen("#");
    const client = StompClient.connected(stompListener(world, { limits: { pendingSends: 3 } }));
    const sends = [1, 2, 3, 4, 5].map((n) => frame("SEND", { destination: "a", receipt: `${n}` }, `${n}`));
    client.raw(Buffer.concat(sends));
    expect(heard.map(text)).toEqual(["1", "2", "3"]);
    expect(client.stream.readingPaused).toBe(true);
    due.shift()?.();
    world.settle();
    expect(heard.map(text)).toEqual(["1", "2", "3", "4"]);
    while (due.length > 0) {
      due.shift()?.();
      world.settle();
    }
    const receipts = client.heard().map((one) => header(one, "receipt-id"));
    expect(receipts.sort()).toEqual(["1", "2", "3", "4", "5"]);
    expect(client.stream.readingPaused).toBe(false);
  });
});

describe("S15 DISCONNECT (STOMP 1.2 DISCONNECT)", () => {
  it("is answered and closes; what comes behind it is ignored", () => {
    const { heard, client } = open();
    client.raw(
      Buffer.concat([frame("DISCONNECT", { receipt: "77" }), frame("SEND", { destination: "a" }, "x")]),
    );
    expect(client.heard().map((one) => brief(one, "receipt-id"))).toEqual(["RECEIPT receipt-id=77"]);
    expect(client.closed).toBe(true);
    expect(heard).toEqual([]);
  });

  it("without a receipt it just closes", () => {
    const { client } = open();
    client.raw("DISCONNECT\n\n\0");
    expect([client.heard(), client.closed]).toEqual([[], true]);
  });
});

describe("S14 ERROR (STOMP 1.2 ERROR)", () => {
  it("has a short message, a body that explains, its type and its length", () => {
    const { client } = open();
    client.raw("SEND\ndestination:a\nreceipt:r\nx:a\\tb\n\n\0");
    const error = client.next();
    expect(brief(error, "message", "receipt-id", "content-type")).toBe(
      "ERROR message=undefined escape in a header receipt-id=r content-type=text/plain",
    );
    expect(error?.body.toString()).toContain("STOMP 1.2 Value Encoding");
    expect(header(error, "content-length")).toBe(String(error?.body.length));
    expect(client.closed).toBe(true);
  });

  it.each([
    ["unknown command FOO", "FOO\n\n\0"],
    ["header without a colon", "SEND\nfoo\n\n\0"],
    ["content-length is not a number", "SEND\ncontent-length:x\n\n\0"],
    ["no NUL after content-length octets of body", "SEND\ndestination:a\ncontent-length:1\n\nxx\0"],
    ["ABORT must not have a body", "ABORT\ntransaction:t\n\nbody\0"],
    ["unknown command garbage", "\0\n\0garbage\n\n\0"],
    ["missing header transaction", "BEGIN\n\n\0"],
    ["missing header id", "SUBSCRIBE\ndestination:a\n\n\0"],
    ["missing header id", "UNSUBSCRIBE\n\n\0"],
    ["missing header id", "ACK\n\n\0"],
    ["missing header id", "NACK\nmessage-id:1\n\n\0"],
  ])("%s", (message, bytes) => {
    const { client } = open();
    client.raw(bytes);
    expect(brief(client.next(), "message")).toBe(`ERROR message=${message}`);
    expect(client.closed).toBe(true);
  });

  it("F14 limits apply while reading: headers, header length, body, login frame", () => {
    const limits = { headers: 3, headerLength: 20, body: 10, connectLength: 200 };
    const reach = (bytes: string, login = true) => {
      const client = new StompClient(stompListener(new World(), { limits }));
      if (login) client.login();
      client.raw(bytes);
      return brief(client.next(), "message");
    };
    expect(reach("SEND\na:\nb:\nc:\nd:\n\n\0")).toBe("ERROR message=more than 3 headers");
    expect(reach(`SEND\nlong:${"x".repeat(100)}`)).toBe("ERROR message=header line over 20 bytes");
    expect(reach("SEND\ndestination:a\n\n12345678901")).toBe("ERROR message=body over 10 bytes");
    expect(reach("SEND\ndestination:a\ncontent-length:11\n\n")).toBe("ERROR message=body over 10 bytes");
    const tooLong = { ...limits, headers: 100, headerLength: 100 };
    const client = new StompClient(stompListener(new World(), { limits: tooLong }));
    client.raw(`CONNECT\n${`h:${"x".repeat(70)}\n`.repeat(3)}`);
    expect(brief(client.next(), "message")).toBe("ERROR message=frame too long before the login");
  });
});

describe("what cannot be said is refused, and what is sent can be read", () => {
  it.each(["a/+", "#", "/topic/a/#", ""])("reply-to %j is no destination to send to", (replyTo) => {
    const { client } = open();
    client.say("SEND", { destination: "a", "reply-to": replyTo, receipt: "r" });
    expect(brief(client.next(), "message", "receipt-id")).toBe(
      "ERROR message=bad header reply-to receipt-id=r",
    );
  });

  it("a carriage return stands in a header of 1.1, which has no escape for it, both ways", () => {
    const world = new World();
    const client = StompClient.connected(stompListener(world), {}, "1.1");
    client.raw("SUBSCRIBE\nid:0\ndestination:a\n\n\0");
    client.raw("SEND\ndestination:a\nnote:one\rtwo\rthree\n\nx\0");
    expect(header(client.next(), "note")).toBe("one\rtwo\rthree");
    client.raw("SEND\r\ndestination:a\r\nnote:one\rtwo\r\n\r\ny\0");
    expect(header(client.next(), "note")).toBe("one\rtwo");
  });

  it("every ERROR says in its body what is wrong", () => {
    const refusals: [string, Record<string, string>][] = [
      ["SEND", {}],
      ["SEND", { destination: "" }],
      ["SUBSCRIBE", { id: "0", destination: "a", "durable-subscription-name": "" }],
      ["CONNECT", {}],
      ["ACK", { id: "1" }],
    ];
    for (const [command, headers] of refusals) {
      const { client } = open();
      client.say(command, headers);
      const error = client.next();
      expect([error?.command, (error?.body.length ?? 0) > 0]).toEqual(["ERROR", true]);
    }
    const world = new World();
    const late = new StompClient(stompListener(world));
    world.advance(milliseconds(60_000));
    expect(late.next()?.body.toString()).toBe("No CONNECT in time.");
  });
});
