import { it as anyIt, expect } from "vitest";
import { startGateway } from "../../support/gateway.ts";
import { lacks } from "../../support/programs.ts";
import { inFolder, run } from "./run.ts";

const it = anyIt.skipIf(lacks("coap-client-openssl", "openssl"));

it("speaks CoAP over TLS with libcoap's client (RFC 8323 §8)", () =>
  inFolder(async (folder) => {
    const key = `${folder}/key.pem`;
    const cert = `${folder}/cert.pem`;
    const subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
    const made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    await run("openssl", [...made, "-keyout", key, "-out", cert, "-days", "2", ...subject]);
    const gateway = await startGateway({
      gateways: { coap: { listeners: { tls: { transport: "tls", tls: { cert, key } } } } },
    });
    try {
      const url = `coaps+tcp://127.0.0.1:${gateway.port("coap", "tls")}/ps/secret`;
      const client = (...more: string[]) => run("coap-client-openssl", ["-B", "60", "-R", cert, ...more]);
      const put = await client("-m", "put", "-e", "42", `${url}?retain=1`);
      expect(put.stderr).toBe("");
      expect((await client(url)).stdout.trim()).toBe("42");
    } finally {
      await gateway.stop();
    }
  }));
