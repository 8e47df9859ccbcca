/** Whatever a device asks, it is answered; and it is still there afterwards for those who behave. */
import { expect, it } from "vitest";
import { minutes } from "#core/lib/time.ts";
import { Lwm2mWorld } from "../../support/lwm2m-world.ts";
import { fc } from "../../support/property.ts";

const query = fc.oneof(
  fc.constantFrom(
    ...["ep=other", "ep=meter", "ep=", "ep=a/b", "lt=60", "lt=0", "lt=-1", "lt=x", "lwm2m=1.0", "lwm2m=1.1"],
    ...[
      "lwm2m=1.2",
      "lwm2m=9",
      "b=U",
      "b=UQ",
      "b=X",
      "Q",
      "pid=6:1",
      "pct=110",
      "pct=0",
      "sms=1",
      "=",
      "&",
      "x",
    ],
  ),
  fc.string({ maxLength: 12 }),
);
const links = fc
  .array(
    fc.constantFrom(
      "</3/0>",
      '</>;rt="oma.lwm2m"',
      "</25/0>",
      "<",
      ">",
      ",",
      ";",
      "ver=1.1",
      '"',
      "</65536>",
    ),
    {
      maxLength: 6,
    },
  )
  .map((parts) => Buffer.from(parts.join(",")));
const payload = fc.oneof(
  links,
  fc.uint8Array({ maxLength: 40 }),
  fc.json().map((json) => Buffer.from(json)),
);
const request = fc.record({
  method: fc.constantFrom("0.01", "0.02", "0.03", "0.04", "0.05", "0.06", "0.07"),
  path: fc.constantFrom(
    "rd",
    "rd/mine",
    "rd/none",
    "rd/a/b",
    "bs",
    "bs/x",
    "bspack",
    "dp",
    "dp/x",
    "fw",
    "fw/v2.bin",
    "fw/../x",
  ),
  query: fc.array(query, { maxLength: 6 }),
  payload,
  format: fc.constantFrom(undefined, 0, 40, 110, 112, 11544, 65_535),
});

it("every request is answered at once with a code of LwM2M, and a new device can register afterwards", () => {
  const profile = { default: { delete: ["/"], write: [] } };
  fc.assert(
    fc.property(fc.array(request, { minLength: 1, maxLength: 10 }), (requests) => {
      const files = { p: Buffer.from(JSON.stringify(profile)), "f/v2.bin": Buffer.from("new") };
      const settings = { firmware: { folder: "f" }, bootstrap: { profiles: "p" } };
      const world = new Lwm2mWorld(settings, { files });
      const device = world.device("meter");
      device.register();
      for (const { method, path, query, payload, format } of requests) {
        const at = path === "rd/mine" ? (device.location ?? "rd/none") : path;
        expect(device.request(method, at, query, payload, format).code).toMatch(
          /^(2\.0[1245]|4\.\d\d|5\.0[13])$/,
        );
      }
      world.advance(minutes(1));
      expect(world.device("newcomer", 10_001).register().code).toBe("2.01");
    }),
    { numRuns: 100 },
  );
});
