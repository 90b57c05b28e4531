/** A popup with what went wrong. */
export function showError(error) {
  const dialog = document.createElement("dialog");
  dialog.className = "error";
  dialog.textContent = error.message;
  dialog.addEventListener("click", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
