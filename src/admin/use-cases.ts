// Everything that an administrator can do, in one object: the console's pages, its API and the commands call the same
// functions, so that they cannot differ. `src/console.ts` makes it.

/** Each part of the console adds its own member. */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- the parts come one by one
export interface AdminUseCases {}
