/** What a gateway says to a publish that has to be kept and cannot be, in the words of each protocol. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect } from "node:net";
import mqttPacket, { type Packet } from "mqtt-packet";
import { readMessage } from "../support/coap-bytes.ts";
import { packet } from "../support/coap-device.ts";
import { StompSocket } from "../support/stomp-socket.ts";

/** MQTT 3 has no word for it: the connection ends, so that the client repeats the message. */
export async function mqtt3(port: number, topic: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  const heard: string[] = [];
  const parser = mqttPacket.parser();
  const connectPacket = { cmd: "connect", protocolId: "MQTT", protocolVersion: 4, clean: true } as const;
  socket.write(mqttPacket.generate({ ...connectPacket, clientId: "three", keepalive: 0 }));
  parser.on("packet", ({ cmd }: Packet) => {
    heard.push(cmd);
    const publish = { cmd: "publish", topic, payload: "three", qos: 1, messageId: 1 } as const;
    if (cmd === "connack") socket.write(mqttPacket.generate({ ...publish, dup: false, retain: false }));
    if (cmd === "puback") socket.destroy();
  });
  socket.on("data", (bytes) => parser.parse(bytes));
  socket.on("error", () => {});
  await once(socket, "close");
  return heard.join(" ");
}

/** The code of the answer to a PUT, and whether it says when to come again (RFC 7252 §5.9.3.4). */
export async function coap(port: number, path: string): Promise<string> {
  const socket = createSocket("udp4");
  const request = packet({ code: "PUT", id: 7, token: "full", path, query: ["qos=1"], payload: "coap" });
  const send = (): void => socket.send(request, port, "127.0.0.1");
  const repeat = setInterval(send, 500);
  send();
  const answer = await new Promise<string>((resolve) => {
    socket.on("message", (bytes) => {
      const { code } = readMessage(bytes);
      if (code !== "0.00") resolve(code);
    });
  });
  clearInterval(repeat);
  socket.close();
  return answer;
}

/** The frame that answers a SEND with a receipt, and that nothing follows it. */
export async function stomp(port: number, destination: string): Promise<string> {
  const client = await StompSocket.connected(port);
  client.say("SEND", { destination, receipt: "r" }, "stomp");
  const { command } = await client.next();
  await client.end();
  return command;
}
