import { Type } from "@sinclair/typebox";
import { TransportIdentityAuthenticator } from "../policy/authentication.ts";
import type { AuthenticatorKind } from "./kind.ts";

const schema = Type.Object(
  { kind: Type.Literal("transport-identity", { description: "What TLS or DTLS has proven." }) },
  { description: "What TLS has proven (certificate subject, PSK identity) is the user name." },
);

export const transportIdentity: AuthenticatorKind = {
  kind: "transport-identity",
  schema,
  open: () => new TransportIdentityAuthenticator(),
};
