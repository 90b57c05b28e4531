/**
 * Who a viewer is to Moonlight Web. Newer versions take a user's name from a field that the proxy in front sets, under a name of
 * the operator's choice. So of the caller's fields only those pass that a page needs, and no list has to know all names.
 */
import { validateHeaderName } from "node:http";
import { TurnaboutError } from "../../wire/errors.ts";
import type { Identity } from "../../control/extension.ts";

const PASSED: ReadonlySet<string> = new Set([
  "access-control-request-headers",
  "access-control-request-method",
  "cache-control",
  "date",
  "dnt",
  "last-event-id",
  "origin",
  "pragma",
  "prefer",
  "priority",
  "range",
  "referer",
  "repr-digest",
  "save-data",
  "traceparent",
  "tracestate",
  "upgrade-insecure-requests",
  "user-agent",
  "x-request-id",
  "x-requested-with",
]);
const PASSED_KINDS = /^(?:accept|(?:accept|content|if|sec-ch|sec-fetch|sec-websocket)-[a-z0-9-]+)$/;

/** Whether a caller's field may reach Moonlight Web. @param name in lower case */
export function passesToMoonlight(name: string): boolean {
  return PASSED.has(name) || PASSED_KINDS.test(name);
}

/** Fields that mean something to HTTP, or that we send for another purpose. */
const TAKEN =
  /^(?:authorization|connection|cookie|expect|forwarded|host|keep-alive|te|trailer|transfer-encoding|upgrade|via|x-api-key|x-real-ip|proxy-.*|turnabout-.*|x-forwarded-(?:for|host|prefix|proto))$/;

/** @returns the name in lower case. @throws TurnaboutError `config_invalid` */
export function parseUserHeader(name: string): string {
  const field = name.toLowerCase();
  try {
    validateHeaderName(field);
  } catch (cause) {
    throw invalid(name, "is no name of a field", cause);
  }
  if (TAKEN.test(field) || passesToMoonlight(field)) throw invalid(name, "has another meaning in a request");
  return field;
}

function invalid(name: string, problem: string, cause?: unknown): TurnaboutError {
  const example = "use one such as X-Forwarded-User";
  return new TurnaboutError(
    "config_invalid",
    `moonlightUserHeader ${JSON.stringify(name)} ${problem}: ${example}`,
    {
      cause,
    },
  );
}

/**
 * The viewer's name: the user to whom the credential belongs, or the id of an operator's. Different ones stay different:
 * what a field may not contain is percent-encoded, and so is `%`.
 */
export function viewerName({ owner, id }: Pick<Identity, "id" | "owner">): string {
  return (owner ?? id).replaceAll(/[^A-Za-z0-9._~@+:/=-]/gu, (character) =>
    character.isWellFormed() ? encodeURIComponent(character) : "%EF%BF%BD",
  );
}
