/** Users that prove who they are by a password, and the endpoint names that they may use. */
import { describe, expect, it } from "vitest";
import type { Credentials } from "#core/contract/client.ts";
import type { Peer } from "#core/contract/peer.ts";
import { Lwm2mWorld } from "../../support/lwm2m-world.ts";
import { identityOf } from "../../support/policy.ts";

const NEEDS_PASSWORD = {
  policy: {
    authenticate: (request: Credentials, peer: Peer) => {
      const { clientId, username, password, endpointName } = request;
      if (String(Buffer.from(password ?? "")) !== `secret of ${username}`)
        return { ok: false, refusal: "unauthenticated", reason: "" } as const;
      const proven = `user:${username}`;
      const identity = identityOf({ gateway: "lwm2m", clientId, username, proven, endpointName, peer });
      return { ok: true, identity } as const;
    },
  },
};
const login = (imei: string) => ({ imei, password: `secret of ${imei}` });

function world(users: object = {}) {
  const opened = new Lwm2mWorld({ users }, NEEDS_PASSWORD);
  const registering = (ep: string, imei: string, port: number) => {
    const device = opened.device(ep, port);
    return { device, code: device.register(login(imei)).code };
  };
  return { opened, registering };
}

describe("a user who has proven a name", () => {
  it("registers as itself and gets its commands, and nobody else registers under that name", () => {
    const { opened, registering } = world();
    const { device: victim, code } = registering("victim", "victim", 10_000);
    expect(code).toBe("2.01");
    opened.watch("victim");
    const { device: thief, code: refused } = registering("victim", "imei1", 20_000);
    expect(refused).toBe("4.03");
    opened.command("victim", { msgType: "read", data: { path: "/3/0/0" } });
    expect([victim.lines(), thief.lines()]).toEqual([["GET /3/0/0"], []]);
    expect(victim.update().code).toBe("2.04");
  });

  it("does not get what waits for a device that is away, either", () => {
    const { opened, registering } = world();
    const { device: victim } = registering("victim", "victim", 10_000);
    victim.deregister();
    opened.command("victim", { msgType: "read", data: { path: "/3/0/0" } });
    const { device: thief, code } = registering("victim", "imei1", 20_000);
    expect([code, thief.lines()]).toEqual(["4.03", []]);
    expect(registering("victim", "victim", 10_001).device.lines()).toEqual(["GET /3/0/0"]);
  });

  it("is not bootstrapped as another", () => {
    const profile = Buffer.from(JSON.stringify({ default: { write: [] } }));
    const settings = { bootstrap: { profiles: "profiles.json" } };
    const opened = new Lwm2mWorld(settings, { ...NEEDS_PASSWORD, files: { "profiles.json": profile } });
    const request = (ep: string, imei: string) => {
      const query = Object.entries({ ep, ...login(imei) }).map((each) => each.join("="));
      return opened.device(ep, ep === imei ? 10_000 : 20_000).request("0.02", "bs", query).code;
    };
    expect(request("victim", "imei1")).toBe("4.03");
    expect(request("victim", "victim")).toBe("2.04");
  });

  it.each<[string, object, string, string, string]>([
    ["same", {}, "u", "u", "2.01"],
    ["same", {}, "u", "u1", "4.03"],
    ["prefix", { binding: "prefix" }, "u", "u", "2.01"],
    ["prefix", { binding: "prefix" }, "u", "u-1", "2.01"],
    ["prefix", { binding: "prefix" }, "u", "u1", "4.03"],
    ["prefix", { binding: "prefix" }, "u", "other", "4.03"],
    ["template", { binding: "template", template: "urn:imei:%u" }, "u", "urn:imei:u", "2.01"],
    ["template", { binding: "template", template: "urn:imei:%u" }, "u", "u", "4.03"],
    ["template", { binding: "template", template: "%u:*:x" }, "u", "u:1:x", "2.01"],
    ["template", { binding: "template", template: "%u:*:x" }, "u", "u:x", "4.03"],
    ["table", { binding: "table", table: [{ username: "u", endpoint: "e" }] }, "u", "e", "2.01"],
    ["table", { binding: "table", table: [{ username: "u", endpoint: "e" }] }, "u", "u", "4.03"],
    ["any", { binding: "any" }, "u", "whatever", "2.01"],
  ])("%s %j: user %s as endpoint %s is %s", (_name, users, imei, ep, code) => {
    expect(world(users).registering(ep, imei, 10_000).code).toBe(code);
  });
});

it("where nobody has to prove a name any may be used", () => {
  const device = new Lwm2mWorld().device("meter");
  expect(device.register({ imei: "somebody" }).code).toBe("2.01");
});
