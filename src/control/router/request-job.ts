/** What a request asks for: a target, by a route of ours or through the forward proxy, or something served here. */
import type { Destination } from "../../wire/messages/names.ts";
import {
  authenticate,
  credentialPlace,
  holdsToken,
  withoutPageCredential,
  withoutTokens,
} from "../auth/authenticate.ts";
import type { CookiePolicy } from "../auth/authenticate.ts";
import type { Refuser } from "../listener/error-response.ts";
import type { AnyRequest } from "../listener/messages.ts";
import { authorizeProxy } from "../proxy/connect-proxy.ts";
import type { ConnectProxyContext } from "../proxy/connect-proxy.ts";
import type { ProxyJob, Redirect } from "../proxy/job.ts";
import { noteAttempt } from "../records/request-record.ts";
import type { TargetRoutes } from "../proxy/target-routes.ts";
import { requestTarget } from "./request-target.ts";
import type { OwnNames, RequestTarget } from "./request-target.ts";

export interface RequestJobsContext
  extends CookiePolicy, Pick<ConnectProxyContext, "access" | "shares" | "tokens" | "trustedProxies"> {
  routes: TargetRoutes;
  /** The operator trusts the target's pages with our origin. */
  trustsPages: (destination: Destination) => boolean;
}

/** Fields that may hold one of our tokens. */
const CREDENTIAL_FIELDS = ["authorization", "x-api-key"] as const;

export class RequestJobs {
  readonly #context: RequestJobsContext;
  readonly #own: OwnNames;

  constructor(context: RequestJobsContext, own: OwnNames) {
    this.#context = context;
    this.#own = own;
  }

  /** @throws TurnaboutError `bad_request` */
  targetOf(request: AnyRequest, isWebSocket: boolean): RequestTarget {
    return requestTarget(request, isWebSocket, this.#own);
  }

  /**
   * Undefined if the request leads to no target; then its URL has the origin form.
   *
   * @throws TurnaboutError where the caller may not have the target, or the request is not valid
   */
  jobOf(request: AnyRequest, isWebSocket: boolean): ProxyJob | Redirect | undefined {
    const target = this.targetOf(request, isWebSocket);
    if (target.kind === "proxy") return this.#proxyJob(request, target.authority, target.path);
    if (target.host !== undefined) {
      request.url = target.url;
      request.headers.host = target.host; // replaces `Host` (RFC 9112 §3.2.2)
    }
    return this.#routeJob(request, target.url, isWebSocket);
  }

  /** In which role a request is refused. */
  refuserOf(request: AnyRequest, isWebSocket: boolean): Refuser {
    try {
      return this.targetOf(request, isWebSocket).kind === "proxy" ? "proxy" : "server";
    } catch {
      return "proxy"; // an absolute form that names no target
    }
  }

  /** What to respond with where the request has failed with this: an address with too many bad credentials gets another error. */
  refusalOf(request: AnyRequest, isWebSocket: boolean, error: unknown): unknown {
    const { shares, trustedProxies } = this.#context;
    const { headers, url = "" } = request;
    const hasCredential =
      headers["proxy-authorization"] !== undefined ||
      credentialPlace({ headers, url, isWebSocket }) !== undefined;
    return shares.anonymous.refusal(error, trustedProxies.client(request).address, hasCredential);
  }

  #routeJob(request: AnyRequest, url: string, isWebSocket: boolean): ProxyJob | Redirect | undefined {
    const { routes, tokens, trustedProxies, trustsPages } = this.#context;
    const { headers, method = "GET" } = request;
    const client = trustedProxies.client(request);
    let counted = headers;
    const routed = routes.resolve(url, { method, isWebSocket }, ({ hasPages = false }, destination) => {
      if (hasPages) counted = withoutPageCredential(headers, tokens, this.#context);
      const login = { method, headers: counted, url, isWebSocket, client };
      const requester = authenticate(login, tokens, this.#context);
      noteAttempt(request, { requester, destination });
      return requester;
    });
    if (routed === undefined || "redirect" in routed) return routed;
    // Only a program sends a credential in a field: what a browser sends by itself has it in the cookie or in the URL.
    const place = credentialPlace({ headers: counted, url, isWebSocket });
    const isByBrowser = place === "cookie" || place === "query";
    // A target whose credentials the operator has given us is the operator's own, and its page needs our origin.
    const isTrusted = routed.credentials !== undefined || trustsPages(routed.destination);
    const withheld = new Set(routed.withheld);
    for (const name of CREDENTIAL_FIELDS) {
      const value = headers[name];
      const isOurs = name === "authorization" && place === "Authorization"; // otherwise it had been refused
      if (value !== undefined && (isOurs || holdsToken(String(value), tokens))) withheld.add(name);
    }
    const path = withoutTokens(routed.path, tokens);
    return { ...routed, path, client, isolated: isByBrowser && !isTrusted, withheld };
  }

  #proxyJob(request: AnyRequest, authority: string, path: string): ProxyJob {
    const { identity, ...destination } = authorizeProxy(request, authority, this.#context, (attempt) =>
      noteAttempt(request, attempt),
    );
    const group = this.#context.access.groupOf(destination.runner);
    const client = this.#context.trustedProxies.client(request);
    return { destination, path, mode: "proxy", host: authority, identity, group, client };
  }
}
