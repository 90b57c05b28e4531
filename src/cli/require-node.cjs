/**
 * Loaded before the TypeScript sources are, which an old Node cannot read: it reports the required version instead of
 * `Unknown file extension ".ts"`.
 */
"use strict";
const { engines } = require("../../package.json");
const required = engines.node.replace(/^>=/, "").split(".").map(Number);
const actual = process.versions.node.split(".").map(Number);
const difference = required.map((part, i) => actual[i] - part).find((each) => each !== 0);
if (difference < 0) {
  console.error(
    `error: turnabout needs Node ${required.join(".")} or later; this is ${process.versions.node}`,
  );
  console.error(
    "hint: run `npm ci` in the repository, which installs one for its npm scripts, or install a newer Node",
  );
  process.exit(1);
}
