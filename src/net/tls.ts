import { constants, randomBytes } from "node:crypto";
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
import { isIdentity } from "./psk-identities.ts";
import { CIPHERS_WITH_PSK, provenByPsk } from "./psk-suites.ts";
import { KeyWait } from "./psk-wait.ts";
import { readTlsFiles, type TlsFiles } from "./tls-files.ts";
import type { TlsOptions } from "./transport.ts";
import { letOthersIn } from "./turn.ts";

const RELOAD_INTERVAL: Duration = seconds(5);
const WARN_BEFORE_EXPIRY_DAYS = 14;
const MS_PER_DAY = 86_400_000;

/** One connection's way through TLS. */
interface Handshake {
  readonly arrival: Arrival;
  readonly next: (socket: TLSSocket) => void;
  readonly refuse: (socket: TLSSocket, problem: string) => void;
  /** Where keys are asked for elsewhere. */
  readonly keys: KeyWait | undefined;
  /** It has led somewhere, or the connection is gone. */
  over: boolean;
}

/** The server as one connection sees it: what is emitted on it is about this connection. */
type ServerOfOne = Server & { readonly handshake: Handshake };

const SECURED_BY_KEYS = constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION;
/** Of the key that takes the place of one that nobody has, in octets. */
const NOBODYS_KEY = 32;

/** Turns accepted sockets into TLS sockets; follows changes of the certificate, key and PSK files. */
export class TlsLayer {
  readonly #options: TlsOptions;
  readonly #note: (note: Note) => void;
  readonly #server: Server;
  /** Identities that clients have named, and whether there is a key for them. */
  readonly #offers = new WeakMap<TLSSocket, PskOffer>();
  readonly #watch: FileWatch;
  #files: TlsFiles;

  /** Throws `ListenError` when a file is missing or wrong. */
  constructor(options: TlsOptions, note: (note: Note) => void) {
    this.#options = options;
    this.#note = note;
    this.#files = readTlsFiles(options);
    const settings: ServerOptions = {
      ...this.#context(),
      requestCert: options.clientCertificate !== "none",
      // Node would end the connection without a word; `#unproven` judges, and who is refused hears why.
      rejectUnauthorized: false,
    };
    if (this.#withKeys) settings.pskCallback = (socket, identity) => this.#key(socket, identity);
    this.#server = createServer(settings);
    const layer = this;
    this.#server.on("secureConnection", function (this: Server, socket) {
      layer.#secured((this as ServerOfOne).handshake, socket);
    });
    this.#server.on("tlsClientError", function (this: Server, error, socket) {
      layer.#failed((this as ServerOfOne).handshake, error, socket);
    });
    this.#warnOfExpiry();
    const { cert, key, ca, pskFile, reloadInterval } = options;
    this.#watch = new FileWatch([cert, key, ca, pskFile], reloadInterval ?? RELOAD_INTERVAL, () =>
      this.#reload(),
    );
  }

  /**
   * Runs the handshake; a failure ends the arrival. Who does not show the certificate that is required goes to `refuse`,
   * with OpenSSL's word for what is wrong with it, and never to `next`.
   */
  secure(
    arrival: Arrival,
    next: (socket: TLSSocket) => void,
    refuse: (socket: TLSSocket, problem: string) => void,
  ): void {
    const { socket } = arrival;
    const { keys: authority } = this.#options;
    // Node reads what is buffered behind a PROXY header one tick later; until then nothing may flow past it.
    socket.pause();
    const keys =
      authority === undefined
        ? undefined
        : new KeyWait(
            socket,
            (identity) => this.#files.psk?.get(identity) ?? authority.presharedKey(identity),
            (problem) => arrival.fail("tls-handshake-failed", problem),
          );
    const handshake: Handshake = { arrival, next, refuse, keys, over: false };
    socket.once("close", () => {
      handshake.over = true;
    });
    const server: ServerOfOne = Object.assign(Object.create(this.#server) as Server, { handshake });
    server.emit("connection", keys ?? socket);
  }

  close(): void {
    this.#watch.close();
  }

  #context(): SecureContextOptions {
    const { cert, key, ca } = this.#files;
    const { keyPassphrase, minVersion } = this.#options;
    const ciphers = this.#options.ciphers ?? (this.#withKeys ? CIPHERS_WITH_PSK : undefined);
    return {
      cert,
      key,
      ca,
      minVersion,
      ...(keyPassphrase === undefined ? {} : { passphrase: keyPassphrase }),
      ...(ciphers === undefined ? {} : { ciphers }),
      // A resumed session would not name its PSK identity again.
      ...(this.#withKeys ? { secureOptions: SECURED_BY_KEYS, dhparam: "auto" } : {}),
    };
  }

  get #withKeys(): boolean {
    return this.#files.psk !== undefined || this.#options.keys !== undefined;
  }

  /** Null: what was named is no identity, but the ticket of a session that this listener does not resume. */
  #key(socket: TLSSocket, identity: string): Uint8Array | null {
    if (!isIdentity(identity)) return null;
    const { keys } = handshakeOf(socket);
    const key = this.#files.psk?.get(identity) ?? keys?.keyOf(identity);
    this.#offers.set(socket, { identity, known: key !== undefined });
    // RFC 4279 §2 lets an unknown identity fail like a wrong key: then nobody can try out names.
    return key ?? randomBytes(NOBODYS_KEY);
  }

  #secured(handshake: Handshake, socket: TLSSocket): void {
    letOthersIn();
    const { arrival, next, refuse, keys, over } = handshake;
    if (over) {
      socket.destroy();
      return;
    }
    handshake.over = true;
    keys?.forget();
    const offer = this.#offers.get(socket);
    if (offer !== undefined && !(offer.known && provenByPsk(socket))) {
      // With a certificate at hand TLS 1.3 goes on without the key: what was named is not proven.
      arrival.fail("tls-handshake-failed", "the pre-shared key was not accepted");
      return;
    }
    const problem = offer === undefined ? this.#unproven(socket) : undefined;
    if (problem !== undefined) {
      refuse(socket, problem);
      return;
    }
    const proven = offer?.identity ?? certificateName(socket, this.#options.identity);
    if (proven !== undefined) arrival.identity = proven;
    next(socket);
  }

  /** What is wrong with the certificate that is required; undefined when it is valid, or none is required. */
  #unproven(socket: TLSSocket): string | undefined {
    if (this.#options.clientCertificate !== "require") return undefined;
    // In TLS 1.3 Node takes a resumed session for authorized without any certificate, and a session may come of a
    // connection that was refused here.
    if (socket.getPeerX509Certificate() === undefined) return NO_CERTIFICATE;
    return socket.authorized ? undefined : (socket.authorizationError?.toString() ?? "UNSPECIFIED");
  }

  #failed(handshake: Handshake, error: NodeJS.ErrnoException, socket: TLSSocket): void {
    socket.destroy();
    const { arrival, over } = handshake;
    handshake.over = true;
    if (!over) arrival.fail("tls-handshake-failed", error.code ?? error.message);
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

/** OpenSSL's name for what it would have refused. */
const NO_CERTIFICATE = "PEER_DID_NOT_RETURN_A_CERTIFICATE";

interface PskOffer {
  readonly identity: string;
  readonly known: boolean;
}

/** A TLS socket knows the server that made it. */
const handshakeOf = (socket: TLSSocket): Handshake =>
  (socket as TLSSocket & { readonly server: ServerOfOne }).server.handshake;
