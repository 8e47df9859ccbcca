import { appendFileSync } from "node:fs";
import type { Datagram } from "../contract/endpoint.ts";
import type { Counter, Note } from "../contract/note.ts";
import type { Association } from "../dtls/association.ts";
import { AssociationKeeper, type AssociationTable } from "../dtls/kept.ts";
import { DtlsListener } from "../dtls/listener.ts";
import type { DtlsMemory } from "../dtls/memory.ts";
import type { DroppedRecord, DtlsPorts } from "../dtls/ports.ts";
import type { DtlsSettings } from "../dtls/settings.ts";
import { DEFAULT_SUITES, suiteByName } from "../dtls/suites.ts";
import type { Alarms } from "../lib/alarm.ts";
import { copyOf } from "../lib/bytes.ts";
import { after, type Duration, seconds } from "../lib/time.ts";
import { systemClock } from "./clock.ts";
import { FileCredentials, type KeyAuthority } from "./dtls-credentials.ts";
import { nodeCrypto } from "./dtls-crypto.ts";
import type { DtlsOptions, SecureDatagrams } from "./dtls-options.ts";
import { FileWatch } from "./file-watch.ts";
import type {
  DatagramListenerOptions,
  DatagramSocket,
  OutgoingDatagram,
  ReceiveDatagrams,
} from "./transport.ts";
import { listenUdp } from "./udp.ts";

/** What secure datagrams need of the process that they are in. */
export interface DtlsServices {
  readonly alarms: Alarms;
  handshakeEnded(suite: string, outcome: string): Counter;
  recordDropped(why: DroppedRecord): Counter;
  /** Keys that are in no file, for a listener by its name. */
  keysOf(name: string): KeyAuthority | undefined;
  /** By which tickets are sealed; random when nothing is kept. */
  readonly ticketSecret: Uint8Array;
  /** For what all listeners hold together. */
  readonly memory: DtlsMemory;
  /** Where associations outlive this process; undefined: they do not. */
  readonly kept: KeptAssociations | undefined;
}

export interface KeptAssociations extends AssociationTable {
  /** Seals them. */
  readonly secret: Uint8Array;
  /** Those under a name, as they were sealed. */
  entries(prefix: string): Iterable<readonly [key: string, sealed: Uint8Array]>;
}

const RELOAD_INTERVAL: Duration = seconds(5);

/** A UDP socket on which nothing is in the clear. */
class DtlsSocket implements DatagramSocket {
  readonly transport = "dtls";
  readonly dtls: DtlsListener;
  readonly #receive: ReceiveDatagrams;
  readonly #secure: SecureDatagrams;
  readonly #services: DtlsServices;
  readonly #note: (note: Note) => void;
  readonly #watch: FileWatch;
  readonly #keeper: AssociationKeeper | undefined;
  #udp!: DatagramSocket;
  /** Opened content on its way to the runtime. */
  #inbox: Datagram[] = [];
  #receiving = false;

  constructor(
    secure: SecureDatagrams,
    receive: ReceiveDatagrams,
    note: (note: Note) => void,
    services: DtlsServices,
  ) {
    this.#secure = secure;
    this.#receive = receive;
    this.#services = services;
    this.#note = note;
    const { tls, dtls } = secure;
    const credentials = new FileCredentials(secure, services.keysOf(secure.name));
    const settings = settingsOf(dtls, secure.protocols);
    const { kept } = services;
    this.#keeper =
      kept === undefined
        ? undefined
        : new AssociationKeeper(nodeCrypto, kept, kept.secret, prefixOf(secure.name));
    this.dtls = new DtlsListener(
      this.#ports(),
      settings,
      credentials,
      services.ticketSecret,
      dtls.keyLog === undefined ? undefined : keyLogTo(dtls.keyLog),
    );
    if (dtls.keyLog !== undefined) {
      const warning =
        "whoever reads this file can read all that is sent: take the setting out when you are done";
      note({ level: "warn", event: "dtls-key-log", detail: { file: dtls.keyLog, warning } });
    }
    if (kept !== undefined) this.#restore(kept, settings);
    const further = dtls.certificates.flatMap(({ cert, key }) => [cert, key]);
    const files = [tls.cert, tls.key, tls.ca, tls.pskFile, dtls.clientKeys, ...further];
    this.#watch = new FileWatch(files, tls.reloadInterval ?? RELOAD_INTERVAL, () => this.#reload());
  }

  bind(udp: DatagramSocket): void {
    this.#udp = udp;
  }

  get address(): string {
    return this.#udp.address;
  }

  get port(): number {
    return this.#udp.port;
  }

  get batched(): boolean {
    return this.#udp.batched === true;
  }

  get secure() {
    const { associations, handshakes } = this.dtls;
    return { associations: associations.size, handshakes, lost: this.#keeper?.lost ?? 0 };
  }

  get backlog(): number {
    return this.#udp.backlog;
  }

  /** All that one turn of the event loop has read; its content goes on at once. */
  readonly received = (batch: readonly Datagram[]): void => {
    const now = systemClock.now();
    this.#receiving = true;
    for (const { bytes, address, port } of batch) this.dtls.receive(bytes, address, port, now);
    this.#receiving = false;
    this.#hand();
  };

  send(batch: readonly OutgoingDatagram[]): void {
    for (const { bytes, association } of batch) {
      // Without an association there is nobody who could read it: beacons.
      if (association !== undefined) this.dtls.write(association as Association, bytes);
    }
  }

  async close(): Promise<void> {
    this.#watch.close();
    this.dtls.stop();
    await this.#udp.close();
  }

  readonly #hand = (): void => {
    if (this.#inbox.length === 0) return;
    const inbox = this.#inbox;
    this.#inbox = [];
    this.#receive(inbox);
  };

  /** Takes up again what an earlier process has left, in the order in which it was used. */
  #restore(kept: KeptAssociations, { connectionId, limits }: DtlsSettings): void {
    const now = systemClock.now();
    const found: Association[] = [];
    let dropped = 0;
    for (const [key, sealed] of kept.entries(prefixOf(this.#secure.name))) {
      const { associations } = this.dtls;
      const association = this.#keeper?.restore(key, sealed, associations.newId(), connectionId.length);
      if (association === undefined) {
        kept.remove(key);
        dropped++;
      } else found.push(association);
    }
    found.sort((a, b) => a.lastSeen - b.lastSeen);
    for (const association of found) {
      if (after(association.lastSeen, limits.idle) > now) this.dtls.restore(association);
      else this.#keeper?.forget(association);
    }
    if (found.length + dropped === 0) return;
    this.#note({ level: "info", event: "dtls-restored", detail: { associations: found.length, dropped } });
  }

  #ports(): DtlsPorts {
    const services = this.#services;
    return {
      crypto: nodeCrypto,
      alarms: services.alarms,
      now: () => systemClock.now(),
      send: (bytes, address, port) => this.#udp.send([{ bytes, address, port }]),
      deliver: (association, content) => this.#deliver(association, content),
      closed: () => {},
      note: (note) => this.#note(note),
      handshakeEnded: (suite, outcome) => void services.handshakeEnded(suite, outcome).value++,
      recordDropped: (why) => void services.recordDropped(why).value++,
      memory: services.memory,
      keeper: this.#keeper,
    };
  }

  #deliver(association: Association, content: Uint8Array): void {
    const { address, port } = association;
    this.#inbox.push({ bytes: copyOf(content), address, port, association });
    // Content that had to wait for the store comes by itself.
    if (!this.#receiving && this.#inbox.length === 1) setImmediate(this.#hand);
  }

  #reload(): void {
    try {
      const credentials = new FileCredentials(this.#secure, this.#services.keysOf(this.#secure.name));
      this.dtls.reload(settingsOf(this.#secure.dtls, this.#secure.protocols), credentials);
      this.#note({ level: "info", event: "dtls-keys-reloaded", detail: {} });
    } catch (error) {
      // The old files stay in use; the next change is tried again.
      const problem = (error as Error).message;
      this.#note({ level: "warn", event: "dtls-keys-reload-failed", detail: { problem } });
    }
  }
}

const prefixOf = (name: string): string => `${name} `;

function settingsOf(options: DtlsOptions, protocols: readonly string[]): DtlsSettings {
  const named = options.suites.map(suiteByName).filter((suite) => suite !== undefined);
  return {
    ...options,
    suites: named.length > 0 ? named : DEFAULT_SUITES,
    protocols,
    handshakeMessageMax: options.limits.handshakeMessage,
  };
}

/** The NSS format, which Wireshark reads: `CLIENT_RANDOM <random> <master secret>`. */
const keyLogTo =
  (path: string) =>
  (clientRandom: Uint8Array, masterSecret: Uint8Array): void => {
    const [random, secret] = [clientRandom, masterSecret].map((bytes) => Buffer.from(bytes).toString("hex"));
    try {
      appendFileSync(path, `CLIENT_RANDOM ${random} ${secret}\n`, { mode: 0o600 });
    } catch {
      // A handshake does not fail for want of a debugging aid.
    }
  };

/** Binds a UDP socket that speaks DTLS. Throws `ListenError`. */
export async function listenDtls(
  options: DatagramListenerOptions,
  secure: SecureDatagrams,
  receive: ReceiveDatagrams,
  note: (note: Note) => void,
  services: DtlsServices,
): Promise<DatagramSocket> {
  const socket = new DtlsSocket(secure, receive, note, services);
  socket.bind(await listenUdp(options, socket.received, note));
  return socket;
}
