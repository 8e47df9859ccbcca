/** One chain for all gateways, one of a gateway's own, one of a listener's: who gets in where, by five protocols (17.3). */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import coap from "coap";
import mqtt from "mqtt";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { logins } from "../../support/logins.ts";
import { hexOf, message, SnSocket } from "../../support/mqtt-sn-socket.ts";

let folder = "";
let gateway: TestGateway | undefined;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-chains-"));
  for (const name of ["general", "own", "listener"])
    writeFileSync(join(folder, `${name}.yaml`), `users: [{ username: ${name}, password: "plain:secret" }]\n`);
});
afterEach(async () => {
  await gateway?.stop();
  gateway = undefined;
});
afterAll(() => rmSync(folder, { recursive: true }));

const chainOf = (name: string) => ({
  anonymous: false,
  chain: [{ kind: "users-file", file: join(folder, `${name}.yaml`) }],
});

/** In which protocols somebody is let in. */
async function entered(username: string, password = "secret"): Promise<readonly string[]> {
  const { overMqtt, overCoap, overStomp } = logins(gateway!, username);
  const outcomes = [
    ["mqtt", (await overMqtt(password)) === "in"],
    ["coap", (await overCoap(password)).startsWith("2")],
    ["stomp", (await overStomp(password)) === "in"],
  ] as const;
  return outcomes.flatMap(([protocol, ok]) => (ok ? [protocol] : []));
}

/** The code that a registration of LwM2M is answered with. */
const registered = (endpoint: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const request = coap.request({
      hostname: "127.0.0.1",
      port: gateway!.port("coap", "udp"),
      method: "POST",
      pathname: "/rd",
      query: `ep=${endpoint}&lt=300&lwm2m=1.0&b=U`,
    });
    request.setOption("Content-Format", "application/link-format");
    request.on("response", (response) => resolve(response.code)).on("error", reject);
    request.end("</3/0>");
  });

/** The return code of CONNACK (MQTT-SN 1.2 §5.4.5). */
async function connack(clientId: string): Promise<string> {
  const device = await SnSocket.open(gateway!.port("mqtt-sn", "udp"));
  try {
    return (await device.ask(message(`04 04 01 0e10 ${hexOf(clientId)}`))).slice(-2);
  } finally {
    await device.close();
  }
}

describe("a chain", () => {
  it("of all gateways serves all five protocols, those without names by what they present", async () => {
    const presents = { username: "%c", password: "secret" };
    gateway = await startGateway({
      authentication: chainOf("general"),
      gateways: {
        ...{ mqtt: {}, coap: {}, stomp: {} },
        lwm2m: { presents: { username: "%e", password: "secret" } },
        "mqtt-sn": { presents },
      },
    });
    expect(await entered("general")).toEqual(["mqtt", "coap", "stomp"]);
    expect(await entered("general", "wrong")).toEqual([]);
    expect([await registered("general"), await registered("stranger")]).toEqual(["2.01", "4.03"]);
    expect([await connack("general"), await connack("stranger")]).toEqual(["00", "03"]);
  });

  it("of a gateway's own stands instead of the general one, there and nowhere else", async () => {
    gateway = await startGateway({
      authentication: chainOf("general"),
      gateways: { mqtt: {}, coap: { authentication: chainOf("own") }, stomp: {} },
    });
    expect(await entered("general")).toEqual(["mqtt", "stomp"]);
    expect(await entered("own")).toEqual(["coap"]);
  });

  it("of a listener stands instead of its gateway's, and its other listeners keep theirs", async () => {
    gateway = await startGateway({
      authentication: { ...chainOf("general"), chains: { partners: chainOf("listener") } },
      gateways: {
        mqtt: {
          authentication: chainOf("own"),
          listeners: { partners: { transport: "tcp", chain: "partners" } },
        },
        coap: {},
        stomp: {},
      },
    });
    const at = async (listener: string, username: string): Promise<string> => {
      const options = { username, password: "secret", reconnectPeriod: 0 };
      const url = `mqtt://127.0.0.1:${gateway!.port("mqtt", listener)}`;
      const client = await mqtt.connectAsync(url, options).catch(() => undefined);
      await client?.endAsync();
      return client === undefined ? "out" : "in";
    };
    expect([await at("partners", "listener"), await at("partners", "own")]).toEqual(["in", "out"]);
    expect([await at("tcp", "own"), await at("tcp", "listener"), await at("tcp", "general")]).toEqual([
      "in",
      "out",
      "out",
    ]);
    expect(await entered("general")).toEqual(["coap", "stomp"]);
  });
});
