/** What operators see of a client beside what the core knows of every client. */
import { type Static, Type } from "@sinclair/typebox";

export const CoapDescription = Type.Object({
  observing: Type.Array(Type.String(), { description: "Topic filters that it observes." }),
});
/** The state of a client that has no connection and observes nothing. */
export const SINGLE_REQUESTS = "single requests";

export type CoapDescription = Static<typeof CoapDescription>;
