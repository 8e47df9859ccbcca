/**
 * A Kafka cluster: the mock of librdkafka, which kcat starts when it is told to (`test.mock.num.brokers`), behind a
 * relay of ours on a port that stays, which can hold answers back and change their error codes.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { connect, createServer, type Server, type Socket } from "node:net";
import { promisify } from "node:util";
import { freeTcpPort } from "./free-ports.ts";

const PRODUCE = 0;
const METADATA = 3;
const LOOPBACK = Buffer.concat([Buffer.from([0, 9]), Buffer.from("127.0.0.1")]);

/** Frames of the protocol: a length of four octets and that many. */
function framed(take: (frame: Buffer) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      const end = 4 + rest.readInt32BE(0);
      take(Buffer.from(rest.subarray(0, end)));
      rest = rest.subarray(end);
    }
  };
}

export class KafkaMock {
  port = 0;
  /** Error codes that records of a topic are answered with, whatever the cluster says. */
  readonly refusals = new Map<string, number>();
  /** Answers to records are kept back. */
  slow = false;
  /** Where its broker says that it is, for who is to come another way; the name has as many octets as 127.0.0.1. */
  advertised: { readonly host: "127.0.0.1" | "localhost"; readonly port: number } | undefined = undefined;
  #cluster: ChildProcess | undefined = undefined;
  #clusterPort = 0;
  #relay: Server | undefined = undefined;
  readonly #sockets = new Set<Socket>();

  async start(): Promise<this> {
    this.port ||= await freeTcpPort();
    await this.#startCluster();
    const relay = createServer((near) => this.#join(near));
    await new Promise<void>((resolve) => relay.listen(this.port, "127.0.0.1", resolve));
    this.#relay = relay;
    return this;
  }

  async #startCluster(): Promise<void> {
    // It lives until its standard input ends, so it never outlives the tests.
    const child = spawn(
      "kcat",
      ["-P", "-t", "unused", "-b", "unused", "-X", "test.mock.num.brokers=1", "-d", "mock"],
      { stdio: ["pipe", "ignore", "pipe"] },
    );
    this.#cluster = child;
    this.#clusterPort = await new Promise<number>((resolve, reject) => {
      let said = "";
      child.stderr.on("data", (chunk) => {
        if (said.length < 100_000) said += chunk;
        const [, port] = /bootstrap\.servers=127\.0\.0\.1:(\d+)/.exec(said) ?? [];
        if (port !== undefined) resolve(Number(port));
      });
      child.once("exit", () => reject(new Error(`kcat's mock cluster does not start: ${said}`)));
    });
  }

  #join(near: Socket): void {
    const far = connect(this.#clusterPort, "127.0.0.1");
    const kinds = new Map<number, number>();
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(one);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
    const asked = framed((frame) => {
      kinds.set(frame.readInt32BE(8), frame.readInt16BE(4));
      far.write(frame);
    });
    const answered = framed((frame) => {
      const kind = kinds.get(frame.readInt32BE(4));
      if (kind === METADATA) this.#lead(frame);
      if (kind === PRODUCE) this.#refuse(frame);
      if (kind !== PRODUCE || !this.slow) near.write(frame);
    });
    near.on("data", asked);
    far.on("data", answered);
  }

  /** The broker's address in the answer is the relay's. */
  #lead(frame: Buffer): void {
    const { host, port } = this.advertised ?? { host: "127.0.0.1", port: this.port };
    const at = frame.indexOf(LOOPBACK);
    if (at < 0) return;
    frame.write(host, at + 2, "latin1");
    frame.writeInt32BE(port, at + LOOPBACK.length);
  }

  /** Behind a topic's name are the number of partitions, and of the first its number and error code. */
  #refuse(frame: Buffer): void {
    for (const [topic, code] of this.refusals) {
      const name = Buffer.concat([Buffer.from([0, topic.length]), Buffer.from(topic)]);
      const at = frame.indexOf(name);
      if (at >= 0) frame.writeInt16BE(code, at + name.length + 8);
    }
  }

  /** What is in a topic, as kcat reads it: key, value and headers of each record, by partition. */
  async consume(
    topic: string,
  ): Promise<{ partition: number; key: string; value: string; headers: string }[]> {
    const format = "%p\x1f%k\x1f%s\x1f%h\x1e";
    const { stdout } = await promisify(execFile)(
      "kcat",
      ["-C", "-b", `127.0.0.1:${this.#clusterPort}`, "-t", topic, "-e", "-q", "-f", format],
      { maxBuffer: 64 * 1024 * 1024 },
    );
    return stdout
      .split("\x1e")
      .slice(0, -1)
      .map((line) => {
        const [partition, key = "", value = "", headers = ""] = line.split("\x1f");
        return { partition: Number(partition), key, value, headers };
      });
  }

  /** Cuts all connections, and takes no more. */
  async away(): Promise<void> {
    const closed = new Promise((resolve) => this.#relay?.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async back(): Promise<void> {
    const relay = createServer((near) => this.#join(near));
    await new Promise<void>((resolve) => relay.listen(this.port, "127.0.0.1", resolve));
    this.#relay = relay;
  }

  async stop(): Promise<void> {
    await this.away();
    const child = this.#cluster;
    if (child === undefined || child.exitCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }

  /** Its brokers are killed, and others come that have nothing and are elsewhere. */
  async replace(): Promise<void> {
    await this.stop();
    await this.#startCluster();
    await this.back();
  }
}
