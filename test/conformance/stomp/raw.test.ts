import { afterAll, describe as anyDescribe, beforeAll, expect, it } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { lacks } from "../../support/programs.ts";
import { brief } from "../../support/stomp-client.ts";
import { frame, header } from "../../support/stomp-frames.ts";
import { StompSocket } from "../../support/stomp-socket.ts";
import { Certificates } from "../../unit/net/certificates.ts";

const describe = anyDescribe.skipIf(lacks("openssl"));

let gateway: TestGateway;
let port: number;
const certificates = new Certificates();
beforeAll(async () => {
  certificates.issue("server", "/CN=localhost");
  gateway = await startGateway({
    tls: { cert: certificates.path("server.pem"), key: certificates.path("server.key") },
    gateways: { stomp: {} },
  });
  port = gateway.port("stomp", "tcp");
});
afterAll(async () => {
  await gateway.stop();
  certificates.remove();
  expect(gateway.log).toEqual([]);
});

describe("octets on a real socket", () => {
  it("F13 a session octet by octet", async () => {
    const client = await StompSocket.open(port);
    const bytes = Buffer.concat([
      frame("CONNECT", { "accept-version": "1.2", host: "h" }),
      frame("SUBSCRIBE", { id: "0", destination: "raw/ä" }),
      frame("SEND", { destination: "raw/ä", receipt: "r" }, "ünï"),
    ]);
    for (const octet of bytes) {
      client.raw(Uint8Array.of(octet));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const frames = await client.take(3);
    expect(frames.map((one) => one.command).sort()).toEqual(["CONNECTED", "MESSAGE", "RECEIPT"]);
    expect(frames.find((one) => one.command === "MESSAGE")?.body.toString()).toBe("ünï");
    client.socket.destroy();
  });

  it("F13 sixty-four kilobytes of frames in one write, over TCP and TLS", async () => {
    for (const secure of [false, true]) {
      const client = await StompSocket.open(secure ? gateway.port("stomp", "tls") : port, secure);
      client.say("CONNECT", { "accept-version": "1.2", host: "h" });
      client.say("SUBSCRIBE", { id: "0", destination: "burst" });
      const frames = Array.from({ length: 1500 }, (_, n) =>
        frame("SEND", { destination: "burst" }, `body ${n}`),
      );
      expect(Buffer.concat(frames).length).toBeGreaterThan(48_000);
      client.raw(Buffer.concat(frames));
      const seen = (await client.take(1501)).slice(1).map(({ body }) => body.toString());
      expect(seen).toEqual(frames.map((_, n) => `body ${n}`));
      client.socket.destroy();
    }
  });

  it("F5 a megabyte of every octet comes back as it went", async () => {
    const client = await StompSocket.connected(port);
    const body = Buffer.from(Array.from({ length: 1_000_000 }, (_, n) => n % 256));
    client.say("SUBSCRIBE", { id: "0", destination: "large", ack: "client" });
    client.say("SEND", { destination: "large", "content-length": String(body.length) }, body);
    const message = await client.next();
    expect(Buffer.compare(message.body, body)).toBe(0);
    client.say("ACK", { id: header(message, "ack") ?? "", receipt: "r" });
    expect((await client.next()).command).toBe("RECEIPT");
    client.socket.destroy();
  });

  it.each([
    ["garbage", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
    ["HTTP", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["MQTT", "\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"],
    ["a frame before CONNECT", "SEND\ndestination:a\n\n\0"],
    ["a header flood", `CONNECT\n${"a:b\n".repeat(1000)}`],
    ["an endless header", `CONNECT\na:${"b".repeat(200_000)}`],
  ])("S14, S15 %s gets an ERROR whole, then the end of the stream", async (_, bytes) => {
    const client = await StompSocket.open(port);
    client.raw(Buffer.from(bytes, "latin1"));
    expect((await client.next()).command).toBe("ERROR");
    expect(await client.end()).toBe("end");
    client.socket.destroy();
  });

  it("S15 the RECEIPT of DISCONNECT arrives before the end, also behind a long backlog", async () => {
    const client = await StompSocket.connected(port);
    client.say("SUBSCRIBE", { id: "0", destination: "linger", receipt: "s" });
    await client.next();
    const publisher = await StompSocket.connected(port);
    for (let n = 0; n < 50; n++) publisher.say("SEND", { destination: "linger" }, "x".repeat(10_000));
    publisher.say("DISCONNECT", { receipt: "sent" });
    await publisher.next();
    publisher.socket.destroy();
    client.say("DISCONNECT", { receipt: "bye" });
    const frames = await client.take(51);
    expect(brief(frames[50], "receipt-id")).toBe("RECEIPT receipt-id=bye");
    expect(await client.end()).toBe("end");
    client.socket.destroy();
  });

  it("S17 two hundred connections come and go, and leave nothing behind", async () => {
    for (let round = 0; round < 200; round++) {
      const client = await StompSocket.open(port);
      client.say("CONNECT", { "accept-version": "1.2", host: "h" });
      if (round % 3 === 0) client.socket.destroy();
      else if (round % 3 === 1) client.socket.resetAndDestroy();
      else {
        await client.next();
        client.say("DISCONNECT");
        await client.end();
        client.socket.destroy();
      }
    }
    const last = await StompSocket.connected(port);
    last.say("DISCONNECT", { receipt: "r" });
    expect(brief(await last.next(), "receipt-id")).toBe("RECEIPT receipt-id=r");
    await last.end();
    const { sessions } = gateway.composition;
    for (let wait = 0; sessions.connected > 0 && wait < 100; wait++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(sessions.count).toBe(0);
  });
});
