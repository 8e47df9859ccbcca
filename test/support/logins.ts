/** Logins by other people's clients of three protocols, to a gateway of this process. */
import { connect } from "node:net";
import coap from "coap";
import mqtt from "mqtt";
import type { TestGateway } from "./gateway.ts";

export const logins = (gateway: TestGateway, username: string) => ({
  /** `in`, or the reason code. */
  overMqtt: (password: string): Promise<string> =>
    new Promise((resolve) => {
      const options = { port: gateway.port("mqtt", "tcp"), username, password, reconnectPeriod: 0 };
      const client = mqtt.connect({ host: "127.0.0.1", protocolVersion: 5, ...options });
      client.once("connect", () => client.end(true, () => resolve("in")));
      client.once("error", (error) =>
        client.end(true, () => resolve(String((error as { code?: number }).code))),
      );
    }),

  /** The response code. */
  overCoap: (password: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const request = coap.request({
        hostname: "127.0.0.1",
        port: gateway.port("coap", "udp"),
        method: "PUT",
        pathname: "/ps/t",
        query: `c=d1&u=${username}&p=${password}`,
      });
      request.on("response", (response) => resolve(response.code)).on("error", reject);
      request.end("1");
    }),

  /** Not with stompit, which throws on an ERROR frame that has a body of plain text. */
  overStomp: (passcode: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect(gateway.port("stomp", "tcp"), "127.0.0.1");
      socket.once("error", reject);
      socket.write(
        `CONNECT\naccept-version:1.2\nhost:isthmus\nlogin:${username}\npasscode:${passcode}\n\n\0`,
      );
      socket.once("data", (frame) => {
        socket.destroy();
        resolve(frame.toString().startsWith("CONNECTED") ? "in" : "out");
      });
    }),
});
