import { createSocket } from "node:dgram";
import type { DatagramSender } from "./transport.ts";

/** Does not keep the process alive. */
export function datagramSender(host: string, port: number): DatagramSender {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4").unref();
  socket.on("error", () => {});
  return {
    send: (text) =>
      new Promise((resolve, reject) => {
        socket.send(text, port, host, (error) => {
          if (error === null) resolve();
          else reject(error);
        });
      }),
    close: () => socket.close(),
  };
}
