/** Loaded into a command (`--import`): on SIGUSR2 an error that no guard catches, an exception or a rejection. */
process.on("SIGUSR2", () => {
  if (process.env["FAULT"] !== "rejection") throw new Error("injected exception");
  void Promise.reject(new Error("injected rejection"));
});
