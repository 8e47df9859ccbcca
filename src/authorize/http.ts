/** An HTTP service decides what a client may do, in EMQX 5's way or in EMQ X 4's. */
import { type Static, Type } from "@sinclair/typebox";
import { HttpQuestion, httpQuestionProperties } from "../authenticate/http-question.ts";
import { needs } from "../authenticate/packages.ts";
import { authorityOf } from "../authenticate/sql.ts";
import { Web } from "../authenticate/web.ts";
import type { Decision } from "../policy/authorization.ts";
import { choice, text } from "../settings/kinds.ts";
import { type Asking, BoundedSource, type Client, type SourceKind, sourceProperties } from "./kind.ts";

const schema = Type.Object(
  {
    kind: Type.Literal("http", { description: "An HTTP service." }),
    ...sourceProperties,
    ...httpQuestionProperties,
    dialect: choice(["emqx5", "emqx4"], {
      description:
        "emqx5: JSON answers with result allow, deny or ignore; 204 allows; anything else asks the next. emqx4: 200 allows, unless its body is ignore; 4xx refuses.",
      default: "emqx5",
    }),
    parameters: Type.Optional(
      Type.Record(Type.String(), text({ description: "A value, with placeholders." }), {
        description:
          "What is sent, by name; besides the placeholders of logins %t topic, %A access (1 subscribe, 2 publish), and action, qos, retain by their names. Absent: what the dialect sends.",
      }),
    ),
  },
  { description: "An HTTP service is asked for each topic." },
);
type HttpConfig = Static<typeof schema>;

const PARAMETERS: Readonly<Record<HttpConfig["dialect"], Readonly<Record<string, string>>>> = {
  emqx4: { access: "%A", username: "%u", clientid: "%c", ipaddr: "%a", topic: "%t" },
  // biome-ignore-start lint/suspicious/noTemplateCurlyInString: these are the placeholders of the configuration
  emqx5: {
    username: "%u",
    clientid: "%c",
    peerhost: "%a",
    action: "${action}",
    topic: "%t",
    qos: "${qos}",
    retain: "${retain}",
  },
  // biome-ignore-end lint/suspicious/noTemplateCurlyInString: see above
};
const ANSWER_MAX = 64 * 1024;

class HttpAsking implements Asking {
  readonly #dialect: HttpConfig["dialect"];
  readonly #question: HttpQuestion;
  readonly #web: Web;

  constructor(config: HttpConfig, name: string, web: Web) {
    const { dialect, url, parameters = PARAMETERS[dialect] } = config;
    this.#dialect = dialect;
    this.#web = web;
    this.#question = new HttpQuestion(config, url, parameters, web, name);
  }

  async decide({ request, peer }: Client, signal: AbortSignal): Promise<Decision> {
    const answer = await this.#question.ask(request, peer, signal);
    // A topic that cannot be asked about is none that anybody allows.
    if (answer === undefined) return "deny";
    const { status, body } = answer;
    if (status >= 500) throw new Error(`the service answers ${status}`);
    if (this.#dialect === "emqx4") {
      if (status !== 200) return "deny";
      return body.trim() === "ignore" ? "ignore" : "allow";
    }
    if (status === 204) return "allow";
    return status === 200 ? resultOf(body) : "ignore";
  }

  close(): void {
    this.#web.close();
  }
}

function resultOf(body: string): Decision {
  try {
    const { result } = JSON.parse(body) as { readonly result?: unknown };
    return result === "allow" || result === "deny" ? result : "ignore";
  } catch {
    return "ignore";
  }
}

export const http: SourceKind<HttpConfig> = {
  kind: "http",
  schema,
  open(config, host) {
    const { name = "http", concurrent, caFile, headers } = config;
    needs(name, "undici");
    const web = new Web({ connections: concurrent, answerMax: ANSWER_MAX, ca: authorityOf(caFile, name) });
    return new BoundedSource(name, config, host, new HttpAsking(config, name, web), Object.values(headers));
  },
};
