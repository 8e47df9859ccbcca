/** A server of MQTT 5 that asks for a proof, and has a word for everything. */
import type { Socket } from "node:net";
import mqttPacket from "mqtt-packet";
import { TalkingServer } from "./talking-server.ts";

type Plain = Record<string, unknown>;

const SAID = { reasonString: "because", userProperties: { a: "b" } };
const METHOD = "two-step";

/** All that CONNACK can say (MQTT 5 §3.2.2.3), but for what goes with a login and with another server. */
const EVERYTHING = {
  ...SAID,
  ...{ sessionExpiryInterval: 50, receiveMaximum: 3, maximumQoS: 1, retainAvailable: false },
  ...{ maximumPacketSize: 1000, topicAliasMaximum: 2, wildcardSubscriptionAvailable: false },
  ...{ subscriptionIdentifiersAvailable: false, sharedSubscriptionAvailable: false, serverKeepAlive: 30 },
};

export const startAskingServer = (): Promise<TalkingServer> => TalkingServer.start(talk);

function talk(socket: Socket): void {
  const options = { protocolVersion: 5 } as never;
  const parser = mqttPacket.parser(options);
  const say = (packet: Plain) =>
    socket.write(mqttPacket.generate(packet as unknown as mqttPacket.Packet, options));
  const proof = (data: string) => ({ authenticationMethod: METHOD, authenticationData: Buffer.from(data) });
  let known = false;
  let informed = {};
  /** What it may say of problems [MQTT-3.1.2-29]. */
  let said: Plain = SAID;
  const end = (packet: Plain) => {
    say(packet);
    socket.end();
  };
  const connack = (reasonCode: number, properties: Plain = {}) => ({
    cmd: "connack",
    sessionPresent: false,
    reasonCode,
    properties: reasonCode === 0 ? { receiveMaximum: 20, topicAliasMaximum: 5, ...properties } : properties,
  });
  parser.on("packet", (packet) => {
    const {
      cmd,
      messageId,
      clientId,
      topic,
      properties = {},
    } = packet as unknown as Plain & {
      properties?: Plain;
    };
    if (cmd === "connect") {
      if (properties["requestProblemInformation"] === false) said = {};
      if (properties["requestResponseInformation"] === true) {
        informed = { responseInformation: "here", userProperties: properties["userProperties"] };
      }
      if (properties["authenticationMethod"] === METHOD) {
        say({ cmd: "auth", reasonCode: 0x18, properties: proof("who?") });
      } else if (clientId === "elsewhere") end(connack(0x9d, { ...SAID, serverReference: "there:1883" }));
      else if (clientId === "everything") say(connack(0, { ...EVERYTHING, ...informed }));
      else say(connack(0, informed));
    } else if (cmd === "auth") {
      const right = String(properties["authenticationData"]) === "right";
      if ((packet as unknown as Plain)["reasonCode"] === 0x19) {
        say({ cmd: "auth", reasonCode: 0x18, properties: proof("still?") });
      } else if (right && known) say({ cmd: "auth", reasonCode: 0, properties: proof("welcome again") });
      else if (right) say(connack(0, proof("welcome")));
      else if (known) end({ cmd: "disconnect", reasonCode: 0x87, properties: SAID });
      else end(connack(0x87, SAID));
      known ||= right;
    } else if (cmd === "subscribe") say({ cmd: "suback", messageId, granted: [0x97], properties: said });
    else if (cmd === "unsubscribe") say({ cmd: "unsuback", messageId, granted: [0x83], properties: said });
    else if (cmd === "publish" && topic === "goodbye")
      end({ cmd: "disconnect", reasonCode: 0x98, properties: SAID });
    else if (cmd === "publish") say({ cmd: "puback", messageId, reasonCode: 0x99, properties: said });
    else if (cmd === "pingreq") say({ cmd: "pingresp" });
  });
  parser.on("error", () => socket.destroy());
  socket.on("data", (chunk: Buffer) => parser.parse(chunk));
}
