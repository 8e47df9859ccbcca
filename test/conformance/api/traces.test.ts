/** Traces, refusals and alarms over the API of a whole gateway, with real clients. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectAsync } from "mqtt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startApi, type TestApi } from "../../support/api.ts";
import { lacks } from "../../support/programs.ts";

let api: TestApi;
beforeAll(async () => {
  const rules = [{ permission: "deny", who: "all", action: "publish", topics: ["secret/#"] }];
  api = await startApi({ gateways: { mqtt: {} }, authorization: { rules, noMatch: "allow" } });
});
afterAll(() => api.stop());

const url = (): string => `mqtt://127.0.0.1:${api.gateway.port("mqtt", "tcp")}`;

async function start(body: object): Promise<string> {
  const { status, body: trace } = await api.ask("POST", "/api/v1/traces", { body });
  expect(status).toBe(201);
  return trace.id as string;
}

/** Events of a stream, until one of a name has come. */
async function events(path: string, until: string, headers: Record<string, string> = {}) {
  const answer = await fetch(api.base + path, {
    headers: { authorization: `Bearer ${api.keys.operator}`, ...headers },
  });
  expect(answer.headers.get("content-type")).toContain("text/event-stream");
  const found: { event: string; data: Record<string, unknown> }[] = [];
  let text = "";
  for await (const chunk of answer.body!) {
    text += new TextDecoder().decode(chunk as Uint8Array);
    const blocks = text.split("\n\n");
    text = blocks.pop() ?? "";
    for (const block of blocks) {
      const event = /^event: (.*)$/m.exec(block)?.[1];
      const data = /^data: (.*)$/m.exec(block)?.[1];
      if (event !== undefined && data !== undefined) found.push({ event, data: JSON.parse(data) });
    }
    if (found.some(({ event }) => event === until)) return found;
  }
  return found;
}

describe("a trace over the API", () => {
  it("streams what a client says and gets as it happens, and says when it has ended", async () => {
    const id = await start({ client: "pump-7" });
    const streamed = events(`/api/v1/traces/${id}/events`, "ended");
    const client = await connectAsync(url(), { clientId: "pump-7", username: "ana", password: "hunter2" });
    await client.subscribeAsync("cmd/pump-7/#", { qos: 1 });
    await client.publishAsync("cmd/pump-7/set", '{"rpm":1200}', { qos: 1 });
    await client.endAsync();
    await api.ask("POST", `/api/v1/traces/${id}/stop`);
    const rows = (await streamed).filter(({ event }) => event === "row").map(({ data }) => data);
    const texts = rows.map(({ text }) => String(text));
    expect(texts.some((text) => text.includes('-> CONNECT MQTT 3.1.1 "pump-7" user "ana"'))).toBe(true);
    expect(texts).toContain('bus cmd/pump-7/set QoS 1 by client mqtt:pump-7: "{\\"rpm\\":1200}"');
    expect(JSON.stringify(rows)).not.toContain("hunter2");
    expect(JSON.stringify(rows)).not.toContain(Buffer.from("hunter2").toString("hex"));
    const publish = rows.find(({ name, from }) => name === "PUBLISH" && from === "device");
    const delivered = rows.find(({ name, from }) => name === "PUBLISH" && from === "gateway");
    expect(delivered?.["cause"]).toBe(publish?.["cause"]);
    const again = await events(`/api/v1/traces/${id}/events`, "ended", {
      "last-event-id": String(rows.at(-2)!["number"]),
    });
    expect(again.filter(({ event }) => event === "row")).toHaveLength(1);
  });

  it("is listed, shows no payload to a viewer, and is gone when it is deleted", async () => {
    const id = await start({ topic: "room/+", name: "the rooms" });
    const client = await connectAsync(url());
    await client.publishAsync("room/7", "private", { qos: 1 });
    await client.endAsync();
    const { body: list } = await api.ask("GET", "/api/v1/traces");
    expect(list.items).toContainEqual(
      expect.objectContaining({
        id,
        name: "the rooms",
        topic: "room/+",
        owner: "administrator",
        running: true,
      }),
    );
    const rows = `/api/v1/traces/${id}/rows`;
    const asViewer = await api.ask("GET", rows, { key: api.keys.viewer });
    const asOperator = await api.ask("GET", rows, { key: api.keys.operator });
    expect(asViewer.body.items.length).toBe(asOperator.body.items.length);
    expect(JSON.stringify(asOperator.body)).toContain("private");
    expect(JSON.stringify(asViewer.body)).not.toContain("private");
    expect(JSON.stringify(asViewer.body)).not.toContain(Buffer.from("private").toString("hex"));
    expect((await api.ask("DELETE", `/api/v1/traces/${id}`)).status).toBe(204);
    expect((await api.ask("GET", `/api/v1/traces/${id}`)).status).toBe(404);
  });

  it("runs ten times at most at one time, and says so", async () => {
    const ids: string[] = [];
    for (let count = 0; count < 10; count++) ids.push(await start({ gateway: "mqtt" }));
    const full = await api.ask("POST", "/api/v1/traces", { body: { gateway: "mqtt" } });
    expect([full.status, full.body.code]).toEqual([409, "conflict"]);
    for (const id of ids) await api.ask("DELETE", `/api/v1/traces/${id}`);
    expect(api.gateway.composition.core.trace).toBeUndefined();
  });

  it.skipIf(lacks("tshark"))("is downloaded as a capture in which Wireshark reads MQTT", async () => {
    const id = await start({ gateway: "mqtt" });
    const client = await connectAsync(url(), { clientId: "captured" });
    await client.publishAsync("room/7/temp", "21.5", { qos: 1 });
    await client.endAsync();
    const answer = await fetch(`${api.base}/api/v1/traces/${id}/capture`, {
      headers: { authorization: `Bearer ${api.keys.operator}` },
    });
    expect(answer.headers.get("content-disposition")).toContain(`trace-${id}.pcapng`);
    const folder = mkdtempSync(join(tmpdir(), "isthmus-capture-"));
    try {
      const file = join(folder, "trace.pcapng");
      writeFileSync(file, Buffer.from(await answer.arrayBuffer()));
      const fields = ["-n", "-r", file, "-T", "fields", "-e", "mqtt.msgtype", "-e", "mqtt.topic"];
      const out = execFileSync("tshark", fields, { stdio: ["ignore", "pipe", "ignore"] }).toString();
      expect(out.split("\n").filter(Boolean)).toEqual(["1\t", "2\t", "3\troom/7/temp", "4\t", "14\t"]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
      await api.ask("DELETE", `/api/v1/traces/${id}`);
    }
  });
});

describe("refusals over the API", () => {
  it("say who was refused what by which rule of the configuration, and are counted by gateway and reason", async () => {
    const client = await connectAsync(url(), { clientId: "pump-9", protocolVersion: 5 });
    await client.publishAsync("secret/x", "1", { qos: 1 }).catch(() => {});
    await client.endAsync();
    const { body } = await api.ask("GET", "/api/v1/refusals?client=pump-9");
    expect(body.items).toEqual([
      expect.objectContaining({
        gateway: "mqtt",
        listener: "tcp",
        client: "pump-9",
        what: "publish",
        asked: "secret/x",
        refusal: "forbidden",
        by: "authorization.rules 1: deny publish secret/#",
        count: 1,
      }),
    ]);
    const metrics = await fetch(`${api.base}/metrics`).then((answer) => answer.text());
    expect(metrics).toMatch(/isthmus_refusals_total\{gateway="mqtt",what="publish",reason="forbidden"\} 1/);
  });
});

describe("alarms over the API", () => {
  it("are listed while they hold, in the metrics too, and can be cleared by hand", async () => {
    api.gateway.composition.alarms.raise("disk-nearly-full", {
      severity: "critical",
      message: "the disk under the data folder is nearly full",
      details: { value: 0.97 },
    });
    const { body } = await api.ask("GET", "/api/v1/alarms");
    expect(body.items).toMatchObject([
      { name: "disk-nearly-full", severity: "critical", details: { value: 0.97 } },
    ]);
    const metrics = await fetch(`${api.base}/metrics`).then((answer) => answer.text());
    expect(metrics).toContain('isthmus_alarms{alarm="disk-nearly-full"} 1');
    expect((await api.ask("DELETE", "/api/v1/alarms/disk-nearly-full")).status).toBe(204);
    const { body: over } = await api.ask("GET", "/api/v1/alarms?state=cleared");
    expect(over.items).toMatchObject([{ name: "disk-nearly-full", clearedBy: "administrator" }]);
  });
});
