/**
 * As much of a Cassandra node as a connector needs, for the real driver: it greets, prepares statements that insert, and
 * keeps what they insert. It is no proof of what Cassandra does (its native protocol v4, as documented).
 */
import { createServer, type Socket } from "node:net";

const OPCODE = {
  ...{ error: 0x00, startup: 0x01, ready: 0x02, authenticate: 0x03, options: 0x05, supported: 0x06 },
  ...{ query: 0x07, result: 0x08, prepare: 0x09, execute: 0x0a, register: 0x0b },
  ...{ authResponse: 0x0f, authSuccess: 0x10 },
};
const RESULT = { void: 1, rows: 2, setKeyspace: 3, prepared: 4 };
const TYPE = { blob: 0x03, bigint: 0x02, double: 0x07, int: 0x09, text: 0x0d, uuid: 0x0c, inet: 0x10 };
export type ColumnType = keyof typeof TYPE;

const short = (number: number): Buffer => Buffer.from([number >> 8, number & 0xff]);
const int = (number: number): Buffer => {
  const octets = Buffer.alloc(4);
  octets.writeInt32BE(number);
  return octets;
};
const string = (text: string): Buffer => Buffer.concat([short(Buffer.byteLength(text)), Buffer.from(text)]);
const bytes = (octets: Buffer | undefined): Buffer =>
  octets === undefined ? int(-1) : Buffer.concat([int(octets.length), octets]);

/** Of one keyspace and table, and in their order. */
const columnsOf = (table: string, columns: readonly (readonly [string, ColumnType])[]): Buffer =>
  Buffer.concat([
    ...[string("mqtt"), string(table)],
    ...columns.flatMap(([name, type]) => [string(name), short(TYPE[type])]),
  ]);

type Columns = readonly (readonly [string, ColumnType])[];
type Row = Readonly<Record<string, unknown>>;

const LOCAL: readonly (readonly [string, ColumnType, Buffer])[] = [
  ["key", "text", Buffer.from("local")],
  ["cluster_name", "text", Buffer.from("test")],
  ["data_center", "text", Buffer.from("dc1")],
  ["rack", "text", Buffer.from("r1")],
  ["release_version", "text", Buffer.from("4.1.0")],
  ["partitioner", "text", Buffer.from("org.apache.cassandra.dht.Murmur3Partitioner")],
  ["host_id", "uuid", Buffer.alloc(16, 7)],
  ["rpc_address", "inet", Buffer.from([127, 0, 0, 1])],
];

function readAs(type: ColumnType, octets: Buffer): unknown {
  if (type === "int") return octets.readInt32BE();
  if (type === "bigint") return octets.readBigInt64BE();
  if (type === "double") return octets.readDoubleBE();
  return type === "text" ? octets.toString() : octets;
}

/** Code and message of an ERROR, with whatever belongs to that code. */
export interface CqlError {
  readonly code: number;
  readonly message: string;
  readonly more?: Buffer;
}

interface Prepared {
  readonly table: string;
  readonly columns: Columns;
}

export class CqlServer {
  /** Tables that there are, and their columns. */
  readonly tables: Record<string, Record<string, ColumnType>> = {};
  readonly rows: Record<string, Row[]> = {};
  /** Consistency of what was executed, and its time as its client says. */
  readonly executed: { readonly consistency: number; readonly timestamp: bigint; readonly row: Row }[] = [];
  /** Name and password that are asked for. */
  login: readonly [string, string] | undefined = undefined;
  refuse: (row: Row) => CqlError | undefined = () => undefined;
  /** Nothing is answered to what is executed. */
  slow = false;
  /** In place of an answer to what is executed: whole frames, whose bodies are no such thing. */
  nonsense: readonly [opcode: number, body: Buffer] | undefined = undefined;
  readonly #prepared: Prepared[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((socket) => this.#serve(socket));

  /** At any port, or at the one that it had before. */
  async start(port = 0): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
    return (this.#server.address() as { port: number }).port;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => {}).on("close", () => this.#sockets.delete(socket));
    let buffer: Buffer = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      buffer = Buffer.concat([buffer, chunk]);
      while (buffer.length >= 9 && buffer.length >= 9 + buffer.readInt32BE(5)) {
        const end = 9 + buffer.readInt32BE(5);
        const answer = this.#answer(buffer[4]!, buffer.subarray(9, end));
        if (answer !== undefined) socket.write(framed(buffer, ...answer));
        buffer = buffer.subarray(end);
      }
    });
  }

  #answer(opcode: number, body: Buffer): [opcode: number, body: Buffer] | undefined {
    if (opcode === OPCODE.options) return [OPCODE.supported, short(0)];
    if (opcode === OPCODE.startup)
      return this.login === undefined
        ? [OPCODE.ready, Buffer.alloc(0)]
        : [OPCODE.authenticate, string("org.apache.cassandra.auth.PasswordAuthenticator")];
    if (opcode === OPCODE.authResponse) {
      const [, name, password] = body.subarray(4).toString().split("\0");
      return name === this.login![0] && password === this.login![1]
        ? [OPCODE.authSuccess, int(-1)]
        : error({ code: 0x0100, message: "Provided username and/or password are incorrect" });
    }
    if (opcode === OPCODE.register) return [OPCODE.ready, Buffer.alloc(0)];
    const statement = body.subarray(4, 4 + body.readInt32BE(0)).toString();
    if (opcode === OPCODE.query) return query(statement);
    return opcode === OPCODE.prepare ? this.#prepare(statement) : this.#execute(body);
  }

  #prepare(statement: string): [number, Buffer] {
    const [, table = "", names = ""] = /^insert into (\w+) ?\(([^)]*)\)/i.exec(statement) ?? [];
    const types = this.tables[table];
    if (types === undefined) return error({ code: 0x2200, message: `unconfigured table ${table}` });
    const columns = names.split(",").map((name) => [name.trim(), types[name.trim()]!] as const);
    const id = short(this.#prepared.push({ table, columns }) - 1);
    return [
      OPCODE.result,
      Buffer.concat([
        ...[int(RESULT.prepared), short(id.length), id],
        // With one keyspace and table for all; none of them is part of a routing key.
        ...[int(1), int(columns.length), int(0), columnsOf(table, columns)],
        // The result has no columns.
        ...[int(4), int(0)],
      ]),
    ];
  }

  #execute(body: Buffer): [number, Buffer] | undefined {
    const { table, columns } = this.#prepared[body.readUInt16BE(2)]!;
    const consistency = body.readUInt16BE(4);
    const row: Record<string, unknown> = {};
    let at = 9;
    for (const [name, type] of columns) {
      const length = body.readInt32BE(at);
      at += 4;
      row[name] = length < 0 ? null : readAs(type, Buffer.from(body.subarray(at, at + length)));
      at += Math.max(0, length);
    }
    const timestamp = body.readBigInt64BE(body.length - 8);
    if (this.slow) return undefined;
    if (this.nonsense !== undefined) return [...this.nonsense];
    this.executed.push({ consistency, timestamp, row });
    const refused = this.refuse(row);
    if (refused !== undefined) return error(refused);
    this.rows[table] = [...(this.rows[table] ?? []), row];
    return [OPCODE.result, int(RESULT.void)];
  }
}

function query(statement: string): [number, Buffer] {
  const use = /^use "?(\w+)"?/i.exec(statement);
  if (use !== null) return [OPCODE.result, Buffer.concat([int(RESULT.setKeyspace), string(use[1]!)])];
  const columns = /system\.local/.test(statement) ? LOCAL : [];
  return [
    OPCODE.result,
    Buffer.concat([
      ...[int(RESULT.rows), int(1), int(columns.length)],
      columnsOf(
        "local",
        columns.map(([name, type]) => [name, type]),
      ),
      ...[int(columns.length === 0 ? 0 : 1), ...columns.map(([, , value]) => bytes(value))],
    ]),
  ];
}

const error = ({ code, message, more = Buffer.alloc(0) }: CqlError): [number, Buffer] => [
  OPCODE.error,
  Buffer.concat([int(code), string(message), more]),
];

/** As an answer to what has this head: the same stream. */
const framed = (head: Buffer, opcode: number, body: Buffer): Buffer =>
  Buffer.concat([Buffer.from([0x84, 0, head[2]!, head[3]!, opcode]), int(body.length), body]);
