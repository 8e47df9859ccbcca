/** What strangers call themselves, and what they give for a password: over three protocols, nobody of them gets in anywhere. */
import { expect } from "vitest";
import type { TestGateway } from "./gateway.ts";
import { IN, logins } from "./logins.ts";

/** As long as a text of MQTT can be (§1.5.4). */
const LONG = 65_535;
/** Octets of a text that fit into a datagram of the client of CoAP: more than an option may have (RFC 7252 §5.10). */
const DATAGRAM = 1_000;

const HOSTILE_NAMES: readonly string[] = [
  // SQL
  ...["' OR '1'='1", "ann' -- ", "ann'; DROP TABLE mqtt_user; --", "ann\\' OR 1=1 #", "$1", "?"],
  // Redis
  ...["ann password_hash", "ann\r\nFLUSHALL\r\n", "mqtt_user:ann"],
  // LDAP
  ...["*", "*)(uid=*", "ann)(|(uid=*", "x,ou=device", "uid=ann,ou=testdevice,dc=emqx,dc=io", "a\\2a"],
  // MongoDB, JSON, URLs
  ...['{"$ne": ""}', 'ann","username":"ann', "ann&username=ann", "%00", "../ann"],
  ...["ann\0", "\0", "ü".repeat(450), "x".repeat(LONG)],
];

const HOSTILE_PASSWORDS: readonly Buffer[] = [
  Buffer.from(Array.from({ length: 256 }, (_, octet) => octet)),
  ...["*", "' OR '1'='1", "public\0", "\r\nFLUSHALL\r\n", "x".repeat(LONG)].map((text) => Buffer.from(text)),
];

/**
 * A chain that lets `ann` in with `right`, and nobody else. The source is never taken for away, whatever it is asked.
 */
export async function keepsOutHostileLogins(
  gateway: TestGateway,
  right: string,
  passwords: readonly Buffer[] = HOSTILE_PASSWORDS,
): Promise<void> {
  const attempts = [
    ...HOSTILE_NAMES.map((name) => [name, Buffer.from(right)] as const),
    ...passwords.map((password) => ["ann", password] as const),
  ];
  for (const [name, password] of attempts) {
    const shown = `${JSON.stringify(name.slice(0, 40))} ${password.toString().slice(0, 40)}`;
    const client = logins(gateway, name);
    const outcomes = [
      await client.overMqtt(password),
      await logins(gateway, name.slice(0, DATAGRAM)).overCoap(password.subarray(0, DATAGRAM)),
      await client.overStomp(password),
    ];
    for (const [at, outcome] of outcomes.entries()) expect(outcome, shown).not.toBe(IN[at]);
  }
  const told = await gateway.composition.metrics.text();
  expect(told).not.toMatch(/isthmus_authenticator_answers_total\{[^}]*"(failed|busy)"\} [1-9]/);
  expect(await logins(gateway, "ann").everywhere(right)).toEqual(IN);
}
