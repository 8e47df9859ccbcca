/** Clients of other people that log in over TLS by a pre-shared key, and say nothing else. */
import { execFile } from "node:child_process";

/** CONNECT of MQTT 3.1.1 with client id `k`, and DISCONNECT, upon which the server closes. */
const WORDS = Buffer.from([0x10, 13, 0, 4, ...Buffer.from("MQTT"), 4, 2, 0, 60, 0, 1, 0x6b, 0xe0, 0]);
const CONNACK = Buffer.from([0x20, 2, 0, 0]);

/** Resolves with what it wrote and whether it was content. */
const run = (program: string, args: readonly string[], input = Buffer.alloc(0)): Promise<[Buffer, boolean]> =>
  new Promise((resolve) => {
    const child = execFile(program, args, { encoding: "buffer", timeout: 60_000 }, (error, stdout) =>
      resolve([stdout, error === null]),
    );
    // One that is refused reads no further.
    child.stdin?.on("error", () => {});
    child.stdin?.write(input);
  });

export const mosquittoWithKey = async (port: number, identity: string, key: string): Promise<boolean> => {
  const args = ["-h", "localhost", "-p", String(port), "--psk", key, "--psk-identity", identity];
  const [, content] = await run("mosquitto_pub", [...args, "-i", "k", "-q", "1", "-t", "t", "-m", "x"]);
  return content;
};

/** `version`: `-tls1_2` or `-tls1_3`. */
export const opensslWithKey = async (
  port: number,
  identity: string,
  key: string,
  version: string,
): Promise<boolean> => {
  const args = ["s_client", "-connect", `127.0.0.1:${port}`, version, "-quiet", "-psk", key];
  const cipher = version === "-tls1_2" ? ["-cipher", "PSK"] : [];
  const [answer] = await run("openssl", [...args, "-psk_identity", identity, ...cipher], WORDS);
  return answer.includes(CONNACK);
};
