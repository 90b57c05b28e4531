/** Loaded into a command: SIGUSR2 starts an endless loop in its main thread. It exits by itself after a minute. */
const DEADLINE_MS = 60_000;

process.on("SIGUSR2", () => {
  const deadline = Date.now() + DEADLINE_MS;
  while (Date.now() < deadline);
  process.exit(3);
});
