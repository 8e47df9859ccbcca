/** The list of all that stands in a section of the configuration, and a form for one more. */
import type { ComponentChildren } from "preact";
import { address, addressOf, change, go } from "../lib/address.ts";
import type { Page } from "../lib/api.ts";
import { useAsk } from "../lib/asking.ts";
import { Button, Empty, Link, Part, Text, When } from "./basic.tsx";
import { type Section, WORDS } from "./section.tsx";
import { type Column, Pager, Table, usePages } from "./table.tsx";

interface SectionListProps<Row> {
  readonly section: Section;
  readonly title: string;
  /** Of the column with the names. */
  readonly first: Pick<Column<Row>, "name" | "title">;
  /** What is said where there is none yet. */
  readonly none: string;
  readonly columns: readonly Column<Row>[];
  nameOf(row: Row): string;
  /** The form; `done` with the name of what was made. */
  form(done: (name: string) => void): ComponentChildren;
}

export function SectionList<Row>({
  section,
  title,
  first,
  none,
  columns,
  nameOf,
  form,
}: SectionListProps<Row>) {
  const pages = usePages();
  const { cursor } = pages;
  const asked = useAsk<Page<Row>>(`/${section}`, { limit: 100, cursor }, 2, true);
  const word = WORDS[section];
  const making = address.value.query.get("make") === word;
  const addressFor = (name: string): string => addressOf(`/${section}/${encodeURIComponent(name)}`);
  return (
    <>
      <div class="heading">
        <h1>{title}</h1>
        <div class="actions">
          <Button
            needs="administrator"
            icon={word}
            pressed={making}
            onClick={() => change({ make: making ? undefined : word })}
          >
            {`Make a ${word}`}
          </Button>
        </div>
      </div>
      {making ? <Part title={`A new ${word}`}>{form((name) => go(addressFor(name)))}</Part> : null}
      <When asked={asked} lines={4}>
        {({ items, next, count }) =>
          items.length === 0 ? (
            <Empty>{none}</Empty>
          ) : (
            <>
              <Table
                caption={title}
                rows={items}
                count={count}
                keyOf={nameOf}
                onOpen={(row) => go(addressFor(nameOf(row)))}
                columns={[
                  {
                    ...first,
                    phone: "title",
                    cell: (row) => (
                      <Link to={addressFor(nameOf(row))}>
                        <Text text={nameOf(row)} />
                      </Link>
                    ),
                  },
                  ...columns,
                ]}
              />
              {next === undefined && cursor === undefined ? null : (
                <div class="table-foot">
                  <Pager shown={items.length} count={count} next={next} pages={pages} />
                </div>
              )}
            </>
          )
        }
      </When>
    </>
  );
}
