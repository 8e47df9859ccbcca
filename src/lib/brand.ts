declare const brand: unique symbol;

/** A primitive that may not be mixed up with another of the same representation. */
export type Brand<Base, Name extends string> = Base & { readonly [brand]: Name };
