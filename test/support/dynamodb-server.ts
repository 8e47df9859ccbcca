/** dynalite, which others wrote: DynamoDB's API in this process. It checks no signatures, so that those who ask are looked at here. */
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from "node:http";
import dynalite from "dynalite";

export interface Asked {
  readonly headers: IncomingHttpHeaders;
  /** BatchWriteItem, ... */
  readonly operation: string;
  readonly body: Record<string, unknown>;
}

type Attributes = Record<string, Record<string, unknown>>;

/** A relay of ours in front, on a port that stays, that can answer in its place. */
export class DynamoDbServer {
  readonly asked: Asked[] = [];
  /** Undefined: what dynalite says. */
  answer: (asked: Asked) => { readonly status: number; readonly body: string } | undefined = () => undefined;
  /** Nothing is answered. */
  slow = false;
  port = 0;
  readonly #inner = dynalite({ createTableMs: 0 });
  #innerPort = 0;
  #relay: Server | undefined = undefined;

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#inner.listen(0, "127.0.0.1", resolve));
    this.#innerPort = (this.#inner.address() as { port: number }).port;
    await this.back();
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** With a text as its key. */
  async makeTable(TableName: string, key: string): Promise<void> {
    const given = {
      ...{ TableName, BillingMode: "PAY_PER_REQUEST" },
      AttributeDefinitions: [{ AttributeName: key, AttributeType: "S" }],
      KeySchema: [{ AttributeName: key, KeyType: "HASH" }],
    };
    await this.#ask("CreateTable", given);
    while (!JSON.stringify(await this.#ask("DescribeTable", { TableName })).includes('"ACTIVE"'));
  }

  async items(TableName: string): Promise<Attributes[]> {
    const found: Attributes[] = [];
    for (let from: object = {}; ; ) {
      const page = await this.#ask("Scan", { TableName, ...from });
      found.push(...((page["Items"] as Attributes[] | undefined) ?? []));
      if (page["LastEvaluatedKey"] === undefined) return found;
      from = { ExclusiveStartKey: page["LastEvaluatedKey"] };
    }
  }

  async #ask(operation: string, body: object): Promise<Record<string, unknown>> {
    const headers = {
      ...{ "content-type": "application/x-amz-json-1.0", "x-amz-target": `DynamoDB_20120810.${operation}` },
      "x-amz-date": "20260101T000000Z",
      authorization:
        "AWS4-HMAC-SHA256 Credential=a/20260101/x/dynamodb/aws4_request, SignedHeaders=host, Signature=a",
    };
    const { body: text } = await this.#forward(headers, JSON.stringify(body));
    return JSON.parse(text);
  }

  async #forward(headers: Record<string, string>, body: string): Promise<{ status: number; body: string }> {
    const answer = await fetch(`http://127.0.0.1:${this.#innerPort}`, { method: "POST", headers, body });
    return { status: answer.status, body: await answer.text() };
  }

  async back(): Promise<void> {
    const relay = createServer((incoming, response) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk) => chunks.push(chunk));
      incoming.on(
        "end",
        () => void this.#serve(incoming.headers, Buffer.concat(chunks).toString(), response),
      );
    });
    await new Promise<void>((resolve) => relay.listen(this.port, "127.0.0.1", resolve));
    this.port = (relay.address() as { port: number }).port;
    this.#relay = relay;
  }

  async #serve(headers: IncomingHttpHeaders, body: string, response: ServerResponse): Promise<void> {
    const operation = String(headers["x-amz-target"]).replace(/^.*\./, "");
    const asked = { headers, operation, body: JSON.parse(body) };
    this.asked.push(asked);
    if (this.slow) return;
    const found = this.answer(asked) ?? (await this.#forward(passed(headers), body));
    response.writeHead(found.status, { "content-type": "application/x-amz-json-1.0" }).end(found.body);
  }

  async away(): Promise<void> {
    const relay = this.#relay;
    this.#relay = undefined;
    if (relay === undefined) return;
    const closed = new Promise((resolve) => relay.close(resolve));
    relay.closeAllConnections();
    await closed;
  }

  async stop(): Promise<void> {
    await this.away();
    await new Promise((resolve) => this.#inner.close(resolve));
  }
}

/** What is of the message, and not of its connection. */
const passed = (headers: IncomingHttpHeaders): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).filter(([name]) => /^(content-type|x-amz-|authorization)/.test(name)) as [
      string,
      string,
    ][],
  );
