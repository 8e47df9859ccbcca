import type { SessionInfo } from "./server-choice.ts";

/** What a client id is made of. */
export type Named = Pick<SessionInfo, "gateway" | "username"> & { readonly clientId: string };

/** Fills `${clientid}`, `${username}` and `${gateway}` into the template of the client ids that servers see. */
export function clientIdBy(template: string): (named: Named) => string {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: this is a placeholder of the configuration
  if (template === "${clientid}") return ({ clientId }) => clientId;
  return ({ clientId, username = "", gateway }) =>
    template.replace(/\$\{(clientid|username|gateway)\}/g, (_, name: string) =>
      name === "clientid" ? clientId : name === "username" ? username : gateway,
    );
}
