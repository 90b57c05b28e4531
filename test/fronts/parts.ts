/** TLS terminators, as Debian packages. */
import type { Part } from "../support/parts.ts";

export const PARTS: readonly Part[] = [
  { name: "nginx", packages: ["nginx-light"], why: "a TLS terminator" },
  { name: "haproxy", packages: ["haproxy"], why: "a TLS terminator, PROXY protocol, passthrough" },
  { name: "caddy", packages: ["caddy"], why: "a TLS terminator" },
  { name: "apache2", packages: ["apache2-bin"], why: "a TLS terminator" },
];
