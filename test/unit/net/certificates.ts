import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const openssl = (...options: string[]): void => {
  execFileSync("openssl", options, { stdio: "pipe" });
};

/** A folder of certificates made for one test file: an authority, and what it has signed. */
export class Certificates {
  readonly folder = mkdtempSync(join(tmpdir(), "isthmus-certificates-"));

  #signs = false;

  /** The authority is made with the first certificate. */
  #authority(): void {
    if (this.#signs) return;
    this.#signs = true;
    this.#key("ca");
    const subject = ["-subj", "/CN=Test CA", "-days", "60"];
    openssl("req", "-x509", "-new", "-key", this.path("ca.key"), ...subject, "-out", this.path("ca.pem"));
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Makes `<name>.key` and `<name>.pem`. */
  issue(name: string, subject: string, days = 30, more: IssueOptions = {}): void {
    this.#authority();
    this.#key(name, more.key);
    const request = this.path(`${name}.csr`);
    openssl("req", "-new", "-key", this.path(`${name}.key`), "-subj", subject, "-out", request);
    const names = more.names ?? "DNS:localhost,IP:127.0.0.1";
    const usage = more.usage === undefined ? "" : `\nextendedKeyUsage=${more.usage}`;
    writeFileSync(this.path("san"), `subjectAltName=${names}${usage}`);
    const signer = ["-CA", this.path("ca.pem"), "-CAkey", this.path("ca.key"), "-CAcreateserial"];
    const extensions = ["-days", String(days), "-extfile", this.path("san")];
    openssl("x509", "-req", "-in", request, ...signer, ...extensions, "-out", this.path(`${name}.pem`));
  }

  write(name: string, text: string): string {
    writeFileSync(this.path(name), text);
    return this.path(name);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }

  #key(name: string, kind: KeyKind = "P-256"): void {
    const options =
      kind === "RSA"
        ? ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
        : ["-algorithm", "EC", "-pkeyopt", `ec_paramgen_curve:${kind}`];
    openssl("genpkey", ...options, "-out", this.path(`${name}.key`));
  }
}

type KeyKind = "P-256" | "P-384" | "RSA";

interface IssueOptions {
  readonly key?: KeyKind;
  /** Subject alternative names, as OpenSSL writes them. */
  readonly names?: string;
  /** Extended key usage. */
  readonly usage?: string;
}
