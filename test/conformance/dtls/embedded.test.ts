/** Clients on the libraries that devices use, compiled here, and those of npm. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { CoapClient } from "node-coap-client";
import { dtls } from "node-dtls-client-2";
import { afterAll, it as anyIt, beforeAll, describe, expect } from "vitest";
import { lacks } from "../../support/programs.ts";
import { run } from "../coap/run.ts";
import { KEY, PING, PONG as RESET, SecureGateway, talk } from "./support.ts";

const ofMbedtls = anyIt.skipIf(lacks("gcc", "libc6-dev", "libmbedtls-dev", "openssl"));
const ofWolfssl = anyIt.skipIf(lacks("gcc", "libc6-dev", "libwolfssl-dev", "openssl"));

const ofErlang = anyIt.skipIf(lacks("erl", "openssl"));
const ofSocat = anyIt.skipIf(lacks("socat", "openssl"));

let secure: SecureGateway;
beforeAll(async () => {
  const { SUITES } = await import("#core/dtls/suites.ts");
  secure = new SecureGateway();
  await secure.start({ dtls: { suites: SUITES.map(({ name }) => name) } });
});
afterAll(() => secure.stop());

/** Compiles once and gives the program. */
const compiled = new Map<string, string>();
function client(name: string, libraries: readonly string[]): string {
  const known = compiled.get(name);
  if (known !== undefined) return known;
  const source = fileURLToPath(new URL(`clients/${name}.c`, import.meta.url));
  const program = secure.path(name);
  execFileSync("gcc", ["-O1", "-o", program, source, ...libraries.map((library) => `-l${library}`)]);
  compiled.set(name, program);
  return program;
}

const PONG = "pong 4 70001234";
const mutual = () => [
  `ca=${secure.path("ca.pem")}`,
  `cert=${secure.path("client.pem")}`,
  `key=${secure.path("client.key")}`,
];

describe("mbedTLS", () => {
  const mbedtls = (...args: string[]) =>
    run(client("mbedtls", ["mbedtls", "mbedx509", "mbedcrypto"]), [String(secure.port), ...args]);

  for (const suite of [
    "TLS-PSK-WITH-AES-128-CCM-8",
    "TLS-PSK-WITH-AES-128-CCM",
    "TLS-PSK-WITH-AES-128-GCM-SHA256",
    "TLS-PSK-WITH-AES-256-GCM-SHA384",
    "TLS-PSK-WITH-AES-128-CBC-SHA256",
    "TLS-ECDHE-PSK-WITH-AES-128-CBC-SHA256",
  ]) {
    ofMbedtls(`talks over ${suite}`, async () => {
      expect((await mbedtls(`suite=${suite}`, `psk=${KEY}`)).stdout).toContain(PONG);
    });
  }
  for (const suite of [
    "TLS-ECDHE-ECDSA-WITH-AES-128-CCM-8",
    "TLS-ECDHE-ECDSA-WITH-AES-128-CCM",
    "TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256",
    "TLS-ECDHE-ECDSA-WITH-AES-256-GCM-SHA384",
    "TLS-ECDHE-ECDSA-WITH-AES-128-CBC-SHA256",
  ]) {
    ofMbedtls(`talks with certificates of both sides over ${suite}`, async () => {
      expect((await mbedtls(`suite=${suite}`, ...mutual())).stdout).toContain(PONG);
      expect(secure.identities()).toContain("meter-7");
    });
  }
  for (const [what, args] of [
    ["without extended master secret", ["ems=0"]],
    [
      "with fragments of 512 octets, a ClientHello in two of them among those, and a ticket",
      ["mfl=512", "runs=2"],
    ],
    ["with datagrams of 300 octets", ["mtu=300"]],
    ["with the protocol name coap", ["alpn=coap"]],
  ] as const) {
    ofMbedtls(`talks ${what}`, async () => {
      const { stdout } = await mbedtls("suite=TLS-ECDHE-ECDSA-WITH-AES-128-CCM-8", ...mutual(), ...args);
      expect(stdout.split(PONG)).toHaveLength(what.includes("ticket") ? 3 : 2);
    });
  }
  ofMbedtls("talks with MAC-then-encrypt", async () => {
    const suite = "suite=TLS-PSK-WITH-AES-128-CBC-SHA256";
    expect((await mbedtls(suite, `psk=${KEY}`, "etm=0")).stdout).toContain(PONG);
  });
});

describe("wolfSSL", () => {
  const wolfssl = (...args: string[]) =>
    run(client("wolfssl", ["wolfssl"]), [String(secure.port), ...mutual(), ...args]);

  for (const suite of [
    "ECDHE-ECDSA-AES128-CCM-8",
    "ECDHE-ECDSA-AES128-CCM",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES128-SHA256",
  ]) {
    ofWolfssl(`talks with certificates of both sides over ${suite}`, async () => {
      expect((await wolfssl(`suite=${suite}`)).stdout).toContain(PONG);
    });
  }
  for (const [what, args] of [
    ["id", []],
    ["ticket", ["ticket=1"]],
  ] as const) {
    ofWolfssl(`goes on with a session by ${what}`, async () => {
      const { stdout } = await wolfssl("suite=ECDHE-ECDSA-AES128-CCM-8", "runs=2", ...args);
      expect(stdout).toContain("reused 1");
      expect(stdout.split(PONG)).toHaveLength(3);
    });
  }
});

describe("npm node-coap-client, whose node-dtls-client sends no extensions at all", () => {
  anyIt("puts and gets over DTLS", async () => {
    CoapClient.setSecurityParams("127.0.0.1", { psk: { dev1: Buffer.from(KEY, "hex").toString("latin1") } });
    const url = `coaps://127.0.0.1:${secure.port}/ps/npm`;
    const put = await CoapClient.request(`${url}?r=1`, "put", Buffer.from("21.5"));
    expect(put.code.toString()).toMatch(/^2\.0/);
    const got = await CoapClient.request(url, "get");
    expect(String(got.payload)).toBe("21.5");
    CoapClient.reset();
  });
});

describe("npm node-dtls-client 2, by itself", () => {
  for (const suite of [
    "TLS_PSK_WITH_AES_128_CCM_8",
    "TLS_PSK_WITH_AES_128_GCM_SHA256",
    "TLS_PSK_WITH_AES_128_CBC_SHA256",
    "TLS_PSK_WITH_AES_256_GCM_SHA384",
  ] as const) {
    anyIt(`talks over ${suite}`, async () => {
      const socket = dtls.createSocket({
        type: "udp4",
        address: "127.0.0.1",
        port: secure.port,
        psk: { dev1: Buffer.from(KEY, "hex") },
        timeout: 20_000,
        ciphers: [suite],
      });
      const answer = await new Promise<Buffer>((resolve, reject) => {
        socket.on("connected", () => socket.send(PING));
        socket.on("message", resolve);
        socket.on("error", reject);
      });
      socket.close();
      expect(answer.toString("hex")).toBe("70001234");
    });
  }
});

describe("Erlang's ssl, which has no extended master secret", () => {
  for (const suite of ["TLS_PSK_WITH_AES_128_CCM_8", "TLS_PSK_WITH_AES_128_GCM_SHA256"]) {
    ofErlang(`talks over ${suite}`, async () => {
      const options = [
        "{protocol,dtls},{versions,['dtlsv1.2']},{verify,verify_none},{psk_identity,\"dev1\"}",
        `{user_lookup_fun,{fun(psk,_,K)->{ok,K} end,<<1,2,3,4,5>>}},{ciphers,[ssl:str_to_suite("${suite}")]}`,
      ];
      const program = `ssl:start(),
        {ok,S}=ssl:connect("127.0.0.1",${secure.port},[${options.join(",")}],20000),
        ok=ssl:send(S,<<16#40,0,16#12,16#34>>),
        receive {ssl,S,D}->io:format("got ~w~n",[D]) after 20000 -> io:format("silence~n") end, halt().`;
      const { stdout } = await run("erl", ["-noshell", "-noinput", "-eval", program]);
      expect(stdout).toContain("got [112,0,18,52]");
    });
  }
});

describe("socat", () => {
  ofSocat("talks with certificates of both sides over ECDHE-ECDSA-AES128-CCM8", async () => {
    const options = [
      `cafile=${secure.path("ca.pem")}`,
      `cert=${secure.path("client.pem")}`,
      `key=${secure.path("client.key")}`,
      "cipher=ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0,pf=ip4",
    ];
    const address = `OPENSSL-DTLS-CLIENT:localhost:${secure.port},${options.join(",")}`;
    const { bytes } = await talk("socat", ["-", address], PING, (seen) => seen.includes(RESET));
    expect(bytes.includes(RESET)).toBe(true);
  });
});
