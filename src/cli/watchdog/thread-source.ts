/** Where a worker finds the watchdog thread: a file. In a bundle the thread's text is in the place of this module (agents/packaging/). */

// The compiler does not rewrite the extension here.
const file = import.meta.url.endsWith(".ts") ? "./thread.ts" : "./thread.js";

export const THREAD: URL | string = new URL(file, import.meta.url);
