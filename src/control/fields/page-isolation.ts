/**
 * A target's page that a browser opens with our cookie has our origin, and could do whatever its viewer may. It gets an
 * origin of its own: its requests carry no cookie of ours, and it can read nothing of ours.
 */

/** Everything that a page may do except use our origin (`allow-same-origin`) and navigate the top-level window. */
const SANDBOX =
  "sandbox allow-scripts allow-forms allow-modals allow-popups allow-downloads allow-pointer-lock allow-presentation";

/** Adds to the target's own policy: a browser enforces all of several policies. */
export function isolate(fields: Record<string, string | string[]>): void {
  const own = fields["content-security-policy"] ?? [];
  fields["content-security-policy"] = [...(Array.isArray(own) ? own : [own]), SANDBOX];
  fields["x-content-type-options"] = "nosniff";
}
