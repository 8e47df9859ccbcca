/** Lists of users and client ids that are made over the API outlive a restart. */
import type { Listed, ListKeeper, ListOf } from "./authenticate/login-list.ts";
import type { Store } from "./session/store.ts";

const keyOf = (of: ListOf, list: string, name: string): string => JSON.stringify([of, list, name]);

interface Kept {
  readonly of: ListOf;
  readonly list: string;
  readonly listed: Listed;
}

export const listKeeper = (store: Store): ListKeeper => ({
  *entries() {
    for (const [, value] of store.entries("login")) {
      const { of, list, listed } = value as Kept;
      yield [of, list, listed];
    }
  },
  put: (of, list, listed) => store.put("login", keyOf(of, list, listed.name), () => ({ of, list, listed })),
  remove: (of, list, name) => store.remove("login", keyOf(of, list, name)),
  saved: () =>
    new Promise((resolve, reject) => {
      store.hasten();
      store.whenCommitted((failure) => (failure === undefined ? resolve() : reject(failure)));
    }),
});
