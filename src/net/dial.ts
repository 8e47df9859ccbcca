import { type LookupAddress, lookup } from "node:dns";
import { isIP, isIPv6, connect as netConnect, Socket, type TcpNetConnectOpts } from "node:net";
import {
  checkServerIdentity,
  createSecureContext,
  type SecureContext,
  type TLSSocket,
  connect as tlsConnect,
} from "node:tls";
import { WebSocket } from "ws";
import type { Peer } from "../contract/peer.ts";
import { timerLength } from "../lib/timer-length.ts";
import { plainAddress } from "./address.ts";
import { AddressRace, interleave } from "./address-race.ts";
import { connectError } from "./dial-errors.ts";
import { LocalPorts } from "./local-ports.ts";
import { type End, proxyHeader } from "./proxy-header.ts";
import { CIPHERS_WITH_PSK } from "./psk-suites.ts";
import { type Expiring, sweep } from "./sweep.ts";
import { offerSocket, socketOptions } from "./tcp.ts";
import { readDialFiles } from "./tls-files.ts";
import {
  type AcceptStream,
  DialError,
  type DialFailure,
  type Dialling,
  type DialOptions,
  type DialTlsOptions,
  ListenError,
} from "./transport.ts";
import { offerWebSocket } from "./websocket.ts";

/** Finds all addresses of a name; the system's way, which knows its hosts file too. */
export type Resolve = (
  host: string,
  done: (error: NodeJS.ErrnoException | null, addresses: readonly string[]) => void,
) => void;

const resolveBySystem: Resolve = (host, done) =>
  lookup(host, { all: true, verbatim: true }, (error, found: LookupAddress[] | undefined) =>
    done(
      error,
      (found ?? []).map(({ address }) => address),
    ),
  );

/**
 * Makes connections to one place, which are then what a listener's are. What they share (certificates, keys) is read
 * once: make a new one when it has changed.
 */
export class Dialler {
  readonly options: DialOptions;
  readonly resolve: Resolve;
  readonly context: SecureContext | undefined;
  /** The last TLS session that the place can take up again, so that the next connection need not prove everything anew. */
  session: Buffer | undefined = undefined;
  /** Of the local address, where one is asked for. */
  readonly ports: LocalPorts | undefined;

  /** Throws `ListenError` when a file is missing or wrong. */
  constructor(options: DialOptions, resolve: Resolve = resolveBySystem, ports?: LocalPorts) {
    this.options = options;
    this.ports = ports ?? (options.localAddress === undefined ? undefined : new LocalPorts());
    this.resolve = resolve;
    const { transport, tls, websocket } = options;
    if (transport === "tls" || transport === "wss") {
      if (tls === undefined) throw new ListenError("listen-failed", `${transport} without TLS options`);
      this.context = contextOf(tls);
    }
    if ((transport === "ws" || transport === "wss") && websocket === undefined) {
      throw new ListenError("listen-failed", `${transport} without WebSocket options`);
    }
  }

  /**
   * Exactly one of the two is called, once and later, unless it is cancelled before. `source`: for whom it is made, where
   * the place is told.
   */
  dial(connected: AcceptStream, failed: (error: DialError) => void, source?: End): Dialling {
    return new Call(this, connected, failed, source);
  }
}

function contextOf(tls: DialTlsOptions): SecureContext {
  const { cert, key, ca } = readDialFiles(tls);
  const ciphers = tls.ciphers ?? (tls.psk === undefined ? undefined : CIPHERS_WITH_PSK);
  return createSecureContext({
    minVersion: tls.minVersion,
    ...(cert === undefined ? {} : { cert, key }),
    ...(tls.keyPassphrase === undefined ? {} : { passphrase: tls.keyPassphrase }),
    ...(ca === undefined ? {} : { ca }),
    ...(ciphers === undefined ? {} : { ciphers }),
  });
}

function connectFrom(ports: LocalPorts | undefined, { localAddress, ...to }: TcpNetConnectOpts): Socket {
  if (ports === undefined || localAddress === undefined) return netConnect(to);
  const localPort = ports.take();
  if (localPort === undefined) {
    const full = new Error(`no local port of ${localAddress} is free`);
    return new Socket().destroy(Object.assign(full, { code: "EADDRNOTAVAIL", syscall: "bind" }));
  }
  const socket = netConnect({ ...to, localAddress, localPort });
  socket.once("close", () => ports.giveBack(localPort));
  return socket;
}

/** One connection in the making: look-up, then a race of addresses, then TLS, then the WebSocket upgrade. */
class Call implements Dialling, Expiring {
  readonly expiresAt: number;
  readonly #dialler: Dialler;
  readonly #options: DialOptions;
  readonly #connected: AcceptStream;
  readonly #failed: (error: DialError) => void;
  readonly #source: End | undefined;
  /** What has to be given up with it. */
  #undo: (() => void) | undefined;
  #over = false;

  constructor(
    dialler: Dialler,
    connected: AcceptStream,
    failed: (error: DialError) => void,
    source: End | undefined,
  ) {
    this.#source = source;
    this.#dialler = dialler;
    this.#options = dialler.options;
    this.#connected = connected;
    this.#failed = failed;
    this.expiresAt = performance.now() + this.#options.timeout;
    sweep.add(this);
    dialler.resolve(this.#options.host, (error, addresses) => this.#resolved(error, addresses));
  }

  cancel(): void {
    if (this.#finish()) this.#undo?.();
  }

  expired(): void {
    this.#fail("timeout", `no connection within ${this.#options.timeout / 1000} s`);
  }

  /** False when it was over before. */
  #finish(): boolean {
    if (this.#over) return false;
    this.#over = true;
    sweep.delete(this);
    return true;
  }

  #fail(failure: DialFailure, problem: string): void {
    this.#report(new DialError(failure, `${this.#place}: ${problem}`));
  }

  #report(error: DialError): void {
    if (!this.#finish()) return;
    this.#undo?.();
    this.#failed(error);
  }

  get #place(): string {
    const { transport, host, port } = this.#options;
    return `${transport}://${isIPv6(host) ? `[${host}]` : host}:${port}`;
  }

  #resolved(error: NodeJS.ErrnoException | null, addresses: readonly string[]): void {
    if (this.#over) return;
    if (error !== null) {
      this.#report(connectError(this.#place, [error]));
      return;
    }
    const { localAddress, port } = this.#options;
    const usable = interleave(addresses).filter(
      (address) => localAddress === undefined || isIPv6(address) === isIPv6(localAddress),
    );
    if (usable.length === 0 && addresses.length > 0) {
      this.#fail("address-not-available", `no address of the family of the local address ${localAddress}`);
      return;
    }
    const connect = (host: string) =>
      connectFrom(this.#dialler.ports, { host, port, localAddress, ...socketOptions(this.#options) });
    const race = new AddressRace(
      usable,
      connect,
      (socket) => this.#reached(socket),
      (problems) => this.#report(connectError(this.#place, problems)),
      this.#dialler.ports !== undefined,
    );
    if (!this.#over) this.#undo ??= () => race.stop();
  }

  #reached(socket: Socket): void {
    const peer: Peer = {
      transport: this.#options.transport,
      address: plainAddress(socket.remoteAddress ?? ""),
      port: socket.remotePort ?? this.#options.port,
    };
    this.#undo = () => socket.destroy();
    const { proxyProtocol } = this.#options;
    if (proxyProtocol !== undefined) socket.write(proxyHeader(proxyProtocol, this.#source, peer));
    if (this.#dialler.context === undefined) this.#secured(socket, peer);
    else this.#secure(socket, this.#dialler.context, peer);
  }

  #secure(under: Socket, secureContext: SecureContext, peer: Peer): void {
    const tls = this.#options.tls as DialTlsOptions;
    const { host } = this.#options;
    const { psk, alpn } = tls;
    const dialler = this.#dialler;
    const { session } = dialler;
    const socket = tlsConnect({
      socket: under,
      secureContext,
      host,
      // An address is no name to ask for (RFC 6066 §3).
      servername: tls.serverName ?? (isIP(host) === 0 ? host : ""),
      rejectUnauthorized: tls.verify,
      // A server that has proven the shared key has no certificate to look at.
      checkServerIdentity: (name, certificate) =>
        psk !== undefined && certificate.raw === undefined
          ? undefined
          : checkServerIdentity(name, certificate),
      ...(session === undefined ? {} : { session }),
      ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
      ...(psk === undefined ? {} : { pskCallback: () => ({ identity: psk.identity, psk: psk.key }) }),
    });
    this.#undo = () => socket.destroy();
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.#fail("tls-failed", error.code === undefined ? error.message : `${error.message} (${error.code})`);
    });
    socket.once("secureConnect", () => {
      if (psk === undefined) keepSession(dialler, socket);
      this.#secured(socket, { ...peer, ...agreed(socket) });
    });
  }

  #secured(socket: Socket, peer: Peer): void {
    const { transport } = this.#options;
    if (transport === "ws" || transport === "wss") {
      this.#upgrade(socket, peer);
      return;
    }
    if (this.#finish()) offerSocket(socket, peer, this.#options, this.#connected);
  }

  #upgrade(socket: Socket, peer: Peer): void {
    const { transport, host, port, linger } = this.#options;
    const { path, subprotocols, messageSizeMax, headers } = this.#options.websocket!;
    const url = `${transport}://${isIPv6(host) ? `[${host}]` : host}:${port}${path}`;
    const websocket = new WebSocket(url, [...subprotocols], {
      createConnection: () => socket,
      perMessageDeflate: false,
      followRedirects: false,
      maxPayload: messageSizeMax,
      closeTimeout: timerLength(linger),
      ...(headers === undefined ? {} : { headers }),
    } as ConstructorParameters<typeof WebSocket>[2]);
    this.#undo = () => websocket.terminate();
    websocket.on("error", (error) => this.#fail("websocket-refused", error.message));
    websocket.once("unexpected-response", (_request, { statusCode }) =>
      this.#fail("websocket-refused", `HTTP status ${statusCode}`),
    );
    websocket.once("open", () => {
      const subprotocol = websocket.protocol === "" ? undefined : websocket.protocol;
      const upgraded = { ...peer, path, subprotocol };
      if (this.#finish()) {
        offerWebSocket(websocket, socket, upgraded, this.#options, "binary", this.#connected);
      }
    });
  }
}

/** Only now: a session that is taken up again is not asked for the name in its certificate. */
function keepSession(dialler: Dialler, socket: TLSSocket): void {
  // In TLS 1.3 the server says later how it can be taken up again.
  if (socket.getProtocol() !== "TLSv1.3") dialler.session = socket.getSession();
  socket.on("session", (session) => {
    dialler.session = session;
  });
}

const agreed = ({ alpnProtocol }: TLSSocket): Pick<Peer, "subprotocol"> =>
  typeof alpnProtocol === "string" ? { subprotocol: alpnProtocol } : {};
