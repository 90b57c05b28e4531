/**
 * nginx, HAProxy and Caddy as images, without a registry: this machine's own programs with the libraries that they need,
 * in place of the public images whose names compose files have as defaults.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { partPath } from "../support/parts.ts";
import type { Part } from "../support/parts.ts";
import type { Engine } from "./engine.ts";

const run = promisify(execFile);

/** Of the deployment guide's test, besides those of the engine. */
export const TERMINATOR_PARTS: readonly Part[] = [
  { name: "git", packages: ["git"], why: "the guide's first command" },
  { name: "openssl", packages: ["openssl"], why: "which certificate is in use" },
  { name: "nginx", packages: ["nginx-light"], why: "TLS in front" },
  { name: "haproxy", packages: ["haproxy"], why: "TLS in front" },
  { name: "caddy", packages: ["caddy"], why: "TLS in front" },
];

/** The variables of compose/.env.example that name the images. */
export const TERMINATOR_IMAGES = {
  NGINX_IMAGE: "turnabout-front-nginx",
  HAPROXY_IMAGE: "turnabout-front-haproxy",
  CADDY_IMAGE: "turnabout-front-caddy",
} as const;

/** Makes {@link TERMINATOR_IMAGES} known to the engine. */
export async function importTerminators(engine: Engine): Promise<void> {
  for (const [program, image] of [
    ["nginx", TERMINATOR_IMAGES.NGINX_IMAGE],
    ["haproxy", TERMINATOR_IMAGES.HAPROXY_IMAGE],
    ["caddy", TERMINATOR_IMAGES.CADDY_IMAGE],
  ] as const) {
    const root = await mkdtemp(join(engine.folder, `${program}-`));
    await collect(program, root);
    const tar = `${root}.tar`;
    await run("tar", ["-C", root, "-cf", tar, "."]);
    await engine.command("docker", ["import", tar, image]);
    await rm(root, { recursive: true, force: true });
    await rm(tar);
  }
}

/** A root file system of one program: its libraries, the users' names, places to write. */
async function collect(program: string, root: string): Promise<void> {
  const path = partPath(program);
  const { stdout } = await run("ldd", [path]).catch(() => ({ stdout: "" })); // Caddy's has none
  const libraries = [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, library = ""]) => library);
  // Name lookups are loaded when they are needed.
  const lookups = ["/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu"]
    .flatMap((folder) => ["libnss_dns.so.2", "libnss_files.so.2"].map((name) => join(folder, name)))
    .filter((library) => existsSync(library));
  for (const library of [...libraries, ...lookups]) await copy(library, join(root, library));
  await copy(path, join(root, "usr/sbin", program));
  for (const folder of [
    "etc",
    "run",
    "tmp",
    "var/log/nginx",
    "var/lib/nginx",
    "var/cache/nginx",
    "etc/nginx",
  ])
    await mkdir(join(root, folder), { recursive: true });
  await chmod(join(root, "tmp"), 0o1777);
  const nobody = "nobody:x:65534:65534:nobody:/:/bin/false";
  await writeFile(join(root, "etc/passwd"), `root:x:0:0:root:/root:/bin/false\n${nobody}\n`);
  await writeFile(join(root, "etc/group"), "root:x:0:\nnogroup:x:65534:\n");
  await writeFile(join(root, "etc/nsswitch.conf"), "hosts: files dns\n");
}

async function copy(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await cp(from, to, { dereference: true });
}
