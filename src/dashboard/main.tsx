/** The page of the control plane. It knows its public API and nothing else of it. */
import { render } from "preact";
import { findSignIn } from "./state/sign-in.ts";
import { App } from "./shell/app.tsx";

const root = document.querySelector("#app");
if (root !== null) {
  root.replaceChildren();
  render(<App />, root);
  void findSignIn();
}
