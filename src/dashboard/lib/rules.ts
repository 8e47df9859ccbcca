/** Rules and connectors as the API shows them. */
export type { Action, Connector, Rule } from "../../api/answers/rules.ts";
