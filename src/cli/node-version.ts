/** The one file that an older Node can run: it says what is missing in one line instead of a stack trace. */
const NEEDED = [24, 18, 1];

export function requireNode(): void {
  const have = process.versions.node.split(".").map(Number);
  for (let i = 0; i < NEEDED.length; i += 1) {
    const difference = (have[i] || 0) - (NEEDED[i] || 0);
    if (difference > 0) return;
    if (difference < 0) {
      console.error(
        `error: turnabout needs Node ${NEEDED.join(".")} or later; this is ${process.versions.node}`,
      );
      console.error(
        "hint: install a newer Node, or run it by npm in its own folder, where `npm ci` brings one",
      );
      process.exit(1);
    }
  }
}
