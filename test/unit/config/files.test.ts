/** `check-config` opens what a configuration names, and says all that is wrong with it at once. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { checkFiles } from "#core/check-files.ts";
import { loadText } from "#core/config/load.ts";
import { check } from "#core/main.ts";
import { MODULES } from "#core/modules.ts";
import { ConfigError } from "#core/settings/problem.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-files-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

async function problems(text: string): Promise<readonly string[]> {
  const { config, locate } = loadText(MODULES, text, "isthmus.yaml");
  try {
    await checkFiles(config, MODULES, locate);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ message }) => message.replaceAll(`${folder}/`, ""));
  }
}

it("says nothing of the default configuration, and leaves nothing behind", async () => {
  expect(await problems("")).toEqual([]);
});

it("says nothing of secure listeners whose keys are all in a database, TLS and DTLS", async () => {
  const chain = `chain: [{ kind: redis, pskCommand: "HGET mqtt_user:%u psk" }, { kind: transport-identity }]`;
  const keys = "tls: { keysFromAuthentication: true }\ndtls: { keysFromAuthentication: true }";
  expect(await problems(`authentication: { anonymous: false, ${chain} }\n${keys}`)).toEqual([]);
});

it("says of each file that is missing or wrong which it is, where it is named, and what is wrong with it", async () => {
  const users = file("users.yaml", "users: [{ username: a, password: plain }]");
  const topics = file("topics.json", '[{ "id": 1, "topic": "a/+" }]');
  const profiles = file("profiles.json", '{ "meter": { "nonsense": 1 } }');
  const pem = file("some.pem", "no PEM");
  const found = await problems(`
tls: { cert: ${pem}, key: ${folder}/none.key }
authentication:
  chain:
    - { kind: users-file, file: ${users} }
    - { kind: users-file, file: ${folder}/none.yaml }
hooks: { modules: [{ name: h, module: ${folder}/hook.mjs }] }
gateways:
  mqtt: { listeners: { wss: { enable: false } } }
  stomp: { enable: false }
  coap: { listeners: { dtls: { enable: false } } }
  mqtt-sn: { predefinedTopicsFile: ${topics}, listeners: { dtls: { enable: false } } }
  lwm2m: { bootstrap: { profiles: ${profiles} } }
`);
  const expected = [
    /users\.yaml.*users\[0\]\.password is no hash/,
    /users\.yaml.*users\[0\] has neither/,
    /none\.yaml.*no such users file/,
    /gateways\.mqtt\.listeners\.tls .*none\.key does not exist/,
    /hooks\.modules\[0\]\.module .*no file hook\.mjs/,
    /gateways\.mqtt-sn .*topics\.json: \[0\]\.topic/,
    /gateways\.lwm2m .*profiles\.json/,
  ];
  expect(found).toEqual(expected.map((pattern) => expect.stringMatching(pattern)));
  expect(found.join("\n")).not.toContain("internal");
});

it("says of the files that sessions at a cluster need which key names one that is not there", async () => {
  const group = (ca: string) => `groups: { default: { servers: [{ url: "tls://a" }], tls: { ca: ${ca} } } }`;
  const before = (upstream: string) => problems(`bus: { engine: upstream, upstream: { ${upstream} } }`);
  expect(await before(group(`${folder}/none.pem`))).toEqual([
    expect.stringMatching(/isthmus\.yaml:1: bus\.upstream\.groups\.default\.tls .*none\.pem does not exist/),
  ]);
  const redis = `keep: redis, redis: { tls: true, ca: ${folder}/none.pem }`;
  expect(await before(`servers: ["tcp://a"], devices: { ${redis} }`)).toEqual([
    expect.stringMatching(/bus\.upstream\.devices\.redis\.ca cannot be used: .*none\.pem/),
  ]);
  expect(await before('servers: ["tcp://a"]')).toEqual([]);
});

it("says what is wrong with files and with the text beside each other, and warns of a folder that is missing", async () => {
  const topics = file("twice.json", '[{ "id": 1, "topic": "a" }, { "id": 1, "topic": "b" }]');
  const clients = file("clients.json", "[{");
  const text = `
log: { level: loud }
gateways:
  mqtt-sn: { predefinedTopicsFile: ${topics}, credentials: { file: ${clients} } }
`;
  const wrong = file("wrong.yaml", text);
  await expect(check({ file: wrong, set: [] })).rejects.toThrow(
    /log\.level.*gateways\.mqtt-sn .*credentials\.file: .*no JSON.*predefinedTopicsFile: .*id 1/s,
  );
  const right = file("right.yaml", `gateways: { lwm2m: { definitions: ${folder}/nowhere } }`);
  const { warnings } = await check({ file: right, set: [] });
  expect(warnings.join("\n")).toMatch(/definitions cannot be read: .*nowhere/);
});
