/** Where we are: real paths below the base path, and all that shapes a view in the query. */
import { signal } from "@preact/signals";

export const BASE = document.documentElement.dataset["base"] ?? "";

export interface Address {
  /** Parts of the path, decoded: `["clients", "a/b"]`. */
  readonly parts: readonly string[];
  readonly query: URLSearchParams;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function read(): Address {
  const path = location.pathname.slice(BASE.length);
  return { parts: path.split("/").slice(1).map(decoded), query: new URLSearchParams(location.search) };
}

export const address = signal(read());

window.addEventListener("popstate", () => {
  address.value = read();
});

type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** An address of this node; what is undefined or empty is left out. */
export function addressOf(path: string, query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== "" && value !== false) search.set(name, String(value));
  }
  const text = search.toString();
  return `${BASE}${path}${text === "" ? "" : `?${text}`}`;
}

/** An id as part of a path. Browsers take `.` and `..` away: such ids stand in the query. */
export function withId(path: string, id: string, query: Query = {}, name = "id"): string {
  if (id === "." || id === ".." || id === "" || id === "-")
    return addressOf(`${path}/-`, { ...query, [name]: id });
  return addressOf(`${path}/${encodeURIComponent(id)}`, query);
}

/** The id that such an address names. */
export const idIn = ({ parts, query }: Address, name = "id"): string =>
  parts[1] === "-" ? (query.get(name) ?? "-") : (parts[1] ?? "");

export function go(to: string, { replace = false }: { readonly replace?: boolean } = {}): void {
  if (replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  address.value = read();
  if (!replace) window.scrollTo(0, 0);
}

/** The same page with other values in its query. */
export function change(query: Query, { replace = true }: { readonly replace?: boolean } = {}): void {
  const all = Object.fromEntries(address.value.query);
  const path = location.pathname.slice(BASE.length);
  go(addressOf(path, { ...all, ...query }), { replace });
}
