import { afterAll, it as anyIt, beforeAll, describe, expect } from "vitest";
import { lacks } from "../../support/programs.ts";
import { run, startUnbuffered } from "../coap/run.ts";
import { SecureGateway, TEXT_IDENTITY, TEXT_KEY } from "./support.ts";

const it = anyIt.skipIf(lacks("coap-client-openssl", "coap-client-gnutls", "openssl"));

let secure: SecureGateway;
beforeAll(async () => {
  secure = new SecureGateway();
  await secure.start({ dtls: { clientKeys: secure.path("client-keys") } });
});
afterAll(() => secure.stop());

const PSK = ["-k", TEXT_KEY, "-u", TEXT_IDENTITY];

for (const client of ["coap-client-openssl", "coap-client-gnutls"] as const) {
  describe(client, () => {
    const ask = (host: string, path: string, ...args: string[]) =>
      run(client, ["-B", "60", ...args, `coaps://${host}:${secure.port}${path}`]);

    it("puts and gets with a pre-shared key", async () => {
      await ask("127.0.0.1", "/ps/room/1?r=1", ...PSK, "-m", "put", "-e", "21.5");
      const { stdout } = await ask("127.0.0.1", "/ps/room/1", ...PSK, "-m", "get");
      expect(stdout).toContain("21.5");
      expect(secure.identities()).toContain(TEXT_IDENTITY);
    });

    it("carries a body in blocks", async () => {
      const body = "0123456789abcdef".repeat(200);
      await ask("127.0.0.1", "/ps/room/2?r=1", ...PSK, "-m", "put", "-b", "256", "-e", body);
      const { stdout } = await ask("127.0.0.1", "/ps/room/2", ...PSK, "-m", "get", "-b", "256");
      expect(stdout.trim()).toBe(body);
    });

    it("observes a topic", async () => {
      const url = `coaps://127.0.0.1:${secure.port}/ps/room/3`;
      const observing = startUnbuffered(client, ["-B", "60", ...PSK, "-m", "get", "-s", "60", url]);
      const heard = observing.stopAfter("observed");
      let ended = false;
      void heard.then(() => (ended = true));
      while (!ended) await ask("127.0.0.1", "/ps/room/3", ...PSK, "-m", "put", "-e", "observed");
      expect((await heard).stdout).toContain("observed");
    });

    it("gets with certificates of both sides", async () => {
      const own = [
        "-c",
        secure.path("client.pem"),
        "-j",
        secure.path("client.key"),
        "-C",
        secure.path("ca.pem"),
      ];
      const { stdout } = await ask("localhost", "/.well-known/core", ...own, "-m", "get");
      expect(stdout).toContain("</ps>");
      expect(secure.identities()).toContain("meter-7");
    });

    it("survives the loss of the first and third datagram (RFC 6347 §4.2.4)", async () => {
      const { stdout } = await ask("127.0.0.1", "/.well-known/core", ...PSK, "-m", "get", "-l", "1,3");
      expect(stdout).toContain("</ps>");
    });
  });
}

it("gets with a raw public key (RFC 7250) and the server's certificate", async () => {
  const key = ["-M", secure.path("client-ec.sec1.key")];
  const { stdout } = await run("coap-client-gnutls", [
    "-B",
    "5",
    ...key,
    "-m",
    "get",
    `coaps://localhost:${secure.port}/.well-known/core`,
  ]);
  expect(stdout).toContain("</ps>");
  expect(secure.identities()).toContain("raw-client-ec");
});
