/** What an extension in this package makes resources of the API with. Apart from `extension.ts`, as it needs Hono's types. */
export type { AppEnv } from "./api/context.ts";
export { responses } from "./api/schemas.ts";
export { refuseInvalid } from "./api/validation.ts";
