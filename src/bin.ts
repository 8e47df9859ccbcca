#!/usr/bin/env node
/** The command: a version of Node that cannot run the rest is told so before anything of it is read. */
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 12)) {
  process.stderr.write(
    `isthmus: node-too-old: Node ${process.versions.node} runs this; 20.12 or newer is needed\n`,
  );
  process.exit(1);
}
// One that comes while the modules are loaded would end the process; what it asks for is done by starting anyway.
if ([undefined, "start"].includes(process.argv[2])) process.on("SIGHUP", () => {});
await import("./commands.ts");

export {};
