/** `npm ci` in a checkout builds the page: npm runs the script `dependencies` there, and in no project that installs the package. Where the development packages are absent there is nothing to build it with, and no error. */
"use strict";

const isPossible = (() => {
  try {
    for (const name of ["esbuild", "preact", "@preact/signals", "uplot"]) require.resolve(name);
    return Boolean(process.features.typescript);
  } catch {
    return false;
  }
})();

if (isPossible) {
  process.argv = [process.argv[0], process.argv[1], "page"];
  void import("./main.ts");
} else {
  process.stdout.write(
    "turnabout: the page is not built: that needs the development packages (npm run page)\n",
  );
}
