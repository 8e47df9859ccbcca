/** MQTT clients before a gateway see the broker behind it: the same script has the same answers with and without it. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { lacks } from "../../support/programs.ts";
import { type Server, startMosquitto } from "../../support/servers.ts";
import { Certificates } from "../../unit/net/certificates.ts";
import { AskingServer } from "./transparent/asking-server.ts";
import { CASES, type Case, UNLIKE } from "./transparent/cases.ts";
import { streamTo, Talker, type Transport, type Version } from "./transparent/talker.ts";

const PATIENCE = 120_000;

interface Pair {
  readonly broker: Pick<Server, "port" | "stop">;
  readonly gateway: TestGateway;
}

describe.skipIf(lacks("mosquitto"))("MQTT clients see the broker", { timeout: PATIENCE }, () => {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-transparent-"));
  const certificates = new Certificates();
  certificates.issue("server", "/CN=localhost");
  const pairs: Partial<Record<Case["broker"], Pair>> = {};

  const before = async (...settings: string[]): Promise<Pair> => pair(await startMosquitto(...settings));

  async function pair(broker: Pair["broker"]): Promise<Pair> {
    const gateway = await startGateway({
      tls: { cert: certificates.path("server.pem"), key: certificates.path("server.key") },
      bus: {
        engine: "upstream",
        upstream: {
          servers: [`tcp://127.0.0.1:${broker.port}`],
          grace: "10m",
          patience: "10m",
        },
      },
      // Words of a broker that has none are not to be told from the gateway's own.
      gateways: { mqtt: { reasonStrings: false } },
    });
    return { broker, gateway };
  }

  beforeAll(async () => {
    const passwords = join(folder, "passwords");
    execFileSync("mosquitto_passwd", ["-b", "-c", passwords, "u", "secret"], { stdio: "ignore" });
    const rules = join(folder, "rules");
    writeFileSync(rules, "user u\ntopic readwrite open/#\n");
    pairs.plain = await before();
    pairs.asking = await pair(await AskingServer.start());
    pairs.limited = await before(
      ...["max_qos 1", "retain_available false", "max_keepalive 30", "max_topic_alias 3"],
      ...["max_packet_size 2000", "max_inflight_messages 5", "allow_zero_length_clientid false"],
    );
    pairs.guarded = await before("allow_anonymous false", `password_file ${passwords}`, `acl_file ${rules}`);
  }, PATIENCE);

  afterAll(async () => {
    for (const { broker, gateway } of Object.values(pairs)) {
      await gateway.stop();
      await broker.stop();
    }
    rmSync(folder, { recursive: true, force: true });
  }, PATIENCE);

  async function answers(
    { script }: Case,
    version: Version,
    port: number,
    transport: Transport = "tcp",
  ): Promise<string[]> {
    const heard: string[] = [];
    let count = 0;
    const talkers: Talker[] = [];
    const open = (spoken: Version): Talker => {
      const number = ++count;
      const talker = new Talker(streamTo(transport, port), spoken, (line) =>
        heard.push(`${number}: ${line}`),
      );
      talkers.push(talker);
      return talker;
    };
    try {
      await script(open, version);
    } finally {
      for (const talker of talkers) talker.cut();
    }
    return heard;
  }

  /** The client is gone, and the broker has been told: the next one is not to find its connection. */
  async function over({ composition: { upstream } }: TestGateway): Promise<void> {
    const atBroker = () =>
      [...(upstream?.engine.sessions() ?? [])].some(
        ({ state }) => state === "up" || state === "connecting",
      ) || upstream?.engine.entering !== 0;
    while (atBroker()) await new Promise((resolve) => setTimeout(resolve, 2));
  }

  const both = async (each: Case, version: Version): Promise<{ direct: string[]; through: string[] }> => {
    const { broker, gateway } = pairs[each.broker] as Pair;
    const direct = await answers(each, version, broker.port);
    const through = await answers(each, version, gateway.port("mqtt", "tcp"));
    await over(gateway);
    return { direct, through };
  };

  const rows = CASES.flatMap((each) => each.versions.map((version) => ({ each, version })));
  it.each(rows.map((row) => ({ ...row, name: row.each.name, broker: row.each.broker })))(
    "MQTT $version, $broker broker: $name",
    async ({ each, version }) => {
      const { direct, through } = await both(each, version);
      if (UNLIKE.has(`MQTT ${version}: ${each.name}`)) expect(through).not.toEqual(direct);
      else expect(through).toEqual(direct);
    },
  );

  const talk = CASES.find(({ name }) => name === "QoS 2 there and back") as Case;
  it.each(["tls", "ws", "wss"] as const)("%s is ended here, and the broker sees MQTT", async (transport) => {
    const { broker, gateway } = pairs.plain as Pair;
    const direct = await answers(talk, 5, broker.port);
    expect(await answers(talk, 5, gateway.port("mqtt", transport), transport)).toEqual(direct);
    await over(gateway);
  });
});
