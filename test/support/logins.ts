/** Logins by other people's clients of three protocols, to a gateway of this process. */
import { connect } from "node:net";
import coap from "coap";
import mqtt from "mqtt";
import type { TestGateway } from "./gateway.ts";

/** What `everywhere` answers for who is let in, and for who is not. */
export const IN = ["in", "2.04", "in"];
export const OUT = ["134", "4.01", "out"];

/** STOMP 1.2, "Value Encoding". */
const ESCAPES: Readonly<Record<string, string>> = { "\r": "\\r", "\n": "\\n", ":": "\\c", "\\": "\\\\" };
const stompHeader = (name: string, value: string | Buffer): string =>
  `${name}:${value.toString("latin1").replaceAll(/[\r\n:\\]/g, (character) => ESCAPES[character]!)}\n`;

export const logins = (gateway: TestGateway, username: string) => {
  const client = {
    /** `in`, the reason code, or `closed`. */
    overMqtt: (password: string | Buffer): Promise<string> =>
      new Promise((resolve) => {
        const options = { port: gateway.port("mqtt", "tcp"), username, password, reconnectPeriod: 0 };
        const client = mqtt.connect({ host: "127.0.0.1", protocolVersion: 5, ...options });
        let outcome = "closed";
        const end = (what: string) => {
          outcome = what;
          client.end(true);
        };
        client.once("connect", () => end("in"));
        client.once("error", (error) => end(String((error as { code?: number }).code)));
        client.once("close", () => resolve(outcome));
      }),

    /** The response code. */
    overCoap: (password: string | Buffer): Promise<string> =>
      new Promise((resolve, reject) => {
        const port = gateway.port("coap", "udp");
        const request = coap.request({ hostname: "127.0.0.1", port, method: "PUT", pathname: "/ps/t" });
        const query = [Buffer.from("c=d1"), Buffer.from(`u=${username}`), Buffer.from("p=")];
        query[2] = Buffer.concat([query[2]!, Buffer.from(password)]);
        request.setOption("Uri-Query", query);
        request.on("response", (response) => resolve(response.code)).on("error", reject);
        request.end("1");
      }),

    /** Not with stompit, which throws on an ERROR frame that has a body of plain text. */
    overStomp: (passcode: string | Buffer): Promise<string> =>
      new Promise((resolve, reject) => {
        const socket = connect(gateway.port("stomp", "tcp"), "127.0.0.1");
        socket.once("error", reject);
        const named = stompHeader("login", Buffer.from(username));
        const headers = `accept-version:1.2\nhost:isthmus\n${named}${stompHeader("passcode", Buffer.from(passcode))}`;
        socket.write(`CONNECT\n${headers}\n\0`, "latin1");
        socket.once("data", (frame) => {
          socket.destroy();
          resolve(frame.toString().startsWith("CONNECTED") ? "in" : "out");
        });
        socket.once("close", () => resolve("out"));
      }),
  };
  return {
    ...client,
    /** Over all three, one after the other. */
    everywhere: async (password: string | Buffer): Promise<readonly string[]> => [
      await client.overMqtt(password),
      await client.overCoap(password),
      await client.overStomp(password),
    ],
  };
};
