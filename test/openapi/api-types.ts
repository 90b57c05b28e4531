/**
 * Types of the control plane's API, generated from its OpenAPI document: `src/clients/api/types.ts`. Only what the API
 * itself serves; the routes to targets are the targets' own.
 */
import openapiTS from "openapi-typescript";
import type { OpenAPI3 } from "openapi-typescript";
import { fetchDocument } from "../support/openapi-schemas.ts";
import { helix } from "../../src/helix/helix.ts";
import { startControlPlane } from "../support/system.ts";

export const TYPES_FILE = "src/clients/api/types.ts";

const HEAD = `/**
 * The API's types, written by \`npm run api-types\` from the OpenAPI document of a control plane with Helix's sessions; a test
 * compares the two. Longer than 300 lines because it is one document.
 */
`;

/** Tags of operations that a client of the API calls. */
const TAGS = new Set(["operations", "runners", "tokens", "sign-in", "events", "sessions", "wolf instances"]);

/** Not formatted. */
export async function generateTypes(): Promise<string> {
  await using controlPlane = await startControlPlane({ extensions: [helix()] });
  const document = await fetchDocument(`http://127.0.0.1:${controlPlane.port}`);
  const paths = Object.entries(document.paths).flatMap(([path, operations]) => {
    const own = Object.entries(operations).filter(([, { tags = [] }]) => tags.some((tag) => TAGS.has(tag)));
    return own.length === 0 ? [] : [[path, Object.fromEntries(own)] as const];
  });
  const schema = { ...document, paths: Object.fromEntries(paths) } as unknown as OpenAPI3;
  const text = await openapiTS(schema, { commentHeader: HEAD });
  return text
    .replace(/^export (type|interface) (webhooks|\$defs|external)\b.*$/gm, "")
    .replace(/\n{3,}/g, "\n\n");
}
