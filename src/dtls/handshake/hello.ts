import { utf8 } from "../../lib/bytes.ts";
import { Alert, DTLS_1_2, ExtensionType, PLAINTEXT_MAX } from "../constants.ts";
import { uint8, uint16 } from "../octets.ts";
import { type DtlsSettings, Failure } from "../settings.ts";
import {
  type ClientExtensions,
  type ClientHello,
  parseClientHelloHead,
  parseExtensions,
} from "./client-hello.ts";
import { cidExtension, type Extension, protocolNameList } from "./server-messages.ts";

/** A ClientHello that this server can talk about. */
export interface UnderstoodHello {
  readonly hello: ClientHello;
  readonly extensions: ClientExtensions;
  /** Longest plaintext that the client takes. */
  readonly peerRecordSize: number;
  readonly protocol: string | undefined;
}

const NULL_COMPRESSION = 0;
/** RFC 8449 §4. */
const RECORD_SIZE_LIMIT_MIN = 64;

export function understand(body: Uint8Array, settings: DtlsSettings): UnderstoodHello | Failure {
  const hello = parseClientHelloHead(body);
  const extensions = hello === undefined ? undefined : parseExtensions(body, hello);
  if (hello === undefined || extensions === undefined) {
    return new Failure(Alert.decodeError, "the ClientHello is malformed");
  }
  // Versions count downwards (RFC 6347 §4.1).
  if (hello.version >> 8 !== DTLS_1_2 >> 8 || hello.version > DTLS_1_2) {
    return new Failure(Alert.protocolVersion, "the client does not speak DTLS 1.2");
  }
  if (!hello.compressionMethods.includes(NULL_COMPRESSION)) {
    return new Failure(Alert.illegalParameter, "the client insists on compression");
  }
  if (settings.extendedMasterSecret === "require" && !extensions.extendedMasterSecret) {
    return new Failure(
      Alert.handshakeFailure,
      "the client has no extended master secret, which is required here",
    );
  }
  const peerRecordSize = recordSizeOf(extensions);
  if (peerRecordSize instanceof Failure) return peerRecordSize;
  const protocol = settings.protocols.find((name) => extensions.protocols?.includes(name));
  if (extensions.protocols !== undefined && settings.protocols.length > 0 && protocol === undefined) {
    return new Failure(
      Alert.noApplicationProtocol,
      `the client wants the protocol ${extensions.protocols.join(", ")} (ALPN)`,
    );
  }
  return { hello, extensions, peerRecordSize, protocol };
}

/** RFC 8449 §5: where both limits are asked for, the older one does not count. */
function recordSizeOf({ recordSizeLimit, maxFragmentLength }: ClientExtensions): number | Failure {
  if (recordSizeLimit !== undefined) {
    if (recordSizeLimit < RECORD_SIZE_LIMIT_MIN) {
      return new Failure(Alert.illegalParameter, "the client limits records to less than 64 octets");
    }
    return Math.min(recordSizeLimit, PLAINTEXT_MAX);
  }
  if (maxFragmentLength === undefined) return PLAINTEXT_MAX;
  // RFC 6066 §4.
  if (maxFragmentLength < 1 || maxFragmentLength > 4) {
    return new Failure(Alert.illegalParameter, "the client asks for a fragment length that does not exist");
  }
  return 2 ** (8 + maxFragmentLength);
}

/** What is agreed beside the suite. */
export interface Agreed {
  readonly encryptThenMac: boolean;
  readonly elliptic: boolean;
  readonly ticket: boolean;
  readonly clientCertificateType: number | undefined;
  readonly serverCertificateType: number | undefined;
  readonly cid: { readonly type: number; readonly own: Uint8Array } | undefined;
}

/** Answers to what the client has offered, and to nothing else (RFC 5246 §7.4.1.4). */
export function answers(
  { extensions, protocol }: UnderstoodHello,
  agreed: Agreed,
  settings: DtlsSettings,
): readonly Extension[] {
  const list: Extension[] = [];
  const answer = (type: number, data: Uint8Array = new Uint8Array(0)): void => void list.push({ type, data });
  if (extensions.renegotiationInfo) answer(ExtensionType.renegotiationInfo, uint8(0));
  if (extensions.extendedMasterSecret) answer(ExtensionType.extendedMasterSecret);
  if (agreed.encryptThenMac) answer(ExtensionType.encryptThenMac);
  if (extensions.recordSizeLimit !== undefined) {
    answer(ExtensionType.recordSizeLimit, uint16(settings.recordSize));
  } else if (extensions.maxFragmentLength !== undefined) {
    answer(ExtensionType.maxFragmentLength, uint8(extensions.maxFragmentLength));
  }
  // RFC 8422 §5.1.2: uncompressed points.
  if (agreed.elliptic && extensions.pointFormats !== undefined) {
    answer(ExtensionType.ecPointFormats, Uint8Array.of(1, 0));
  }
  if (protocol !== undefined) {
    answer(ExtensionType.applicationLayerProtocolNegotiation, protocolNameList(utf8(protocol)));
  }
  if (agreed.clientCertificateType !== undefined && extensions.clientCertificateTypes !== undefined) {
    answer(ExtensionType.clientCertificateType, uint8(agreed.clientCertificateType));
  }
  if (agreed.serverCertificateType !== undefined && extensions.serverCertificateTypes !== undefined) {
    answer(ExtensionType.serverCertificateType, uint8(agreed.serverCertificateType));
  }
  if (agreed.ticket) answer(ExtensionType.sessionTicket);
  if (agreed.cid !== undefined) answer(agreed.cid.type, cidExtension(agreed.cid.own));
  return list;
}
