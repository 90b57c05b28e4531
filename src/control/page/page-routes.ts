/** `GET /` and `/page/…`: the page, with the policy that it has. It needs no credential: what it shows, it gets from the API. */
import type { Http2Bindings, HttpBindings } from "@hono/node-server";
import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { TurnaboutError } from "../../wire/errors.ts";
import { readPageFiles } from "./page-files.ts";
import type { Encoding, PageFile, PageFiles } from "./page-files.ts";

type PageEnv = { Bindings: HttpBindings | Http2Bindings };

/** Its own files, its own API, and pictures that it has got from there. No script or style stands in a document. */
export const PAGE_POLICY: string = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data: blob:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const FIELDS: Readonly<Record<string, string>> = {
  "content-security-policy": PAGE_POLICY,
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

/** Names of all other files have a hash of their content. */
const DOCUMENT = "index.html";
const DOCUMENT_CACHING = "no-cache";
const FILE_CACHING = "public, max-age=31536000, immutable";

const ABSENT = `The page of this control plane has not been built.

In a checkout:  npm run page
then reload this address. \`npm ci\` does it too, unless it was called with --ignore-scripts or --omit=dev.

The API and the tunnel work without it: see docs, openapi.json and /healthz.
`;

const PUBLIC = { method: "get" as const, security: [], tags: ["operations"] };
const documentRoute = createRoute({
  ...PUBLIC,
  path: "/",
  operationId: "getPage",
  summary: "The page of the control plane",
  responses: {
    200: { description: "The page", content: { "text/html": { schema: z.string() } } },
    404: { description: "It has not been built", content: { "text/plain": { schema: z.string() } } },
  },
});
const fileRoute = createRoute({
  ...PUBLIC,
  path: "/page/{file}",
  operationId: "getPageFile",
  summary: "A file of the page",
  request: { params: z.object({ file: z.string() }) },
  responses: {
    200: { description: "The file", content: { "application/octet-stream": { schema: z.string() } } },
    404: { description: "There is no such file" },
  },
});

export interface PageRoutes {
  routes: OpenAPIHono<PageEnv>;
  /** Serves the document, also where a router has taken the slash at the end of the base path away. */
  document: (c: Context<PageEnv>) => Promise<Response>;
}

/** @param folder of the built page; by default the one of the package */
export function pageRoutes(folder?: string): PageRoutes {
  let known: Promise<PageFiles | undefined> | undefined;
  const files = async (): Promise<PageFiles | undefined> => {
    known ??= readPageFiles(folder);
    const found = await known.catch((error: unknown) => {
      known = undefined;
      throw error;
    });
    if (found === undefined) known = undefined; // it may be built later
    return found;
  };
  const document = async (c: Context<PageEnv>): Promise<Response> => {
    if (!c.req.path.endsWith("/")) return toFolder(c);
    const file = (await files())?.get(DOCUMENT);
    if (file === undefined) return c.text(ABSENT, 404, { "cache-control": "no-store" });
    return send(c, file, DOCUMENT_CACHING);
  };
  const routes = new OpenAPIHono<PageEnv>();
  routes.openAPIRegistry.registerPath(documentRoute);
  routes.openAPIRegistry.registerPath(fileRoute);
  routes.get("/", document);
  routes.get("/page/:file", async (c) => {
    const name = c.req.param("file");
    const file = name === DOCUMENT ? undefined : (await files())?.get(name);
    if (file === undefined) throw new TurnaboutError("not_found", "the page has no such file");
    return send(c, file, FILE_CACHING);
  });
  return { routes, document };
}

/** Files of the page are named from its folder. By a relative address, because a reverse proxy may have put a prefix before it. */
function toFolder(c: Context<PageEnv>): Response {
  const segment = c.req.path.split("/").at(-1) ?? "";
  return c.body(null, 308, { location: `./${segment}/`, "cache-control": "no-store" });
}

function send(c: Context<PageEnv>, { type, etag, content }: PageFile, caching: string): Response {
  const encoding = encodingFor(c.req.header("accept-encoding") ?? "", content);
  const fields: Record<string, string> = {
    ...FIELDS,
    "cache-control": caching,
    etag: `"${etag}-${encoding}"`,
    vary: "accept-encoding",
  };
  if (c.req.header("if-none-match")?.includes(etag) === true) return c.body(null, 304, fields);
  const bytes = content[encoding] ?? new Uint8Array();
  fields["content-type"] = type;
  fields["content-length"] = String(bytes.length);
  if (encoding !== "identity") fields["content-encoding"] = encoding;
  return c.body(bytes, 200, fields);
}

const PREFERENCE: readonly Encoding[] = ["br", "gzip"];

function encodingFor(accepted: string, content: PageFile["content"]): Encoding {
  const names = accepted
    .toLowerCase()
    .split(",")
    .filter((part) => !/;\s*q=0(?:\.0*)?\s*$/.test(part))
    .map((part) => part.split(";", 1)[0]?.trim());
  return PREFERENCE.find((name) => names.includes(name) && content[name] !== undefined) ?? "identity";
}
