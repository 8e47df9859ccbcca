import { describe, expect, it } from "vitest";
import { presented } from "#core/policy/presented.ts";
import { peerAt, requestOf } from "../../support/policy.ts";

const text = (bytes: Uint8Array | undefined) =>
  bytes === undefined ? undefined : Buffer.from(bytes).toString();
const present = (username: string, password: string, who: object, peer: object = {}) => {
  const { username: name, password: secret } = presented(requestOf(who), peerAt("192.0.2.9", peer), {
    username,
    password,
  });
  return [name, text(secret)];
};

describe("what a device that has no user name is taken to have sent", () => {
  it("is made of its client id, endpoint name, address, node and proven identity", () => {
    const who = { clientId: "c1", endpointName: "urn:x" };
    expect(present("%c", "", who)).toEqual(["c1", undefined]);
    expect(present("dev-%e", "k-%i", who, { identity: "psk1" })).toEqual(["dev-urn:x", "k-psk1"]);
    expect(present("%a", "%%", who)).toEqual(["192.0.2.9", "%"]);
    expect(present("%n", "", who, { node: "0a" })).toEqual(["0a", undefined]);
  });

  it("is nothing where a value is missing", () => {
    expect(present("%e", "secret", { clientId: "c1" })).toEqual([undefined, "secret"]);
    expect(present("%i", "%i", { clientId: "c1" })).toEqual([undefined, undefined]);
  });

  it("is nothing of what a client sends itself", () => {
    const who = { clientId: "c1", username: "ann", password: Buffer.from("pw") };
    expect(present("%c", "other", who)).toEqual(["ann", "pw"]);
    expect(present("%c", "other", { clientId: "c1", password: Buffer.from("pw") })).toEqual(["c1", "pw"]);
  });

  it("stands instead of the endpoint name that a device of LwM2M is called by, not instead of what it sends", () => {
    const who = { clientId: "e1", endpointName: "e1", username: "e1" };
    expect(present("dev-%e", "secret", who)).toEqual(["dev-e1", "secret"]);
    expect(present("dev-%e", "secret", { ...who, username: "imei-7" })).toEqual(["imei-7", undefined]);
    expect(present("", "secret", { ...who, password: Buffer.from("own") })).toEqual(["e1", "own"]);
  });

  it("is nothing where nothing is configured", () => {
    expect(present("", "", { clientId: "c1" })).toEqual([undefined, undefined]);
  });
});
