/** A dialog with one field. @returns what was typed, when it was sent */
export function askText(question, type) {
  const dialog = document.createElement("dialog");
  const form = document.createElement("form");
  const label = document.createElement("label");
  const input = document.createElement("input");
  input.type = type;
  label.append(`${question} `, input);
  form.method = "dialog";
  form.append(label);
  dialog.append(form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(input.value);
    });
  });
}
