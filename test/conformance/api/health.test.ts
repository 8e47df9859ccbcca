/** One address for each health question, with 200 and 503 (O-041, O-042). */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApi, type TestApi } from "../../support/api.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());

const ask = (path: string) => api.ask("GET", `/api/v1/health${path}`);

describe("health (O-041, O-042)", () => {
  test("every question has an address, and all of them together are one list", async () => {
    const all = (await ask("")).body.map(({ name }: { name: string }) => name);
    expect(all).toEqual([
      ...["listeners", "store", "connectors", "file-descriptors", "disk", "event-loop", "certificates"],
    ]);
    // On a busy machine the event loop is late, and then the answer is no.
    for (const name of all)
      expect([name, (await ask(`/${name}`)).status]).toEqual([name, expect.toBeOneOf([200, 503])]);
  });

  test("what is well is 200, and what is not is 503 with what is wrong", async () => {
    expect((await ask("/listeners")).body).toEqual({ name: "listeners", ok: true });
    const shut = await ask("/ports/1");
    expect([shut.status, shut.body]).toMatchObject([
      503,
      { code: "unavailable", detail: "port 1 is not open" },
    ]);
    const open = await ask(`/ports/${api.gateway.port("mqtt", "tcp")}`);
    expect([open.status, open.body.ok]).toEqual([200, true]);
    expect((await ask("/protocols/mqtt")).status).toBe(200);
    expect((await ask("/protocols/stomp")).status).toBe(503);
  });

  test("certificates are asked about with a time, and without any the answer is yes", async () => {
    const found = await ask("/certificates?within=30d");
    expect([found.status, found.body.ok]).toEqual([200, true]);
    expect((await ask("/certificates?within=soon")).body.errors[0].field).toBe("within");
  });
});
