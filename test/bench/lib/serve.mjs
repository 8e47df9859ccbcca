/**
 * The other end of `startWorker`: answers calls of the process that started this one, one after another.
 * @param {Record<string, (argument: any) => unknown>} methods
 */
export function serve(methods) {
  process.on("message", async (/** @type {{id: number, method: string, argument: unknown}} */ call) => {
    try {
      const method = methods[call.method];
      if (!method) throw new Error(`no method ${call.method}`);
      process.send?.({ id: call.id, value: await method(call.argument) });
    } catch (error) {
      process.send?.({
        id: call.id,
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
    }
  });
  process.on("disconnect", () => process.exit(0));
}
