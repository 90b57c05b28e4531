/** Programs that the end-to-end tests run for real, besides those of `npm test`. */
import type { Part } from "../support/parts.ts";

export const E2E_PARTS: readonly Part[] = [
  { name: "sway", packages: ["sway"], why: "the desktop of a sandbox" },
  { name: "swaybg", packages: ["swaybg"], why: "its background" },
  { name: "grim", packages: ["grim"], why: "its screenshots" },
  { name: "wl-copy", packages: ["wl-clipboard"], why: "its clipboard" },
  { name: "wtype", packages: ["wtype"], why: "its keyboard" },
  { name: "foot", packages: ["foot", "fonts-dejavu-core"], why: "a client that draws" },
  { name: "setpriv", packages: ["util-linux"], why: "a sandbox's ordinary user" },
  { name: "chromium", packages: ["chromium"], why: "the viewer's browser" },
  { name: "certutil", packages: ["libnss3-tools"], why: "an authority that it trusts" },
  {
    name: "django-admin",
    packages: ["python3-django", "python3-werkzeug"],
    why: "a web application with a login",
  },
  { name: "psql", packages: ["postgresql", "postgresql-client"], why: "a database and its client" },
  { name: "sshd", packages: ["openssh-server", "openssh-client"], why: "a login, and scp" },
  { name: "prometheus", packages: ["prometheus"], why: "scrapes metrics, and evaluates the alert rules" },
  { name: "promtool", packages: ["prometheus"], why: "the rules' unit tests" },
  { name: "nft", packages: ["nftables"], why: "NAT, and counting what passes it" },
  { name: "ip", packages: ["iproute2"], why: "networks of their own" },
  { name: "nsenter", packages: ["util-linux"], why: "processes in them" },
  { name: "ps", packages: ["procps"], why: "looking at processes by hand when a test fails" },
];
