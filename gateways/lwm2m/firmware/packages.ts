/** Firmware packages of a folder: for pushing in blocks, and for devices that pull them from /fw (block2). */
import type { GatewayHost } from "#core/contract/gateway.ts";

export interface FirmwarePackage {
  readonly bytes: Uint8Array;
  /** Of the content, so that a device whose download was cut off notices a changed package (RFC 7959 §2.4). */
  readonly etag: Uint8Array;
}

export class FirmwarePackages {
  readonly #host: GatewayHost;
  readonly #folder: string;
  readonly #maxSize: number;
  readonly #known = new Map<string, FirmwarePackage>();

  /** All files of the folder up to the size limit; larger ones are noted and left out. */
  constructor(host: GatewayHost, folder: string, maxSize: number) {
    this.#host = host;
    this.#folder = folder;
    this.#maxSize = maxSize;
    for (const name of this.#names()) this.#read(name);
  }

  /** As it was read last: devices ask for it block by block. */
  get(name: string): FirmwarePackage | undefined {
    return this.#known.get(name);
  }

  /** As it lies in the folder now, for an order: files come and change without a reload. */
  fresh(name: string): FirmwarePackage | undefined {
    this.#known.delete(name);
    // Only by a name that the folder lists: what an application writes is no path.
    if (this.#names().includes(name)) this.#read(name);
    return this.#known.get(name);
  }

  #names(): readonly string[] {
    if (this.#folder === "") return [];
    try {
      return this.#host.listFiles(this.#folder);
    } catch (error) {
      this.#note("firmware-missing", { folder: this.#folder, problem: String(error) });
      return [];
    }
  }

  #read(name: string): void {
    let bytes: Uint8Array;
    try {
      bytes = this.#host.readFile(`${this.#folder}/${name}`);
    } catch (error) {
      this.#note("firmware-unreadable", { name, problem: String(error) });
      return;
    }
    if (bytes.length > this.#maxSize) this.#note("firmware-too-large", { name, bytes: bytes.length });
    else this.#known.set(name, { bytes, etag: fingerprint(bytes) });
  }

  #note(event: string, detail: Readonly<Record<string, unknown>>): void {
    this.#host.note({ level: "warn", event, detail });
  }
}

/** FNV-1a over all bytes, twice with different seeds: eight bytes. */
function fingerprint(bytes: Uint8Array): Uint8Array {
  let low = 0x811c9dc5;
  let high = 0x01000193 ^ bytes.length;
  for (const byte of bytes) {
    low = Math.imul(low ^ byte, 0x01000193);
    high = Math.imul(high ^ byte, 0x85ebca6b) ^ (high >>> 13);
  }
  const etag = new Uint8Array(8);
  const view = new DataView(etag.buffer);
  view.setInt32(0, low);
  view.setInt32(4, high);
  return etag;
}
