/**
 * Moonlight Web's own page, with the session in the path: its relative addresses, and those that it makes of the prefix in its
 * `config.js`, stay at the session.
 */
import { TOKEN_PARAMETER, withoutParameters } from "../../control/extension.ts";
import type {
  Identity,
  PathParameters,
  ResponseAmendment,
  RoutedJob,
  TargetRequest,
  TargetRoute,
} from "../../control/extension.ts";
import { MAX_CHANGED_CONTENT_BYTES } from "../limits.ts";
import type { Session } from "../store/sessions.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { isOffer, mayUsePage, webRtcStreamOf } from "./page-access.ts";
import { pageConfig, withoutAddresses } from "./page-content.ts";
import { pagePolicy } from "./page-policy.ts";
import { moonlightJob } from "./routes.ts";
import type { MoonlightRoutesContext } from "./routes.ts";
import { isReading } from "./viewer-access.ts";
import type { WebRtcStreams } from "./webrtc-streams.ts";

const PAGE = "/moonlight/s/{session}";

/** Not sent with a request for content that we change: all of it has to come, and without a coding. */
const PARTIAL: ReadonlySet<string> = new Set([
  "accept-encoding",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "range",
]);

export interface PageRoutesContext extends MoonlightRoutesContext {
  streams: Pick<WebRtcStreams, "add" | "forget" | "has">;
  /** Origins besides ours whose pages may show this one in a frame. */
  allowedOrigins: readonly string[];
}

export function pageRoutes(context: PageRoutesContext): TargetRoute[] {
  const authorize = ({ session = "" }: PathParameters, identity: Identity): Session =>
    context.policy.openSession(identity, session);
  const setPolicy = pagePolicy(context.allowedOrigins);
  return [
    {
      path: PAGE,
      methods: ["GET", "HEAD"],
      kind: "http",
      summary: "Moonlight Web's page of a session: redirects to the same with a slash behind it",
      tag: "moonlight",
      hasPages: true,
      authorize,
      resolve: ({ session = "", query }) => ({
        redirect: `${session}/${withoutParameters(query, [TOKEN_PARAMETER])}`,
      }),
    },
    {
      path: `${PAGE}/{path}`,
      methods: "all",
      kind: "both",
      summary:
        "Moonlight Web's page of a session, and what it calls (what a viewer needs; all of it for admins)",
      tag: "moonlight",
      hasPages: true,
      resolve: (parameters, request, identity) => {
        const session = authorize(parameters, identity);
        const path = withoutParameters(`${parameters.path}${parameters.query}`, [TOKEN_PARAMETER]);
        const hasStream = (id: string): boolean => {
          if (identity.mayAdminister || context.streams.has(session.id, id)) return true;
          const advice = "it has ended, or another control plane has made it: make a new offer";
          throw new TurnaboutError("not_found", `moonlight: the session has no stream ${id}: ${advice}`);
        };
        const isAllowed = mayUsePage(path, request, hasStream);
        const job = moonlightJob(context, session, { path, request, identity, isAllowed });
        if (isOffer(path, request)) context.rate.take(session.id);
        const content = changedContent(path, request, identity);
        return {
          ...job,
          mount: { path: `/moonlight/s/${session.id}`, targetPath: "" },
          withheld: content === undefined ? undefined : PARTIAL,
          amend: {
            content,
            fields: (fields, status) => {
              setPolicy(fields);
              if (isConfig(path)) fields["cache-control"] = "no-store";
              follow({ context, session: session.id, job, request }, fields, status);
            },
          },
        };
      },
    },
  ];
}

function isConfig(path: string): boolean {
  return path.split("?", 1)[0] === "/config.js";
}

function changedContent(
  path: string,
  { method, isWebSocket }: TargetRequest,
  identity: Identity,
): ResponseAmendment["content"] {
  if (isWebSocket || !isReading(method)) return undefined;
  const maxBytes = MAX_CHANGED_CONTENT_BYTES;
  if (isConfig(path)) return { maxBytes, rewrite: pageConfig };
  const isHost = path.split("?", 1)[0] === "/api/host" && !identity.mayAdminister;
  return isHost ? { maxBytes, rewrite: withoutAddresses } : undefined;
}

interface Followed {
  context: PageRoutesContext;
  session: string;
  job: RoutedJob;
  request: TargetRequest;
}

/** Remembers streams that an offer over HTTP has made, and forgets those that the page has ended. */
function follow({ context, session, job, request }: Followed, fields: Fields, status: number): void {
  const { path, identity, destination, added = {} } = job;
  if (isOffer(path, request)) {
    const id = status === 201 ? madeStream(fields["location"]) : undefined;
    if (id === undefined) return context.rate.giveBack(session);
    context.streams.add({
      session,
      id,
      identity,
      runner: destination.runner,
      path: `${path}/${id}`,
      fields: added,
    });
  } else if (request.method === "DELETE" && (status < 300 || status === 404)) {
    const id = webRtcStreamOf(path);
    if (id !== undefined) context.streams.forget(session, id);
  }
}

type Fields = Readonly<Record<string, string | string[]>>;

/** The id at the end of the address of what an offer has made. */
function madeStream(location: Fields[string] | undefined): string | undefined {
  return typeof location === "string" ? /\/(\d{1,20})$/.exec(location)?.[1] : undefined;
}
