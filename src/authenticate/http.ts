/** An HTTP service decides, in EMQX 5's way of asking and answering or in EMQ X 4's (`dialect`). */
import { type Static, Type } from "@sinclair/typebox";
import type { Credentials } from "../contract/client.ts";
import type { Peer } from "../contract/peer.ts";
import type { Instant } from "../lib/time.ts";
import { type AuthenticatorAnswer, IGNORED } from "../policy/authentication.ts";
import { choice, flag, text } from "../settings/kinds.ts";
import { HttpQuestion, httpQuestionProperties } from "./http-question.ts";
import type { AuthenticatorKind } from "./kind.ts";
import { Outside, type Source } from "./outside.ts";
import { outsideProperties } from "./outside-settings.ts";
import { needs } from "./packages.ts";
import { rulesOf } from "./rules.ts";
import { authorityOf } from "./sql.ts";
import { handshaking, holderOf, holding, namedBy, storedKey } from "./stored-key.ts";
import { asFormValue, LoginTemplate } from "./template.ts";
import { Web } from "./web.ts";

const schema = Type.Object(
  {
    kind: Type.Literal("http", { description: "An HTTP service." }),
    ...outsideProperties,
    dialect: choice(["emqx5", "emqx4"], {
      description:
        "emqx5: JSON answers with result allow, deny or ignore; 204 allows; anything else asks the next. emqx4: 200 allows, unless its body is ignore; 4xx refuses.",
      default: "emqx5",
    }),
    ...httpQuestionProperties,
    parameters: Type.Record(Type.String(), text({ description: "A value, with placeholders." }), {
      description:
        "What is sent, by name; placeholders %u user name, %c client id, %P password, %a address, %C certificate's name, %e endpoint name.",
      // biome-ignore-start lint/suspicious/noTemplateCurlyInString: these are the placeholders of the configuration
      default: { clientid: "${clientid}", username: "${username}", password: "${password}" },
      // biome-ignore-end lint/suspicious/noTemplateCurlyInString: see above
    }),
    superuserUrl: Type.Optional(
      text({
        description:
          "emqx4: asked after a success with the same parameters, without the password: 200 says superuser.",
        pattern: "^https?://",
      }),
    ),
    pskUrl: Type.Optional(
      text({
        description:
          "Answers GET with the pre-shared key of an identity (%u), as { psk: hexadecimal }, or 404 or 204; with keysFromAuthentication of tls or dtls.",
        pattern: "^https?://",
      }),
    ),
    rawKeyUrl: Type.Optional(
      text({
        description:
          "Answers GET with the holder of a raw public key (%k, base64), as { username }, or 404 or 204.",
        pattern: "^https?://",
      }),
    ),
    anonymous: flag({
      description: "Ask also for clients that lack a value, with an empty text in its place.",
      default: false,
    }),
  },
  { description: "An HTTP service is asked for each login." },
);
type HttpConfig = Static<typeof schema>;

const ANSWER_MAX = 256 * 1024;
const ACCEPTED: AuthenticatorAnswer = { answer: "accepted" };
const REJECTED: AuthenticatorAnswer = { answer: "rejected", reason: "the service says no" };

class HttpSource implements Source {
  readonly #config: HttpConfig;
  readonly #web: Web;
  readonly #login: HttpQuestion;
  readonly #superuser: HttpQuestion | undefined;
  readonly presharedKey: Source["presharedKey"];
  readonly rawKeyHolder: Source["rawKeyHolder"];

  constructor(config: HttpConfig, web: Web) {
    const { name = "http", url, superuserUrl, parameters } = config;
    this.#config = config;
    this.#web = web;
    this.#login = new HttpQuestion(config, url, parameters, web, name);
    const open = Object.entries(parameters).filter(([, value]) => !/%P|\$\{password\}/i.test(value));
    this.#superuser =
      superuserUrl === undefined
        ? undefined
        : new HttpQuestion(config, superuserUrl, Object.fromEntries(open), web, name);
    const { pskUrl, rawKeyUrl } = config;
    if (pskUrl !== undefined) {
      const template = new LoginTemplate(pskUrl, name);
      this.presharedKey = async (identity, signal) => {
        const asked = template.fill(namedBy(identity), handshaking(identity), asFormValue);
        return storedKey((await this.#found(asked, signal))?.["psk"]);
      };
    }
    if (rawKeyUrl !== undefined) {
      const template = new LoginTemplate(rawKeyUrl, name);
      this.rawKeyHolder = async (publicKey, signal) => {
        const asked = template.fill(holding(publicKey), handshaking(), asFormValue);
        return holderOf((await this.#found(asked, signal))?.["username"]);
      };
    }
  }

  /** 200 with an object, or nothing: 204 and 404. All else is the service's trouble. */
  async #found(
    url: string | undefined,
    signal: AbortSignal,
  ): Promise<Readonly<Record<string, unknown>> | undefined> {
    if (url === undefined) return undefined;
    const { headers } = this.#config;
    const { status, body } = await this.#web.ask({ url, method: "GET", headers, signal });
    if (status === 204 || status === 404) return undefined;
    if (status !== 200) throw new Error(`the service answers ${status}`);
    return JSON.parse(body) as Readonly<Record<string, unknown>>;
  }

  async ask(request: Credentials, peer: Peer, signal: AbortSignal): Promise<AuthenticatorAnswer> {
    const asked = this.#config.anonymous ? { ...request, username: request.username ?? "" } : request;
    const answer = await this.#login.ask(asked, peer, signal);
    if (answer === undefined) return IGNORED;
    if (this.#config.dialect === "emqx5") return answerOf(answer.status, answer.body);
    if (answer.status >= 500) throw new Error(`the service answers ${answer.status}`);
    if (answer.status !== 200) return REJECTED;
    if (answer.body.trim() === "ignore") return IGNORED;
    if (this.#superuser === undefined) return ACCEPTED;
    const superuser = await this.#superuser.ask(asked, peer, signal);
    return superuser?.status === 200 ? { answer: "accepted", superuser: true } : ACCEPTED;
  }

  close(): void {
    this.#web.close();
  }
}

/** EMQX 5's answer. What is none asks the next; a server's own trouble is an error. */
function answerOf(status: number, body: string): AuthenticatorAnswer {
  if (status === 204) return ACCEPTED;
  if (status >= 500) throw new Error(`the service answers ${status}`);
  if (status !== 200) return IGNORED;
  let answer: unknown;
  try {
    answer = JSON.parse(body);
  } catch {
    return IGNORED;
  }
  if (typeof answer !== "object" || answer === null) return IGNORED;
  const { result, is_superuser, expire_at, acl } = answer as Readonly<Record<string, unknown>>;
  if (result === "deny") return REJECTED;
  if (result !== "allow") return IGNORED;
  if (expire_at !== undefined && typeof expire_at !== "number") throw new Error("expire_at is no number");
  const rules = rulesOf(acl);
  return {
    answer: "accepted",
    superuser: is_superuser === true,
    ...(expire_at === undefined ? {} : { expiresAt: (expire_at * 1000) as Instant }),
    ...(rules === undefined ? {} : { rules }),
  };
}

export const http: AuthenticatorKind<HttpConfig> = {
  kind: "http",
  schema,
  open(config, host) {
    const { name = "http", concurrent, caFile, headers } = config;
    needs(name, "undici");
    const ca = authorityOf(caFile, name);
    const web = new Web({ connections: concurrent, answerMax: ANSWER_MAX, ca });
    return new Outside(name, config, host, new HttpSource(config, web), Object.values(headers));
  },
};
