/** More connections to one server than one address has ports for: `localAddresses`, where there are only 20 ports. */
import { execFile, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { lacks } from "../../support/programs.ts";

const PATIENCE = 240_000;
const SCRIPT = fileURLToPath(new URL("few-ports.mjs", import.meta.url));
/** A network of one's own takes privileges, and a system that lets them be used. */
const alone = spawnSync("unshare", ["-n", "ip", "link", "set", "lo", "up"]).status === 0;

interface Found {
  /** Return codes of the devices' CONNACK. */
  readonly told: readonly number[];
  readonly servers: readonly { readonly lastFailure?: string }[];
}

async function withAddresses(addresses: readonly string[]): Promise<Found> {
  const command = ["-n", process.execPath, SCRIPT, JSON.stringify(addresses)];
  const { stdout } = await promisify(execFile)("unshare", command);
  return JSON.parse(stdout) as Found;
}

describe.skipIf(lacks("mosquitto") || !alone)("30 devices, and 20 local ports", { timeout: PATIENCE }, () => {
  it("with one address some are refused (MQTT-SN congestion), and the server's failure names the remedy", async () => {
    const { told, servers } = await withAddresses([]);
    expect(told.filter((code) => code === 0).length).toBeGreaterThan(0);
    expect(told.filter((code) => code === 1).length).toBeGreaterThanOrEqual(10);
    expect(servers[0]?.lastFailure).toMatch(/localAddresses.*ip_local_port_range/);
  });

  it("with two local addresses all have their connection", async () => {
    const { told } = await withAddresses(["127.0.0.2", "127.0.0.3"]);
    expect(told).toEqual(new Array(30).fill(0));
  });
});
