/** DTLS: handshakes against libcoap's server with OpenSSL, and what records and idle associations cost. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isthmusMissing, onlyGateway, startIsthmus } from "../lib/isthmus.mjs";
import { BROKER_CORE, freeUdpPort, startProcess } from "../lib/processes.mjs";
import { machine } from "../lib/results.mjs";
import { markdownTable, number, ratio } from "../lib/table.mjs";
import { cpuMicros } from "../lib/usage.mjs";

const KEY = "secretPSK";
const SERVER = "coap-server-openssl";
const CLIENT = "coap-client-openssl";
const KINDS = /** @type {const} */ (["plain", "psk", "ecdsa"]);

export const suite = { title: "DTLS", scenarios: () => [...KINDS, "records"], run };

/** @param {string} folder */
function certificates(folder) {
  const openssl = (/** @type {string[]} */ ...args) =>
    execFileSync("openssl", args, { stdio: "pipe", cwd: folder });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca", "-days", "2");
  writeFileSync(join(folder, "san"), "subjectAltName=DNS:localhost,IP:127.0.0.1");
  for (const name of ["server", "client"]) {
    openssl("req", ...key, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`);
    const signer = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "san"];
    openssl("x509", "-req", "-in", `${name}.csr`, ...signer, "-out", `${name}.pem`);
  }
  writeFileSync(join(folder, "psk"), `dev1:${Buffer.from(KEY).toString("hex")}\n`);
}

/**
 * @typedef {{name: string, plain: number, secure: number, process: import("../lib/processes.mjs").Started}} Peer
 * @param {string} folder
 * @returns {Promise<Peer[]>}
 */
async function peers(folder) {
  const at = (/** @type {string} */ name) => join(folder, name);
  const [plain, secure] = [await freeUdpPort(), await freeUdpPort()];
  const ours = await startIsthmus({
    set: [
      ...onlyGateway("coap"),
      `tls.cert=${at("server.pem")}`,
      `tls.key=${at("server.key")}`,
      `tls.ca=${at("ca.pem")}`,
      `tls.pskFile=${at("psk")}`,
      "tls.clientCertificate=request",
      "dtls.limits.handshakesPerAddress=unlimited",
      "gateways.coap.listeners.udp.bind=127.0.0.1",
      `gateways.coap.listeners.udp.port=${plain}`,
      "gateways.coap.listeners.dtls.bind=127.0.0.1",
      `gateways.coap.listeners.dtls.port=${secure}`,
      "gateways.coap.listeners.tcp.enable=false",
    ],
    line: /coap +dtls/,
  });
  const base = await freeUdpPort();
  const theirs = await startProcess(
    "libcoap",
    [
      SERVER,
      "-A",
      "127.0.0.1",
      "-p",
      String(base),
      "-v",
      "3",
      "-k",
      KEY,
      "-c",
      at("server.pem"),
      "-j",
      at("server.key"),
      "-C",
      at("ca.pem"),
    ],
    { core: BROKER_CORE },
  );
  return [
    { name: "isthmus", plain, secure, process: ours },
    { name: "libcoap, OpenSSL", plain: base, secure: base + 1, process: theirs },
  ];
}

const IDLE_MS = 2000;

/**
 * What a server uses while nobody asks, in microseconds a millisecond: clients are slow to start, and a server's timers
 * run meanwhile.
 * @param {number} pid
 */
function idleRate(pid) {
  const before = cpuMicros(pid);
  const begun = performance.now();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, IDLE_MS);
  return (cpuMicros(pid) - before) / (performance.now() - begun);
}

/**
 * One client process after the other: each shakes hands, asks once and says goodbye.
 * @param {Peer} peer
 * @param {typeof KINDS[number]} kind
 * @param {string} folder
 * @param {number} count
 */
function handshakes(peer, kind, folder, count) {
  const at = (/** @type {string} */ name) => join(folder, name);
  const how = {
    plain: [`coap://127.0.0.1:${peer.plain}/.well-known/core`],
    psk: ["-k", KEY, "-u", "dev1", `coaps://127.0.0.1:${peer.secure}/.well-known/core`],
    ecdsa: [
      "-c",
      at("client.pem"),
      "-j",
      at("client.key"),
      "-C",
      at("ca.pem"),
      `coaps://localhost:${peer.secure}/.well-known/core`,
    ],
  }[kind];
  const once = () => spawnSync(CLIENT, ["-B", "5", "-m", "get", ...how]).stdout.length > 0;
  for (let warm = 0; warm < 20; warm++) once();
  const { pid } = peer.process;
  const idle = idleRate(pid);
  const before = cpuMicros(pid);
  const begun = performance.now();
  let good = 0;
  for (let index = 0; index < count; index++) if (once()) good++;
  const used = cpuMicros(pid) - before - idle * (performance.now() - begun);
  return { cpu: Math.max(0, used) / count, good };
}

/** @param {import("../lib/options.mjs").Options} options */
async function run(options) {
  const missing = isthmusMissing();
  if (missing !== undefined) throw new Error(missing);
  const count = options.quick ? 60 : 300;
  const folder = mkdtempSync(join(tmpdir(), "isthmus-bench-dtls-"));
  const rows = [];
  try {
    certificates(folder);
    const both = await peers(folder);
    for (const kind of KINDS) {
      const found = both.map((peer) => handshakes(peer, kind, folder, count));
      for (const { good } of found)
        if (good < count) throw new Error(`${kind}: ${good} of ${count} answered`);
      const [ours = 0, theirs = 0] = found.map(({ cpu }) => cpu);
      rows.push([kind, number(ours), number(theirs), ratio(ours, theirs)]);
    }
    await Promise.all(both.map((peer) => peer.process.stop()));
  } finally {
    rmSync(folder, { recursive: true });
  }
  const script = fileURLToPath(new URL("../dtls/cost.mjs", import.meta.url));
  const cost = JSON.parse(execFileSync(process.execPath, ["--expose-gc", script], { encoding: "utf8" }));
  const records = Object.entries(cost.perRequest).map(([name, micros]) => [
    `request and answer, ${name}`,
    `${number(Number(micros))} us`,
  ]);
  return [
    `## DTLS\n\n${machine()}, ${new Date().toISOString().slice(0, 10)}.`,
    "CPU of the server for one CoAP GET by a client that comes, shakes hands, asks and goes, in microseconds, without what it uses meanwhile when nobody asks; `plain` is the same without DTLS.",
    markdownTable(["", "isthmus", "libcoap, OpenSSL", "ours / theirs"], rows),
    markdownTable(
      ["DTLS alone, without sockets", "CPU or memory"],
      [...records, ["one of 50,000 idle associations", `${number(cost.idle.heap)} bytes`]],
    ),
  ].join("\n\n");
}
