import { constants } from "node:crypto";
import {
  createServer,
  type SecureContextOptions,
  type Server,
  type TlsOptions as ServerOptions,
  type TLSSocket,
} from "node:tls";
import type { Note } from "../contract/note.ts";
import { type Duration, seconds } from "../lib/time.ts";
import type { Arrival } from "./arrival.ts";
import { certificateName } from "./certificate-name.ts";
import { FileWatch } from "./file-watch.ts";
import { CIPHERS_WITH_PSK, provenByPsk } from "./psk-suites.ts";
import { readTlsFiles, type TlsFiles } from "./tls-files.ts";
import type { TlsOptions } from "./transport.ts";

const RELOAD_INTERVAL: Duration = seconds(5);
const WARN_BEFORE_EXPIRY_DAYS = 14;
const MS_PER_DAY = 86_400_000;

/** Turns accepted sockets into TLS sockets; follows changes of the certificate, key and PSK files. */
export class TlsLayer {
  readonly #options: TlsOptions;
  readonly #note: (note: Note) => void;
  readonly #server: Server;
  readonly #arrivals = new Map<string, { arrival: Arrival; next: (socket: TLSSocket) => void }>();
  /** Identities that clients have named, and whether there is a key for them. */
  readonly #offers = new WeakMap<TLSSocket, PskOffer>();
  readonly #watch: FileWatch;
  #files: TlsFiles;

  /** Throws `ListenError` when a file is missing or wrong. */
  constructor(options: TlsOptions, note: (note: Note) => void) {
    this.#options = options;
    this.#note = note;
    this.#files = readTlsFiles(options);
    const { psk } = this.#files;
    const settings: ServerOptions = {
      ...this.#context(),
      requestCert: options.clientCertificate !== "none",
      rejectUnauthorized: options.clientCertificate === "require",
    };
    if (psk !== undefined) settings.pskCallback = (socket, identity) => this.#key(socket, identity);
    this.#server = createServer(settings);
    this.#server.on("secureConnection", (socket) => this.#secured(socket));
    this.#server.on("tlsClientError", (error, socket) => this.#failed(error, socket));
    this.#warnOfExpiry();
    const { cert, key, ca, pskFile, reloadInterval } = options;
    this.#watch = new FileWatch([cert, key, ca, pskFile], reloadInterval ?? RELOAD_INTERVAL, () =>
      this.#reload(),
    );
  }

  /** Runs the handshake; a failure ends the arrival. */
  secure(arrival: Arrival, next: (socket: TLSSocket) => void): void {
    const key = pairOf(arrival.socket);
    this.#arrivals.set(key, { arrival, next });
    arrival.socket.once("close", () => this.#arrivals.delete(key));
    // Node reads what is buffered behind a PROXY header one tick later; until then nothing may flow past it.
    arrival.socket.pause();
    this.#server.emit("connection", arrival.socket);
  }

  close(): void {
    this.#watch.close();
  }

  #context(): SecureContextOptions {
    const { cert, key, ca, psk } = this.#files;
    const { keyPassphrase, minVersion } = this.#options;
    const ciphers = this.#options.ciphers ?? (psk === undefined ? undefined : CIPHERS_WITH_PSK);
    return {
      cert,
      key,
      ca,
      minVersion,
      ...(keyPassphrase === undefined ? {} : { passphrase: keyPassphrase }),
      ...(ciphers === undefined ? {} : { ciphers }),
      // A resumed session would not name its PSK identity again.
      ...(psk === undefined ? {} : { secureOptions: constants.SSL_OP_NO_TICKET, dhparam: "auto" }),
    };
  }

  #key(socket: TLSSocket, identity: string): Buffer | null {
    const key = this.#files.psk?.get(identity);
    this.#offers.set(socket, { identity, known: key !== undefined });
    return key ?? null;
  }

  #take(socket: TLSSocket): { arrival: Arrival; next: (socket: TLSSocket) => void } | undefined {
    const key = pairOf(socket);
    const found = this.#arrivals.get(key);
    this.#arrivals.delete(key);
    return found;
  }

  #secured(socket: TLSSocket): void {
    const found = this.#take(socket);
    if (found === undefined) {
      socket.destroy();
      return;
    }
    const offer = this.#offers.get(socket);
    if (offer !== undefined && !(offer.known && provenByPsk(socket))) {
      // With a certificate at hand TLS 1.3 goes on without the key: what was named is not proven.
      found.arrival.fail("tls-handshake-failed", "the pre-shared key was not accepted");
      return;
    }
    const proven = offer?.identity ?? certificateName(socket, this.#options.identity);
    if (proven !== undefined) found.arrival.identity = proven;
    found.next(socket);
  }

  #failed(error: NodeJS.ErrnoException, socket: TLSSocket): void {
    socket.destroy();
    this.#take(socket)?.arrival.fail("tls-handshake-failed", error.code ?? error.message);
  }

  #warnOfExpiry(): void {
    const { validTo } = this.#files;
    if (validTo === undefined) return;
    const days = Math.floor((validTo.getTime() - Date.now()) / MS_PER_DAY);
    if (days >= WARN_BEFORE_EXPIRY_DAYS) return;
    const event = days < 0 ? "certificate-expired" : "certificate-expires-soon";
    this.#note({ level: "warn", event, detail: { certificate: this.#options.cert, days } });
  }

  #reload(): void {
    try {
      this.#files = readTlsFiles(this.#options);
      this.#server.setSecureContext(this.#context());
      this.#note({
        level: "info",
        event: "certificate-reloaded",
        detail: { certificate: this.#options.cert },
      });
      this.#warnOfExpiry();
    } catch (error) {
      // The old files stay in use; the next change is tried again.
      const problem = (error as Error).message;
      this.#note({ level: "warn", event: "certificate-reload-failed", detail: { problem } });
    }
  }
}

interface PskOffer {
  readonly identity: string;
  readonly known: boolean;
}

/** Names a connection of this process; a TLS socket and the socket under it give the same. */
const pairOf = (socket: {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
}): string => `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress} ${socket.localPort}`;
