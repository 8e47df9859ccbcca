/** The example of src/hooks/README.md, as a module in a folder, in a gateway with real sockets. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import mqtt from "mqtt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadText } from "#core/config/load.ts";
import { MODULES } from "#core/modules.ts";
import { openLog } from "#core/observe/log.ts";
import { openHooks } from "#core/open-hooks.ts";
import { startGateway, type TestGateway } from "../support/gateway.ts";

const README = readFileSync(new URL("../../src/hooks/README.md", import.meta.url), "utf8");
const EXAMPLE = /<!-- example: [^>]*-->\n```js\n([\s\S]*?)```/.exec(README)?.[1] ?? "";

describe("the example of the documentation", () => {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-hooks-"));
  const module = join(folder, "tenants.mjs");
  let gateway: TestGateway;

  beforeAll(async () => {
    writeFileSync(module, EXAMPLE);
    gateway = await startGateway({
      gateways: { mqtt: {} },
      hooks: { modules: [{ name: "tenants", module, options: { blocked: [] } }] },
    });
  });
  afterAll(async () => {
    await gateway.stop();
    rmSync(folder, { recursive: true });
  });

  const connect = (clientId: string, username?: string) =>
    mqtt.connectAsync(`mqtt://127.0.0.1:${gateway.port("mqtt", "tcp")}`, {
      clientId,
      protocolVersion: 5,
      reconnectPeriod: 0,
      ...(username === undefined ? {} : { username }),
    });

  it("parts tenants by their topics, names the nameless, refuses and drops", async () => {
    const heard: string[] = [];
    const one = await connect("one", "tenant");
    const two = await connect("tenant");
    const got = new Promise<void>((done) => {
      one.on("message", (topic, payload) => {
        heard.push(`${topic} ${payload}`);
        if (payload.toString() === "last") done();
      });
    });
    expect(await one.subscribeAsync("t/+", { qos: 1 })).toMatchObject([{ qos: 1 }]);
    await expect(one.subscribeAsync("#", { qos: 1 })).rejects.toThrow();
    await two.publishAsync("debug", "never", { qos: 1 });
    await expect(two.publishAsync("t/x", Buffer.alloc(2000), { qos: 1 })).rejects.toMatchObject({
      code: 0x97,
    });
    await two.publishAsync("t/x", "last", { qos: 1 });
    await got;
    expect(heard).toEqual(["tenants/tenant/t/x last"]);
    await Promise.all([one.endAsync(), two.endAsync()]);
  });

  it("is counted in the metrics where it refused", async () => {
    const text = await gateway.composition.metrics.text();
    expect(text).toMatch(/isthmus_hooks_total\{hook="tenants",member="authPublish",result="refused"\} 1/);
  });
});

describe("a configuration that names a module", () => {
  const hooksOf = (modules: object[]) =>
    loadText(MODULES, JSON.stringify({ hooks: { modules } })).config.hooks;
  const open = (text: string | undefined) => {
    const folder = mkdtempSync(join(tmpdir(), "isthmus-hooks-"));
    const module = join(folder, "hook.mjs");
    if (text !== undefined) writeFileSync(module, text);
    return openHooks(
      hooksOf([{ name: "mine", module }]),
      openLog({ level: "fatal", format: "json" }),
    ).finally(() => rmSync(folder, { recursive: true }));
  };

  it.each([
    ["that there is not", undefined, "Cannot find"],
    ["that does not parse", "export default {", "of which no hook was made"],
    ["without a function as its default export", "export const a = 1;", "no function as its default export"],
    ["that throws when it is opened", "export default () => { throw new Error('no key'); }", "no key"],
    ["that implements nothing", "export default () => ({ authpublish() {} })", "implements none of"],
    [
      "whose member is no function",
      "export default () => ({ authPublish: 1 })",
      "authPublish is not a function",
    ],
  ])("%s says so with the key", async (_what, text, problem) => {
    await expect(open(text)).rejects.toThrow(`hooks.modules[0].module is "`);
    await expect(open(text)).rejects.toThrow(problem);
  });

  it("says which name is there twice, and which gateway there is not", () => {
    const mine = { name: "mine", module: "./a.mjs" };
    expect(() => hooksOf([mine, mine])).toThrow("hooks.modules[1].name");
    expect(() => hooksOf([{ ...mine, gateways: ["mqqt"] }])).toThrow("hooks.modules[0].gateways[0]");
  });
});
