/** Loaded into a command: SIGUSR2 brings its main thread into an endless loop. It ends by itself after a minute. */
const DEADLINE_MS = 60_000;

process.on("SIGUSR2", () => {
  const deadline = Date.now() + DEADLINE_MS;
  while (Date.now() < deadline);
  process.exit(3);
});
