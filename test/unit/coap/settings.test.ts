import { expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { type CoapConfig, schema } from "#gateways/coap/config.ts";
import { parseDefaults } from "../../support/coap-settings.ts";

interface Described {
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Described>>;
}

it("describes every setting and gives it a default", () => {
  const missing: string[] = [];
  const look = (name: string, setting: Described): void => {
    if (setting.description === undefined || setting.default === undefined) missing.push(name);
    for (const [key, each] of Object.entries(setting.properties ?? {})) look(`${name}.${key}`, each);
  };
  for (const [key, each] of Object.entries(schema.properties)) look(key, each as Described);
  expect(missing).toEqual([]);
});

it("starts from the values of the RFCs", () => {
  const { stack, connection, publish, subscribe } = parseDefaults<CoapConfig>(schema);
  expect(stack).toMatchObject({ ackTimeout: seconds(2), ackRandomFactor: 1.5, maxRetransmit: 4, nstart: 1 });
  expect(stack.blockwise).toMatchObject({ maxBlockSize: 1024, maxBodySize: 4 * 1024 * 1024 });
  expect(connection).toMatchObject({ required: false, heartbeat: seconds(30) });
  expect([publish.qos, subscribe.qos, subscribe.notify]).toEqual(["coap", "coap", "qos"]);
});
