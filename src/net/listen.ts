import { createServer, type Server, type Socket } from "node:net";
import type { Note, Peer } from "../gateway/contract.ts";
import { ANY_ADDRESS, ANY_IPV4, lacksIpv6, plainAddress } from "./address.ts";
import { bindError } from "./listen-errors.ts";
import { offerSocket } from "./tcp.ts";
import type { AcceptStream, Listening, StreamListenerOptions } from "./transport.ts";

function listen(server: Server, options: StreamListenerOptions, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port: options.port, host, backlog: options.backlog }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

async function listenAny(server: Server, options: StreamListenerOptions): Promise<void> {
  try {
    await listen(server, options, options.bind);
  } catch (error) {
    if (options.bind === ANY_ADDRESS && lacksIpv6(error)) return listen(server, options, ANY_IPV4);
    throw error;
  }
}

/** Opens a listener for connections; `::` serves both IPv6 and IPv4. Throws `ListenError`. */
export async function listenStream(
  options: StreamListenerOptions,
  accept: AcceptStream,
  note: (note: Note) => void = () => {},
): Promise<Listening> {
  const server = createServer({ noDelay: options.noDelay, highWaterMark: options.highWaterMark });
  server.on("connection", (socket: Socket) => {
    // Undefined when the peer is already gone.
    const address = socket.remoteAddress;
    if (address === undefined) {
      socket.destroy();
      return;
    }
    const peer: Peer = { transport: "tcp", address: plainAddress(address), port: socket.remotePort ?? 0 };
    offerSocket(socket, peer, options, accept);
  });
  try {
    await listenAny(server, options);
  } catch (error) {
    throw bindError(error, options.bind, options.port);
  }
  server.on("error", (error) =>
    note({ level: "warn", event: "accept-failed", detail: { problem: error.message } }),
  );
  const bound = server.address() as { address: string; port: number };
  return {
    transport: options.transport,
    address: bound.address,
    port: bound.port,
    close: () => {
      // Its callback would wait for the last connection; the port is free after one turn of the loop.
      server.close();
      return new Promise((resolve) => setImmediate(resolve));
    },
  };
}
