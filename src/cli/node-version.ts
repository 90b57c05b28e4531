/** The only file that an older Node can run: it reports the required version instead of a stack trace. */
const REQUIRED = [24, 18, 1];

export function requireNode(): void {
  const actual = process.versions.node.split(".").map(Number);
  for (let i = 0; i < REQUIRED.length; i += 1) {
    const difference = (actual[i] || 0) - (REQUIRED[i] || 0);
    if (difference > 0) return;
    if (difference < 0) {
      console.error(
        `error: turnabout needs Node ${REQUIRED.join(".")} or later; this is ${process.versions.node}`,
      );
      console.error(
        "hint: install a newer Node, or run it with npm in the repository, where `npm ci` installs one",
      );
      process.exit(1);
    }
  }
}
