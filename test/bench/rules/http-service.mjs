/** A service that reads requests and says yes: a process of its own. */
import { createServer } from "node:http";
import { serve } from "../lib/serve.mjs";

serve({
  listen: () =>
    new Promise((resolve) => {
      const server = createServer((request, response) => {
        request.on("end", () => response.end()).resume();
      });
      server.listen(0, "127.0.0.1", () => {
        const address = /** @type {import("node:net").AddressInfo} */ (server.address());
        resolve(address.port);
      });
    }),
});
