/** DTLS: handshakes and requests against libcoap's server with OpenSSL, and what records and idle associations cost. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isthmusMissing, onlyGateway, startIsthmus } from "../lib/isthmus.mjs";
import { wanted } from "../lib/options.mjs";
import { BROKER_CORE, freeUdpPort, LOAD_CORE, startProcess, startWorker } from "../lib/processes.mjs";
import { machine } from "../lib/results.mjs";
import { interleave } from "../lib/statistics.mjs";
import { markdownTable, number, perSecond, ratio } from "../lib/table.mjs";
import { cpuMicros } from "../lib/usage.mjs";

const KEY = "secretPSK";
const SERVER = "coap-server-openssl";
const HANDSHAKES = /** @type {const} */ (["psk", "ecdsa"]);
/** Devices that shake hands at a time. */
const LANES = 8;

const REQUESTS = "requests";
const RECORDS = "records";
const SUITE = "PSK_WITH_AES_128_CCM_8";
const SOCKETS = 16;
const OUTSTANDING = 16;
const VALUE = "bench";

export const suite = { title: "DTLS", scenarios: () => [...HANDSHAKES, REQUESTS, RECORDS], run };

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
 * @typedef {{name: string, plain: number, secure: number, path: string, query?: string, process: import("../lib/processes.mjs").Started}} Peer
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
      `dtls.suites=["${SUITE}","ECDHE_ECDSA_WITH_AES_128_CCM_8","ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]`,
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
      "-d",
      "10",
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
    { name: "isthmus", plain, secure, path: `ps/${VALUE}`, query: "retain=1", process: ours },
    { name: "libcoap, OpenSSL", plain: base, secure: base + 1, path: VALUE, process: theirs },
  ];
}

/**
 * Devices that shake hands, one after the other in each lane, and say goodbye.
 * @param {readonly Peer[]} both
 * @param {readonly (typeof HANDSHAKES[number])[]} kinds
 * @param {string} folder
 * @param {import("../lib/options.mjs").Options} options
 */
async function handshakes(both, kinds, folder, { passes, quick }) {
  const load = await startWorker(new URL("../coap/load.mjs", import.meta.url), { core: LOAD_CORE });
  const proof = { certificate: join(folder, "client.pem"), key: join(folder, "client.key") };
  const secrets = {
    psk: { suite: SUITE, psk: { identity: "dev1", key: KEY } },
    ecdsa: { suite: "ECDHE_ECDSA_WITH_AES_128_CCM_8", proof },
  };
  const rows = [];
  try {
    for (const kind of kinds) {
      const count = (quick ? 300 : 1000) * (kind === "psk" ? 4 : 1);
      const figures = await interleave(both, passes, async (peer) => {
        const how = { port: peer.secure, lanes: LANES, secret: secrets[kind] };
        // Until it has been translated, code costs many times as much.
        await load.call("handshakes", { ...how, count });
        const before = cpuMicros(peer.process.pid);
        const found = await load.call("handshakes", { ...how, count });
        const cpuEach = (cpuMicros(peer.process.pid) - before) / count;
        console.error(`${kind} ${peer.name}: ${JSON.stringify({ ...found, cpuEach })}`);
        return { ...found, cpuEach };
      });
      const [ours = 0, theirs = 0] = [...figures.values()].map(({ cpuEach }) => cpuEach);
      const rates = [...figures.values()].map(({ perSecond: each }) => perSecond(each));
      rows.push([kind, ...rates, number(ours), number(theirs), ratio(ours, theirs)]);
    }
    return rows;
  } finally {
    await load.stop();
  }
}

/**
 * GETs by devices that are there, in the clear and with an association.
 * @param {readonly Peer[]} both
 * @param {import("../lib/options.mjs").Options} options
 */
async function requests(both, { passes, seconds, warmup }) {
  const load = await startWorker(new URL("../coap/load.mjs", import.meta.url), { core: LOAD_CORE });
  try {
    for (const { plain, path, query } of both)
      await load.call("put", {
        port: plain,
        path,
        payload: "21.5",
        ...(query === undefined ? {} : { query }),
      });
    const ways = both.flatMap((peer) => [
      { name: `${peer.name}, plain`, peer, port: peer.plain, secret: undefined },
      {
        name: `${peer.name}, DTLS`,
        peer,
        port: peer.secure,
        secret: { suite: SUITE, psk: { identity: "dev1", key: KEY } },
      },
    ]);
    const figures = await interleave(ways, passes, async ({ peer, port, secret, name }) => {
      const { path } = peer;
      const before = cpuMicros(peer.process.pid);
      const how = {
        port,
        path,
        method: "get",
        sockets: SOCKETS,
        outstanding: OUTSTANDING,
        seconds,
        warmup,
        secret,
      };
      const found = await load.call("requests", how);
      const cpuEach = (cpuMicros(peer.process.pid) - before) / (found.perSecond * (seconds + warmup));
      console.error(`${name}: ${JSON.stringify({ ...found, cpuEach })}`);
      return { ...found, cpuEach };
    });
    return [...figures].map(([name, found], index, all) => {
      const plain = all[index - (index % 2)]?.[1]["cpuEach"] ?? 0;
      const more = index % 2 === 0 ? "" : number((found["cpuEach"] ?? 0) - plain);
      return [name, perSecond(found["perSecond"]), number(found["cpuEach"]), more, number(found["lost"])];
    });
  } finally {
    await load.stop();
  }
}

/** @param {import("../lib/options.mjs").Options} options */
async function run(options) {
  const missing = isthmusMissing();
  if (missing !== undefined) throw new Error(missing);
  const folder = mkdtempSync(join(tmpdir(), "isthmus-bench-dtls-"));
  const parts = [`## DTLS\n\n${machine()}, ${new Date().toISOString().slice(0, 10)}.`];
  try {
    certificates(folder);
    const both = await peers(folder);
    const kinds = HANDSHAKES.filter((kind) => wanted(options, kind));
    if (kinds.length > 0) {
      const head = [
        "",
        "isthmus/s",
        "libcoap/s",
        "isthmus CPU us each",
        "libcoap CPU us each",
        "ours / theirs",
      ];
      parts.push(
        `Handshakes without resumption by ${LANES} devices at a time, that say goodbye at once; libcoap's server has OpenSSL below it.`,
        markdownTable(head, await handshakes(both, kinds, folder, options)),
      );
    }
    if (wanted(options, REQUESTS))
      parts.push(
        `GETs of a small value by ${SOCKETS} devices that are there with ${OUTSTANDING} outstanding each, over ${SUITE} and in the clear.`,
        markdownTable(
          ["", "requests/s", "CPU us each", "more than plain", "lost"],
          await requests(both, options),
        ),
      );
    await Promise.all(both.map((peer) => peer.process.stop()));
  } finally {
    rmSync(folder, { recursive: true });
  }
  if (wanted(options, RECORDS)) parts.push(alone());
  return parts.join("\n\n");
}

function alone() {
  const script = fileURLToPath(new URL("../dtls/cost.mjs", import.meta.url));
  const cost = JSON.parse(execFileSync(process.execPath, ["--expose-gc", script], { encoding: "utf8" }));
  const records = Object.entries(cost.perRequest).map(([name, micros]) => [
    `request and answer, ${name}`,
    `${number(Number(micros))} us`,
  ]);
  return markdownTable(
    ["DTLS alone, without sockets", "CPU or memory"],
    [...records, ["one of 50,000 idle associations", `${number(cost.idle.heap)} bytes`]],
  );
}
