/**
 * In a network of its own that has 20 local ports for connections, run as root by local-addresses.test.ts: mosquitto, the
 * built gateway before it with the local addresses that the first argument has, and 30 MQTT-SN devices. Prints what they were
 * told, and what the gateway says of its server.
 */
import { execFileSync, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const PORTS = [40_000, 40_019];
const DEVICES = 30;
/** Beyond those ports. */
const FIRST_DEVICE = 50_000;

const addresses = JSON.parse(process.argv[2] ?? "[]");
execFileSync("ip", ["link", "set", "lo", "up"]);
writeFileSync("/proc/sys/net/ipv4/ip_local_port_range", PORTS.join(" "));

const folder = mkdtempSync(join(tmpdir(), "isthmus-few-ports-"));
const broker = join(folder, "mosquitto.conf");
writeFileSync(broker, "listener 1883 127.0.0.1\nallow_anonymous true\nuser root\n");
const off = { enable: false };
const config = join(folder, "isthmus.json");
writeFileSync(
  config,
  JSON.stringify({
    store: { engine: "memory" },
    log: { level: "error" },
    bus: {
      engine: "upstream",
      upstream: {
        group: "all",
        groups: { all: { servers: [{ url: "tcp://127.0.0.1:1883" }], localAddresses: addresses } },
        patience: "5s",
      },
    },
    gateways: {
      ...{ mqtt: off, stomp: off, coap: off, lwm2m: off },
      "mqtt-sn": { listeners: { udp: { bind: "127.0.0.1" } } },
    },
  }),
);

const programs = [];
const start = (program, args) => {
  const child = spawn(program, args, { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
  programs.push(child);
  return child;
};

try {
  start("mosquitto", ["-c", broker]).stderr.resume();
  const main = fileURLToPath(new URL("../../../dist/src/bin.js", import.meta.url));
  const gateway = start(process.execPath, [main, "start", "--config", config]);
  await new Promise((resolve, reject) => {
    let said = "";
    gateway.stderr.on("data", (chunk) => {
      said += chunk;
      if (said.includes("Stop with Ctrl+C")) resolve(undefined);
    });
    gateway.once("exit", (code) => reject(new Error(`the gateway ended with ${code}: ${said}`)));
  });
  const told = await Promise.all(Array.from({ length: DEVICES }, (_, number) => connect(number)));
  const answer = await fetch("http://127.0.0.1:18083/api/v1/upstream/servers");
  process.stdout.write(JSON.stringify({ told, servers: (await answer.json()).items }));
} finally {
  for (const child of programs) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
}

/** The return code of its CONNACK (MQTT-SN 1.2 §5.3.10). */
function connect(number) {
  const name = Buffer.from(`device-${number}`);
  const message = Buffer.from([6 + name.length, 0x04, 0x04, 1, 0x0e, 0x10, ...name]);
  const socket = createSocket("udp4");
  return new Promise((resolve) => {
    socket.bind(FIRST_DEVICE + number, "127.0.0.1");
    const send = () => socket.send(message, 1884, "127.0.0.1");
    const repeat = setInterval(send, 20_000);
    socket.on("listening", send);
    socket.on("message", (bytes) => {
      if (bytes[1] !== 0x05) return;
      clearInterval(repeat);
      socket.close();
      resolve(bytes[2]);
    });
  });
}
