/** Signing in and out, and the first account. */

import { Type } from "@sinclair/typebox";
import { checkPassword } from "../access/credentials.ts";
import { cookieOf, type SignIn } from "../access/sign-ins.ts";
import { Session } from "../answers/accounts.ts";
import { Refused, wrongField } from "../problem.ts";
import { Answer, type Asked, route } from "../route.ts";
import { timeText } from "../schemas.ts";
import { name, password } from "./account-fields.ts";

const sessionOf = ({ who, ports, header, address }: Asked): object => {
  const signIn = who.kind === "user" ? signInOf({ ports, header, address }) : undefined;
  return {
    name: who.name,
    kind: who.kind,
    role: who.role,
    ...(signIn === undefined ? {} : { csrf: signIn.csrf, until: timeText(signIn.until) }),
  };
};

const signInOf = ({
  ports,
  header,
  address,
}: Pick<Asked, "ports" | "header" | "address">): SignIn | undefined =>
  ports.access.signInOf({ headers: { cookie: header("cookie") }, address, forwarded: false });

/** Signs in whoever has just proven who it is. */
function signedIn({ ports, address }: Asked, user: string, role: string): Answer {
  const { access, cookie } = ports;
  const { token, signIn } = access.signIns.begin(user, address, ports.now());
  return new Answer(
    200,
    { name: user, kind: "user", role, csrf: signIn.csrf, until: timeText(signIn.until) },
    { "set-cookie": cookieOf(token, cookie.path, cookie.secure) },
  );
}

async function signIn(
  asked: Asked<unknown, unknown, { readonly name: string; readonly password: string }>,
): Promise<Answer> {
  const { body, ports, address } = asked;
  const { access } = ports;
  const now = ports.now();
  access.mayTry(body.name, address);
  const role = await access.credentials.signIn(body.name, body.password, address, now as never);
  if (role === "busy")
    throw new Refused("unavailable", "too many sign in at this moment", {}, { "retry-after": "2" });
  if (role === undefined) {
    access.attempts.failed(body.name, address, ports.now());
    access.audit.note({ at: now, who: body.name, kind: "user", address, action: "sign in", result: "401" });
    throw new Refused("unauthenticated", "name or password is wrong");
  }
  access.attempts.succeeded(body.name, address);
  access.audit.note({ at: now, who: body.name, kind: "user", address, action: "sign in", result: "done" });
  return signedIn(asked as Asked, body.name, role);
}

export const sessionRoutes = [
  route({
    method: "GET",
    path: "/session",
    role: "known",
    tag: "access",
    summary: "Who asks, and with which rights",
    answer: Session,
    example: {},
    handle: (asked) => sessionOf(asked as Asked),
  }),
  route({
    method: "POST",
    path: "/session",
    role: "anybody",
    tag: "access",
    summary: "Sign in with name and password; the answer sets a cookie",
    description: "After a failure the next attempt of this name or address waits: 1, 2, 4 ... 60 s.",
    body: Type.Object({ name: Type.String({ maxLength: 128 }), password: Type.String({ maxLength: 1_024 }) }),
    answer: Session,
    audited: false,
    refusals: [{ code: "unauthenticated", body: { name: "nobody", password: "wrong password" } }],
    handle: (asked) => signIn(asked),
  }),
  route({
    method: "DELETE",
    path: "/session",
    role: "known",
    tag: "access",
    summary: "Sign out",
    handle: (asked) => {
      const mine = signInOf(asked);
      const { cookie, access } = asked.ports;
      access.signIns.end((one) => one === mine);
      return new Answer(204, undefined, { "set-cookie": cookieOf("", cookie.path, cookie.secure) });
    },
  }),
  route({
    method: "PUT",
    path: "/session/password",
    role: "known",
    tag: "access",
    summary: "Change one's own password; other sessions of the user end",
    body: Type.Object({ old: Type.String({ maxLength: 1_024 }), password }),
    refusals: [{ code: "conflict", body: { old: "x", password: "a long enough sentence" } }],
    handle: async (asked) => {
      const { who, body, ports, address, changed } = asked;
      const { access } = ports;
      if (who.kind !== "user") throw new Refused("conflict", "only who has signed in has a password");
      access.mayTry(who.name, address);
      const role = await access.credentials.signIn(who.name, body.old, address, ports.now() as never);
      if (role === undefined || role === "busy") {
        access.attempts.failed(who.name, address, ports.now());
        throw wrongField({ in: "body", field: "/old", value: "(hidden)", detail: "is not the password" });
      }
      await access.credentials.setPassword(who.name, body.password);
      const mine = signInOf(asked);
      access.signIns.end((one) => one.name === who.name && one !== mine);
      changed({ object: `user ${who.name}` });
    },
  }),
  route({
    method: "POST",
    path: "/setup",
    role: "anybody",
    tag: "access",
    summary: "Make the first administrator, with the code from the log, and sign in",
    body: Type.Object({ code: Type.String({ maxLength: 64 }), name, password }),
    answer: Session,
    refusals: [{ code: "conflict", body: { code: "any", name: "ana", password: "a long enough sentence" } }],
    handle: async (asked) => {
      const { body, ports, address, changed } = asked;
      const { access } = ports;
      if (access.credentials.accounts.exist)
        throw new Refused("conflict", "somebody has an account already: sign in");
      access.mayTry(undefined, address);
      if (!access.isSetupCode(body.code)) {
        access.attempts.failed(undefined, address, ports.now());
        throw new Refused("unauthenticated", "the code is not the one that the log shows");
      }
      checkPassword(body.password, body.name);
      await access.credentials.addUser(body.name, body.password, "administrator", ports.now());
      changed({ object: `user ${body.name}`, after: { role: "administrator" } });
      return signedIn(asked as Asked, body.name, "administrator");
    },
  }),
];
