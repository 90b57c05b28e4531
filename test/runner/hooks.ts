/**
 * Serves stripped sources from the folder that this file has been written to. In test processes, and in those of our
 * commands that tests start: stripping costs a process that imports everything a quarter of a second.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

registerHooks({
  // Node would look at the file system for a package.json and for links, for each of a process's hundreds of files.
  resolve: (specifier, context, nextResolve) => {
    const { parentURL } = context;
    const isOurs = specifier.startsWith(".") && specifier.endsWith(".ts") && parentURL?.startsWith("file:");
    if (isOurs !== true) return nextResolve(specifier, context);
    return { url: new URL(specifier, parentURL).href, format: "module-typescript", shortCircuit: true };
  },
  load: (url, context, nextLoad) => {
    if (!url.startsWith("file:") || !url.endsWith(".ts") || url.includes("/node_modules/")) {
      return nextLoad(url, context);
    }
    try {
      const name = createHash("sha256")
        .update(readFileSync(fileURLToPath(url)))
        .digest("hex");
      const source = readFileSync(join(import.meta.dirname, `${name}.mjs`), "utf8");
      return { format: "module", source, shortCircuit: true };
    } catch {
      return nextLoad(url, context); // written since the run began: node strips it
    }
  },
});
