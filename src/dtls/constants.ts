/** Numbers of the specifications, by their names there. */

/** RFC 6347 §4.1: { 254, 253 }; DTLS 1.0 is { 254, 255 }, which many put on their first ClientHello. */
export const DTLS_1_2 = 0xfefd;
export const DTLS_1_0 = 0xfeff;

/** RFC 5246 §6.2.1, RFC 9146 §4. */
export const ContentType = {
  changeCipherSpec: 20,
  alert: 21,
  handshake: 22,
  applicationData: 23,
  tls12Cid: 25,
} as const;

/** RFC 5246 §7.4, RFC 6347 §4.3.2, RFC 5077 §3.3. */
export const HandshakeType = {
  helloRequest: 0,
  clientHello: 1,
  serverHello: 2,
  helloVerifyRequest: 3,
  newSessionTicket: 4,
  certificate: 11,
  serverKeyExchange: 12,
  certificateRequest: 13,
  serverHelloDone: 14,
  certificateVerify: 15,
  clientKeyExchange: 16,
  finished: 20,
} as const;

export const ExtensionType = {
  serverName: 0,
  maxFragmentLength: 1,
  supportedGroups: 10,
  ecPointFormats: 11,
  signatureAlgorithms: 13,
  applicationLayerProtocolNegotiation: 16,
  clientCertificateType: 19,
  serverCertificateType: 20,
  encryptThenMac: 22,
  extendedMasterSecret: 23,
  recordSizeLimit: 28,
  sessionTicket: 35,
  /** What drafts of RFC 9146 used, with another layout of what is authenticated. */
  connectionIdDraft: 53,
  connectionId: 54,
  renegotiationInfo: 65281,
} as const;

/** RFC 5246 §7.2 and the registry. */
export const Alert = {
  closeNotify: 0,
  unexpectedMessage: 10,
  badRecordMac: 20,
  recordOverflow: 22,
  handshakeFailure: 40,
  badCertificate: 42,
  unsupportedCertificate: 43,
  certificateExpired: 45,
  certificateUnknown: 46,
  illegalParameter: 47,
  unknownCa: 48,
  accessDenied: 49,
  decodeError: 50,
  decryptError: 51,
  protocolVersion: 70,
  insufficientSecurity: 71,
  internalError: 80,
  userCanceled: 90,
  noRenegotiation: 100,
  unsupportedExtension: 110,
  unrecognizedName: 112,
  unknownPskIdentity: 115,
  certificateRequired: 116,
  noApplicationProtocol: 120,
} as const;

const ALERT_NAMES = new Map<number, string>(
  Object.entries(Alert).map(([name, number]) => [
    number,
    name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
  ]),
);
/** As the specifications write it: `bad_record_mac`. */
export const alertName = (alert: number): string => ALERT_NAMES.get(alert) ?? `alert ${alert}`;

export const AlertLevel = { warning: 1, fatal: 2 } as const;

/** RFC 7250 §3. */
export const CertificateType = { x509: 0, rawPublicKey: 2 } as const;

/** RFC 8422 §5.1.1, best first: P-256 is what devices have hardware for, and the fastest here. */
export const GROUPS = [
  { name: "P-256", id: 23 },
  { name: "x25519", id: 29 },
  { name: "P-384", id: 24 },
] as const;
export type Group = (typeof GROUPS)[number]["name"];

/** RFC 5246 §7.4.1.4.1, RFC 8422 §5.1.3, RFC 8446 §4.2.3. */
export const SIGNATURE_SCHEMES = [
  { name: "ecdsa-sha256", id: 0x0403, key: "ec" },
  { name: "ecdsa-sha384", id: 0x0503, key: "ec" },
  { name: "rsa-pss-sha256", id: 0x0804, key: "rsa" },
  { name: "rsa-pss-sha384", id: 0x0805, key: "rsa" },
  { name: "rsa-sha256", id: 0x0401, key: "rsa" },
  { name: "rsa-sha384", id: 0x0501, key: "rsa" },
  { name: "ed25519", id: 0x0807, key: "ed25519" },
  { name: "ecdsa-sha512", id: 0x0603, key: "ec" },
  { name: "rsa-sha512", id: 0x0601, key: "rsa" },
] as const;
export type SignatureScheme = (typeof SIGNATURE_SCHEMES)[number];

/** RFC 5746 §3.3. */
export const EMPTY_RENEGOTIATION_INFO_SCSV = 0x00ff;

/** RFC 5246 §6.2.1: plaintext of a record at most. */
export const PLAINTEXT_MAX = 2 ** 14;
/** RFC 5246 §6.2.3: what encryption may add. */
export const EXPANSION_MAX = 2048;
/** Sequence numbers have 48 bits (RFC 6347 §4.1). */
export const SEQUENCE_MAX = 2 ** 48 - 1;
