/**
 * What DTLS itself costs, without sockets: records opened and sealed with an association that is there, and the memory
 * of idle associations. Prints JSON. Run with `--expose-gc`; the suite does.
 */
import { Association } from "../../../dist/src/dtls/association.js";
import { DtlsListener } from "../../../dist/src/dtls/listener.js";
import { DtlsMemory } from "../../../dist/src/dtls/memory.js";
import { keyBlockLength } from "../../../dist/src/dtls/prf.js";
import { protectionOf } from "../../../dist/src/dtls/protection.js";
import { DEFAULT_SUITES, suiteByName } from "../../../dist/src/dtls/suites.js";
import { nodeCrypto } from "../../../dist/src/net/dtls-crypto.js";

const IDLE = Number(process.argv[2] ?? 50_000);
const REQUESTS = Number(process.argv[3] ?? 20_000);
const REQUEST = 40;
const day = 86_400_000;

let answer = () => {};
const ports = {
  crypto: nodeCrypto,
  alarms: { arm() {}, disarm() {} },
  now: () => 1_700_000_000_000,
  send() {},
  deliver: (association) => answer(association),
  closed() {},
  note() {},
  handshakeEnded() {},
  recordDropped(why) {
    throw new Error(why);
  },
  memory: new DtlsMemory(Number.POSITIVE_INFINITY),
  keeper: undefined,
};
const settings = {
  suites: DEFAULT_SUITES,
  extendedMasterSecret: "prefer",
  protocols: [],
  retransmission: { first: 1000, longest: 60_000, repetitions: 5 },
  handshakeTimeout: 60_000,
  datagramSize: 1200,
  recordSize: 16_384,
  handshakeMessageMax: 16_384,
  connectionId: { length: 6, draft: false, padTo: 1 },
  resumption: { ids: true, tickets: true, lifetime: day },
  limits: {
    associations: 1_000_000,
    handshakes: 1000,
    handshakesPerAddress: 1000,
    idle: 30 * day,
    sessions: 1000,
  },
};
const listener = new DtlsListener(ports, settings, {}, new Uint8Array(32));

function associate(suite, index) {
  const block = nodeCrypto.random(keyBlockLength(suite.cipher));
  const terms = {
    suite,
    material: { cipher: suite.cipher, block },
    encryptThenMac: false,
    draftCid: false,
    ownCid: nodeCrypto.random(6),
    peerCid: new Uint8Array(0),
    peerRecordSize: 16_384,
    ownRecordSize: 16_384,
    padTo: 1,
  };
  const at = { address: ["10", index >> 16, (index >> 8) & 255, index & 255].join("."), port: 5684 };
  const association = new Association(nodeCrypto, listener.associations.newId(), terms, at, ports.now());
  association.identity = ["urn:imei:35000000", index].join("");
  listener.restore(association);
  return association;
}

function requests(name) {
  const association = associate(suiteByName(name), 1);
  const client = protectionOf(nodeCrypto, association.terms.material, "client", association.terms);
  const payload = new Uint8Array(REQUEST).fill(7);
  answer = (to) => listener.write(to, payload);
  const { address, port } = association;
  const { ownCid: cid } = association.terms;
  const round = (count, from) => {
    const records = Array.from({ length: count }, (_, index) =>
      client.seal(23, payload, { epoch: 1, sequence: from + index, cid }, 0),
    );
    const before = process.cpuUsage();
    for (const record of records) listener.receive(record, address, port, ports.now());
    const { user, system } = process.cpuUsage(before);
    return (user + system) / count;
  };
  round(REQUESTS / 2, 0);
  return round(REQUESTS, REQUESTS);
}

const perRequest = {};
for (const name of ["PSK_WITH_AES_128_CCM_8", "PSK_WITH_AES_128_GCM_SHA256"])
  perRequest[name] = requests(name);

const used = () => {
  globalThis.gc?.();
  globalThis.gc?.();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return { heap: heapUsed + external, arrayBuffers, rss: process.memoryUsage.rss() };
};
const before = used();
for (let index = 0; index < IDLE; index++) associate(suiteByName("PSK_WITH_AES_128_CCM_8"), index + 2);
const after = used();
console.log(
  JSON.stringify({
    perRequest,
    idle: { heap: (after.heap - before.heap) / IDLE, rss: (after.rss - before.rss) / IDLE },
  }),
);
