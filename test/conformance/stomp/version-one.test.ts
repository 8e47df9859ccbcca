/** Client libraries that name no version: STOMP 1.0, with what their brokers grant beyond it. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { lacks } from "../../support/programs.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ gateways: { stomp: {} } });
});
afterAll(async () => {
  await gateway.stop();
  expect(gateway.log).toEqual([]);
});

/** The lines that a script prints. */
async function run(interpreter: string, script: string): Promise<string[]> {
  const file = fileURLToPath(new URL(script, import.meta.url));
  const args = [file, String(gateway.port("stomp", "tcp"))];
  const { stdout } = await promisify(execFile)(interpreter, args, { timeout: 60_000 });
  return stdout.trimEnd().split("\n");
}

it.skipIf(lacks("libnet-stomp-perl"))(
  "Perl's Net::Stomp consumes a queue one by one, gives one message back and gets it again",
  async () => {
    const lines = await run("/usr/bin/perl", "client.pl");
    expect(lines.slice(0, 3)).toEqual(["CONNECTED", "sent one 1", "sent two 1"]);
    const received = lines.slice(3).toSorted();
    expect(received).toEqual(["MESSAGE one new", "MESSAGE three new", "MESSAGE two new", "MESSAGE two true"]);
  },
);

it.skipIf(lacks("php", "php-stomp"))(
  "PHP's extension consumes a topic one by one and commits and aborts transactions",
  async () => {
    expect(await run("php", "client.php")).toEqual([
      'MESSAGE "in a transaction" sub-1',
      'MESSAGE "bytes \\u0000 and \\u00e4" sub-1',
      "done",
    ]);
  },
);
