/**
 * A target's page that a browser opens with our cookie has our origin, and could do whatever its viewer may. It gets an
 * origin of its own: its requests carry no cookie of ours, and it can read nothing of ours. Fields with which it would act
 * beside its document, in the name of the origin that the browser shows, are removed.
 */

/** Everything that a page may do except use our origin (`allow-same-origin`) and navigate the top-level window. */
const SANDBOX =
  "sandbox allow-scripts allow-forms allow-modals allow-popups allow-downloads allow-pointer-lock allow-presentation";

/** With what a browser does at each. */
const WITHHELD: ReadonlySet<string> = new Set([
  "www-authenticate", // asks for a password in our name, and sends it to every target
  "authentication-info",
  "link", // loads what it names, in a 103 with our origin, because that response has no policy yet
  "speculation-rules", // loads pages ahead of time, with our cookie
  "supports-loading-mode",
  "origin-trial", // turns on features of the browser
  "permissions-policy", // hands out our origin's permissions
  "permissions-policy-report-only",
  "feature-policy",
  "document-policy",
  "document-policy-report-only",
  "require-document-policy",
  "document-isolation-policy",
  "document-isolation-policy-report-only",
  "sourcemap", // is loaded by developer tools
  "x-sourcemap",
]);

/** Browsers refuse a page of an opaque origin that has them, or its own files: a target does not know of that origin. */
const CROSS_ORIGIN = "cross-origin-";

/** Whether a page with an origin of its own has no use for the field, or must not have it. */
export function isWithheldFromPages(name: string): boolean {
  return WITHHELD.has(name) || name.startsWith(CROSS_ORIGIN);
}

/** Adds to the target's own policy: a browser enforces all of several policies. */
export function isolate(fields: Record<string, string | string[]>): void {
  const own = fields["content-security-policy"] ?? [];
  fields["content-security-policy"] = [...(Array.isArray(own) ? own : [own]), SANDBOX];
  fields["x-content-type-options"] = "nosniff";
}
