/** The smallest image: one static program. */
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Engine } from "./engine.ts";

export const BUSYBOX = "turnabout-busybox";

/** @returns the image's name */
export async function importBusybox(engine: Engine): Promise<string> {
  const root = join(engine.folder, "busybox");
  await mkdir(join(root, "bin"), { recursive: true });
  await copyFile("/bin/busybox", join(root, "bin/busybox"));
  const tar = join(engine.folder, "busybox.tar");
  await engine.command("tar", ["-C", root, "-cf", tar, "."]);
  await engine.command("docker", ["import", "--change", "ENV PATH=/bin", tar, BUSYBOX]);
  return BUSYBOX;
}
