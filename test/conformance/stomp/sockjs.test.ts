import { Client, type IMessage } from "@stomp/stompjs";
import SockJS from "sockjs-client";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { FrameReader, frame } from "../../support/stomp-frames.ts";

/** The transports of sockjs-client that a Node process and a browser of today have. */
const TRANSPORTS = ["websocket", "xhr-streaming", "eventsource", "xhr-polling"] as const;

let gateway: TestGateway;
const clients: Client[] = [];
const sockets: SockJS[] = [];
let topics = 0;
beforeAll(async () => {
  gateway = await startGateway({
    gateways: {
      stomp: {
        sockjs: ["/live"],
        listeners: {
          ws: { limits: { packetSize: "200KB" }, websocket: { origins: ["http://good.example"] } },
        },
      },
    },
  });
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.deactivate({ force: true })));
  for (const socket of sockets.splice(0)) socket.close();
});
afterAll(async () => {
  await gateway.stop();
  expect(gateway.log).toEqual([]);
});

const url = (path: string) => `http://127.0.0.1:${gateway.port("stomp", "ws")}${path}`;

function open(transport: string): SockJS {
  const socket = new SockJS(url("/live"), null, { transports: [transport] });
  sockets.push(socket);
  return socket;
}

/** @stomp/stompjs over sockjs-client, as Spring's users have it. */
function connect(transport: string, closed?: () => void): Promise<Client> {
  return new Promise((resolve, reject) => {
    const client: Client = new Client({
      webSocketFactory: () => open(transport),
      reconnectDelay: 0,
      heartbeatIncoming: 2000,
      heartbeatOutgoing: 2000,
      connectHeaders: { host: "isthmus" },
      onConnect: () => resolve(client),
      onStompError: ({ headers }) => reject(new Error(headers["message"])),
      onWebSocketClose: () => {
        closed?.();
        reject(new Error("closed"));
      },
    });
    clients.push(client);
    client.activate();
  });
}

describe.each(TRANSPORTS)("sockjs-client by %s", (transport) => {
  it("subscribes, sends, acknowledges and says goodbye", async () => {
    const destination = `sockjs/${topics++}`;
    const client = await connect(transport);
    const messages: IMessage[] = [];
    client.subscribe(destination, (message) => messages.push(message), { ack: "client-individual" });
    for (const body of ["one", 'two "quoted"\nä €', ""]) client.publish({ destination, body });
    await expect
      .poll(() => messages.map(({ body }) => body), { timeout: 30_000 })
      .toEqual(["one", 'two "quoted"\nä €', ""]);
    const receipts: string[] = [];
    client.watchForReceipt("acked", () => receipts.push("acked"));
    client.ack(messages[0]?.headers["message-id"] ?? "", messages[0]?.headers["subscription"] ?? "", {
      id: messages[0]?.headers["ack"] ?? "",
      receipt: "acked",
    });
    await expect.poll(() => receipts, { timeout: 30_000 }).toEqual(["acked"]);
    await client.deactivate();
  });

  it("carries more than one response may hold", async () => {
    const destination = `sockjs/${topics++}`;
    const client = await connect(transport);
    const lengths: number[] = [];
    client.subscribe(destination, ({ body }) => lengths.push(body.length));
    const body = "x".repeat(60_000);
    for (let n = 0; n < 6; n++) client.publish({ destination, body });
    await expect.poll(() => lengths, { timeout: 30_000 }).toEqual(Array(6).fill(60_000));
  });

  it("is told why a connection ends, and that it ends", async () => {
    let closes = 0;
    const client = await connect(transport, () => closes++);
    client.publish({ destination: "" });
    await expect.poll(() => closes, { timeout: 30_000 }).toBe(1);
  });
});

describe("SockJS over plain HTTP", () => {
  const post = (path: string, body?: string, headers: Record<string, string> = {}) =>
    fetch(url(`/live${path}`), { method: "POST", headers, ...(body === undefined ? {} : { body }) });
  const stomp = (bytes: Uint8Array) => JSON.stringify([Buffer.from(bytes).toString()]);
  const CONNECT = frame("CONNECT", { "accept-version": "1.2", host: "h" });

  it("says what there is at info, afresh each time", async () => {
    const [first, second] = await Promise.all([fetch(url("/live/info")), fetch(url("/live/info"))]);
    expect(first.headers.get("content-type")).toMatch(/^application\/json/);
    expect(first.headers.get("cache-control")).toMatch(/no-store/);
    const info = (await first.json()) as Record<string, unknown>;
    expect(info).toMatchObject({ websocket: true, origins: ["*:*"], cookie_needed: false });
    expect(((await second.json()) as Record<string, unknown>)["entropy"]).not.toBe(info["entropy"]);
  });

  it("greets at its prefix, and knows nothing besides", async () => {
    expect(await (await fetch(url("/live/"))).text()).toBe("Welcome to SockJS!\n");
    for (const path of ["/live/a", "/live/a/b", "/live/a/b/other", "/live/a/b/xhr/more", "/live/a.b/c/xhr"]) {
      expect((await fetch(url(path), { method: "POST" })).status).toBe(404);
    }
    expect((await fetch(url("/live/a/b/xhr"))).status).toBe(405);
    expect((await fetch(url("/elsewhere"))).status).toBe(426);
  });

  it("answers polls: o first, then what there is; and takes what is sent", async () => {
    expect(await (await post("/0/poll/xhr")).text()).toBe("o\n");
    expect((await post("/0/poll/xhr_send", stomp(CONNECT))).status).toBe(204);
    const answer = await (await post("/0/poll/xhr")).text();
    const [connected] = JSON.parse(answer.slice(1)) as string[];
    expect(new FrameReader().push(Buffer.from(connected ?? ""))[0]?.command).toBe("CONNECTED");
    await post("/0/poll/xhr_send", stomp(frame("DISCONNECT", { receipt: "bye" })));
    expect(await (await post("/0/poll/xhr")).text()).toMatch(/bye.*\nc\[1000,"Normal closure"\]\n$/s);
    expect((await post("/0/poll/xhr_send", stomp(CONNECT))).status).toBe(404);
  });

  it("refuses what it cannot take", async () => {
    expect((await post("/0/nobody/xhr_send", "[]")).status).toBe(404);
    await (await post("/0/strict/xhr")).text();
    expect((await post("/0/strict/xhr_send")).status).toBe(500);
    expect((await post("/0/strict/xhr_send", JSON.stringify(["x".repeat(2_000_000)]))).status).toBe(413);
    expect((await post("/0/strict/xhr_send", "no json")).status).toBe(204);
    expect(await (await post("/0/strict/xhr")).text()).toBe('c[1003,"Broken framing"]\n');
  });

  it("lets one response wait at a time", async () => {
    await (await post("/0/twice/xhr")).text();
    const first = post("/0/twice/xhr");
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await (await post("/0/twice/xhr")).text()).toBe('c[2010,"Another connection still open"]\n');
    await post("/0/twice/xhr_send", stomp(CONNECT));
    expect(await (await first).text()).toMatch(/CONNECTED/);
  });

  it("ends a session whose stream breaks off, and one whose client stays away for 5 s", async () => {
    const { lifecycle } = gateway.composition;
    const clientsNow = () => lifecycle.listeners.reduce((sum, { door }) => sum + door.loops.size, 0);
    await expect.poll(clientsNow, { timeout: 30_000 }).toBe(0);
    const abort = new AbortController();
    const response = await fetch(url("/live/0/cut/xhr_streaming"), { method: "POST", signal: abort.signal });
    await response.body?.getReader().read();
    expect(clientsNow()).toBe(1);
    abort.abort();
    await expect.poll(clientsNow, { timeout: 30_000 }).toBe(0);
    await (await post("/0/away/xhr")).text();
    expect(clientsNow()).toBe(1);
    await expect.poll(clientsNow, { timeout: 30_000 }).toBe(0);
    expect((await post("/0/away/xhr_send", "[]")).status).toBe(404);
  }, 40_000);

  it("tells browsers which origins may come, and refuses others", async () => {
    const good = { origin: "http://good.example", "access-control-request-headers": "x-test" };
    const preflight = await fetch(url("/live/0/o/xhr"), { method: "OPTIONS", headers: good });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-origin")).toBe("http://good.example");
    expect(preflight.headers.get("access-control-allow-credentials")).toBe("true");
    expect(preflight.headers.get("access-control-allow-methods")).toBe("OPTIONS, POST");
    expect(preflight.headers.get("access-control-allow-headers")).toBe("x-test");
    expect((await post("/0/o/xhr", undefined, { origin: "http://evil.example" })).status).toBe(403);
  });

  it("is plain WebSocket at <prefix>/websocket", async () => {
    const socket = new WebSocket(url("/live/websocket").replace("http", "ws"));
    const reader = new FrameReader();
    const command = await new Promise((resolve, reject) => {
      socket.on("open", () => socket.send(CONNECT.toString()));
      socket.on("error", reject);
      socket.on("message", (data) => resolve(reader.push(data as Buffer)[0]?.command));
    });
    expect(command).toBe("CONNECTED");
    socket.terminate();
  });
});
