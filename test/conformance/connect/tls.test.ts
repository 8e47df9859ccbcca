/** Sinks over TLS, with servers that ask for a certificate: each kind at the real server, by its name and by another. */
import { chmodSync, chownSync, readFileSync } from "node:fs";
import { createServer, request } from "node:https";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { CqlServer } from "../../support/cql-server.ts";
import { freeTcpPort } from "../../support/free-ports.ts";
import { KafkaMock } from "../../support/kafka.ts";
import { startNats, startRabbitmq } from "../../support/message-servers.ts";
import { FakeMongodb } from "../../support/mongodb-server.ts";
import { lacks } from "../../support/programs.ts";
import { PulsarServer } from "../../support/pulsar-server.ts";
import {
  startInfluxdb,
  startMariadb,
  startMosquitto,
  startPostgres,
  startRedis,
} from "../../support/servers.ts";
import { addsUp, SinkSite } from "../../support/sink-site.ts";
import { until } from "../../support/store-process.ts";
import { TcpRelay } from "../../support/tcp-relay.ts";
import { Certificates } from "../../unit/net/certificates.ts";

/** A server whose certificate is for `localhost`, and no address. */
interface Secured {
  /** What is configured of where it is, beside the files. */
  at(host: string): object;
  stop(): unknown;
}

const files = new Certificates();
const site = new SinkSite();

describe.skipIf(
  lacks(
    "openssl",
    "nats-server",
    "rabbitmq-server",
    "redis-server",
    "pg_ctlcluster",
    "mariadbd",
    "influxd",
    "mosquitto",
    "kcat",
  ),
)("a connector over TLS", () => {
  beforeAll(() => {
    files.issue("server", "/CN=localhost", 30, { names: "DNS:localhost" });
    files.issue("gateway", "/CN=gateway");
    chmodSync(files.folder, 0o755);
  });
  afterAll(() => files.remove());
  afterEach(() => site.stop());

  const [ca, cert, key] = ["ca.pem", "server.pem", "server.key"].map((name) => files.path(name)) as [
    string,
    string,
    string,
  ];
  const OWN = { cert: files.path("gateway.pem"), key: files.path("gateway.key") };

  const SERVERS: Readonly<Record<string, readonly [start: () => Promise<Secured>, action: object]>> = {
    http: [startWeb, {}],
    nats: [secureNats, {}],
    rabbitmq: [secureRabbitmq, { mandatory: false }],
    redis: [secureRedis, { command: "SET a ${payload}" }],
    postgres: [securePostgres, { sql: "select ${payload}::text" }],
    mysql: [secureMariadb, { sql: "select ${payload}" }],
    influxdb: [secureInfluxdb, { measurement: "m", fields: { n: "${payload.n}" } }],
    mqtt: [secureMosquitto, { retain: false }],
    opentsdb: [startWeb, { metric: "m", value: "${payload.n}", tags: { a: "b" } }],
    dynamodb: [secureDynamoDb, { table: "numbers", item: { id: "1" } }],
    kafka: [secureKafka, { topic: "secured" }],
    mongodb: [secureMongodb, { collection: "t" }],
    cassandra: [secureCassandra, { cql: "insert into n (n) values (${payload.n})" }],
    pulsar: [securePulsar, {}],
  };
  /** InfluxDB 1.6 asks nobody for a certificate. */
  const ASKS_NOT: readonly string[] = ["influxdb"];

  const asking = () => ({
    ...{ requestCert: true, rejectUnauthorized: true },
    ...{ ca: readFileSync(ca), cert: readFileSync(cert), key: readFileSync(key) },
  });

  async function startWeb(): Promise<Secured> {
    const server = createServer(asking(), (request, response) => {
      request.resume().on("end", () => response.end("{}"));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    return {
      at: (host) => ({ url: `https://${host}:${port}` }),
      stop() {
        server.close();
        server.closeAllConnections();
      },
    };
  }

  async function secureNats(): Promise<Secured> {
    const server = await startNats(
      `tls { cert_file: "${cert}", key_file: "${key}", ca_file: "${ca}", verify: true }`,
    );
    const at = (host: string) => ({ servers: [`${host}:${server.port}`], tls: true, acknowledge: "server" });
    return { at, stop: server.stop };
  }

  async function secureRabbitmq(): Promise<Secured> {
    const port = await freeTcpPort();
    const server = await startRabbitmq(
      ...[`listeners.ssl.1 = 127.0.0.1:${port}`, `ssl_options.cacertfile = ${ca}`],
      ...[`ssl_options.certfile = ${cert}`, `ssl_options.keyfile = ${key}`],
      ...["ssl_options.verify = verify_peer", "ssl_options.fail_if_no_peer_cert = true"],
    );
    return { at: (host) => ({ host, port, tls: true, password: "guest" }), stop: server.stop };
  }

  async function secureRedis(): Promise<Secured> {
    const port = await freeTcpPort();
    const given = ["--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", ca];
    const server = await startRedis("--tls-port", `${port}`, "--tls-auth-clients", "yes", ...given);
    return { at: (host) => ({ host, port, tls: true }), stop: server.stop };
  }

  async function securePostgres(): Promise<Secured> {
    const hba = files.write("hba", "hostssl all all all trust clientcert=verify-ca\n");
    chmodSync(hba, 0o644);
    // A key must belong to its server, or to root and nobody else.
    chmodSync(key, 0o600);
    if (process.getuid?.() === 0) chownSync(key, NOBODY, NOBODY);
    const given = { ssl: "on", ssl_cert_file: cert, ssl_key_file: key, ssl_ca_file: ca, hba_file: hba };
    const server = await startPostgres(...Object.entries(given).map(([name, value]) => `${name}=${value}`));
    const { port, stop } = server;
    return { at: (host) => ({ host, port, tls: true, user: "root", database: "postgres" }), stop };
  }

  async function secureMariadb(): Promise<Secured> {
    const first = files.write(
      "init.sql",
      "CREATE DATABASE mqtt;\nCREATE USER 'gateway'@'localhost' REQUIRE X509;\nGRANT ALL ON mqtt.* TO 'gateway'@'localhost';\n",
    );
    const given = [`--ssl-cert=${cert}`, `--ssl-key=${key}`, `--ssl-ca=${ca}`, `--init-file=${first}`];
    const { port, stop } = await startMariadb(...given);
    return { at: (host) => ({ host, port, tls: true, user: "gateway" }), stop };
  }

  async function secureInfluxdb(): Promise<Secured> {
    const { port, stop } = await startInfluxdb({ cert, key });
    const path = `/query?q=${encodeURIComponent("CREATE DATABASE mqtt")}`;
    await new Promise((done, failed) => {
      const asked = { host: "localhost", port, path, method: "POST", ca: readFileSync(ca) };
      request(asked, (answer) => answer.resume().on("end", done))
        .on("error", failed)
        .end();
    });
    const at = (host: string) => ({ url: `https://${host}:${port}` });
    return { at, stop };
  }

  async function secureMosquitto(): Promise<Secured> {
    const port = await freeTcpPort();
    const server = await startMosquitto(
      ...[`listener ${port} 127.0.0.1`, `cafile ${ca}`, `certfile ${cert}`, `keyfile ${key}`],
      "require_certificate true",
    );
    return { at: (host) => ({ url: `tls://${host}:${port}` }), stop: server.stop };
  }

  async function secureDynamoDb(): Promise<Secured> {
    const { at, stop } = await startWeb();
    return { at: (host) => ({ ...at(host), accessKeyId: "a", secretAccessKey: "b" }), stop };
  }

  /** Peers here that speak no TLS by themselves: it ends in front of them. */
  async function behindTls(to: number, at: (host: string, port: number) => object, stop: () => unknown) {
    const relay = await new TcpRelay(to, asking()).start();
    return {
      relay,
      at: (host: string) => at(host, relay.port),
      async stop() {
        await relay.stop();
        await stop();
      },
    };
  }

  async function secureKafka(): Promise<Secured> {
    const kafka = await new KafkaMock().start();
    const at = (host: string, port: number) => ({ brokers: [`${host}:${port}`], tls: true });
    const secured = await behindTls(kafka.port, at, () => kafka.stop());
    kafka.advertised = { host: "localhost", port: secured.relay.port };
    return secured;
  }

  async function secureMongodb(): Promise<Secured> {
    const server = new FakeMongodb();
    return behindTls(
      await server.start(),
      (host, port) => ({
        // Its driver looks for a server that it trusts for so long.
        ...{ url: `mongodb://${host}:${port}/?directConnection=true`, tls: true, timeout: "3s" },
      }),
      () => server.stop(),
    );
  }

  async function secureCassandra(): Promise<Secured> {
    const server = new CqlServer();
    server.tables["n"] = { n: "int" };
    const at = (host: string, port: number) => ({ nodes: [`${host}:${port}`], tls: true });
    return behindTls(await server.start(), at, () => server.stop());
  }

  async function securePulsar(): Promise<Secured> {
    const server = await new PulsarServer().start();
    return behindTls(
      server.port,
      (host, port) => ({ url: `wss://${host}:${port}` }),
      () => server.stop(),
    );
  }

  it.each(Object.keys(SERVERS))(
    "of kind %s shows its certificate, and trusts only the authority and the name that it was told",
    async (kind) => {
      const [start, action] = SERVERS[kind]!;
      const server = await start();
      try {
        const common = { kind, ...{ retry: { first: "10ms", longest: "100ms" }, health: "1h" } };
        const connectors: Record<string, object> = {
          good: { ...common, ...server.at("localhost"), ca, ...OWN },
          misnamed: { ...common, ...server.at("127.0.0.1"), ca, ...OWN },
          strange: { ...common, ...server.at("localhost"), ...OWN },
          unknown: { ...common, ...server.at("localhost"), ca },
        };
        if (ASKS_NOT.includes(kind)) delete connectors["unknown"];
        const actions = Object.keys(connectors).map((connector) => ({ kind, connector, ...action }));
        await site.runAll({ connectors, rules: { r: { sql: 'SELECT * FROM "t/#"', actions } } });
        await (await site.connect()).publishAsync("t/1", '{"n":1}', { qos: 1 });
        await until(() => site.sink("good").counters.success === 1, "it is taken");
        const refused = [...site.sinks()].filter(({ name }) => name !== "good");
        await until(() => refused.every(({ state }) => state === "disconnected"), "the others are refused");
        expect(site.sink("misnamed").reason).toMatch(/altnames|127\.0\.0\.1/);
        expect(site.sink("strange").reason).toMatch(/certificate|issuer/i);
        for (const sink of site.sinks()) addsUp(sink);
        expect(refused.map(({ counters }) => counters.success + counters.failed)).toEqual(
          refused.map(() => 0),
        );
      } finally {
        await site.stop();
        await server.stop();
      }
    },
    240_000,
  );
});

/** Debian's, as whom PostgreSQL runs. */
const NOBODY = 65_534;
