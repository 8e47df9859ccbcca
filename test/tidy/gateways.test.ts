import { existsSync, readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { MODULES } from "#core/modules.ts";
import { channels } from "../contract/channel-cases.ts";

const folders = readdirSync("gateways", { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

describe("each folder of gateways", () => {
  it("is a gateway that there is", () => {
    expect(folders.sort()).toEqual(MODULES.map(({ name }) => name).sort());
  });

  it.each(folders)(
    "%s: has its README, vectors, walks, fuzz and foreign clients, and its channels keep the contract",
    (name) => {
      const wanted = [
        `gateways/${name}/README.md`,
        `gateways/${name}/index.ts`,
        `gateways/${name}/config.ts`,
        ...["vectors", "walks", "fuzz", "conformance"].map((kind) => `test/${kind}/${name}`),
        `docs/protocols/${name}.md`,
      ];
      expect(wanted.filter((path) => !existsSync(path))).toEqual([]);
      expect(channels.some(([channel]) => channel.split(" ")[0] === name)).toBe(true);
    },
  );
});
