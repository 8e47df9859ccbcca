#!/usr/bin/env node
import { setFlagsFromString } from "node:v8";

/** The command: a version of Node that cannot run the rest is told so before anything of it is read. */
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 15)) {
  process.stderr.write(
    `isthmus: node-too-old: Node ${process.versions.node} runs this; 20.15 or newer is needed\n`,
  );
  process.exit(1);
}
// The way of a message through codec, session and tree is longer than V8's default budget for one inlined function:
// with this one QoS 0 and 1 cost 5 to 20 % less (`npm run bench -- mqtt`).
setFlagsFromString("--max-inlined-bytecode-size-cumulative=3000");
if ([undefined, "start"].includes(process.argv[2])) {
  // The young generation stays as it is while modules are loaded: heap.ts says why, and lets it grow.
  setFlagsFromString("--semi-space-growth-factor=1");
  // One that comes while the modules are loaded would end the process; what it asks for is done by starting anyway.
  process.on("SIGHUP", () => {});
  // Node's answer is a debugger on a port of this machine, for whoever is on it; --inspect has it for who wants it.
  process.on("SIGUSR1", () => {});
}
await import("./commands.ts");
