/** Moonlight Web as upstream's v3: v2's users and API, signalling over HTTP, and a configuration that is a classic script. */
import type { Dialect, DialectContext } from "../dialect.ts";
import { Pairings } from "../pairing.ts";
import { bytes, empty, text, urlOf } from "../responses.ts";
import { StaticFiles } from "../static-files.ts";
import { Users } from "../v2/identity.ts";
import { serveUpstreamApi } from "../v2/routes.ts";
import { MediaSocket, WEB_SOCKET_PATH } from "./web-socket.ts";
import { WEB_RTC_PATH, WebRtcStreams } from "./web-rtc.ts";

const CONFIG: Buffer = Buffer.from('window.__CONFIG_JS__ = {"path_prefix":""}');

export async function createV3(context: DialectContext): Promise<Dialect> {
  const { state, usernameField } = context;
  const pairings = new Pairings(state, context.pairDelayMs, "behind-each");
  const users = new Users({ usernameField, admin: context.credentials });
  const streams = new WebRtcStreams(context.openPeer);
  const site = await StaticFiles.ofSite("v3");
  return {
    pairings,
    serve: async (request, response) => {
      const { pathname } = urlOf(request);
      if (pathname === WEB_RTC_PATH || pathname.startsWith(`${WEB_RTC_PATH}/`)) {
        const identified = users.identify(request.headers);
        if ("refusal" in identified) text(response, identified.refusal.status, identified.refusal.text);
        else {
          await streams.serve(request, response, pathname.slice(WEB_RTC_PATH.length + 1), identified.user);
        }
      } else if (pathname === WEB_SOCKET_PATH) empty(response, request.method === "GET" ? 400 : 404);
      else if (pathname === "/api" || pathname.startsWith("/api/")) {
        await serveUpstreamApi(request, response, { state, pairings, users });
      } else if (pathname === "/config.js") bytes(response, "text/javascript", CONFIG);
      else site.serve(request, pathname, response);
    },
    open: ({ headers }, { pathname }) => {
      if (pathname !== WEB_SOCKET_PATH) return 404;
      const identified = users.identify(headers);
      if ("refusal" in identified) return identified.refusal.status;
      return (socket) => new MediaSocket(socket, state);
    },
  };
}
