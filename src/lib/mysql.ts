/** What a MySQL or MariaDB server may send, and how the library mysql2 is given its connections. */
import type { Framing } from "./frames.ts";

/** MySQL's "Protocol::Packet": three octets of length and a number; none is empty, but for one behind a full one. */
export const MYSQL_PACKETS: Framing = {
  head: 4,
  lengthOf: (head) => (head.readUIntLE(0, 3) === 0 && head[3] === 0 ? undefined : 4 + head.readUIntLE(0, 3)),
};

interface Connectable {
  setNoDelay(on: boolean): this;
  setKeepAlive(on: boolean): this;
  connect(port: number, host: string): this;
}

/** Whose certificate TLS asks for: the library names a server that has a name, and none is localhost for Node. */
interface Named {
  readonly _host: string;
}

export const connectedTo = <Socket extends Connectable>(
  socket: Socket,
  { host, port }: { readonly host: string; readonly port: number },
): Socket & Named =>
  Object.assign(socket.setNoDelay(true).setKeepAlive(true).connect(port, host), { _host: host });
