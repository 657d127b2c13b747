"use strict";
// The pages work without this: it spares clicks, and swaps a picture without a new page.

document.documentElement.classList.add("scripted");

// A version is shown as soon as it is chosen.
for (const select of document.querySelectorAll("select[data-go]")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}

// "/" goes to the search field.
document.addEventListener("keydown", (event) => {
  const field = document.querySelector("[data-find]");
  if (event.key === "/" && field && !event.target.closest("input, select, textarea")) {
    event.preventDefault();
    field.focus();
  }
});

// Sliders show what they point at while they move.
const PARTS = ["#view", ".slider output", ".slider .step"];
let latest = 0;

async function show(address) {
  const mine = ++latest;
  let text;
  try {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(answer.statusText);
    text = await answer.text();
  } catch {
    location.assign(address);
    return;
  }
  if (mine !== latest) return;
  const fresh = new DOMParser().parseFromString(text, "text/html");
  for (const part of PARTS) {
    const new_ = fresh.querySelectorAll(part);
    document.querySelectorAll(part).forEach((old, i) => {
      if (new_[i]) old.replaceWith(document.importNode(new_[i], true));
    });
  }
  history.replaceState(null, "", address);
}

for (const form of document.querySelectorAll("form[data-live]")) {
  let timer;
  const address = () => form.action + "?" + new URLSearchParams(new FormData(form));
  form.addEventListener("input", (event) => {
    if (event.target.type !== "range") return;
    clearTimeout(timer);
    timer = setTimeout(() => show(address()), 120);
  });
  form.addEventListener("change", (event) => {
    if (event.target.tagName === "SELECT") form.requestSubmit();
  });
  form.addEventListener("click", (event) => {
    const step = event.target.closest("a[data-swap][href]");
    if (!step || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const query = new URL(step.href).searchParams;
    for (const range of form.querySelectorAll("input[type=range]")) {
      range.value = query.get(range.name);
    }
    show(step.href);
  });
}
