/** What the API bounds for each client address: requests that need no credential, failed ones, and responses that are not read. */
import { breakResponse } from "../listener/error-response.ts";
import type { AnyRequest, AnyResponse } from "../listener/messages.ts";
import { addressHolder } from "../shares/holders.ts";
import type { CallerShares } from "../shares/fair-shares.ts";
import type { TrustedProxies } from "../trusted-proxies/trusted-proxies.ts";
import { credentialPlace } from "./authenticate.ts";

/**
 * Always served: a load balancer whose address we do not know as trusted must not lose us because of what others send
 * through it.
 */
const PROBES = ["/healthz", "/readyz"];

/** Paths whose requests are authenticated. All others need no credential, whether they have one or not. */
const AUTHENTICATED = /^\/(?:api\/|metrics$)/;

/** It has its credential in the body. */
const SIGN_IN = "/api/v1/sign-in";

interface ApiCallersContext {
  basePath: string;
  shares: Pick<CallerShares, "anonymous" | "unread">;
  trustedProxies: TrustedProxies;
}

export class ApiCallers {
  readonly #context: ApiCallersContext;

  constructor(context: ApiCallersContext) {
    this.#context = context;
  }

  /** @throws TurnaboutError `rate_limited` */
  admit(request: AnyRequest): void {
    const { shares } = this.#context;
    const path = this.#pathOf(request);
    if (PROBES.includes(path) || AUTHENTICATED.test(path)) return;
    shares.anonymous.admit(this.#addressOf(request));
  }

  /** What to respond with where a request has failed with this. */
  refusal(error: Error, request: AnyRequest): unknown {
    const { headers, method, url = "" } = request;
    const hasCredential =
      credentialPlace({ headers, url, isWebSocket: false }) !== undefined ||
      (method === "POST" && this.#pathOf(request) === SIGN_IN);
    return this.#context.shares.anonymous.refusal(error, this.#addressOf(request), hasCredential);
  }

  /** Ends the response if its caller does not read it. */
  watch(request: AnyRequest, response: AnyResponse): void {
    const unwatch = this.#context.shares.unread.add({
      holder: addressHolder(this.#addressOf(request)),
      end: response,
      writtenBytes: () => 0, // the body is one piece
      heldBytes: () => 0,
      stop: () => breakResponse(request, response),
    });
    response.once("close", unwatch);
  }

  #pathOf({ url = "" }: AnyRequest): string {
    const { basePath } = this.#context;
    const [path = ""] = url.split("?", 1);
    return path.startsWith(basePath) ? path.slice(basePath.length) : path;
  }

  #addressOf(request: AnyRequest): string {
    return this.#context.trustedProxies.client(request).address;
  }
}
