import { expect, it } from "vitest";
import { WebSocket } from "ws";
import { frame, type StreamMessage, websocketMessage } from "../../support/coap-stream.ts";
import { startGateway } from "../../support/gateway.ts";

it("speaks CoAP over a real WebSocket with the subprotocol coap (RFC 8323 §4)", async () => {
  // The path is that of RFC 8323 §8.1, without anybody configuring it.
  const gateway = await startGateway({ gateways: { coap: { listeners: { ws: { transport: "ws" } } } } });
  try {
    const url = `ws://127.0.0.1:${gateway.port("coap", "ws")}/.well-known/coap`;
    const socket = new WebSocket(url, "coap");
    const heard: StreamMessage[] = [];
    const three = new Promise<void>((resolve, reject) => {
      socket.on("error", reject);
      socket.on("message", (bytes) => {
        heard.push(websocketMessage(bytes as Buffer));
        if (heard.length === 3) resolve();
      });
    });
    await new Promise((resolve) => socket.once("open", resolve));
    expect(socket.protocol).toBe("coap");
    socket.send(frame({ code: "7.01" }, true));
    const path: [number, string][] = [
      [11, "ps"],
      [11, "a"],
    ];
    socket.send(
      frame({ code: "0.03", token: "p", options: [...path, [15, "retain=1"]], payload: "42" }, true),
    );
    socket.send(frame({ code: "0.01", token: "g", options: path }, true));
    await three;
    socket.close();
    expect(heard.map(({ code, token, payload }) => [code, token, payload])).toEqual([
      ["7.01", "", ""],
      ["2.01", "p", ""],
      ["2.05", "g", "42"],
    ]);
  } finally {
    await gateway.stop();
  }
});
