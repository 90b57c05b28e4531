/** Moonlight Web as upstream's v2.10: users with roles, known by a proxy's field, a token or a cookie. */
import type { Dialect, DialectContext } from "../dialect.ts";
import { Pairings } from "../pairing.ts";
import { bytes, empty, urlOf } from "../responses.ts";
import { StaticFiles } from "../static-files.ts";
import { Users } from "./identity.ts";
import { serveUpstreamApi } from "./routes.ts";
import { UpstreamSignalling } from "./signalling.ts";

const STREAM_PATH = "/api/host/stream";

/** `web_server.url_path_prefix` is empty. */
const CONFIG: Buffer = Buffer.from('export default {"path_prefix":""}');

export async function createV2(context: DialectContext): Promise<Dialect> {
  const { state, openPeer, usernameField } = context;
  const pairings = new Pairings(state, context.pairDelayMs, "behind-each");
  const users = new Users({ usernameField, admin: context.credentials });
  const site = await StaticFiles.ofSite("v2");
  return {
    pairings,
    serve: async (request, response) => {
      const { pathname } = urlOf(request);
      const isApi = pathname === "/api" || pathname.startsWith("/api/");
      if (isApi && pathname === STREAM_PATH) empty(response, request.method === "GET" ? 400 : 404);
      else if (isApi) await serveUpstreamApi(request, response, { state, pairings, users });
      else if (pathname === "/config.js") bytes(response, "text/javascript", CONFIG);
      else site.serve(request, pathname, response);
    },
    open: ({ headers }, { pathname }) => {
      if (pathname !== STREAM_PATH) return 404;
      const identified = users.identify(headers);
      if ("refusal" in identified) return identified.refusal.status;
      return (socket) => new UpstreamSignalling(socket, identified.user, { state, openPeer });
    },
  };
}
