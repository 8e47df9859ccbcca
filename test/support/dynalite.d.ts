/** What the tests use of dynalite 4.0, which has no types. */
declare module "dynalite" {
  import type { Server } from "node:http";

  function dynalite(options: { readonly createTableMs: number }): Server;
  export = dynalite;
}
