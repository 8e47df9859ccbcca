/** A node that has something for every page, and the addresses of all of them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { coapPublish, lwm2mRegister, mqttClient, mqttSnDevice, stompClient } from "./devices.ts";
import { type Site, startSite } from "./site.ts";

/** Who may connect, for nobody. */
const LISTS =
  "authentication: { chains: { ours: { chain: [{ kind: user-list }, { kind: client-id-list }] } } }";

export interface FullSite {
  readonly site: Site;
  /** Of a trace of everything. */
  readonly trace: string;
  stop(): Promise<void>;
}

export async function startFullSite(): Promise<FullSite> {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-readings-"));
  const site = await startSite(LISTS);
  const { id: trace } = await site.ask<{ id: string }>("POST", "/traces", { topic: "#", seconds: 600 });
  const backend = await mqttClient(site.ports, "backend", { clean: false });
  await backend.subscribeAsync("cmd/#", { qos: 1 });
  const sleeper = await mqttSnDevice(site.ports, {
    ...{ id: "pump-7", user: "", topic: "room/7/temp", payload: "21.5" },
  });
  await sleeper.subscribe("cmd/pump-7/set");
  await sleeper.sleep(600);
  await backend.publishAsync("cmd/pump-7/set", '{"rpm":1200}', { qos: 1 });
  await backend.publishAsync("room/8/temp", "22.5", { retain: true, qos: 1 });
  await coapPublish(site.ports, { id: "cam-3", user: "", topic: "room/9/temp", payload: "20.1" });
  await lwm2mRegister(site.ports, "meter-0044");
  const stomp = await stompClient(site.ports, {
    ...{ id: "scada", user: "scada", topic: "/topic/room/1", payload: "hello" },
  });
  await site.ask("POST", "/bans", { clientId: "intruder", reason: "it floods" });
  await mqttClient(site.ports, "intruder").catch(() => undefined);
  await site.ask("PUT", "/connectors/readings", { kind: "file", path: join(folder, "readings.jsonl") });
  await site.ask("PUT", "/connectors/hook", { kind: "http", url: "http://127.0.0.1:9" });
  await site.ask("PUT", "/rules/warm", {
    sql: 'SELECT clientid, float(payload) AS t, timestamp FROM "room/#" WHERE t > 21',
    actions: [
      { kind: "file", connector: "readings" },
      { kind: "http", connector: "hook" },
    ],
  });
  await backend.publishAsync("room/8/temp", "22.5", { retain: true, qos: 1 });
  for (const username of ["meter-7", "meter-8"])
    await site.ask("POST", "/authentication/users", { username, password: "correct horse" });
  // One is taken at once, one waits for a restart.
  await site.ask("PATCH", "/config", { log: { level: "warn" }, node: { sysInterval: "2m" } });
  return {
    site,
    trace,
    async stop() {
      backend.end(true);
      sleeper.close();
      stomp.destroy();
      await site.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Name and address of every page. */
export const pagesOf = (trace: string): readonly (readonly [name: string, path: string])[] => [
  ["overview", "/"],
  ["clients", "/clients"],
  ["client-session", "/clients/pump-7?gateway=mqtt-sn"],
  ["client-waiting", "/clients/pump-7?gateway=mqtt-sn&tab=waiting"],
  ["client-subscriptions", "/clients/backend?gateway=mqtt&tab=subscriptions"],
  ["client-messages", "/clients/backend?gateway=mqtt&tab=messages"],
  ["client-protocol", "/clients/pump-7?gateway=mqtt-sn&tab=protocol"],
  ["refusals", "/refusals"],
  ["traces", "/translation"],
  ["translation", `/translation/${trace}`],
  ["topics", "/topics?topic=room%2F8%2Ftemp"],
  ["messages", "/messages?filter=room%2F%23"],
  ["lwm2m", "/lwm2m"],
  ["lwm2m-device", "/lwm2m/meter-0044?path=%2F3%2F0"],
  ["firmware", "/firmware"],
  ["gateways", "/gateways"],
  ["upstream", "/upstream"],
  ["rules", "/rules"],
  ["rule", "/rules/warm"],
  ["rule-new", "/rules?make=rule"],
  ["connectors", "/connectors"],
  ["connector", "/connectors/hook"],
  ["connector-new", "/connectors?make=connector"],
  ["logins", "/logins"],
  ["alarms", "/alarms"],
  ["bans", "/bans"],
  ["changes", "/changes"],
  ["config", "/config?key=api"],
  ["access", "/access"],
  ["about", "/about"],
  ["more", "/more"],
  ["nowhere", "/clients/nobody%2Fhere"],
];
