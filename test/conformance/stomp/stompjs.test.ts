import {
  Client,
  type IFrame,
  type IMessage,
  ReconnectionTimeMode,
  type StompConfig,
  StompHeaders,
} from "@stomp/stompjs";
import { afterAll, afterEach, describe as anyDescribe, beforeAll, expect, it } from "vitest";
import { WebSocket } from "ws";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { lacks } from "../../support/programs.ts";
import { FrameReader, frame, header } from "../../support/stomp-frames.ts";
import { Certificates } from "../../unit/net/certificates.ts";

const describe = anyDescribe.skipIf(lacks("openssl"));

let gateway: TestGateway;
const certificates = new Certificates();
const clients: Client[] = [];
let topics = 0;
const topic = () => `stompjs/${topics++}`;
beforeAll(async () => {
  certificates.issue("server", "/CN=localhost");
  gateway = await startGateway({
    tls: { cert: certificates.path("server.pem"), key: certificates.path("server.key") },
    gateways: {
      stomp: {
        sockjs: ["/live"],
        listeners: {
          ws: { websocket: { paths: ["/stomp", "/live/*/*/websocket"] } },
          wss: { transport: "wss", websocket: { paths: ["/stomp"] } },
        },
      },
    },
  });
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.deactivate({ force: true })));
});
afterAll(async () => {
  await gateway.stop();
  certificates.remove();
  expect(gateway.log).toEqual([]);
});

const open = (subprotocols: string[], transport: "ws" | "wss" = "ws") =>
  new WebSocket(`${transport}://127.0.0.1:${gateway.port("stomp", transport)}/stomp`, subprotocols, {
    rejectUnauthorized: false,
  });

/** A connected client, and what its CONNECTED said. */
function connect(
  options: Partial<StompConfig> = {},
  subprotocols: string[] = ["v12.stomp", "v11.stomp", "v10.stomp"],
  transport: "ws" | "wss" = "ws",
): Promise<{ client: Client; connected: IFrame }> {
  return new Promise((resolve, reject) => {
    const client: Client = new Client({
      webSocketFactory: () => open(subprotocols, transport),
      reconnectDelay: 0,
      reconnectTimeMode: ReconnectionTimeMode.LINEAR,
      heartbeatIncoming: 2000,
      heartbeatOutgoing: 2000,
      connectHeaders: { host: "isthmus" },
      onConnect: (connected) => resolve({ client, connected }),
      onStompError: ({ headers }) => reject(new Error(headers["message"])),
      ...options,
    });
    clients.push(client);
    client.activate();
  });
}

function listen(client: Client, destination: string, headers: StompHeaders = new StompHeaders()) {
  const heard: IMessage[] = [];
  let wake: () => void = () => {};
  const subscription = client.subscribe(
    destination,
    (message) => {
      heard.push(message);
      wake();
    },
    headers,
  );
  const until = async (count: number) => {
    while (heard.length < count) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    return heard;
  };
  return { until, subscription };
}
const receipt = (client: Client, id: string) =>
  new Promise<void>((resolve) => client.watchForReceipt(id, () => resolve()));

describe("@stomp/stompjs over WebSocket", () => {
  it.each([
    [["v12.stomp", "v11.stomp", "v10.stomp"], "1.2", "v12.stomp"],
    [["v10.stomp", "v11.stomp"], "1.2", "v11.stomp"],
    [["v10.stomp"], "1.2", "v10.stomp"],
  ])("offers %j, gets version %s on %s", async (subprotocols, version, agreed) => {
    let socket: WebSocket | undefined;
    const { client, connected } = await connect({
      webSocketFactory: () => {
        socket = open(subprotocols);
        return socket;
      },
    });
    expect([connected.headers["version"], client.connectedVersion, socket?.protocol]).toEqual([
      version,
      version,
      agreed,
    ]);
  });

  it.each(["ws", "wss"] as const)("sends with receipt and hears over %s", async (transport) => {
    const { client } = await connect({}, undefined, transport);
    const destination = `/topic/${topic()}`;
    const { until } = listen(client, destination);
    const accepted = receipt(client, "r1");
    client.publish({ destination, body: "hellö", headers: { receipt: "r1", "k:ey": "v\\1:\n" } });
    await accepted;
    const [message] = await until(1);
    expect(message?.body).toBe("hellö");
    expect(message?.headers).toMatchObject({ destination, "content-length": "6" });
  });

  it("carries binary bodies, in binary messages when the client asks for them", async () => {
    for (const forceBinaryWSFrames of [false, true]) {
      const { client } = await connect({ forceBinaryWSFrames });
      const destination = topic();
      const { until } = listen(client, destination);
      const binaryBody = Uint8Array.from({ length: 256 }, (_, n) => n);
      client.publish({ destination, binaryBody });
      expect((await until(1))[0]?.binaryBody).toEqual(binaryBody);
    }
  });

  it("acknowledges and refuses", async () => {
    const { client } = await connect();
    const destination = `/queue/${topic()}`;
    const headers = { ack: "client-individual", "prefetch-count": "1" };
    const { until } = listen(client, destination, headers);
    for (const body of ["1", "2"]) client.publish({ destination, body });
    (await until(1))[0]?.nack();
    (await until(2))[1]?.ack();
    const heard = await until(3);
    expect(heard.map(({ body, headers }) => [body, headers["redelivered"]])).toEqual([
      ["1", undefined],
      ["1", "true"],
      ["2", undefined],
    ]);
  });

  it("commits a transaction", async () => {
    const { client } = await connect();
    const destination = topic();
    const { until } = listen(client, destination);
    const lost = client.begin();
    client.publish({ destination, body: "never", headers: { transaction: lost.id } });
    lost.abort();
    const kept = client.begin();
    for (const body of ["1", "2"]) client.publish({ destination, body, headers: { transaction: kept.id } });
    client.publish({ destination, body: "outside" });
    kept.commit();
    expect((await until(3)).map(({ body }) => body)).toEqual(["outside", "1", "2"]);
  });

  it("is told what is wrong before the end", async () => {
    const errors: string[] = [];
    const { client } = await connect({
      onStompError: ({ headers }) => errors.push(headers["message"] ?? ""),
    });
    const closed = new Promise((resolve) => {
      client.onWebSocketClose = resolve;
    });
    client.subscribe("a", () => {}, { selector: "x > 5" });
    await closed;
    expect(errors).toEqual(["selectors are not supported"]);
  });

  it("disconnects in order, and unsubscribes", async () => {
    const { client } = await connect();
    const destination = topic();
    const { subscription } = listen(client, destination);
    const gone = receipt(client, "u");
    subscription.unsubscribe({ receipt: "u" });
    await gone;
    const done = new Promise<IFrame>((resolve) => {
      client.onDisconnect = resolve;
    });
    await client.deactivate();
    expect((await done).command).toBe("RECEIPT");
  });

  it("stays connected by heart-beats in both directions", async () => {
    let failed = false;
    const { client } = await connect({
      heartbeatIncoming: 1000,
      heartbeatOutgoing: 300,
      onWebSocketClose: () => {
        failed = true;
      },
    });
    await new Promise((resolve) => setTimeout(resolve, 2500));
    expect([failed, client.connected]).toEqual([false, true]);
  });
});

describe("a WebSocket", () => {
  it("of no subprotocol is taken, one of another path is not", async () => {
    const { connected } = await connect({}, []);
    expect(connected.headers["version"]).toBe("1.2");
    const stranger = new WebSocket(`ws://127.0.0.1:${gateway.port("stomp", "ws")}/other`);
    const status = await new Promise((resolve) => {
      stranger.on("unexpected-response", (_, response) => resolve(response.statusCode));
      stranger.on("error", () => {});
    });
    expect(status).toBe(404);
  });

  it("answers in text to text and in binary to binary", async () => {
    const socket = open(["v12.stomp"]);
    const kinds: boolean[] = [];
    let wake: () => void = () => {};
    socket.on("message", (_, binary) => {
      kinds.push(binary);
      wake();
    });
    await new Promise((resolve) => socket.once("open", resolve));
    const say = async (bytes: Buffer, binary: boolean) => {
      const answered = new Promise<void>((resolve) => {
        wake = resolve;
      });
      socket.send(binary ? bytes : bytes.toString(), { binary });
      await answered;
    };
    await say(frame("CONNECT", { "accept-version": "1.2", host: "h" }), false);
    await say(frame("SEND", { destination: "a", receipt: "1" }), true);
    await say(frame("SEND", { destination: "a", receipt: "2" }), false);
    expect(kinds).toEqual([false, true, false]);
    socket.terminate();
  });
});

describe("SockJS's websocket transport", () => {
  it("on the wire: o, a[...], and a close that says normal", async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${gateway.port("stomp", "ws")}/live/123/abcdefgh/websocket`);
    const texts: string[] = [];
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.on("message", (data, binary) => texts.push(binary ? "binary!" : String(data)));
    await new Promise((resolve) => socket.once("open", resolve));
    const say = (...frames: Buffer[]) => socket.send(JSON.stringify(frames.map(String)));
    say(frame("CONNECT", { "accept-version": "1.2", host: "h" }));
    say(
      frame("SUBSCRIBE", { id: "0", destination: "a" }),
      frame("SEND", { destination: "a", receipt: "r" }, "x\n"),
    );
    say(frame("DISCONNECT", { receipt: "bye" }));
    await closed;
    expect(texts[0]).toBe("o");
    expect(texts.at(-1)).toBe('c[1000,"Normal closure"]');
    const reader = new FrameReader();
    const frames = texts.slice(1, -1).flatMap((text) => {
      expect(text.startsWith("a[")).toBe(true);
      return (JSON.parse(text.slice(1)) as string[]).flatMap((part) => reader.push(Buffer.from(part)));
    });
    expect(frames.map(({ command }) => command).sort()).toEqual([
      "CONNECTED",
      "MESSAGE",
      "RECEIPT",
      "RECEIPT",
    ]);
    expect(header(frames.at(-1), "receipt-id")).toBe("bye");
  });
});
