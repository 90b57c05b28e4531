/**
 * What a browser may do with Moonlight Web's page. It has our origin, because it needs our cookie, WebSockets and storage, and
 * it sends no policy of its own: ours lets it load and reach nothing but this origin, and lets no other site frame it.
 */

type Fields = Record<string, string | string[]>;

/**
 * The inline script with which the pages of versions 2.10 and 3 set their language. It has been the same since it exists;
 * another one does not run, without harm.
 */
const LANGUAGE_SCRIPT = "'sha256-rIN45+SUBO4U012a5IK5piEITuk5/0Pm3JdMLlbiLSs='";

/** With the dialect that needs it, where not all do. */
const POLICY: readonly string[] = [
  "default-src 'none'",
  `script-src 'self' 'wasm-unsafe-eval' ${LANGUAGE_SCRIPT}`, // version 2: decoders, also in its worker
  "style-src 'self' 'unsafe-inline'", // version 3: its bundle writes style elements
  "img-src 'self' blob:",
  "media-src 'self' blob:",
  "connect-src 'self'",
  "font-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
];

const PERMISSIONS = [
  "autoplay=(self)",
  "fullscreen=(self)",
  "gamepad=(self)",
  ...[
    "camera",
    "display-capture",
    "geolocation",
    "hid",
    "microphone",
    "midi",
    "payment",
    "serial",
    "usb",
  ].map((name) => `${name}=()`),
].join(", ");

/** @param framedBy origins besides our own whose pages may show it in a frame */
export function pagePolicy(framedBy: readonly string[] = []): (fields: Fields) => void {
  const ancestors = ["'self'", ...framedBy].join(" ");
  const policy = [...POLICY, `frame-ancestors ${ancestors}`].join("; ");
  return (fields) => {
    const own = fields["content-security-policy"] ?? [];
    fields["content-security-policy"] = [...(Array.isArray(own) ? own : [own]), policy];
    fields["x-content-type-options"] = "nosniff";
    fields["cross-origin-opener-policy"] = "same-origin";
    fields["cross-origin-resource-policy"] = "same-origin";
    fields["permissions-policy"] = PERMISSIONS;
    // Helix's fork says nothing: a browser would keep its files for a tenth of their age, and mix those of two versions.
    if (fields["cache-control"] === undefined && fields["expires"] === undefined) {
      fields["cache-control"] = "private, no-cache";
    }
  };
}
