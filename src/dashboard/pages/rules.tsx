/** Rules: what each has done, one with its statement and a try of it, and making one. */
import type { Rule } from "../../api/answers/rules.ts";
import { address } from "../lib/address.ts";
import { count, rate } from "../lib/quantities.ts";
import { Text } from "../parts/basic.tsx";
import { Runs } from "../parts/section.tsx";
import { SectionList } from "../parts/section-list.tsx";
import { NewRule, RulePage } from "./rule.tsx";

export function Rules() {
  const [, id] = address.value.parts;
  return id === undefined || id === "" ? <List /> : <RulePage key={id} id={id} />;
}

const List = () => (
  <SectionList<Rule>
    section="rules"
    title="Rules"
    first={{ name: "id", title: "Rule" }}
    none="No rule yet. A rule is SQL on what passes the bus, and what is done with what it selects."
    nameOf={({ id }) => id}
    form={(done) => <NewRule done={done} />}
    columns={[
      { name: "state", title: "State", cell: (row) => <Runs enable={row.enable} /> },
      {
        name: "sql",
        title: "Statement",
        cell: ({ sql }) => <Text text={sql.replaceAll(/\s+/g, " ")} most={80} />,
      },
      { name: "matched", title: "Run", numeric: true, cell: (row) => count(row.matched) },
      { name: "passed", title: "With output", numeric: true, cell: (row) => count(row.passed) },
      { name: "failed", title: "Failed", numeric: true, cell: (row) => count(row.failed) },
      { name: "rate", title: "Now", numeric: true, cell: (row) => rate(row.rate.current) },
      {
        name: "lost",
        title: "Not done",
        numeric: true,
        cell: ({ actions }) => count(actions.reduce((sum, { failed, dropped }) => sum + failed + dropped, 0)),
      },
    ]}
  />
);
