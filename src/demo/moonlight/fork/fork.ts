/** Moonlight Web as Helix ships it: one shared secret, no users. */
import type { Dialect, DialectContext } from "../dialect.ts";
import { Pairings } from "../pairing.ts";
import { bytes, urlOf } from "../responses.ts";
import { StaticFiles } from "../static-files.ts";
import { serveForkApi, STREAM_PATH } from "./routes.ts";
import { ForkSignalling } from "./signalling.ts";

/** Its own `web_path_prefix`, which is only printed here, is empty. */
const CONFIG: Buffer = Buffer.from(
  'export default {"enable_credential_authentication":true,"path_prefix":""}',
);

export async function createFork(context: DialectContext): Promise<Dialect> {
  const pairings = new Pairings(context.state, context.pairDelayMs, "between");
  const site = await StaticFiles.ofSite("fork");
  return {
    pairings,
    serve: async (request, response) => {
      const { pathname } = urlOf(request);
      const isApi = pathname === "/api" || pathname.startsWith("/api/");
      if (isApi) await serveForkApi(request, response, { ...context, pairings });
      else if (pathname === "/config.js" && request.method === "GET")
        bytes(response, "text/javascript", CONFIG);
      else site.serve(request, pathname, response);
    },
    open: (_request, { pathname }) =>
      pathname === STREAM_PATH ? (socket) => new ForkSignalling(socket, context) : 404,
  };
}
