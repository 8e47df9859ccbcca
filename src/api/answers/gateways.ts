import { type Static, Type } from "@sinclair/typebox";

export const Listener = Type.Object({
  gateway: Type.String(),
  name: Type.String(),
  transport: Type.String(),
  address: Type.String({ description: "As bound where it is open, else as configured." }),
  port: Type.Integer(),
  open: Type.Boolean(),
  enabled: Type.Boolean({ description: "The configuration wants it to be open." }),
  connections: Type.Integer({ description: "Open connections, or known devices on UDP." }),
  dropped: Type.Integer({ description: "Datagrams that nobody wanted." }),
  unsent: Type.Integer({ description: "Datagrams that the socket did not take." }),
});
export type Listener = Static<typeof Listener>;

export const Gateway = Type.Object({
  name: Type.String(),
  running: Type.Boolean(),
  enabled: Type.Boolean({ description: "The configuration wants it to run." }),
  connections: Type.Integer({ description: "Clients connected through it." }),
  servedBy: Type.Array(Type.String(), { description: "Gateways on whose listeners it is served too." }),
  listeners: Type.Array(Listener),
});
export type Gateway = Static<typeof Gateway>;
