import { once } from "node:events";
import stompit, { type Client, type Message } from "stompit";
import { afterAll, describe as anyDescribe, beforeAll, expect, it } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { lacks } from "../../support/programs.ts";
import { Certificates } from "../../unit/net/certificates.ts";

const describe = anyDescribe.skipIf(lacks("openssl"));

let gateway: TestGateway;
const certificates = new Certificates();
const clients: Client[] = [];
let topics = 0;
const topic = () => `stompit/${topics++}`;
beforeAll(async () => {
  certificates.issue("server", "/CN=localhost");
  gateway = await startGateway({
    tls: { cert: certificates.path("server.pem"), key: certificates.path("server.key") },
    gateways: { stomp: {} },
  });
});
afterAll(async () => {
  for (const client of clients) client.destroy();
  await gateway.stop();
  certificates.remove();
  expect(gateway.log).toEqual([]);
});

const connect = (version: string, ssl = false, headers: Record<string, string> = {}): Promise<Client> =>
  new Promise((resolve, reject) => {
    const port = gateway.port("stomp", ssl ? "tls" : "tcp");
    const connectHeaders = {
      host: "isthmus",
      "accept-version": version,
      "heart-beat": "2000,2000",
      ...headers,
    };
    stompit.connect(
      { host: "127.0.0.1", port, ssl, rejectUnauthorized: false, connectHeaders },
      (error, client) => {
        if (error !== null) return reject(error);
        clients.push(client);
        client.on("error", () => {});
        resolve(client);
      },
    );
  });
const send = (client: Pick<Client, "send">, headers: Record<string, string>, body: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const frame = client.send(headers, { onReceipt: resolve, onError: reject });
    frame.end(body);
  });
const bodyOf = (message: Message): Promise<string> =>
  new Promise((resolve, reject) =>
    message.readString("utf-8", (error, body) => (error === null ? resolve(body) : reject(error))),
  );

/** Collects messages with their bodies. */
function listen(client: Client, headers: Record<string, string>) {
  const heard: { message: Message; body: string }[] = [];
  let wake: () => void = () => {};
  const subscription = client.subscribe(headers, async (error, message) => {
    if (error !== null) return;
    heard.push({ message, body: await bodyOf(message) });
    wake();
  });
  const until = async (count: number) => {
    while (heard.length < count) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    return heard;
  };
  return { heard, until, subscription };
}

describe.each(["1.0", "1.1", "1.2"])("stompit speaks STOMP %s", (version) => {
  it.each([false, true])("sends with receipt and hears (TLS: %s)", async (ssl) => {
    const client = await connect(version, ssl);
    const destination = topic();
    const { until } = listen(client, { destination });
    await send(client, { destination, "content-type": "text/plain", receipt: "1", foo: "bär" }, "hellö");
    const [heard] = await until(1);
    expect(heard?.body).toBe("hellö");
    expect(heard?.message.headers).toMatchObject({ destination, foo: "bär", "content-type": "text/plain" });
    await new Promise<void>((resolve, reject) =>
      client.disconnect((error) => (error ? reject(error) : resolve())),
    );
  });

  it("acknowledges; what it does not acknowledge another connection gets", async () => {
    const [first, second, publisher] = await Promise.all([
      connect(version),
      connect(version),
      connect(version),
    ]);
    const name = topic();
    const ack = version === "1.0" ? "client" : "client-individual";
    const queue = { destination: `/queue/${name}`, ack };
    const work = listen(first, queue);
    // A SUBSCRIBE has been processed when the receipt of a later frame is here.
    await send(first, { destination: topic(), receipt: "s" }, "");
    await send(publisher, { destination: `/queue/${name}`, receipt: "1" }, "one");
    await send(publisher, { destination: `/queue/${name}`, receipt: "2" }, "two");
    const [one] = await work.until(2);
    await new Promise<void>((resolve) =>
      first.ack(one?.message as Message, { receipt: "a" }, { onReceipt: resolve }),
    );
    const rest = listen(second, queue);
    await send(second, { destination: topic(), receipt: "s" }, "");
    first.destroy();
    expect((await rest.until(1)).map(({ body }) => body)).toEqual(["two"]);
  });

  it("commits and aborts transactions", async () => {
    const client = await connect(version);
    const destination = topic();
    const { heard, until } = listen(client, { destination });
    const aborted = client.begin();
    aborted.send({ destination }).end("never");
    aborted.abort();
    const committed = client.begin();
    for (const body of ["1", "2", "3"]) committed.send({ destination }).end(body);
    await send(client, { destination, receipt: "x" }, "outside");
    await new Promise<void>((resolve) => committed.commit({ onReceipt: resolve }));
    await until(4);
    expect(heard.map(({ body }) => body)).toEqual(["outside", "1", "2", "3"]);
  });
});

describe("stompit", () => {
  it("gets messages back that it refuses with NACK", async () => {
    const client = await connect("1.2");
    const destination = topic();
    const { until } = listen(client, { destination, ack: "client-individual" });
    await send(client, { destination, receipt: "1" }, "try me");
    const [first] = await until(1);
    client.nack(first?.message as Message);
    const [, again] = await until(2);
    expect(again?.message.headers).toMatchObject({ redelivered: "true" });
  });

  it("stays connected by heart-beats", async () => {
    const client = await connect("1.2", false, { "heart-beat": "300,1000" });
    const failed = Promise.race([
      once(client as never, "error").then(() => "failed"),
      new Promise((resolve) => setTimeout(resolve, 2600, "alive")),
    ]);
    expect(await failed).toBe("alive");
    await send(client, { destination: topic(), receipt: "r" }, "still here");
  });
});
