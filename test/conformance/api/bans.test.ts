/** Bans over the API (O-026, O-038): who is connected goes, and does not come back while the ban holds. */
import mqtt from "mqtt";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startApi, type TestApi } from "../../support/api.ts";

let api: TestApi;
const connect = (clientId: string, username: string) =>
  mqtt.connectAsync(`mqtt://127.0.0.1:${api.gateway.port("mqtt", "tcp")}`, {
    ...{ clientId, username, reconnectPeriod: 0, protocolVersion: 5 },
  });

/** How it is let in or not: the reason code of MQTT 5, or closed without a word. */
function attempt(): Promise<number | string> {
  const url = `mqtt://127.0.0.1:${api.gateway.port("mqtt", "tcp")}`;
  const client = mqtt.connect(url, { clientId: "c", username: "u", reconnectPeriod: 0, protocolVersion: 5 });
  return new Promise((resolve) => {
    client.once("connect", () => resolve("let in"));
    client.once("error", (error) => resolve((error as { code?: number }).code ?? error.message));
    client.once("close", () => resolve("closed"));
  });
}

beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());

test.each([
  ["client id", { clientId: "c" }, 0x8a],
  ["user name", { user: "u" }, 0x8a],
  ["range of addresses", { address: "127.0.0.0/8" }, "closed"],
])(
  "a ban of a %s disconnects whom it concerns, refuses them, and is lifted (O-026, O-038)",
  async (_what, ban, refused) => {
    const client = await connect("c", "u");
    const gone = new Promise<void>((resolve) => client.once("close", () => resolve()));
    const made = await api.ask("POST", "/api/v1/bans", { body: { ...ban, reason: "floods" } });
    expect([made.status, made.body]).toMatchObject([201, { ...ban, reason: "floods", configured: false }]);
    await gone;
    expect(await attempt()).toBe(refused);
    const listed = (await api.ask("GET", "/api/v1/bans")).body.items;
    expect(listed).toMatchObject([{ ...ban, reason: "floods" }]);
    const query = new URLSearchParams(ban as Record<string, string>);
    expect((await api.ask("DELETE", `/api/v1/bans?${query}`)).status).toBe(204);
    const back = await connect("c", "u");
    await back.endAsync(true);
  },
);
