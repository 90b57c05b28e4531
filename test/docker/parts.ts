/** Programs that the Docker tests run for real. All of them are Debian 12's. */
import type { Part } from "../support/parts.ts";

export const DOCKER_PARTS: readonly Part[] = [
  { name: "dockerd", packages: ["docker.io", "iptables"], why: "a Docker Engine" },
  { name: "docker", packages: ["docker.io"], why: "its command" },
  { name: "docker-compose", packages: ["docker-compose"], why: "compose files" },
  { name: "debootstrap", packages: ["debootstrap"], why: "a Debian base image without a registry" },
  { name: "tini", packages: ["tini"], why: "a first process for the engine's namespaces" },
  { name: "unshare", packages: ["util-linux"], why: "namespaces of the engine's own" },
  { name: "nsenter", packages: ["util-linux"], why: "programs in them" },
  { name: "setpriv", packages: ["util-linux"], why: "an engine that ends with its test" },
  { name: "ip", packages: ["iproute2"], why: "the loopback of that network" },
  { name: "busybox", packages: ["busybox-static"], why: "the smallest image" },
  { name: "curl", packages: ["curl", "ca-certificates"], why: "the commands of the documents" },
];

/** The second engine. */
export const PODMAN_PARTS: readonly Part[] = [
  { name: "podman", packages: ["podman"], why: "another engine with Docker's API" },
];
