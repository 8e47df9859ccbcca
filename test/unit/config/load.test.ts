import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openListeners } from "#core/config/listeners.ts";
import { loadConfig, loadText } from "#core/config/load.ts";
import type { Config } from "#core/config/schema.ts";
import { FOREVER, seconds } from "#core/lib/time.ts";
import { MODULES } from "#core/modules.ts";
import { ConfigError } from "#core/settings/problem.ts";
import { readYaml } from "#core/settings/source.ts";
import { STUB_MODULES } from "../../support/config/stub-modules.ts";

const load = (text: string): Config => loadText(STUB_MODULES, text, "isthmus.yaml").config;

/** The messages that a configuration is refused with. */
function refusalOf(run: () => unknown): readonly string[] {
  try {
    run();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map((problem) => problem.message);
    throw error;
  }
  return [];
}
const refused = (text: string) => refusalOf(() => load(text));
/** Without a file. */
const withFlags = (given: { set?: string[]; environment?: Record<string, string> }) =>
  loadConfig({ modules: STUB_MODULES, ...given }, { name: undefined, yaml: readYaml("", "isthmus.yaml") });
const listenerOf = (config: Config, gateway: string, name: string) =>
  config.gateways[gateway]!.listeners[name]!;

describe("without a file", () => {
  it("opens the usual ports of every gateway, and the secure ones only with certificates", () => {
    const ports = (config: Config) =>
      openListeners(config).map(({ gateway, name, config: own }) => `${gateway} ${name} ${own.port}`);
    const open = ["mqtt tcp 1883", "mqtt ws 8083", "coap udp 5683", "coap tcp 5683", "mqtt-sn udp 1884"];
    expect(ports(load(""))).toEqual([...open, "stomp tcp 61613", "stomp ws 8085"]);
    expect(ports(load("tls: { cert: c.pem, key: k.pem }"))).toEqual(
      expect.arrayContaining([...open, "mqtt tls 8883", "mqtt wss 8084", "stomp tls 61614"]),
    );
  });

  it("converts units: lengths of time to milliseconds, sizes to bytes, unlimited to Infinity", () => {
    const config = load("");
    expect(config.session.expiryMax).toBe(7 * 24 * 3600 * 1000);
    expect(config.session.queue.bytes).toBe(16 * 1024 * 1024);
    expect(listenerOf(config, "mqtt", "tcp").limits.messageRate).toBe(Number.POSITIVE_INFINITY);
    expect(config.gateways["mqtt"]!["retryInterval"]).toBe(20_000);
  });

  it("warns where more may be held for peers than Node's heap has room for, and says nothing of it by default", () => {
    const warned = (yaml: string) =>
      loadText(STUB_MODULES, yaml).warnings.filter((each) => each.startsWith("memory.total"));
    expect(warned("")).toEqual([]);
    expect(warned("memory: { total: 64MB }")).toEqual([]);
    expect(warned("memory: { total: 2000GB }")).toEqual([
      expect.stringMatching(/^memory\.total is 2048000 MB, .* at \d+ MB: set less, .*--max-old-space-size/),
    ]);
    expect(warned("memory: { total: unlimited }")).toEqual([expect.stringContaining("is unlimited")]);
  });

  it("says aloud that anybody may connect", () => {
    expect(loadText(STUB_MODULES, "").warnings.join()).toContain("authentication.anonymous is true");
  });
});

describe("what is counted of single topics", () => {
  const UPSTREAM = "bus: { engine: upstream, upstream: { servers: ['tcp://10.0.0.1:1883'] } }";

  it.each([
    ["topicMetrics: [a]", "topicMetrics"],
    ["slowSubscriptions: { enable: true }", "slowSubscriptions.enable"],
  ])("is refused where messages pass a cluster: %s", (more, key) => {
    const problems = refused(`${UPSTREAM}\n${more}`);
    expect(problems).toEqual([expect.stringContaining(key)]);
    expect(problems[0]).toContain("where bus.engine is upstream");
    expect(() => loadText(STUB_MODULES, more)).not.toThrow();
  });

  it("is of topic filters", () => {
    expect(refused("topicMetrics: [room/#/x]")).toEqual([expect.stringContaining("topicMetrics[0]")]);
  });
});

describe("a sleeper's messages", () => {
  const warned = (yaml: string) =>
    loadText(STUB_MODULES, yaml).warnings.filter((each) => each.includes("sleeping device"));
  const udp = (more: string) => `gateways: { mqtt-sn: { listeners: { udp: { ${more} } } } }`;

  it("go to whoever says its client id, and that is said at the start where the listener is open", () => {
    expect(warned("")).toEqual([
      expect.stringContaining("gateways.mqtt-sn.listeners.udp.udp.roaming is anywhere"),
    ]);
    expect(warned(udp("udp: { roaming: same-host }"))).toEqual([]);
    expect(warned(udp("udp: { roaming: never }"))).toEqual([]);
    expect(warned(udp("bind: 127.0.0.1"))).toEqual([]);
    expect(warned("gateways: { mqtt-sn: { enable: false } }")).toEqual([]);
  });
});

describe("names that every object has", () => {
  it.each([
    ["__proto__: { log: { level: debug } }", "isthmus.yaml:1: __proto__ is not a known key"],
    ["log: { __proto__: { level: debug } }", "isthmus.yaml:1: log.__proto__ is not a known key"],
    ["log:\n  constructor: 1", "isthmus.yaml:2: log.constructor is not a known key"],
    ["prototype: 1", "isthmus.yaml:1: prototype is not a known key"],
    ...["__proto__", "constructor", "prototype"].map((name) => [
      `gateways: { mqtt: { listeners: { ${name}: { transport: tcp, port: 0 } } } }`,
      `isthmus.yaml:1: gateways.mqtt.listeners.${name} is not a known key; allowed: a name that not every object has`,
    ]),
    [
      "authorization: { rules: [{ __proto__: { who: all } }] }",
      "isthmus.yaml:1: authorization.rules[0].__proto__ is not a known key",
    ],
  ])("are no keys: %s", (text, says) => {
    expect(refused(text!)).toContainEqual(expect.stringContaining(says!));
  });

  it.each(["__proto__", "constructor", "prototype"])("are no keys of flags and variables: %s", (name) => {
    const flags = [`${name}.polluted=1`, `gateways.mqtt.listeners.${name}.port=1`];
    for (const flag of flags) {
      expect(refusalOf(() => withFlags({ set: [flag] }))).toEqual([
        expect.stringContaining(`${name} is not a known key`),
      ]);
    }
    const environment = { [`ISTHMUS_GATEWAYS__MQTT__LISTENERS__${name.toUpperCase()}__PORT`]: "1" };
    expect(refusalOf(() => withFlags({ environment }))).toHaveLength(1);
    expect(Object.hasOwn(Object.prototype, "polluted") || Object.hasOwn(Object.prototype, "port")).toBe(
      false,
    );
  });

  it("may be names of what is somebody else's, such as a field in a JSON Schema", () => {
    const filter = "{ name: v, kind: validator, schema: { properties: { constructor: { type: string } } } }";
    const about = (text: string) => refused(text).filter((problem) => problem.includes("constructor"));
    expect(about(`pipelines: { p: { filters: [${filter}] } }`)).toEqual([]);
  });
});

describe("nesting", () => {
  it.each([
    ["[", "]"],
    ["{a: ", "}"],
    ["- ", ""],
    ["? ", ""],
  ])("of 20,000 levels by %j is refused in words, with its line", (begin, end) => {
    for (const levels of [300, 20_000]) {
      const text = `# a line\nlog: {}\nx: ${begin === "- " || begin === "? " ? "\n" : ""}${begin.repeat(levels)}1${end.repeat(levels)}`;
      expect(refused(text)).toEqual([
        expect.stringMatching(/^isthmus\.yaml:[34]: lists and sections are nested more than 200 deep$/),
      ]);
    }
  });

  it("of 300 levels by indentation is refused, too", () => {
    const text = Array.from({ length: 300 }, (_, level) => `${" ".repeat(level)}a:`).join("\n");
    expect(refused(text)).toEqual(["isthmus.yaml:201: lists and sections are nested more than 200 deep"]);
  });

  it("in a flag is refused, too", () => {
    const set = [`authorization.rules=${"[".repeat(20_000)}`];
    expect(refusalOf(() => withFlags({ set }))).toEqual([
      "--set authorization.rules: authorization.rules is nested more than 200 deep",
    ]);
  });

  it("that ends is no nesting, however many lists there are", () => {
    const rules = Array.from(
      { length: 300 },
      (_, index) => `  - { permission: allow, who: all, action: publish, topics: ["${index}/#"] }`,
    );
    expect(refused(`authorization:\n  rules:\n${rules.join("\n")}`)).toEqual([]);
  });
});

describe("a file", () => {
  it("needs only what differs; sections are merged, lists replaced", () => {
    const config = load(
      "gateways:\n  mqtt:\n    listeners:\n      tcp:\n        port: 2883\nauthorization:\n  rules: []\n",
    );
    expect(listenerOf(config, "mqtt", "tcp").port).toBe(2883);
    expect(listenerOf(config, "mqtt", "tcp").transport).toBe("tcp");
    expect(listenerOf(config, "mqtt", "ws").websocket.paths).toEqual(["/mqtt", "/"]);
    expect(config.authorization.rules).toEqual([]);
  });

  it("may name listeners of its own beside the usual ones, and close those", () => {
    const config = load(
      "gateways:\n  mqtt:\n    listeners:\n      inner: { transport: tcp, port: 0, bind: 127.0.0.1 }\n      ws: { enable: false }\n",
    );
    const names = openListeners(config).filter(({ gateway }) => gateway === "mqtt");
    expect(names.map(({ name }) => name)).toEqual(["tcp", "inner"]);
  });

  it("may leave a section empty", () => {
    expect(load("log:\ngateways:\n  mqtt:\n")).toEqual(load(""));
  });

  it("writes lengths of time and sizes in any unit, or as bare seconds and bytes", () => {
    const text = (expiry: string, bytes: string) =>
      load(`session: { expiryMax: ${expiry}, queue: { bytes: ${bytes} } }`).session;
    expect(text("90", "4096").expiryMax).toBe(seconds(90));
    expect(text("1.5m", "4KB").expiryMax).toBe(seconds(90));
    expect(text("250ms", "0.5MB").queue.bytes).toBe(512 * 1024);
    expect(text("forever", "unlimited").expiryMax).toBe(FOREVER);
    expect(text("forever", "unlimited").queue.bytes).toBe(Number.POSITIVE_INFINITY);
  });

  it("lets a listener differ from the general TLS settings key by key", () => {
    const config = load(
      "tls: { cert: a.pem, key: k.pem, minVersion: TLSv1.3 }\ngateways: { mqtt: { listeners: { tls: { tls: { cert: b.pem } } } } }",
    );
    const tls = openListeners(config).find(({ name }) => name === "tls")?.tls;
    expect(tls).toMatchObject({ cert: "b.pem", key: "k.pem", minVersion: "TLSv1.3", identity: "cn" });
  });
});

describe("a mistake in a file is one line that", () => {
  it("names line, key, value and what is allowed", () => {
    expect(refused("log:\n  level: loud\n")).toEqual([
      'isthmus.yaml:2: log.level is "loud"; allowed: one of trace, debug, info, warn, error, fatal',
    ]);
    expect(refused("gateways:\n  mqtt:\n    listeners:\n      tcp:\n        port: 99999\n")).toEqual([
      "isthmus.yaml:5: gateways.mqtt.listeners.tcp.port is 99999; allowed: an integer from 0 to 65535",
    ]);
    expect(refused("flapping: { window: soon }")).toEqual([
      'isthmus.yaml:1: flapping.window is "soon"; allowed: a length of time such as 100ms, 30s, 5m, 1h, 7d, forever, or plain seconds',
    ]);
    expect(refused("session:\n  queue:\n    bytes: 3XB\n")).toEqual([
      'isthmus.yaml:3: session.queue.bytes is "3XB"; allowed: a size such as 512B, 64KB, 1MB, 2GB, unlimited, or plain bytes',
    ]);
  });

  it("names the nearest known key for a misspelled one", () => {
    expect(refused("log:\n  levle: info\n")).toEqual([
      'isthmus.yaml:2: log.levle is not a known key; did you mean "level"?',
    ]);
    expect(refused("gatways: {}")).toEqual([
      'isthmus.yaml:1: gatways is not a known key; did you mean "gateways"?',
    ]);
    expect(refused("gateways:\n  mqttsn: {}\n")).toEqual([
      'isthmus.yaml:2: gateways.mqttsn is not a known key; did you mean "mqtt-sn"?',
    ]);
    expect(refused("store:\n  foo: 1\n")).toEqual([
      "isthmus.yaml:2: store.foo is not a known key; allowed: one of engine, commitWindow, sync, sizeMax",
    ]);
  });

  it("is one for what is left empty under a name that nothing has, and for an item of a list", () => {
    expect(refused("gatways:\n")).toEqual([
      'isthmus.yaml:1: gatways is not a known key; did you mean "gateways"?',
    ]);
    expect(refused("gateways:\n  mqttsn:\n")).toEqual([
      'isthmus.yaml:2: gateways.mqttsn is not a known key; did you mean "mqtt-sn"?',
    ]);
    expect(refused("dtls:\n  suites:\n    -\n")).toEqual([
      "isthmus.yaml:3: dtls.suites[0] is empty; allowed: a text",
    ]);
    expect(refused("connectors:\n  mine:\n")).toEqual([
      expect.stringContaining(
        "isthmus.yaml:2: connectors.mine is empty; allowed: a section of one kind of http",
      ),
    ]);
    expect(load("gateways:\n  coap:\n  mqtt:\n    listeners:\n      tcp:\nlog:\n  level:\n")).toEqual(
      load(""),
    );
  });

  it("tells of a second document in the words of YAML", () => {
    expect(refused("log: {}\n---\nlog: {}\n").join()).toContain(
      "a second document begins here: expected one, without a line --- in between",
    );
  });

  it("names the bounds of lengths of time in the units they are given in", () => {
    expect(refused("gateways:\n  mqtt:\n    retryInterval: 2h\n")).toEqual([
      'isthmus.yaml:3: gateways.mqtt.retryInterval is "2h"; allowed: a length of time such as 100ms, 30s, 5m, 1h, 7d, forever, or plain seconds from 1s to 1h',
    ]);
  });

  it("points into lists, and tells what is wrong inside a choice of forms", () => {
    const rules =
      "authorization:\n  rules:\n    - { permission: allow }\n    - { permission: permit, who: { usr: a } }\n    - { permission: deny, who: nobody }\n";
    expect(refused(rules)).toEqual([
      'isthmus.yaml:4: authorization.rules[1].permission is "permit"; allowed: one of allow, deny',
      'isthmus.yaml:4: authorization.rules[1].who.usr is not a known key; did you mean "user"?',
      'isthmus.yaml:5: authorization.rules[2].who is "nobody"; allowed: all, or a section with the keys user, clientId, userPattern, clientIdPattern, address, gateway',
    ]);
  });

  it("refuses what is no regular expression, alone or in a list", () => {
    const who = (pattern: string) =>
      refused(`authorization: { rules: [{ permission: allow, who: { userPattern: ${pattern} } }] }`);
    for (const pattern of ["'('", "[ok, '(']", "'\\p'"])
      expect(who(pattern).join(), pattern).toContain("regular expression");
  });

  it("refuses half a surrogate pair, which UTF-8 cannot say, in any text and any key; a whole one is a character", () => {
    const fix =
      'allowed: whole characters, written as they are or as a pair of escapes such as "\\ud83d\\ude00"';
    expect(refused('node: { name: "\\ud800" }')).toEqual([
      `isthmus.yaml:1: node.name is "\\ud800", with half a surrogate pair in it; ${fix}`,
    ]);
    expect(
      refused(`
api: { hosts: ["a", "\\udc00.example"] }
authorization:
  rules: [{ permission: allow, who: all, action: publish, topics: ["a", "b/\\ud83d"] }]`),
    ).toEqual([
      `isthmus.yaml:2: api.hosts[1] is "\\udc00.example", with half a surrogate pair in it; ${fix}`,
      `isthmus.yaml:4: authorization.rules[0].topics[1] is "b/\\ud83d", with half a surrogate pair in it; ${fix}`,
    ]);
    expect(refused('tls: { keyPassphrase: "secret\\ud800" }').join()).toContain("(hidden), with half");
    expect(refused('gateways: { mqtt: { listeners: { "x\\ud800": {} } } }').join()).toContain(
      "is a key with half a surrogate pair in it",
    );
    expect(load('node: { name: "\\ud83d\\ude00" }').node.name).toBe("😀");
  });

  it("names the sentinel or node of Redis that is no host and port, wherever that is configured", () => {
    const chain = 'authentication: { chain: [{ kind: redis, sentinels: ["a:1", "here"] }] }';
    expect(refused(chain).join()).toContain('sentinels[1] is "here"');
    const connector = 'connectors: { kept: { kind: redis, cluster: ["a:65536"] } }';
    expect(refused(connector).join()).toContain('connectors.kept.cluster[0] is "a:65536"');
  });

  it("says what is missing", () => {
    expect(refused("gateways: { mqtt: { listeners: { mine: { port: 1 } } } }")).toEqual([
      "isthmus.yaml:1: gateways.mqtt.listeners.mine.transport is missing; allowed: one of tcp, tls, ws, wss, udp, dtls",
    ]);
  });

  it("keeps secrets to itself", () => {
    const [message] = refused("tls:\n  keyPassphrase: [hunter2]\n");
    expect(message).toBe("isthmus.yaml:2: tls.keyPassphrase is (hidden); allowed: a text");
  });

  it("shows where the YAML breaks", () => {
    expect(refused("log:\n  level: info\n level: x\n")[0]).toMatch(/^isthmus\.yaml:3: /);
    expect(refused("log: 1\nlog: 2\n")[0]).toMatch(/^isthmus\.yaml:2: .*unique/);
    expect(refused("- a\n")).toEqual(["isthmus.yaml: the file must hold sections of keys and values"]);
  });

  it("names the alias that stands for nothing, or for what it is part of, and where there are too many", () => {
    expect(refused("node:\n  name: *nobody\n")).toEqual([
      "isthmus.yaml:2: node.name: there is no anchor &nobody before the alias *nobody",
    ]);
    expect(refused("node: &a\n  name: *a\n")).toEqual([
      "isthmus.yaml:2: node.name: the alias *a is part of what it stands for",
    ]);
    const bomb = ["a: &a [x, x, x, x, x, x, x, x, x, x]"];
    for (const [index, name] of [..."bcdefg"].entries())
      bomb.push(`${name}: &${name} [${Array(10).fill(`*${"abcdefg"[index]}`).join(", ")}]`);
    expect(refused(bomb.join("\n"))).toEqual(["isthmus.yaml: the file has too many aliases"]);
  });

  it("is told for every mistake, not only for the first", () => {
    expect(refused("log: { level: 1, format: 2 }\nbans: { max: -1 }\n")).toHaveLength(3);
  });
});

describe("what a schema cannot say", () => {
  const rule = (rest: string) => refused(`authorization:\n  rules:\n    - ${rest}\n`);

  it("is checked: placeholders, filters, addresses", () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: placeholders
    expect(rule('{ permission: allow, topics: ["a/${zone}"] }')[0]).toContain(
      // biome-ignore lint/suspicious/noTemplateCurlyInString: placeholders
      'authorization.rules[0].topics[0] is "a/${zone}"; allowed: the placeholders %c %u %a %e',
    );
    expect(rule('{ permission: allow, topics: ["a/b#"] }')).toEqual([
      'isthmus.yaml:3: authorization.rules[0].topics[0] is "a/b#"; allowed: a topic filter (this one has: misplaced wildcard)',
    ]);
    expect(rule("{ permission: allow, who: { address: 10.0.0.0/33 } }")).toEqual([
      'isthmus.yaml:3: authorization.rules[0].who.address is "10.0.0.0/33"; allowed: an IP address or a CIDR range such as 10.0.0.0/8',
    ]);
    expect(rule('{ permission: allow, topics: ["eq #", "dev/%c/#"] }')).toEqual([]);
  });

  it("is checked: mountpoints are prefixes without wildcards, outside $SYS", () => {
    const mountpoint = (text: string) => refused(`gateways: { mqtt: { mountpoint: "${text}" } }`);
    expect(mountpoint("a/+/")).toHaveLength(1);
    expect(mountpoint("$SYS/x/")).toHaveLength(1);
    // biome-ignore lint/suspicious/noTemplateCurlyInString: placeholders
    expect(mountpoint("${clientid}/%u/")).toEqual([]);
  });

  it("is checked: access rules, bans without a subject, users files without a path", () => {
    expect(refused("gateways: { mqtt: { listeners: { tcp: { accessRules: [permit all] } } } }")).toEqual([
      'isthmus.yaml:1: gateways.mqtt.listeners.tcp.accessRules[0] is "permit all"; allowed: allow or deny, and an IP address, a CIDR range or all',
    ]);
    expect(refused("bans: { list: [{ reason: x }] }")).toEqual([
      'isthmus.yaml:1: bans.list[0] is {"reason":"x"}; allowed: at least one of clientId, user, address',
    ]);
    expect(refused("authentication: { chain: [{ kind: users-file }] }")).toEqual([
      "isthmus.yaml:1: authentication.chain[0].file is missing; allowed: a text",
    ]);
    expect(refused("bans: { list: [{ clientId: a, until: tomorrow }] }")).toEqual([
      'isthmus.yaml:1: bans.list[0].until is "tomorrow"; allowed: a time such as 2030-01-31T12:00:00Z',
    ]);
    expect(refused('rewrite: [{ filter: "#", pattern: "(", target: a }]')).toEqual([
      'isthmus.yaml:1: rewrite[0].pattern is "("; allowed: a regular expression',
    ]);
  });

  it("is checked: a port for two, a secure listener without certificates, half a certificate", () => {
    expect(refused("gateways: { mqtt: { listeners: { ws: { port: 1883 } } } }")).toEqual([
      "isthmus.yaml:1: gateways.mqtt.listeners.ws.port is 1883; allowed: a port that gateways.mqtt.listeners.tcp does not use",
    ]);
    expect(refused("gateways: { mqtt: { listeners: { tls: { enable: true } } } }")).toEqual([
      "isthmus.yaml:1: gateways.mqtt.listeners.tls.enable is true; allowed: true only with tls.cert and tls.key, tls.pskFile, or keysFromAuthentication",
    ]);
    expect(refused("tls: { cert: a.pem }").length).toBeGreaterThan(0);
  });

  it("names the members of each chain that a protocol cannot carry, of a listener's own too (17.3)", () => {
    const named = (yaml: string): string =>
      loadText(MODULES, yaml)
        .warnings.filter((each) => each.includes("no user name or password"))
        .join("\n");
    const jwt = "{ kind: jwt, secret: 0123456789abcdef0123456789abcdef }";
    const general = `authentication: { anonymous: false, chain: [{ kind: user-list }, { kind: client-id-list }, ${jwt}] }`;
    expect(named(general)).toContain("Devices of lwm2m present an endpoint name");
    expect(named(general)).toContain("Devices of mqtt-sn");
    expect(named(general)).toContain("user-list, jwt in the chain");
    const ofListener = `authentication: { chains: { own: { anonymous: false, chain: [${jwt}] } } }
gateways: { mqtt-sn: { listeners: { udp: { chain: own } } } }`;
    expect(named(ofListener)).toContain("Devices of mqtt-sn");
    expect(named(ofListener)).not.toContain("lwm2m");
    expect(
      named(`${general}\ngateways: { mqtt-sn: { presents: { username: "%c" } }, lwm2m: { enable: false } }`),
    ).toBe("");
  });

  it("is warned of listeners that ask for pre-shared keys where nobody in the chain has any", () => {
    const warned = (chain: string, more = "tls: { keysFromAuthentication: true }") =>
      loadText(
        MODULES,
        `authentication: { anonymous: false, chain: [${chain}] }\n${more}\ngateways: { mqtt: {} }`,
      )
        .warnings.filter((warning) => warning.startsWith("No pre-shared key will be found"))
        .join("\n");
    expect(warned("{ kind: redis }")).toContain("gateways.mqtt.listeners.tls, gateways.mqtt.listeners.wss");
    expect(warned("{ kind: transport-identity }", "dtls: { keysFromAuthentication: true }")).toContain(
      "gateways.coap.listeners.dtls",
    );
    expect(warned('{ kind: redis, pskCommand: "HGET k:%u psk" }')).toBe("");
    expect(warned("{ kind: users-file, file: users.yaml }")).toBe("");
    expect(warned("{ kind: redis }", "tls: {}")).toBe("");
  });

  it("is warned of: users in rules that nobody checks, listeners without login, an open HTTP port", () => {
    const warnings = loadText(
      STUB_MODULES,
      "authorization: { rules: [{ permission: allow, who: { user: ann } }] }\napi: { bind: 0.0.0.0 }\ngateways: { mqtt: { listeners: { tcp: { authenticate: false } } } }\n",
    ).warnings.join("\n");
    expect(warnings).toContain("any client may claim to be any user");
    expect(warnings).toContain("gateways.mqtt.listeners.tcp lets everybody in");
    expect(warnings).toContain("18083");
  });
});

describe("values from outside the file", () => {
  let folder = "";
  let file = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "isthmus-config-"));
    file = join(folder, "my.yaml");
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const withSources = (environment: Record<string, string>, set: readonly string[] = []) =>
    loadConfig({ modules: STUB_MODULES, file, environment, set }).config;

  it("win over it: the environment, and --set over that", () => {
    writeFileSync(file, "gateways: { mqtt: { listeners: { tcp: { port: 1 } } } }");
    const variable = { ISTHMUS_GATEWAYS__MQTT__LISTENERS__TCP__PORT: "2" };
    expect(listenerOf(withSources({}), "mqtt", "tcp").port).toBe(1);
    expect(listenerOf(withSources(variable), "mqtt", "tcp").port).toBe(2);
    const set = ["gateways.mqtt.listeners.tcp.port=3"];
    expect(listenerOf(withSources(variable, set), "mqtt", "tcp").port).toBe(3);
  });

  it("find their key whatever case, dash or underscore it is written with", () => {
    writeFileSync(file, "");
    const config = withSources(
      {
        ISTHMUS_GATEWAYS__MQTT_SN__LISTENERS__UDP__PORT: "1885",
        ISTHMUS_DATA_FOLDER: "/var/lib/isthmus",
      },
      ["session.queueqos0=false"],
    );
    expect(listenerOf(config, "mqtt-sn", "udp").port).toBe(1885);
    expect([config.dataFolder, config.session.queueQos0]).toEqual(["/var/lib/isthmus", false]);
  });

  it("are read as YAML: lists, sections and list positions work", () => {
    writeFileSync(file, "");
    const config = withSources({ ISTHMUS_LOG: "{ level: debug }" }, [
      "gateways.mqtt.listeners.ws.websocket.paths=[/a, /b]",
      "authorization.rules[1].permission=allow",
      "gateways.mqtt.listeners.extra.transport=tcp",
      "gateways.mqtt.listeners.extra.port=0",
      "node.name=42",
    ]);
    expect(config.log.level).toBe("debug");
    expect(listenerOf(config, "mqtt", "ws").websocket.paths).toEqual(["/a", "/b"]);
    expect(config.authorization.rules.map((rule) => rule.permission)).toEqual(["allow", "allow"]);
    expect(listenerOf(config, "mqtt", "extra").transport).toBe("tcp");
    expect(config.node.name).toBe("42");
  });

  it("are named in the messages about them", () => {
    writeFileSync(file, "");
    expect(refusalOf(() => withSources({ ISTHMUS_LOG__LEVEL: "loud" }))).toEqual([
      'environment variable ISTHMUS_LOG__LEVEL: log.level is "loud"; allowed: one of trace, debug, info, warn, error, fatal',
    ]);
    expect(refusalOf(() => withSources({}, ["log.levle=info"]))).toEqual([
      '--set log.levle: log.levle is not a known key; did you mean "level"?',
    ]);
    expect(refusalOf(() => withSources({}, ["api.port=[1"]))[0]).toContain(
      "--set api.port: api.port cannot be read as YAML",
    );
  });

  it("may be variables that an orchestrator sets for a service of our name; those are passed over", () => {
    writeFileSync(file, "");
    const variables = { ISTHMUS_SERVICE_HOST: "10.0.0.1", ISTHMUS_PORT_1883_TCP_ADDR: "10.0.0.1" };
    expect(withSources(variables)).toEqual(withSources({}));
    expect(refusalOf(() => withSources({ ISTHMUS_LOG__LEVLE: "info" }))).toHaveLength(1);
  });

  it("may name the file, which then must be there", () => {
    writeFileSync(file, "node: { name: from-file }");
    const named = loadConfig({ modules: STUB_MODULES, environment: { ISTHMUS_CONFIG: file } });
    expect([named.config.node.name, named.file]).toEqual(["from-file", file]);
    expect(
      refusalOf(() => loadConfig({ modules: STUB_MODULES, file: join(folder, "none.yaml") }))[0],
    ).toContain("none.yaml: there is no such file; name another with --config or ISTHMUS_CONFIG");
  });

  it("may be in UTF-8 with or without its mark, and in no other encoding", () => {
    const fromFile = () => refusalOf(() => loadConfig({ modules: STUB_MODULES, file }));
    writeFileSync(file, "\ufeffnode: { name: Zürich }");
    expect(fromFile()).toEqual([]);
    for (const encoding of ["latin1", "utf16le"] as const) {
      writeFileSync(file, Buffer.from("node: { name: Zürich }", encoding));
      expect(fromFile()).toEqual([`${file}: it is not in UTF-8; save it in that encoding`]);
    }
  });
});

describe("a configuration with many mistakes", () => {
  const said = (text: string): string[] =>
    refusalOf(() => loadText(STUB_MODULES, text, "f.yaml")).map((line) =>
      line.replace(/^(\S+): (\S+) .*$/, "$1 $2"),
    );

  it("is told all of them at once, those of form and those of meaning, each with its own place", () => {
    const text = `
authorization:
  rules:
    - { permission: allow, who: { address: "10.0.0" } }
    - { permission: perhaps }
    - { permission: deny, who: { gateway: mqtts } }
rewrite: [{ filter: "a/#/b", pattern: x, target: y }]
node: { shutdownTimeout: soon }
bans: { list: [{ address: 127.0.1 }] }
gateways:
  mqtt: { listeners: { tcp: { port: 99999 }, u: { transport: udp, port: 1 } } }
`;
    expect(said(text).sort()).toEqual([
      "f.yaml:11 gateways.mqtt.listeners.tcp.port",
      "f.yaml:11 gateways.mqtt.listeners.u.transport",
      "f.yaml:4 authorization.rules[0].who.address",
      "f.yaml:5 authorization.rules[1].permission",
      "f.yaml:6 authorization.rules[2].who.gateway",
      "f.yaml:7 rewrite[0].filter",
      "f.yaml:8 node.shutdownTimeout",
      "f.yaml:9 bans.list[0].address",
    ]);
  });

  it("says nothing of a section that is wrong only for want of what was left out of it", () => {
    expect(said("authorization: { rules: [{ permission: allow, who: { gatewy: mqtt } }] }")).toEqual([
      "f.yaml:1 authorization.rules[0].who.gatewy",
    ]);
  });

  it("that is no YAML is told the key, and why a value with a colon needs quotes", () => {
    const [message] = refusalOf(() => loadText(STUB_MODULES, "api:\n  port: 1\n  bind: ::\n", "f.yaml"));
    expect(message).toContain("f.yaml:3: api.bind: ");
    expect(message).toContain("needs quotes");
  });
});

describe("a misspelt environment variable", () => {
  const warned = (name: string): readonly string[] =>
    loadConfig({ modules: STUB_MODULES, file: emptyFile(), environment: { [name]: "x" } }).warnings.filter(
      (warning) => warning.includes("environment variable"),
    );
  const emptyFile = (): string => {
    const file = join(mkdtempSync(join(tmpdir(), "isthmus-config-")), "empty.yaml");
    writeFileSync(file, "");
    return file;
  };

  it.each([
    ["ISTHMUS_LOG_LEVEL", "ISTHMUS_LOG__LEVEL"],
    ["ISTHMUS_DATAFOLDR", "ISTHMUS_DATAFOLDER"],
  ])("%s is warned of, with %s", (name, meant) => {
    expect(warned(name)).toEqual([expect.stringContaining(meant)]);
  });

  it("of an orchestrator's own is passed over in silence", () => {
    expect(warned("ISTHMUS_SERVICE_HOST")).toEqual([]);
  });
});

it("warns that nobody can connect where anonymous is false and the chain is empty", () => {
  expect(loadText(STUB_MODULES, "authentication: { anonymous: false }").warnings.join()).toContain(
    "Nobody can connect",
  );
});
