import { createInterface } from "node:readline";
import { type Readable, Writable } from "node:stream";

export type SecretInput = Readable & { readonly isTTY?: boolean };

/** Reads one line. On a terminal it asks, and what is typed is not shown. */
export async function readSecret(input: SecretInput, ask: (prompt: string) => void): Promise<string> {
  const terminal = input.isTTY === true;
  if (terminal) ask("Password: ");
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input, output: nowhere, terminal });
  try {
    for await (const line of lines) return line;
    return "";
  } finally {
    lines.close();
    if (terminal) ask("\n");
  }
}
