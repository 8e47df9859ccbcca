import { describe, expect, it } from "vitest";
import { Connectors, type ConnectorsParts } from "#core/connect/connectors.ts";
import type { ConfiguredConnector } from "#core/connect/kinds.ts";

describe("a connector whose library is not installed", () => {
  it("says at the start what to install, and takes nothing", () => {
    const parts = { host: { has: () => false } } as unknown as ConnectorsParts;
    const postgres = { kind: "postgres" } as ConfiguredConnector;
    expect(() => new Connectors(parts).open("db", postgres)).toThrow(
      "it needs the package pg, which is not installed: npm install pg",
    );
  });
});
