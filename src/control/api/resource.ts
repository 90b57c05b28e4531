/** What an extension adds to the API. No type of Hono's is in it: those need the DOM's types, also in a user's project. */

/** Routes of one resource, mounted at a path below the base path. Below `/api` the caller is identified first. */
export interface ApiResource {
  path: string;
  /** An `OpenAPIHono` of `@hono/zod-openapi` ^1; its routes are in `/openapi.json`. Anything else fails the start. */
  routes: object;
}

/** Deletes what a user owns. @returns how many were deleted */
export type DeleteOwned = (owner: string) => Promise<number>;
