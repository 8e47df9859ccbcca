/** Ports for processes that have to be told which to open. */
import { createSocket } from "node:dgram";
import { createServer } from "node:net";

/**
 * Below the ports that the system gives to clients, and each once: a port that is free now would else be somebody's
 * when the process takes it. Every worker has ports of its own.
 */
let lastPort = 20_000 + (Number(process.env["VITEST_POOL_ID"] ?? 0) % 8) * 1500;

export const freeTcpPort = (): Promise<number> =>
  freePort((port, taken, free) => {
    const server = createServer().once("error", taken);
    server.listen(port, "127.0.0.1", () => server.close(free));
  });

export const freeUdpPort = (): Promise<number> =>
  freePort((port, taken, free) => {
    const socket = createSocket("udp4").once("error", taken);
    socket.bind(port, "127.0.0.1", () => socket.close(free));
  });

async function freePort(probe: (port: number, taken: () => void, free: () => void) => void): Promise<number> {
  for (;;) {
    const port = ++lastPort;
    const isFree = await new Promise<boolean>((resolve) =>
      probe(
        port,
        () => resolve(false),
        () => resolve(true),
      ),
    );
    if (isFree) return port;
  }
}
