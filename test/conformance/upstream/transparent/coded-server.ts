/** A server that answers each packet with the reason code that its topic, filter or client id asks for. */
import type { Socket } from "node:net";
import mqttPacket from "mqtt-packet";
import { TalkingServer } from "./talking-server.ts";

type Plain = Record<string, unknown>;

/** What CONNACK of MQTT 3.1.1 has for it (§3.2.2.3). */
const OLD: Readonly<Record<number, number>> = { 132: 1, 133: 2, 136: 3, 134: 4, 135: 5 };

/** So that no gateway has to say what it takes itself. */
const LIMITS = { receiveMaximum: 20, topicAliasMaximum: 5 };

const codeIn = (text: unknown): number | undefined => {
  const found = /0x([0-9a-f]{2})$/.exec(String(text));
  return found?.[1] === undefined ? undefined : Number.parseInt(found[1], 16);
};
const wordsOf = (code: number): Plain =>
  code === 0 ? {} : { reasonString: `because of ${code}`, userProperties: { code: `${code}` } };

export const startCodedServer = (): Promise<TalkingServer> => TalkingServer.start(talk);

function talk(socket: Socket): void {
  // The version of the connection is known with its first packet; the codec looks here for each.
  const options = { protocolVersion: 5 };
  const parser = mqttPacket.parser(options as never);
  const say = (packet: Plain) =>
    socket.write(mqttPacket.generate(packet as unknown as mqttPacket.Packet, options as never));
  const old = () => options.protocolVersion < 5;

  const connect = ({ clientId }: Plain) => {
    const code = codeIn(clientId) ?? 0;
    const returnCode = old() && code > 0 ? (OLD[code] ?? 3) : code;
    say({
      cmd: "connack",
      sessionPresent: false,
      reasonCode: code,
      returnCode,
      properties: code === 0 ? LIMITS : wordsOf(code),
    });
    if (code > 0) socket.end();
  };
  const publish = ({ topic, qos, messageId }: Plain) => {
    const code = codeIn(topic) ?? 0;
    if (qos === 0) {
      if (!old()) say({ cmd: "disconnect", reasonCode: code, properties: wordsOf(code) });
      socket.end();
    } else if (old()) say({ cmd: qos === 2 ? "pubrec" : "puback", messageId });
    else
      say({ cmd: qos === 2 ? "pubrec" : "puback", messageId, reasonCode: code, properties: wordsOf(code) });
  };
  const subscribe = ({ messageId, subscriptions }: Plain) => {
    const [{ topic, qos }] = subscriptions as [{ topic: string; qos: number }];
    const code = codeIn(topic) ?? qos;
    if (old()) say({ cmd: "suback", messageId, granted: [code < 0x80 ? code : 0x80] });
    else say({ cmd: "suback", messageId, granted: [code], properties: wordsOf(code) });
  };
  const unsubscribe = ({ messageId, unsubscriptions }: Plain) => {
    const code = codeIn((unsubscriptions as [string])[0]) ?? 0;
    if (old()) say({ cmd: "unsuback", messageId });
    else say({ cmd: "unsuback", messageId, granted: [code], properties: wordsOf(code) });
  };

  parser.on("packet", (received) => {
    const packet = received as unknown as Plain;
    const { cmd, messageId } = packet;
    if (cmd === "connect") {
      options.protocolVersion = packet["protocolVersion"] as number;
      connect(packet);
    } else if (cmd === "publish") publish(packet);
    else if (cmd === "pubrel") say({ cmd: "pubcomp", messageId, reasonCode: 0 });
    else if (cmd === "subscribe") subscribe(packet);
    else if (cmd === "unsubscribe") unsubscribe(packet);
    else if (cmd === "pingreq") say({ cmd: "pingresp" });
    else if (cmd === "disconnect") socket.end();
  });
  parser.on("error", () => socket.destroy());
  socket.on("data", (chunk: Buffer) => parser.parse(chunk));
}
