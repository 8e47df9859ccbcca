import { DEFAULT_CIPHERS, type TLSSocket } from "node:tls";

/**
 * Node offers no PSK cipher suites by itself. They come before all others, because only a client that has a key names
 * them; among them, those with forward secrecy first.
 */
const PSK_CIPHERS =
  "ECDHE-PSK-CHACHA20-POLY1305:DHE-PSK-AES256-GCM-SHA384:DHE-PSK-AES128-GCM-SHA256:" +
  "ECDHE-PSK-AES128-CBC-SHA256:PSK-AES256-GCM-SHA384:PSK-AES128-GCM-SHA256:PSK-AES128-CCM8:PSK-AES128-CCM";
/** In TLS 1.3 an external key goes with SHA-256 only; a server that preferred SHA-384 would pass it over. */
export const CIPHERS_WITH_PSK = `${PSK_CIPHERS}:${DEFAULT_CIPHERS.replace(":!PSK", "").replace("TLS_AES_256_GCM_SHA384:", "")}`;

/**
 * Whether the keys of the connection come from a pre-shared key. TLS 1.3 counts that as a resumed session
 * (RFC 8446 §2.2), and listeners with pre-shared keys resume no others.
 */
export const provenByPsk = (socket: TLSSocket): boolean =>
  socket.getProtocol() === "TLSv1.3" ? socket.isSessionReused() : socket.getCipher().name.includes("PSK");
