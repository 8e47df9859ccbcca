/**
 * Attacks a real process in each form that makes it hold memory, anonymous and with little allowed, and looks at what
 * stays resident: `npm run test:memory [-- form ...]`. Some forms run again without limits: those have to fail.
 * `--unlimited` runs all without.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import mqttPacket from "mqtt-packet";

const LIMITS = { "memory.total": "96MB", "memory.beforeLogin": "16MB", "memory.connection": "8MB" };
/**
 * Resident memory above that of the idle process: what may be held three times, for what Node reads ahead and its garbage.
 * 40 to 120 MB were seen with limits; without them the forms that nothing else bounds take 600 to 800.
 */
const MORE_MAX = 300;
/** These have no other limit: without `memory` they must go over the bound, or the bound shows nothing. */
const CONTROLS = ["queues of absent sessions", "readers that do not read"];

const options = process.argv.slice(2).filter((each) => each.startsWith("--"));
const asked = process.argv.slice(2).filter((each) => !each.startsWith("--"));
/** Node's flags of docs/running.md for a machine with 512 MB. */
const SMALL_HEAP = ["--max-semi-space-size=2", "--max-old-space-size=192"];
/** In the run that is on. */
let limited = true;

const packet = (value, version = 4) => mqttPacket.generate(value, { protocolVersion: version });
const login = (clientId, more = {}) =>
  packet({
    cmd: "connect",
    protocolId: "MQTT",
    protocolVersion: 4,
    clientId,
    clean: true,
    keepalive: 0,
    ...more,
  });
const publish = (topic, size, qos = 0, more = {}) =>
  packet({ cmd: "publish", topic, payload: Buffer.alloc(size, 120), qos, messageId: 1, ...more });

function remaining(length) {
  const bytes = [];
  for (; ; length >>= 7) {
    bytes.push((length & 127) | (length > 127 ? 128 : 0));
    if (length <= 127) return Buffer.from(bytes);
  }
}
const half = (type, announced, size) =>
  Buffer.concat([Buffer.from([type]), remaining(announced), Buffer.alloc(size)]);

/** A connection of an attacker: whatever becomes of it. */
function attacker(port, reads = true) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    socket.once("connect", () => resolve(socket));
    socket.once("close", () => resolve(socket));
    if (reads) socket.resume();
  });
}
/** Writes as long as the other side takes it, for a while. */
async function pour(sockets, bytes, times) {
  const until = Date.now() + (limited ? 4_000 : 30_000);
  await Promise.all(
    sockets.map(async (socket) => {
      for (let count = 0; count < times && !socket.destroyed && Date.now() < until; count++) {
        if (socket.write(bytes)) continue;
        await new Promise((resolve) => {
          const over = () => {
            clearTimeout(timer);
            socket.off("drain", over).off("close", over);
            resolve();
          };
          const timer = setTimeout(over, Math.max(0, until - Date.now()));
          socket.once("drain", over).once("close", over);
        });
      }
    }),
  );
}
const many = (count, make) => Promise.all(Array.from({ length: count }, (_, index) => make(index)));

const logIn = (sockets, name) => {
  for (const [index, socket] of sockets.entries()) socket.write(login(`${name}${index}`));
};

const FORMS = {
  "half CONNECTs": async ({ mqtt }) => {
    const sockets = await many(2_000, () => attacker(mqtt));
    await pour(sockets, half(0x10, 130_000, 120_000), 1);
    return sockets;
  },
  "half WebSocket frames": async ({ ws }) => {
    const sockets = await many(300, () => attacker(ws));
    const upgrade =
      "GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";
    await pour(sockets, Buffer.from(upgrade), 1);
    const head = Buffer.alloc(14);
    head[0] = 0x82;
    head[1] = 0xff;
    head.writeBigUInt64BE(2_000_000n, 2);
    await pour(sockets, Buffer.concat([head, Buffer.alloc(1_900_000)]), 1);
    return sockets;
  },
  "half packets of 2 MB": async ({ mqtt }) => {
    const sockets = await many(300, () => attacker(mqtt));
    logIn(sockets, "h");
    await pour(sockets, half(0x30, 2_000_000, 1_900_000), 1);
    return sockets;
  },
  "STOMP transactions": async ({ stomp }) => {
    const sockets = await many(100, () => attacker(stomp));
    for (const socket of sockets)
      socket.write("CONNECT\naccept-version:1.2\nhost:x\n\n\0BEGIN\ntransaction:t\n\n\0");
    await pour(sockets, Buffer.from(`SEND\ndestination:d\ntransaction:t\n\n${"x".repeat(60_000)}\0`), 200);
    return sockets;
  },
  $delayed: async ({ mqtt }) => {
    const sockets = await many(20, () => attacker(mqtt));
    logIn(sockets, "d");
    await pour(sockets, publish("$delayed/3600/t", 60_000), 200);
    return sockets;
  },
  "queues of absent sessions": async ({ mqtt }) => {
    const absent = await many(60, () => attacker(mqtt));
    absent.forEach((socket, index) => {
      socket.write(login(`a${index}`, { clean: false }));
      socket.write(
        packet({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: `q/${index}`, qos: 1 }] }),
      );
      socket.end(packet({ cmd: "disconnect" }));
    });
    const sockets = await many(60, () => attacker(mqtt));
    logIn(sockets, "p");
    await Promise.all(sockets.map((socket, index) => pour([socket], publish(`q/${index}`, 60_000, 1), 260)));
    return sockets;
  },
  "readers that do not read": async ({ mqtt }) => {
    const readers = await many(50, () => attacker(mqtt, false));
    readers.forEach((socket, index) => {
      socket.write(login(`r${index}`));
      socket.write(
        packet({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: `r/${index}`, qos: 0 }] }),
      );
    });
    const sockets = await many(50, () => attacker(mqtt));
    logIn(sockets, "w");
    await Promise.all(sockets.map((socket, index) => pour([socket], publish(`r/${index}`, 60_000), 300)));
    return [...readers, ...sockets];
  },
  "readers that acknowledge nothing": async ({ mqtt }) => {
    const readers = await many(50, () => attacker(mqtt));
    readers.forEach((socket, index) => {
      socket.write(login(`n${index}`));
      socket.write(
        packet({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: `n/${index}`, qos: 1 }] }),
      );
    });
    const sockets = await many(50, () => attacker(mqtt));
    logIn(sockets, "v");
    await Promise.all(sockets.map((socket, index) => pour([socket], publish(`n/${index}`, 60_000, 1), 300)));
    return [...readers, ...sockets];
  },
  "retained messages for readers that do not read": async ({ mqtt }) => {
    const [publisher] = await many(1, () => attacker(mqtt));
    logIn([publisher], "p");
    const retained = Array.from({ length: 20_000 }, (_, index) =>
      publish(`retained/${index}`, 20, 0, { retain: true }),
    );
    await pour([publisher], Buffer.concat(retained), 1);
    publisher.write(publish("retained/last", 1, 1, { retain: true }));
    await new Promise((resolve) => publisher.on("data", (bytes) => bytes.includes(0x40) && resolve()));
    const readers = await many(100, () => attacker(mqtt, false));
    logIn(readers, "r");
    const all = packet({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "#", qos: 0 }] });
    await pour(readers, Buffer.concat(Array(60).fill(all)), 1);
    return [publisher, ...readers];
  },
};

/** Where nobody has said what may be held: by what Node's heap may be. */
const FORMS_OF_SMALL_HEAP = {
  "small messages for absent sessions": async ({ mqtt }) => {
    const absent = await many(2_000, () => attacker(mqtt));
    for (const [index, socket] of absent.entries()) {
      socket.write(login(`s${index}`, { clean: false }));
      socket.write(packet({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "s", qos: 1 }] }));
      socket.end(packet({ cmd: "disconnect" }));
    }
    await Promise.all(absent.map((socket) => socket.closed || once(socket, "close")));
    const sockets = await many(4, () => attacker(mqtt));
    logIn(sockets, "p");
    await pour(sockets, publish("s", 50, 1), 400);
    return sockets;
  },
};

/** The process, once its listeners are open. */
function start(folder, small) {
  const ports = { mqtt: "mqtt.listeners.tcp", ws: "mqtt.listeners.ws", stomp: "stomp.listeners.tcp" };
  const sets = ["api.enable=false", "store.engine=memory", `dataFolder=${folder}`, "log.format=json"];
  for (const listener of Object.values(ports)) sets.push(`gateways.${listener}.port=0`);
  for (const gateway of ["mqtt-sn", "coap", "lwm2m"]) sets.push(`gateways.${gateway}.enable=false`);
  sets.push("gateways.stomp.listeners.ws.enable=false");
  if (!small || !limited)
    for (const [key, value] of Object.entries(LIMITS)) sets.push(`${key}=${limited ? value : "unlimited"}`);
  const child = spawn(
    process.execPath,
    [...(small ? SMALL_HEAP : []), "dist/src/bin.js", "start", ...sets.flatMap((set) => ["--set", set])],
    {
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  const said = [];
  const gateway = { child, said, ports: {} };
  return new Promise((resolve, reject) => {
    let text = "";
    const hear = (chunk) => {
      text += chunk;
      for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
        const line = text.slice(0, end);
        text = text.slice(end + 1);
        said.push(line);
        const open = /^\s+(mqtt|stomp)\s+(tcp|ws)\s+port (\d+)/.exec(line);
        if (open !== null) gateway.ports[open[2] === "ws" ? "ws" : open[1]] = Number(open[3]);
        if (Object.keys(gateway.ports).length === 3) resolve(gateway);
      }
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.once("exit", () => reject(new Error(said.join("\n"))));
  });
}

/** Of one that has ended: nothing. */
const resident = ({ child }) => {
  if (child.exitCode !== null || child.signalCode !== null) return 0;
  const [, kilobytes = "0"] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) / 1024;
};

/** A client that came before the attack, publishes to itself and hears it. */
async function roundTrip(innocent) {
  const heard = Promise.race([
    new Promise((resolve) => innocent.once("data", resolve)),
    new Promise((resolve) => innocent.once("close", () => resolve("nothing"))),
  ]);
  innocent.write(publish("innocent", 10));
  const begun = performance.now();
  const patience = new AbortController();
  const result = await Promise.race([heard, wait(30_000, "nothing", patience).catch(() => "nothing")]);
  patience.abort();
  return result === "nothing" ? Number.POSITIVE_INFINITY : performance.now() - begun;
}

/** One form of attack against a process of its own: how much more was resident than before, and what is said of it. */
async function attempt(name, attack, small = false) {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-memory-"));
  const gateway = await start(folder, small);
  const innocent = await attacker(gateway.ports.mqtt, false);
  innocent.write(login("innocent"));
  innocent.write(packet({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "innocent", qos: 0 }] }));
  await new Promise((resolve) => innocent.once("data", resolve));
  await wait(300);
  innocent.read();
  const before = resident(gateway);
  let most = before;
  const look = setInterval(() => {
    most = Math.max(most, resident(gateway));
  }, 50);
  const sockets = await attack(gateway.ports);
  const took = await roundTrip(innocent);
  clearInterval(look);
  most = Math.max(most, resident(gateway));
  const events = [...new Set(gateway.said.join("\n").match(/memory-[a-z]+/g) ?? [])];
  for (const socket of [...sockets, innocent]) socket.destroy();
  const { child } = gateway;
  // Its connections are closed before it is known to have ended.
  if (took === Number.POSITIVE_INFINITY) await wait(2_000);
  const ended = child.exitCode !== null || child.signalCode !== null;
  if (!ended) {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  rmSync(folder, { recursive: true, force: true });
  const text = `${name}: ${before.toFixed(0)} MB before, at most ${most.toFixed(0)}; an innocent client is answered in ${took.toFixed(0)} ms; ${events.join(", ") || "nothing said"}`;
  return { more: most - before, took, ended, text: ended ? `${text}; the process has ended` : text };
}

function judge(fine, text) {
  if (!fine) process.exitCode = 1;
  console.log(`${fine ? "ok  " : "FAIL"} ${text}`);
}

const wanted = ([name]) => asked.length === 0 || asked.some((word) => name.includes(word));

for (const [name, attack] of Object.entries(FORMS).filter(wanted)) {
  if (!options.includes("--unlimited")) {
    limited = true;
    const { more, took, text } = await attempt(name, attack);
    judge(more <= MORE_MAX && took < 30_000, text);
    if (!CONTROLS.includes(name)) continue;
  }
  limited = false;
  const { more, text } = await attempt(name, attack);
  judge(more > MORE_MAX || !CONTROLS.includes(name), `without limits: ${text}`);
}

for (const [name, attack] of Object.entries(FORMS_OF_SMALL_HEAP).filter(wanted)) {
  const small = true;
  if (!options.includes("--unlimited")) {
    limited = true;
    const { ended, took, text } = await attempt(name, attack, small);
    judge(!ended && took < 30_000, `small heap: ${text}`);
  }
  limited = false;
  const { ended, text } = await attempt(name, attack, small);
  judge(ended, `small heap, without limits: ${text}`);
}
