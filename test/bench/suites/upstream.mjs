/** Sessions at mosquitto through the gateway, against the same straight there, and through haproxy in TCP mode. */
import { existsSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isthmusMissing, onlyGateway, startIsthmus } from "../lib/isthmus.mjs";
import { wanted, wantedPeer } from "../lib/options.mjs";
import {
  BROKER_CORE,
  freePort,
  freeUdpPort,
  LOAD_CORE,
  openFilesMax,
  pinning,
  startProcess,
  startWorker,
} from "../lib/processes.mjs";
import { topFunctions } from "../lib/profile.mjs";
import { interleave } from "../lib/statistics.mjs";
import { markdownTable, number, perSecond, ratio } from "../lib/table.mjs";
import { isthmusSettings, mosquitto } from "../mqtt/brokers.mjs";

/** @typedef {import("../lib/options.mjs").Options} Options */
/** @typedef {{name: string, port: number, pid: number, stop: () => Promise<void>}} Way */

const SHAPES = [
  { shape: "1to1", title: "1 → 1, W=1000", flows: 1, window: 1000 },
  { shape: "10to10", title: "10 → 10, W=200", flows: 10, window: 200 },
];
const CELLS = SHAPES.flatMap(({ shape, title, ...rest }) =>
  /** @type {const} */ ([0, 1]).map((qos) => ({
    ...{ name: `${shape}-q${qos}-64`, title: `${title}, QoS ${qos}, 64 B`, qos, ...rest },
    ...{ payload: 64, publishers: 1, subscribers: 1, version: /** @type {const} */ (5) },
  })),
);
const SESSIONS = "sessions";
const DEVICES = "devices";
/** Devices on UDP, whose only connection is the one to the server. */
const PROTOCOLS = /** @type {const} */ ([
  { protocol: "mqtt-sn", label: "MQTT-SN" },
  { protocol: "coap", label: "CoAP" },
]);
const HAPROXY = "/usr/sbin/haproxy";

export const suite = {
  title: "Sessions at a broker elsewhere",
  scenarios: () => [...CELLS.map(({ name }) => name), SESSIONS, DEVICES],
  run: async (/** @type {Options} */ options) => {
    const why = isthmusMissing() ?? mosquitto().missing;
    if (why !== undefined) throw new Error(why);
    if (options.profile) return profile(options);
    const parts = [];
    if (CELLS.some(({ name }) => wanted(options, name))) parts.push(await throughput(options));
    if (wanted(options, DEVICES)) parts.push(await devices(options));
    if (wanted(options, SESSIONS)) parts.push(await sessions(options));
    const where = pinning
      ? "Broker and what stands before it share one core, the generator has another."
      : "Nothing is bound to a core.";
    return [...parts, where].join("\n\n");
  },
};

/** @param {number} broker */
const busAt = (broker) => ({
  engine: "upstream",
  upstream: {
    servers: [`tcp://127.0.0.1:${broker}`],
    connects: { rate: 100_000, parallel: 1000 },
    buffer: { messages: 100_000, bytes: "64MB" },
    receiveMaximum: 1000,
  },
});

/**
 * @param {number} broker
 * @param {string} [profileFolder]
 * @returns {Promise<Way>}
 */
async function throughIsthmus(broker, profileFolder) {
  const port = await freePort();
  const how = { set: isthmusSettings(port), config: { bus: busAt(broker) }, tcpPort: port };
  const started = await startIsthmus(profileFolder === undefined ? how : { ...how, profileFolder });
  return { name: "isthmus", port, pid: started.pid, stop: started.stop };
}

/**
 * @param {number} broker
 * @returns {Promise<Way>}
 */
async function throughHaproxy(broker) {
  const port = await freePort();
  const file = join(mkdtempSync(join(tmpdir(), "haproxy-bench-")), "haproxy.cfg");
  writeFileSync(
    file,
    `global
  maxconn 1000
  nbthread 1
defaults
  mode tcp
  timeout connect 10s
  timeout client 1h
  timeout server 1h
listen mqtt
  bind 127.0.0.1:${port}
  server broker 127.0.0.1:${broker}
`,
  );
  const command = [HAPROXY, "-db", "-f", file];
  const started = await startProcess("haproxy", command, { core: BROKER_CORE, tcpPort: port });
  return { name: "haproxy", port, pid: started.pid, stop: started.stop };
}

/**
 * @param {Options} options
 * @param {(ways: Way[], load: Awaited<ReturnType<typeof startWorker>>) => Promise<string>} measure
 */
async function withWays(options, measure) {
  const load = await startWorker(new URL("../mqtt/load.mjs", import.meta.url), { core: LOAD_CORE });
  /** @type {Way[]} */
  const ways = [];
  const { process: broker, port } = await mosquitto().start();
  try {
    const all = [{ name: "mosquitto", port, pid: broker.pid, stop: broker.stop }];
    if (existsSync(HAPROXY)) all.push(await throughHaproxy(port));
    else console.error("left out: haproxy is not installed");
    all.push(await throughIsthmus(port));
    ways.push(...all.reverse());
    return await measure(ways.filter(({ name }) => wantedPeer(options, name)).reverse(), load);
  } finally {
    for (const way of ways) await way.stop();
    await load.stop();
  }
}

/** @param {Options} options */
function throughput(options) {
  const head = [
    ...["", "mosquitto alone, msg/s", "through haproxy", "through Isthmus", "Isthmus to haproxy"],
    ...["µs CPU a message: mosquitto", "haproxy", "Isthmus"],
  ];
  return withWays(options, async (ways, load) => {
    const rows = [];
    for (const cell of CELLS.filter(({ name }) => wanted(options, name))) {
      const { seconds, warmup } = options;
      const figures = await interleave(ways, options.passes, (way) =>
        load.call("throughput", { ...cell, port: way.port, pid: way.pid, seconds, warmup }),
      );
      const of = (/** @type {string} */ name) => figures.get(name) ?? {};
      const [alone, haproxy, isthmus] = [of("mosquitto"), of("haproxy"), of("isthmus")];
      rows.push([
        ...[cell.title, perSecond(alone["rate"]), perSecond(haproxy["rate"]), perSecond(isthmus["rate"])],
        ratio(isthmus["rate"], haproxy["rate"]),
        ...[alone, haproxy, isthmus].map((each) => number(each["brokerMicros"])),
      ]);
      console.error(rows.at(-1)?.join(" | "));
    }
    return markdownTable(head, rows);
  });
}

/** Memory and connects of many sessions; the same devices at the gateway's own bus show what is the device's own. */
async function sessions(/** @type {Options} */ options) {
  // The gateway has two files open for each.
  const count = deviceCount(options.quick ? 5000 : 20_000, 2);
  const settle = options.quick ? 1 : 4;
  const head = ["", "connects/s", "µs CPU a connect", "KB a session", "KB a session, subscribed"];
  const rows = [];
  const load = await startWorker(new URL("../mqtt/load.mjs", import.meta.url), { core: LOAD_CORE });
  try {
    for (const engine of ["embedded", "upstream"]) {
      const figures = [];
      for (const method of ["connectRate", "idle", "subscribed"]) {
        const broker = await mosquitto().start();
        const way = engine === "upstream" ? await throughIsthmus(broker.port) : await alone();
        const cell = { port: way.port, pid: way.pid, count, settle, version: 5 };
        try {
          const subscribe = method === "subscribed";
          figures.push(await load.call(method === "connectRate" ? method : "idle", { ...cell, subscribe }));
          console.error(`${engine} ${method}: ${JSON.stringify(figures.at(-1))}`);
        } finally {
          await way.stop();
          await broker.process.stop();
        }
      }
      const [connects, bare, subscribed] = figures;
      rows.push([
        `${count.toLocaleString("en")} devices, ${engine === "upstream" ? "sessions at mosquitto" : "sessions here"}`,
        ...[perSecond(connects.rate), number(connects.brokerMicros)],
        ...[number(bare.perConnection), number(subscribed.perConnection)],
      ]);
    }
  } finally {
    await load.stop();
  }
  return markdownTable(head, rows);
}

/** Memory and processor time of many devices on UDP; the same at the gateway's own bus show what is the device's own. */
async function devices(/** @type {Options} */ options) {
  // The gateway has one file open for each, and so have the broker and the generator.
  const count = deviceCount(options.quick ? 2000 : 20_000, 1);
  const settle = options.quick ? 1 : 4;
  const head = [
    ...["", "connects/s", "µs CPU a connect", "KB a session"],
    ...["µs CPU a message from a device", "µs CPU a message to a device"],
  ];
  const rows = [];
  for (const { protocol, label } of PROTOCOLS) {
    for (const engine of ["embedded", "upstream"]) {
      const load = await startWorker(new URL("../upstream/load.mjs", import.meta.url), { core: LOAD_CORE });
      const broker = await mosquitto().start();
      const way = await devicesAt(protocol, engine === "upstream" ? broker.port : undefined);
      try {
        const appPort = engine === "upstream" ? broker.port : way.mqttPort;
        const { pid, port } = way;
        const found = await load.call("sessions", { protocol, port, appPort, pid, count, settle });
        console.error(`${protocol} ${engine}: ${JSON.stringify(found)}`);
        const { connects, perSession, up, down } = found;
        rows.push([
          `${count.toLocaleString("en")} ${label} devices, ${engine === "upstream" ? "sessions at mosquitto" : "sessions here"}`,
          ...[perSecond(connects.rate), number(connects.micros), number(perSession)],
          ...[number(up.micros), number(down.micros)],
        ]);
      } finally {
        await way.stop();
        await broker.process.stop();
        await load.stop();
      }
    }
  }
  return markdownTable(head, rows);
}

/**
 * @param {"mqtt-sn" | "coap"} protocol
 * @param {number | undefined} broker   none: sessions are here
 */
async function devicesAt(protocol, broker) {
  const [port, mqttPort] = [await freeUdpPort(), await freePort()];
  const listener = `gateways.${protocol}.listeners.udp`;
  const started = await startIsthmus({
    set: [
      ...onlyGateway(protocol, "mqtt"),
      ...isthmusSettings(mqttPort).filter((setting) => !setting.includes(".enable=false")),
      "gateways.mqtt.listeners.ws.enable=false",
      "store.engine=memory",
      `${listener}.bind=127.0.0.1`,
      `${listener}.port=${port}`,
      `${listener}.limits.connectionRate=unlimited`,
      `${listener}.limits.connections=200000`,
      ...(protocol === "coap"
        ? ["gateways.coap.stack.amplification=off", "gateways.coap.listeners.tcp.enable=false"]
        : []),
    ],
    ...(broker === undefined ? {} : { config: { bus: busAt(broker) } }),
    tcpPort: mqttPort,
  });
  return { port, mqttPort, pid: started.pid, stop: started.stop };
}

/**
 * As many devices as were wanted, or as the limit of open files allows: it is said when those are fewer.
 * @param {number} wanted
 * @param {number} filesEach   what a process has open for each
 */
function deviceCount(wanted, filesEach) {
  const limit = openFilesMax();
  const count = Math.min(wanted, Math.floor((limit - 500) / filesEach));
  if (count < wanted) {
    const limits = `a process may have ${limit} files open, and this one may not raise that (ulimit -Hn)`;
    console.error(`${count} devices instead of ${wanted}: ${limits}`);
  }
  return count;
}

/** @returns {Promise<Way>} */
async function alone() {
  const port = await freePort();
  const started = await startIsthmus({ set: isthmusSettings(port), tcpPort: port });
  return { name: "isthmus", port, pid: started.pid, stop: started.stop };
}

/** @param {Options} options */
async function profile(options) {
  const load = await startWorker(new URL("../mqtt/load.mjs", import.meta.url), { core: LOAD_CORE });
  const parts = [];
  for (const cell of CELLS.filter(({ name }) => wanted(options, name))) {
    const broker = await mosquitto().start();
    const folder = mkdtempSync(join(tmpdir(), "isthmus-profile-"));
    const way = await throughIsthmus(broker.port, folder);
    const from = process.hrtime.bigint() + BigInt(Math.round(options.warmup * 1e9));
    const { seconds, warmup } = options;
    const { rate } = await load.call("throughput", {
      ...cell,
      port: way.port,
      pid: way.pid,
      seconds,
      warmup,
    });
    const to = process.hrtime.bigint();
    await way.stop();
    await broker.process.stop();
    const top = topFunctions(folder, { from, to });
    parts.push(
      `## ${cell.name}: ${perSecond(rate)}`,
      ...top.rows.map((row) => `${(row.share * 100).toFixed(1).padStart(5)} %  ${row.name}  ${row.where}`),
    );
  }
  await load.stop();
  return parts.join("\n");
}
