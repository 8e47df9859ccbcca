/** Which kinds of authenticators the devices of a gateway can satisfy, said at the start: each kind, each gateway (17.3). */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ChainMemberSchema } from "#core/authenticate/kinds.ts";
import { loadText } from "#core/config/load.ts";
import { MODULES } from "#core/modules.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-kinds-"));
  writeFileSync(join(folder, "users.yaml"), "users: []\n");
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What each kind cannot do without, beside `kind`. */
const needed = (kind: string): object => {
  if (kind === "users-file") return { file: join(folder, "users.yaml") };
  if (kind === "http") return { url: "http://127.0.0.1/" };
  return kind === "jwt" ? { secret: "a secret of thirty-two octets, or more" } : {};
};

const KINDS = (
  ChainMemberSchema as unknown as { oneOf: { properties: { kind: { const: string } } }[] }
).oneOf.map(({ properties }) => properties.kind.const);
/** Of those that say a name alone: MQTT-SN's client id, LwM2M's endpoint name (and what DTLS proves). */
const BY_NAME_ALONE = ["users-file", "client-id-list", "transport-identity"];
const GATEWAYS = ["mqtt", "mqtt-sn", "coap", "lwm2m", "stomp", "tcp"];

/** The kinds that are warned of, by gateway, where the chain of all has each kind. */
function warned(presents: object = {}): Readonly<Record<string, readonly string[]>> {
  const chain = KINDS.map((kind) => ({ kind, ...needed(kind) }));
  const gateways = Object.fromEntries(
    GATEWAYS.map((name) => [
      name,
      { enable: true, ...(["mqtt-sn", "lwm2m"].includes(name) ? presents : {}) },
    ]),
  );
  const { warnings } = loadText(
    MODULES,
    JSON.stringify({ authentication: { anonymous: false, chain }, gateways }),
  );
  return Object.fromEntries(
    GATEWAYS.map((gateway) => {
      const said = warnings.find((warning) => warning.startsWith(`Devices of ${gateway} present`)) ?? "";
      const named = /password, as (.*) in the chain may want/.exec(said)?.[1];
      return [gateway, named === undefined ? [] : named.split(", ").sort()];
    }),
  );
}

it("each kind is warned of at the start where devices can say neither user name nor password, and nowhere else", () => {
  const others = KINDS.filter((kind) => !BY_NAME_ALONE.includes(kind)).sort();
  // A new kind needs a place in this table.
  expect(others).toEqual(["http", "jwt", "ldap", "mongodb", "mysql", "postgres", "redis", "user-list"]);
  expect(warned()).toEqual({
    ...{ mqtt: [], coap: [], stomp: [], tcp: [] },
    ...{ "mqtt-sn": others, lwm2m: others },
  });
});

it("none is warned of where names and passwords are given to such devices", () => {
  const given = warned({ presents: { username: "%c", password: "secret" } });
  expect(given).toEqual(Object.fromEntries(GATEWAYS.map((gateway) => [gateway, []])));
});
