/** The framed protocol, packet by packet. */
import type { Refusal } from "#core/contract/answers.ts";
import { milliseconds } from "#core/lib/time.ts";
import { decode, encodeConnack, encodeData, PONG, packetFraming } from "./codec.ts";
import type { Dialect, Step } from "./dialect.ts";
import { AckCode, type Connect, FrameType, PROTOCOL_VERSION } from "./packets.ts";

/** A device that says nothing for one and a half times its keep-alive is lost, as in MQTT [MQTT-3.1.2-22]. */
const KEEP_ALIVE_FACTOR = 1500;

const illegal = (problem: string): Step => ({ kind: "illegal", problem });
const ANSWER_PONG: Step = { kind: "answer", bytes: PONG };
const GOODBYE: Step = { kind: "goodbye" };
const ACCEPTED = encodeConnack(AckCode.SUCCESSFUL, "Connect Successfully");

function first(frame: Uint8Array): Step {
  const decoded = decode(frame);
  if (!decoded.ok)
    return illegal(`${decoded.error.problem} (${decoded.error.clause}, octet ${decoded.error.at})`);
  const packet = decoded.value;
  return packet.type === FrameType.CONNECT ? login(packet) : illegal("the first packet is not CONNECT");
}

function login({ version, clientId, username, password, keepAlive }: Connect): Step {
  if (version !== PROTOCOL_VERSION) {
    const bytes = encodeConnack(AckCode.ILLEGALVER, `Version ${version} is not supported`);
    return { kind: "illegal", problem: `protocol version ${version}`, bytes };
  }
  const silence = keepAlive === 0 ? undefined : milliseconds(keepAlive * KEEP_ALIVE_FACTOR);
  return { kind: "login", login: { clientId, username, password, silence } };
}

function next(frame: Uint8Array): Step {
  const decoded = decode(frame);
  if (!decoded.ok)
    return illegal(`${decoded.error.problem} (${decoded.error.clause}, octet ${decoded.error.at})`);
  const packet = decoded.value;
  switch (packet.type) {
    case FrameType.DATATRANS:
      return { kind: "publish", payload: packet.payload };
    case FrameType.PING:
      return ANSWER_PONG;
    case FrameType.DISCONNECT:
      return GOODBYE;
    case FrameType.CONNECT:
      return illegal("a second CONNECT");
    default:
      return illegal("a packet that only the server sends");
  }
}

/** Only one code refuses; the words say what may help. Whether a name or its password was wrong is not told apart. */
function refusalText(refusal: Refusal): string {
  switch (refusal) {
    case "unauthenticated":
      return "Authentication failed";
    case "forbidden":
      return "Not allowed";
    case "banned":
      return "Banned";
    case "malformed":
      return "Client id not valid";
    case "congested":
    case "unavailable":
      return "Try again later";
    case "quota":
    case "too-large":
      return "Over a limit";
  }
}

export const packetDialect: Dialect = {
  name: "TCP 1",
  framing: packetFraming,
  first,
  next,
  accepted: () => ACCEPTED,
  refused: (refusal) => encodeConnack(AckCode.AUTHFAILED, refusalText(refusal)),
  message: encodeData,
};
