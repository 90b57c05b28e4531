/** Loaded into a command (`--import`): on SIGUSR2 an error that no guard catches, an exception, a rejection, or one that cannot be read. */
process.on("SIGUSR2", () => {
  const fault = process.env["FAULT"];
  if (fault === "unreadable") throw unreadable();
  if (fault === "unreadable rejection") return void Promise.reject(unreadable());
  if (fault !== "rejection") throw new Error("injected exception");
  void Promise.reject(new Error("injected rejection"));
});

function unreadable(): Error {
  const get = (): never => {
    throw new Error("of a getter");
  };
  return Object.defineProperties(new Error("hidden"), { message: { get }, stack: { get }, name: { get } });
}
