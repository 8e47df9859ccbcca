import { expect, test } from "vitest";
import { type BannerFacts, banner } from "#core/cli/banner.ts";

const facts: BannerFacts = {
  version: "1.2.3",
  node: "here",
  file: "isthmus.yaml",
  data: "./data",
  api: "http://127.0.0.1:18083",
  listeners: [
    { gateway: "mqtt", name: "tcp", transport: "tcp", address: "::", port: 1883 },
    { gateway: "mqtt", name: "ws", transport: "ws", address: "0.0.0.0", port: 8083, paths: ["/mqtt"] },
    { gateway: "mqtt-sn", name: "udp", transport: "udp", address: "::1", port: 1884, also: ["lwm2m"] },
  ],
  warnings: ["anyone may connect: set authentication"],
};

test("the banner says what is open, where data lies, what to know, and how to stop", () => {
  expect(banner(facts)).toBe(`Isthmus 1.2.3, node here

  configuration  isthmus.yaml
  data           ./data
  HTTP           http://127.0.0.1:18083/metrics, /health, /ready

  listening
    mqtt     tcp  port 1883     IPv4 and IPv6
    mqtt     ws   port 8083     IPv4           path /mqtt
    mqtt-sn  udp  [::1]:1884                   and lwm2m

  ! anyone may connect: set authentication

  Stop with Ctrl+C.
`);
});

test("without file, API and listeners it says so", () => {
  const text = banner({ ...facts, file: undefined, api: undefined, listeners: [], warnings: [] });
  expect(text).toContain("built-in defaults");
  expect(text).toContain("HTTP           off");
  expect(text).toContain("no listener is open");
});
