/**
 * Pages of a target that a browser opens with its cookie have our origin, and could do whatever their viewer may. They
 * get an origin of their own: no cookie of ours goes with what they ask, and they can read nothing of ours.
 */

/** Everything that a page may do, but for our origin (`allow-same-origin`) and the window above it. */
const SANDBOX =
  "sandbox allow-scripts allow-forms allow-modals allow-popups allow-downloads allow-pointer-lock allow-presentation";

/** In addition to the target's own policy: of several policies each holds. */
export function isolate(fields: Record<string, string | string[]>): void {
  const own = fields["content-security-policy"] ?? [];
  fields["content-security-policy"] = [...(Array.isArray(own) ? own : [own]), SANDBOX];
  fields["x-content-type-options"] = "nosniff";
}
