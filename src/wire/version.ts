/** Software version, from the package itself: the same file is found from `src/wire` and from `dist/wire`. */
import { createRequire } from "node:module";

const manifest = createRequire(import.meta.url)("../../package.json") as { version: string };

export const VERSION: string = manifest.version;
