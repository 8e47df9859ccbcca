#!/usr/bin/env node
import { holdYoungGeneration, inlineMore } from "./heap.ts";

/** The command: a version of Node that cannot run the rest is told so before anything of it is read. */
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 15)) {
  process.stderr.write(
    `isthmus: node-too-old: Node ${process.versions.node} runs this; 20.15 or newer is needed\n`,
  );
  process.exit(1);
}
inlineMore();
if ([undefined, "start"].includes(process.argv[2])) {
  holdYoungGeneration();
  // One that comes while the modules are loaded would end the process; what it asks for is done by starting anyway.
  process.on("SIGHUP", () => {});
  // Node's answer is a debugger on a port of this machine, for whoever is on it; --inspect has it for who wants it.
  process.on("SIGUSR1", () => {});
}
await import("./commands.ts");
