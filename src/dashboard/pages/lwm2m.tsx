import { address, go, idIn, withId } from "../lib/address.ts";
import type { Page } from "../lib/api.ts";
import { useAsk } from "../lib/asking.ts";
import type { ClientRow } from "../lib/clients.ts";
import { count } from "../lib/quantities.ts";
import { Age, Due, Empty, Field, Input, Link, State, Text, ToTranslation, When } from "../parts/basic.tsx";
import { Pager, Table, usePages } from "../parts/table.tsx";
import { DevicePage } from "./lwm2m-device.tsx";

export function Lwm2m() {
  const [, named = ""] = address.value.parts;
  const endpoint = idIn(address.value);
  return named === "" ? <Devices /> : <DevicePage key={endpoint} endpoint={endpoint} />;
}

const deviceAddress = (endpoint: string): string => withId("/lwm2m", endpoint);

function Devices() {
  const { query } = address.value;
  const sort = query.get("sort") ?? "clientId";
  const pages = usePages();
  const { cursor } = pages;
  const prefix = query.get("prefix") ?? "";
  const asked = useAsk<Page<ClientRow>>(
    "/clients",
    { gateway: "lwm2m", sort, cursor, prefix, count: true, limit: 100 },
    cursor === undefined ? 5 : undefined,
    true,
  );
  return (
    <>
      <h1>LwM2M</h1>
      <div class="filters">
        <Field label="Endpoint begins with">
          <Input type="search" value={prefix} onText={(text) => pages.restart({ prefix: text })} />
        </Field>
      </div>
      <When asked={asked} lines={8}>
        {({ items, next, count: all }) =>
          items.length === 0 ? (
            <Empty>{prefix === "" ? "No LwM2M device is registered." : "No endpoint begins so."}</Empty>
          ) : (
            <>
              <Table
                caption="LwM2M devices"
                rows={items}
                count={all}
                keyOf={(row) => row.clientId}
                sort={sort}
                onSort={(by) => pages.restart({ sort: by })}
                onOpen={(row) => go(deviceAddress(row.endpoint ?? row.clientId))}
                columns={[
                  { name: "state", title: "State", cell: (row) => <State state={row.state} /> },
                  {
                    name: "endpoint",
                    title: "Endpoint",
                    sort: "clientId",
                    phone: "title",
                    cell: (row) => (
                      <Link to={deviceAddress(row.endpoint ?? row.clientId)}>
                        <Text text={row.endpoint ?? row.clientId} most={40} />
                      </Link>
                    ),
                  },
                  {
                    name: "version",
                    title: "Version",
                    cell: (row) => <Text text={row.protocol} mono={false} />,
                  },
                  {
                    name: "heard",
                    title: "Heard",
                    sort: "heardAt",
                    numeric: true,
                    cell: (row) => <Age at={row.heardAt} />,
                  },
                  {
                    name: "due",
                    title: "Due",
                    sort: "dueAt",
                    numeric: true,
                    cell: (row) => <Due at={row.dueAt} />,
                  },
                  {
                    name: "waiting",
                    title: "Waiting",
                    sort: "waiting",
                    numeric: true,
                    cell: (row) => count(row.waiting),
                  },
                  {
                    name: "links",
                    title: "Look",
                    phone: "corner",
                    cell: ({ clientId }) => <ToTranslation clientId={clientId} />,
                  },
                ]}
              />
              <div class="table-foot">
                <Pager shown={items.length} count={all} next={next} pages={pages} />
              </div>
            </>
          )
        }
      </When>
    </>
  );
}
