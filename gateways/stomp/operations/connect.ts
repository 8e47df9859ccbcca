import type { Refusal } from "#core/contract/answers.ts";
import type { SessionRequest } from "#core/contract/client.ts";
import { utf8 } from "#core/lib/bytes.ts";
import { ZERO } from "#core/lib/time.ts";
import { encodeConnected, type HeaderLine } from "../codec/encoder.ts";
import type { Frame } from "../codec/frame.ts";
import type { StompConfig } from "../config.ts";
import { SESSION_SEPARATOR } from "../durable.ts";
import { Header, VERSIONS, type Version } from "../frames.ts";
import { formatHeartBeat, NO_HEART_BEATS, type Offer, offerOf, parseHeartBeat } from "../heartbeat.ts";
import { missing, type Problem, problem, refused } from "../problem.ts";

/** What a client asks for with CONNECT. */
export interface Greeting {
  readonly version: Version;
  readonly clientId: string | undefined;
  readonly username: string | undefined;
  readonly password: Uint8Array | undefined;
  readonly heartBeat: Offer;
}

/** The only problem whose ERROR says which versions there are (STOMP 1.2 Protocol Negotiation). */
export const NO_COMMON_VERSION: Problem = problem(
  "no common version",
  `Supported protocol versions are ${[...VERSIONS].reverse().join(" ")}.`,
);
export const VERSION_HEADER: HeaderLine = ["version", [...VERSIONS].reverse().join(",")];

/** Reads CONNECT or STOMP, which are the same (STOMP 1.2 CONNECT or STOMP Frame). */
export function greetingOf(frame: Frame, config: StompConfig): Greeting | Problem {
  const version = negotiate(frame.text(Header["accept-version"]));
  if (version === undefined) return NO_COMMON_VERSION;
  frame.trims = version === "1.0";
  if (config.unescapeConnect && version !== "1.0") frame.escapes = version;
  if (version !== "1.0" && frame.bodyLength > 0) {
    return problem(`${frame.command} must not have a body`, `STOMP ${version} Body.`);
  }
  // STOMP 1.0 has no heart-beats.
  const heartBeat = version === "1.0" ? undefined : frame.text(Header["heart-beat"]);
  const offer = heartBeat === undefined ? NO_HEART_BEATS : parseHeartBeat(heartBeat);
  if (offer === undefined) return problem("bad header heart-beat", "It is two numbers and a comma.");
  const clientId = frame.text(Header["client-id"]);
  if (clientId === "" || clientId?.includes(SESSION_SEPARATOR) === true) {
    return problem("bad header client-id", `It must not be empty or hold ${SESSION_SEPARATOR}.`);
  }
  const passcode = frame.text(Header.passcode);
  return (
    hostProblem(frame, version, config) ?? {
      version,
      clientId,
      username: frame.text(Header.login),
      password: passcode === undefined ? undefined : utf8(passcode),
      heartBeat: offer,
    }
  );
}

/** No accept-version is a client of 1.0; otherwise the highest version that both know. */
function negotiate(accepted: string | undefined): Version | undefined {
  if (accepted === undefined) return "1.0";
  const theirs = accepted.split(",").map((version) => version.trim());
  return VERSIONS.find((version) => theirs.includes(version));
}

function hostProblem(frame: Frame, version: Version, config: StompConfig): Problem | undefined {
  const host = frame.text(Header.host);
  if (host === undefined) {
    return config.requireHost && version !== "1.0" ? missing("host", frame.command) : undefined;
  }
  if (config.hosts.length === 0 || config.hosts.includes(host)) return undefined;
  return problem("unknown host", "There is no such virtual host here.");
}

/** Asks the core for the client behind a connection; its session ends with it. */
export const requestOf = (greeting: Greeting): SessionRequest => ({
  kind: "session",
  clientId: greeting.clientId ?? "",
  username: greeting.username,
  password: greeting.password,
  cleanStart: true,
  sessionExpiry: ZERO,
  credit: AUTO_CREDIT,
  protocol: `STOMP ${greeting.version}`,
  keepAlive: greeting.heartBeat.send,
});

/** What is acknowledged automatically is settled as it is sent: there is no window to speak of. */
const AUTO_CREDIT = 65_535;

export const loginRefused = (refusal: Refusal, reason: string | undefined): Problem =>
  refused(refusal, reason === undefined ? "CONNECT" : `CONNECT, ${reason}`);

export function connectedFrame(greeting: Greeting, session: string, config: StompConfig): Uint8Array {
  const headers: HeaderLine[] = [["version", greeting.version]];
  if (greeting.version !== "1.0") headers.push(["heart-beat", formatHeartBeat(offerOf(config.heartBeat))]);
  headers.push(["session", session]);
  if (config.server !== "") headers.push(["server", config.server]);
  return encodeConnected(headers);
}
