/** What was changed, by whom, from where. */
import type { Change } from "../../api/answers/changes.ts";
import { address } from "../lib/address.ts";
import type { Page } from "../lib/api.ts";
import { useAsk } from "../lib/asking.ts";
import { moment } from "../lib/format.ts";
import { Empty, Field, Input, Level, Text, When } from "../parts/basic.tsx";
import { Pager, Table, usePages } from "../parts/table.tsx";
import { Value } from "../parts/value.tsx";

export function Changes() {
  const { query } = address.value;
  const pages = usePages();
  const { cursor } = pages;
  const object = query.get("object") ?? "";
  const who = query.get("who") ?? "";
  const asked = useAsk<Page<Change>>(
    "/changes",
    { object, who, cursor, limit: 100 },
    cursor === undefined ? 4 : undefined,
    true,
  );
  return (
    <>
      <h1>Changes</h1>
      <div class="filters">
        <Field label="About">
          <Input
            type="search"
            value={object}
            onText={(text) => pages.restart({ object: text })}
            placeholder="client, gateway, user …"
          />
        </Field>
        <Field label="By">
          <Input type="search" value={who} onText={(text) => pages.restart({ who: text })} />
        </Field>
      </div>
      <When asked={asked} lines={6}>
        {({ items, next }) =>
          items.length === 0 ? (
            <Empty>
              {object === "" && who === "" ? "Nothing was changed yet." : "No change passes these filters."}
            </Empty>
          ) : (
            <>
              <Table
                caption="Changes, newest first"
                rows={items}
                keyOf={({ id }) => String(id)}
                columns={[
                  { name: "at", title: "When", cell: (row) => <span class="whole">{moment(row.at)}</span> },
                  {
                    name: "who",
                    title: "Who",
                    cell: (row) => (
                      <>
                        <Text text={row.who || "nobody"} mono={false} most={30} />{" "}
                        <span class="second">{row.kind}</span>
                      </>
                    ),
                  },
                  {
                    name: "address",
                    title: "From",
                    cell: (row) => (
                      <span class="whole">
                        <Text text={row.address} />
                      </span>
                    ),
                  },
                  {
                    name: "object",
                    title: "What",
                    phone: "title",
                    cell: (row) => <Text text={row.object ?? row.action} most={80} />,
                  },
                  {
                    name: "before",
                    title: "Before",
                    phone: "label",
                    cell: (row) => (row.before === undefined ? null : <Value value={row.before} />),
                  },
                  {
                    name: "after",
                    title: "After",
                    phone: "label",
                    cell: (row) => (row.after === undefined ? null : <Value value={row.after} />),
                  },
                  {
                    name: "result",
                    title: "Result",
                    cell: (row) => <Level level={row.result === "done" ? "ok" : "bad"}>{row.result}</Level>,
                  },
                ]}
              />
              <div class="table-foot">
                <Pager shown={items.length} next={next} pages={pages} />
              </div>
            </>
          )
        }
      </When>
    </>
  );
}
