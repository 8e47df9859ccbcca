/** InfluxDB, and what takes its line protocol as it does: over HTTP in the forms of 1.x and 2.x, and over UDP. */
import { type Static, Type } from "@sinclair/typebox";
import type { DatagramSender } from "../net/transport.ts";
import { choice, text } from "../settings/kinds.ts";
import {
  type ConnectHost,
  type Connector,
  type ConnectorKind,
  type Item,
  SinkFailure,
  secretOf,
} from "./connector.ts";
import { pointLine } from "./line-protocol.ts";
import { actionSchema, certificateProperties, connectorSchema, secretText, templateMap } from "./settings.ts";
import { heals, isTaken, MENDED, refusalOf, WebClient } from "./web-client.ts";
import { within } from "./within.ts";

const schema = connectorSchema("influxdb", {
  is: "An InfluxDB server.",
  batch: 500,
  own: {
    url: text({
      description: "Where it is: http, https, or udp with host and port, which acknowledges nothing.",
      pattern: "^(https?://[^?#\\s]+|udp://[^/?#\\s]+:\\d{1,5})$",
      default: "http://127.0.0.1:8086",
    }),
    version: choice(["1", "2"], {
      description:
        "1: database, username and password at /write. 2: org, bucket and token at /api/v2/write. Of no use over UDP.",
      default: "1",
    }),
    database: text({ description: "Database (1.x).", default: "mqtt" }),
    retentionPolicy: text({ description: "Retention policy (1.x). Empty: the default one.", default: "" }),
    username: text({ description: "Who signs in (1.x). Empty: nobody.", default: "" }),
    password: secretText("Its password (1.x)", { default: "" }),
    org: text({ description: "Organization (2.x).", default: "" }),
    bucket: text({ description: "Bucket (2.x).", default: "mqtt" }),
    token: secretText("Token (2.x)", { default: "" }),
    ...certificateProperties,
  },
  description: "Points for InfluxDB: acknowledged by 2xx, over UDP by nothing.",
});
type Config = Static<typeof schema>;

const action = actionSchema("influxdb", {
  does: "Write a point.",
  own: {
    measurement: text({ description: "A template.", minLength: 1 }),
    tags: templateMap("What is missing or empty is left out.", Type.String({ minLength: 1 })),
    fields: Type.Record(Type.String({ minLength: 1 }), text({ description: "A template." }), {
      description:
        "A place alone keeps its type: ${payload.t}; with i behind it is a whole number, with u one without a sign. What is missing is left out.",
    }),
    timestamp: text({ description: "A template. Empty: when the server takes it.", default: "${timestamp}" }),
    precision: choice(["ns", "us", "ms", "s"], { description: "Unit of timestamp.", default: "ms" }),
  },
  description: "A point for InfluxDB for each output.",
});
type ActionConfig = Static<typeof action>;

const linesOf = (items: readonly Item[]): string =>
  items.map(({ parameters }) => `${parameters["line"]}\n`).join("");

class OverHttp implements Connector {
  readonly #web: WebClient;
  readonly #url: string;
  readonly #base: string;
  readonly #headers: Record<string, string>;

  constructor(config: Config, host: ConnectHost) {
    const { version, database, retentionPolicy, username, org, bucket } = config;
    this.#web = new WebClient(config, host);
    this.#base = config.url.replace(/\/$/, "");
    const asked =
      version === "1"
        ? { db: database, ...(retentionPolicy === "" ? {} : { rp: retentionPolicy }) }
        : { org, bucket };
    const query = new URLSearchParams({ ...asked, precision: "ns" } as Record<string, string>);
    this.#url = `${this.#base}${version === "1" ? "/write" : "/api/v2/write"}?${query}`;
    const token = secretOf(config.token, host);
    const pair = Buffer.from(`${username}:${secretOf(config.password, host)}`).toString("base64");
    const signed = version === "1" ? username !== "" && `Basic ${pair}` : token !== "" && `Token ${token}`;
    this.#headers = {
      "content-type": "text/plain; charset=utf-8",
      ...(signed === false ? {} : { authorization: signed }),
    };
  }

  /** What fails as a whole is given line by line: a point that is there is written over by itself. */
  async send(items: readonly Item[], signal: AbortSignal): Promise<undefined> {
    const answer = await this.#web.ask(
      ...(["POST", this.#url, this.#headers, linesOf(items), signal] as const),
    );
    const { status } = answer;
    if (!isTaken(answer)) throw refusalOf("server", answer, heals(status) || MENDED.includes(status));
  }

  async check(signal: AbortSignal): Promise<void> {
    const { status } = await this.#web.ask("GET", `${this.#base}/ping`, this.#headers, "", signal);
    if (status >= 500) throw new SinkFailure(`the server answers ${status}`, true);
  }

  close(): Promise<void> {
    return this.#web.close();
  }
}

/** Octets of a datagram that crosses most networks in one piece. */
const DATAGRAM = 1400;

/** Nobody says whether it has arrived. */
class OverUdp implements Connector {
  readonly #sender: DatagramSender;

  constructor(url: string, host: ConnectHost) {
    const { hostname, port } = new URL(url.replace(/^udp:/, "http:"));
    this.#sender = host.datagrams(hostname.replace(/^\[|\]$/g, ""), Number(port === "" ? 80 : port));
  }

  async send(items: readonly Item[], signal: AbortSignal): Promise<undefined> {
    let lines = "";
    for (const item of items) {
      const line = linesOf([item]);
      if (lines !== "" && Buffer.byteLength(lines + line) > DATAGRAM) {
        await within(signal, this.#sender.send(lines));
        lines = "";
      }
      lines += line;
    }
    await within(signal, this.#sender.send(lines));
  }

  /** There is nothing to ask. */
  async check(): Promise<void> {}

  async close(): Promise<void> {
    this.#sender.close();
  }
}

export const influxdb: ConnectorKind<Config, ActionConfig> = {
  kind: "influxdb",
  schema,
  action,
  libraries: ["undici"],
  open: (config, host) =>
    config.url.startsWith("udp:") ? new OverUdp(config.url, host) : new OverHttp(config, host),
  compile(settings) {
    const line = pointLine(settings);
    return (output) => ({ line: line(output) });
  },
};
