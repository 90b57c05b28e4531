/**
 * Response fields that hold an address of the resource or a redirect, rewritten so that they lead to the target through us.
 * `Link` is not among them: links, in a field as in a page, are the target's content.
 */
import { locate } from "./mount.ts";
import type { Place } from "./mount.ts";

type Rewrite = (value: string, place: Place) => string | undefined;

const REWRITES: Readonly<Record<string, Rewrite>> = {
  location: rewriteReference, // RFC 9110 §10.2.2
  "content-location": rewriteReference, // RFC 9110 §8.7
  refresh: rewriteRefresh,
};

export function isLocationField(name: string): boolean {
  return Object.hasOwn(REWRITES, name);
}

/**
 * The field's value for the caller; undefined where it is dropped: it leads to no route or, in `Refresh`, to another host.
 *
 * @param place undefined: not rewritten, but a `Refresh` to another host is dropped
 */
export function rewriteLocation(
  name: string,
  value: string | string[],
  place: Place | undefined,
): string | string[] | undefined {
  const rewrite = REWRITES[name];
  const one = (item: string): string | undefined => {
    if (place === undefined) return name === "refresh" ? rewriteRefresh(item, undefined) : item;
    return rewrite === undefined ? item : rewrite(item, place);
  };
  if (!Array.isArray(value)) return one(value);
  const kept = value.flatMap((item) => one(item) ?? []);
  return kept.length === 0 ? undefined : kept;
}

const BEYOND_ASCII = /[^\0-\u007F]/;
/** One slash, and what follows cannot be an authority: browsers read `\` as `/`, and ignore a tab. */
const ROOTED_PATH = /^\/(?![\\/\t])/;

/** A path with bytes beyond ASCII, in a form that cannot name a host. */
export function isRootedNonAscii(reference: string): boolean {
  return BEYOND_ASCII.test(reference) && ROOTED_PATH.test(reference);
}

function rewriteReference(value: string, place: Place): string | undefined {
  const located = locate(value, place);
  if (located.kind === "target") return located.reference;
  return located.kind === "foreign" ? value : undefined;
}

/** HTML's "shared declarative refresh steps": `5`, `5; url=/next`, `5, URL='/next'`, `5 /next`. */
const REFRESH = /^(\s*\d*(?:\.[\d.]*)?)(?:(\s*[;,]\s*|\s+)(url\s*=\s*)?(.*))?$/is;
const LEAVES = /^\s*(?:[a-z][a-z0-9+.-]*:|[\\/]{2})/i;

/** `Refresh` is a redirect that does not look like one: it may not lead to another host. */
function rewriteRefresh(value: string, place: Place | undefined): string | undefined {
  const [, delay = "", between, url = "", rest = ""] = REFRESH.exec(value) ?? [];
  if (between === undefined) return /^\s*[\d.]+\s*$/.test(value) ? value : undefined;
  const quote = /^["']/.exec(rest)?.[0] ?? "";
  const [reference = ""] = quote === "" ? [rest] : rest.slice(1).split(quote, 1);
  if (place === undefined) return LEAVES.test(reference) ? undefined : value;
  const located = locate(reference, place);
  return located.kind === "target"
    ? `${delay}${between}${url}${quote}${located.reference}${quote}`
    : undefined;
}
