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
import { startAskingServer } from "./transparent/asking-server.ts";
import { CASES } from "./transparent/cases.ts";
import { startCodedServer } from "./transparent/coded-server.ts";
import { named, OF_SERVERS } from "./transparent/codes.ts";
import { differences } from "./transparent/differences.ts";
import { type Case, enter, type Gone, type Open, publish } from "./transparent/steps.ts";
import { streamTo, Talker, TRANSPORTS, type Transport, type Version } from "./transparent/talker.ts";
import { TIMED, type TimedCase } from "./transparent/timed.ts";
import { UNLIKE } from "./transparent/unlike.ts";

const PATIENCE = 120_000;

interface Pair {
  readonly broker: Pick<Server, "port" | "stop">;
  readonly gateway: TestGateway;
}

type Account = readonly string[];

describe.skipIf(lacks("mosquitto"))("MQTT clients see the broker", { timeout: PATIENCE }, () => {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-transparent-"));
  const certificates = new Certificates();
  certificates.issue("server", "/CN=localhost");
  const pairs: Partial<Record<Case["broker"], Pair>> = {};
  /** What takes time is tried at a broker without a gateway, and at another one behind a gateway, meanwhile. */
  let alone: Server;
  let behind: Pair;
  const timed = new Map<string, Promise<{ direct: Account; through: Account }>>();

  const before = async (...settings: string[]): Promise<Pair> => pair(await startMosquitto(...settings));

  async function pair(broker: Pair["broker"]): Promise<Pair> {
    const server = { url: `tcp://127.0.0.1:${broker.port}` };
    const gateway = await startGateway({
      tls: { cert: certificates.path("server.pem"), key: certificates.path("server.key") },
      bus: {
        engine: "upstream",
        upstream: {
          // However often one refuses, or ends a connection, it is tried again.
          groups: { default: { servers: [server], health: { failures: 1000 } } },
          reconnect: { first: "20ms", longest: "100ms" },
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
    pairs.asking = await pair(await startAskingServer());
    pairs.coded = await pair(await startCodedServer());
    pairs.limited = await before(
      ...["max_qos 1", "retain_available false", "max_keepalive 30", "max_topic_alias 3"],
      ...["max_packet_size 2000", "max_inflight_messages 5", "allow_zero_length_clientid false"],
    );
    pairs.guarded = await before("allow_anonymous false", `password_file ${passwords}`, `acl_file ${rules}`);
    alone = await startMosquitto();
    behind = await before();
    for (const [index, { each, version, name }] of timedRows.entries()) {
      const run = passTime(each, version, `t${index}`, TRANSPORTS[index % TRANSPORTS.length] as Transport);
      run.catch(() => {});
      timed.set(name, run);
    }
  }, PATIENCE);

  afterAll(async () => {
    for (const { broker, gateway } of [...Object.values(pairs), behind]) {
      await gateway.stop();
      await broker.stop();
    }
    await alone.stop();
    rmSync(folder, { recursive: true, force: true });
  }, PATIENCE);

  /** All that is heard while a script runs. */
  async function account(
    script: (open: Open) => Promise<void>,
    port: number,
    transport: Transport = "tcp",
  ): Promise<Account> {
    const heard: string[] = [];
    let count = 0;
    const talkers: Talker[] = [];
    const open: Open = (spoken, clientId = "device") => {
      const number = ++count;
      const hear = (line: string) => void heard.push(`${number}: ${line}`);
      const talker = new Talker(streamTo(transport, port), spoken, hear, clientId);
      talkers.push(talker);
      return talker;
    };
    try {
      await script(open);
    } finally {
      for (const talker of talkers) talker.cut();
    }
    return heard;
  }

  const atOnce: Gone = async () => {};

  /** The gateway has no connection for a client, or for any, any more: the broker has been told that it is gone. */
  const goneFrom =
    ({ composition: { upstream } }: TestGateway): Gone =>
    async (clientId) => {
      const there = () =>
        [...(upstream?.engine.sessions() ?? [])].some(
          (session) =>
            (clientId === undefined || session.clientId === clientId) &&
            (session.state === "up" || session.state === "connecting" || session.client !== undefined),
        );
      // Whose login a server is asked about has no session yet.
      const coming = () => upstream?.engine.entering !== 0;
      while (there() || coming()) await new Promise((resolve) => setTimeout(resolve, 2));
    };

  async function through({ script, broker }: Case, version: Version, transport: Transport): Promise<Account> {
    const { gateway } = pairs[broker] as Pair;
    const gone = goneFrom(gateway);
    const run = (open: Open) => script(open, version, gone);
    const heard = await account(run, gateway.port("mqtt", transport), transport);
    await gone();
    return heard;
  }

  async function passTime(each: TimedCase, version: Version, id: string, transport: Transport) {
    const run = (gone: Gone) => (open: Open) => each.script(open, version, gone, id);
    const { gateway } = behind;
    const [direct, through] = await Promise.all([
      account(run(atOnce), alone.port),
      account(run(goneFrom(gateway)), gateway.port("mqtt", transport), transport),
    ]);
    return { direct, through };
  }

  function same(name: string, direct: Account, through: Account, transport?: Transport): void {
    const unlike = UNLIKE.get(name);
    if (unlike === undefined) expect(through, transport).toEqual(direct);
    else expect(differences(direct, through), transport).toEqual(unlike.heard);
  }

  // Each over TCP, and over one of the others, which end here: the broker sees MQTT over TCP.
  const others = TRANSPORTS.filter((transport) => transport !== "tcp");
  const rows = CASES.flatMap((each) => each.versions.map((version) => ({ each, version }))).map(
    ({ each, version }, index) => ({
      ...{ each, version, name: each.name, broker: each.broker },
      ended: others[index % others.length] as Transport,
    }),
  );
  it.each(rows)(
    "MQTT $version, $broker broker, TCP and $ended: $name",
    async ({ each, version, name, ended }) => {
      const { broker } = pairs[each.broker] as Pair;
      const direct = await account((open) => each.script(open, version, atOnce), broker.port);
      for (const transport of ["tcp", ended] as const)
        same(`MQTT ${version}: ${name}`, direct, await through(each, version, transport), transport);
    },
  );

  const timedRows = TIMED.flatMap((each) =>
    each.versions.map((version) => ({ each, version, name: `MQTT ${version}: ${each.name}` })),
  );
  it.each(timedRows)("$name", async ({ name }) => {
    const { direct, through } = (await timed.get(name)) ?? { direct: ["never run"], through: [] };
    same(name, direct, through);
  });

  it("a DISCONNECT that speaks of the server ends no client: what it says next goes over another connection", async () => {
    const { gateway } = pairs.coded as Pair;
    const stays = async (open: Open) => {
      const device = await enter(open, 5, "stays");
      for (const [index, code] of OF_SERVERS.entries()) {
        device.say(publish(named("bye", code), 0));
        await device.ask(publish("more", 1, index + 1));
      }
      await device.finish();
    };
    const heard = await account(stays, gateway.port("mqtt", "tcp"));
    const kinds = heard.map((line) => JSON.parse(line.slice(3)).cmd);
    expect(kinds).toEqual(["connack", ...OF_SERVERS.map(() => "puback"), "pingresp"]);
    await goneFrom(gateway)();
  });
});
