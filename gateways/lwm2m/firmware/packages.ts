/** Firmware packages of a folder: for pushing in blocks, and for devices that pull them from /fw (block2). */
import type { GatewayHost } from "#core/contract/gateway.ts";

export interface FirmwarePackage {
  readonly bytes: Uint8Array;
  /** Of the content, so that a device whose download was cut off notices a changed package (RFC 7959 §2.4). */
  readonly etag: Uint8Array;
}

export type Packages = ReadonlyMap<string, FirmwarePackage>;

/** Reads all files of the folder up to the size limit; larger ones are noted and left out. */
export function readPackages(host: GatewayHost, folder: string, maxSize: number): Packages {
  const packages = new Map<string, FirmwarePackage>();
  if (folder === "") return packages;
  for (const name of host.listFiles(folder)) {
    const bytes = host.readFile(`${folder}/${name}`);
    if (bytes.length > maxSize) {
      host.note({ level: "warn", event: "firmware-too-large", detail: { name, bytes: bytes.length } });
      continue;
    }
    packages.set(name, { bytes, etag: fingerprint(bytes) });
  }
  return packages;
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
