import { text } from "../../lib/bytes.ts";
import { EMPTY_RENEGOTIATION_INFO_SCSV, ExtensionType } from "../constants.ts";
import { Reader, uint16s } from "../octets.ts";

/** RFC 6347 §4.2.1; octets are views. */
export interface ClientHello {
  readonly version: number;
  readonly random: Uint8Array;
  readonly sessionId: Uint8Array;
  readonly cookie: Uint8Array;
  readonly cipherSuites: Uint8Array;
  readonly compressionMethods: Uint8Array;
  /** Where the extensions begin. */
  readonly extensionsAt: number;
  /** It comes with a session ticket: its session id is one that the client has made up (RFC 5077 §3.4). */
  readonly withTicket: boolean;
}

const RANDOM_LENGTH = 32;
const SESSION_ID_MAX = 32;

/**
 * All up to the extensions: what a cookie is bound to. `body` may be cut behind that (the first fragment of a
 * ClientHello is enough to answer it without remembering it). Undefined when that is not there.
 */
export function parseClientHelloHead(body: Uint8Array): ClientHello | undefined {
  const reader = new Reader(body);
  const head = {
    version: reader.uint16(),
    random: reader.octets(RANDOM_LENGTH),
    sessionId: reader.vector(1),
    cookie: reader.vector(1),
    cipherSuites: reader.vector(2),
    compressionMethods: reader.vector(1),
    extensionsAt: reader.at,
  };
  if (!reader.ok || head.sessionId.length > SESSION_ID_MAX) return undefined;
  if (head.cipherSuites.length < 2 || head.cipherSuites.length % 2 !== 0) return undefined;
  if (head.compressionMethods.length === 0) return undefined;
  return { ...head, withTicket: hasTicket(body, head.extensionsAt) };
}

/** As far as the extensions are there. */
function hasTicket(body: Uint8Array, extensionsAt: number): boolean {
  const reader = new Reader(body, Math.min(extensionsAt + 2, body.length));
  while (reader.left >= 4) {
    const type = reader.uint16();
    const length = reader.uint16();
    if (type === ExtensionType.sessionTicket) return length > 0;
    reader.octets(length);
    if (!reader.ok) return false;
  }
  return false;
}

/** What a client asks for beside its suites; absent where it does not. */
export interface ClientExtensions {
  readonly renegotiationInfo: boolean;
  readonly extendedMasterSecret: boolean;
  readonly encryptThenMac: boolean;
  readonly serverName: string | undefined;
  readonly protocols: readonly string[] | undefined;
  readonly groups: readonly number[] | undefined;
  readonly pointFormats: Uint8Array | undefined;
  readonly signatureSchemes: readonly number[] | undefined;
  /** What certificate types the client can send, and what it understands (RFC 7250 §3). */
  readonly clientCertificateTypes: Uint8Array | undefined;
  readonly serverCertificateTypes: Uint8Array | undefined;
  readonly maxFragmentLength: number | undefined;
  readonly recordSizeLimit: number | undefined;
  readonly sessionTicket: Uint8Array | undefined;
  readonly connectionId: Uint8Array | undefined;
  readonly draftConnectionId: Uint8Array | undefined;
}

/** Undefined when the block, or one of those that we know, is malformed. No block at all is well-formed. */
export function parseExtensions(body: Uint8Array, hello: ClientHello): ClientExtensions | undefined {
  const found = new Map<number, Uint8Array>();
  if (hello.extensionsAt < body.length) {
    const block = new Reader(body, hello.extensionsAt);
    const extensions = new Reader(block.vector(2));
    if (!block.complete) return undefined;
    while (extensions.ok && extensions.left > 0) {
      const type = extensions.uint16();
      // RFC 5246 §7.4.1.4: not more than one of a type.
      if (found.has(type)) return undefined;
      found.set(type, extensions.vector(2));
    }
    if (!extensions.ok) return undefined;
  }
  return decodeExtensions(found, hello);
}

function decodeExtensions(
  found: ReadonlyMap<number, Uint8Array>,
  hello: ClientHello,
): ClientExtensions | undefined {
  let wellFormed = true;
  const read = <Value>(type: number, decode: (reader: Reader) => Value): Value | undefined => {
    const bytes = found.get(type);
    if (bytes === undefined) return undefined;
    const reader = new Reader(bytes);
    const value = decode(reader);
    if (!reader.complete) wellFormed = false;
    return value;
  };
  const flag = (type: number): boolean => read(type, () => true) ?? false;
  const numbers = (type: number): readonly number[] | undefined =>
    read(type, (reader) => uint16s(reader.vector(2)) ?? failed(reader));
  const renegotiation = read(ExtensionType.renegotiationInfo, (reader) => reader.vector(1));
  const extensions: ClientExtensions = {
    renegotiationInfo:
      renegotiation !== undefined ||
      (uint16s(hello.cipherSuites) ?? []).includes(EMPTY_RENEGOTIATION_INFO_SCSV),
    extendedMasterSecret: flag(ExtensionType.extendedMasterSecret),
    encryptThenMac: flag(ExtensionType.encryptThenMac),
    serverName: read(ExtensionType.serverName, serverName),
    protocols: read(ExtensionType.applicationLayerProtocolNegotiation, protocolNames),
    groups: numbers(ExtensionType.supportedGroups),
    pointFormats: read(ExtensionType.ecPointFormats, (reader) => reader.vector(1)),
    signatureSchemes: numbers(ExtensionType.signatureAlgorithms),
    clientCertificateTypes: read(ExtensionType.clientCertificateType, (reader) => reader.vector(1)),
    serverCertificateTypes: read(ExtensionType.serverCertificateType, (reader) => reader.vector(1)),
    maxFragmentLength: read(ExtensionType.maxFragmentLength, (reader) => reader.uint8()),
    recordSizeLimit: read(ExtensionType.recordSizeLimit, (reader) => reader.uint16()),
    sessionTicket: read(ExtensionType.sessionTicket, (reader) => reader.octets(reader.left)),
    connectionId: read(ExtensionType.connectionId, (reader) => reader.vector(1)),
    draftConnectionId: read(ExtensionType.connectionIdDraft, (reader) => reader.vector(1)),
  };
  // RFC 5746 §3.6: in a first handshake there is nothing to be renegotiated.
  if (renegotiation !== undefined && renegotiation.length > 0) return undefined;
  return wellFormed ? extensions : undefined;
}

function failed(reader: Reader): readonly number[] {
  reader.fail();
  return [];
}

/** RFC 6066 §3. An IP address is no server name, and yet libcoap sends it: the caller finds no match for it. */
function serverName(reader: Reader): string | undefined {
  const list = new Reader(reader.vector(2));
  let name: string | undefined;
  while (list.ok && list.left > 0) {
    const type = list.uint8();
    const value = list.vector(2);
    if (type === 0 && name === undefined) name = text(value);
  }
  if (!list.ok) reader.fail();
  return name?.toLowerCase();
}

/** RFC 7301 §3.1. */
function protocolNames(reader: Reader): readonly string[] {
  const list = new Reader(reader.vector(2));
  const names: string[] = [];
  while (list.ok && list.left > 0) {
    const name = list.vector(1);
    if (name.length === 0) list.fail();
    names.push(text(name) ?? "");
  }
  if (!list.ok || names.length === 0) reader.fail();
  return names;
}
