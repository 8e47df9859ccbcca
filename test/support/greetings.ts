/** How servers of each kind behave at first, by their protocols' documents: as much as makes a client ask for something. */
import { createHash } from "node:crypto";
import { serialize } from "bson";

/** What is said to what is heard, or before anything is; undefined when there is nothing more to say. */
export type Greeting = (heard: Buffer | undefined, turn: number) => Buffer | undefined;

export interface Manners {
  readonly greet: Greeting;
  /** What stands before the rubbish. */
  readonly before?: Buffer;
  /** How an answer begins that promises more than anybody can keep. */
  readonly endless: Buffer;
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");
const text = (line: string): Buffer => Buffer.from(line);
const NOTHING = Buffer.alloc(0);

/** One answer to each thing that is heard; a server that speaks first has an answer before. */
const inTurn =
  (...answers: Buffer[]): Greeting =>
  (_, turn) =>
    answers[turn];

const OK = "HTTP/1.1 200 OK\r\n";
const web: Manners = {
  greet: inTurn(NOTHING),
  before: text(`${OK}transfer-encoding: chunked\r\n\r\n`),
  endless: text(`${OK}content-length: 99999999999\r\n\r\n`),
};

/** ApiVersions (KIP-35): that it speaks Metadata and Produce, in old versions. */
function kafkaGreets(heard: Buffer | undefined, turn: number): Buffer | undefined {
  if (turn === 0) return NOTHING;
  if (turn > 1) return undefined;
  const correlation = heard!.toString("hex", 8, 12);
  return hex(`0000001a ${correlation} 0000 00000002 0000 0000 0002 0003 0000 0001 00000000`);
}

/** Connection.Start of AMQP 0-9-1 §1.4.2.1, without properties. */
const START = Buffer.concat([
  hex("000a 000a 00 09 00000000 00000005"),
  ...[text("PLAIN"), hex("00000005"), text("en_US")],
]);
const startFrame = Buffer.concat([hex(`01 0000 000000${START.length.toString(16)}`), START, hex("ce")]);

const INFO = { server_id: "x", version: "2.9.10", proto: 1, headers: true, max_payload: 1_048_576 };

/** Commands of the handshake, which may come together: it is not loading. */
function redisGreets(heard: Buffer | undefined): Buffer | undefined {
  if (heard === undefined) return NOTHING;
  const asked = heard.toString("latin1").toLowerCase();
  const set = asked.match(/\r\nclient\r\n/g)?.length ?? 0;
  const hello = /\r\nhello\r\n/.test(asked) ? "%1\r\n$5\r\nproto\r\n:3\r\n" : "";
  const info = /\r\ninfo\r\n/.test(asked) ? "$11\r\nloading:0\r\n\r\n" : "";
  const said = hello + "+OK\r\n".repeat(set) + info;
  return said === "" ? undefined : text(said);
}

/** Protocol::HandshakeV10 of a server that asks for mysql_native_password. */
const HANDSHAKE = Buffer.concat([
  ...[hex("0a"), text("10.11.19-MariaDB\0"), hex("01000000 3132333435363738 00 fff7 21 0200 ff81 15")],
  ...[Buffer.alloc(10), text("123456789012\0mysql_native_password\0")],
]);
const packet = (number: number, body: Buffer): Buffer =>
  Buffer.concat([Buffer.from([body.length, 0, 0, number]), body]);

const PRIMARY = {
  ...{ ok: 1, helloOk: true, ismaster: true, isWritablePrimary: true, minWireVersion: 0, maxWireVersion: 21 },
  ...{ maxBsonObjectSize: 16_777_216, maxMessageSizeBytes: 48_000_000, maxWriteBatchSize: 100_000 },
};

/** OP_REPLY to the first question. */
function mongodbGreets(heard: Buffer | undefined, turn: number): Buffer | undefined {
  if (turn === 0) return NOTHING;
  if (turn > 1) return undefined;
  const document = serialize(PRIMARY);
  const head = Buffer.alloc(36);
  head.writeInt32LE(head.length + document.length, 0);
  heard!.copy(head, 8, 4, 8);
  head.writeInt32LE(1, 12);
  head.writeInt32LE(1, 32);
  return Buffer.concat([head, document]);
}

/** READY to STARTUP, in the same stream (native protocol v4 §4.2.2). */
function cassandraGreets(heard: Buffer | undefined, turn: number): Buffer | undefined {
  if (turn === 0) return NOTHING;
  return turn > 1 ? undefined : hex(`84 00 ${heard!.toString("hex", 2, 4)} 02 00000000`);
}

/** RFC 6455 §4.2.2. */
function webSocketGreets(heard: Buffer | undefined, turn: number): Buffer | undefined {
  if (turn === 0) return NOTHING;
  const [, key] = /^sec-websocket-key: *(\S+)/im.exec(heard!.toString("latin1")) ?? [];
  if (turn > 1 || key === undefined) return undefined;
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  const switched = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n";
  return text(`${switched}sec-websocket-accept: ${accept}\r\n\r\n`);
}

export const MANNERS: Readonly<Record<string, Manners>> = {
  ...{ http: web, influxdb: web, opentsdb: web, dynamodb: web },
  /** CONNACK; a PUBLISH of the largest length that there is. */
  mqtt: { greet: inTurn(NOTHING, hex("20 03 00 00 00")), endless: hex("30 ffffff7f") },
  kafka: { greet: kafkaGreets, endless: hex("7fffffff") },
  rabbitmq: { greet: inTurn(NOTHING, startFrame), endless: hex("01 0000 3fffffff") },
  nats: {
    greet: inTurn(text(`INFO ${JSON.stringify(INFO)}\r\n`), text("PONG\r\n")),
    endless: text("MSG a 1 2147483647\r\n"),
  },
  redis: { greet: redisGreets, endless: text("$536870912\r\n") },
  /** AuthenticationOk and ReadyForQuery; a DataRow. */
  postgres: {
    greet: inTurn(NOTHING, hex("52 00000008 00000000 5a 00000005 49")),
    endless: hex("44 7fffffff"),
  },
  mysql: {
    greet: inTurn(packet(0, HANDSHAKE), packet(2, hex("00 00 00 0200 0000"))),
    endless: hex("ffffff 01"),
  },
  mongodb: { greet: mongodbGreets, endless: hex("ffffff7f") },
  /** A result as long as any may be. */
  cassandra: { greet: cassandraGreets, endless: hex("84 00 0000 08 03ffff00") },
  /** A text frame. */
  pulsar: { greet: webSocketGreets, endless: hex("81 7f 0000000100000000") },
};
