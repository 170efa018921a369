/* What every page needs: CSRF for htmx, the dialog, menus, toasts, copying, times that stay true. Pages work without it. */

import "./live.js";

export const csrfToken = () => document.querySelector('meta[name="csrf-token"]')?.content ?? "";

document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRFToken"] = csrfToken();
});

/* Toasts ---------------------------------------------------------------------------------------------------- */

export function toast(text, tone = "") {
  const box = document.createElement("div");
  box.className = `banner ${tone ? `banner-${tone}` : ""}`;
  box.dataset.toast = "";
  const words = document.createElement("p");
  words.textContent = text;
  box.append(words);
  document.querySelector("#toasts")?.append(box);
  dressToast(box);
}

function dressToast(box) {
  const close = box.querySelector("[data-dismiss]");
  if (close) close.hidden = false;
  const isPassing = box.closest("#toasts") && !box.classList.contains("banner-bad");
  if (isPassing) setTimeout(() => box.remove(), 8000);
}

const wentWrong = (event) => {
  const status = event.detail.xhr?.status;
  if (status === 401) return; // htmx follows the way to the sign-in page
  if (event.detail.requestConfig?.verb === "get" && event.detail.elt?.hasAttribute("data-quiet")) return;
  toast(
    status === 404
      ? "That is not there any more. Reload the page."
      : status === 403
        ? "This is not allowed, or the page is out of date. Reload it and try again."
        : status === 503
          ? "The database cannot be reached just now. Nothing was changed; try again in a few seconds."
          : status
            ? "That did not work: something went wrong on our side. Try again in a moment."
            : "Leadloom cannot be reached. Check your connection; nothing was changed.",
    "bad",
  );
};
document.addEventListener("htmx:responseError", wentWrong);
document.addEventListener("htmx:sendError", wentWrong);

/* The dialog ------------------------------------------------------------------------------------------------- */

const dialog = document.querySelector("#dialog");

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target?.id !== "dialog-content") return;
  if (!dialog.open) dialog.showModal();
  dialog.querySelector("[autofocus], input:not([type=hidden])")?.focus();
});
dialog?.addEventListener("click", (event) => {
  const outside = event.target === dialog;
  if (outside || event.target.closest("[data-close-dialog]")) {
    event.preventDefault();
    dialog.close();
  }
});
document.addEventListener("close-dialog", () => dialog?.close());
dialog?.addEventListener("close", () => document.querySelector("#dialog-content")?.replaceChildren());

/* Clicks ------------------------------------------------------------------------------------------------------ */

document.addEventListener("click", (event) => {
  const signIn = event.target.closest("[data-nango]");
  if (signIn) import("./nango-sign-in.js").then((nango) => nango.signIn(signIn));
  event.target.closest("[data-dismiss]")?.closest("[data-toast]")?.remove();
  for (const menu of document.querySelectorAll("[data-menu][open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
  const copy = event.target.closest("[data-copy-for]");
  if (copy) {
    const input = document.getElementById(copy.dataset.copyFor);
    input.select();
    navigator.clipboard?.writeText(input.value).then(() => toast("Copied.", "ok"));
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    for (const menu of document.querySelectorAll("[data-menu][open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  }
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    const search = document.querySelector('input[type="search"]');
    if (search) {
      event.preventDefault();
      search.focus();
    }
  }
});
document.addEventListener("focusin", (event) => {
  if (event.target.matches("input[data-copy]")) event.target.select();
});

/* Times -------------------------------------------------------------------------------------------------------- */

const steps = [
  [60, "s", 1],
  [3600, "min", 60],
  [86_400, "h", 3600],
  [Infinity, "d", 86_400],
];

function away(seconds) {
  const [, unit, size] = steps.find(([limit]) => seconds < limit);
  return `${Math.max(Math.floor(seconds / size), 0)} ${unit}`;
}

function tellTimes(root = document) {
  for (const time of root.querySelectorAll("time[data-ago]")) {
    const at = new Date(time.dateTime);
    const seconds = (Date.now() - at) / 1000;
    time.title = at.toLocaleString();
    if (Math.abs(seconds) > 14 * 86_400) continue; // the server's date is clearer by then
    time.textContent = seconds >= 0 ? (seconds < 5 ? "just now" : `${away(seconds)} ago`) : `in ${away(-seconds)}`;
  }
  for (const time of root.querySelectorAll("time[data-local]")) {
    const at = new Date(time.dateTime);
    const clock = { hour: "numeric", minute: "2-digit" };
    const day = { month: "short", day: "numeric" };
    const year = at.getFullYear() === new Date().getFullYear() ? {} : { year: "numeric" };
    time.textContent = at.toLocaleString(undefined, time.dataset.local === "clock" ? clock : { ...day, ...year, ...clock });
  }
}

/* Start ---------------------------------------------------------------------------------------------------------- */

for (const hidden of document.querySelectorAll("[data-theme-toggle]")) hidden.hidden = false;
for (const box of document.querySelectorAll("[data-toast]")) dressToast(box);
for (const input of document.querySelectorAll("input[data-copy]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn btn-small";
  button.textContent = "Copy";
  button.dataset.copyFor = input.id;
  input.after(button);
}
tellTimes();
setInterval(tellTimes, 10_000);
document.addEventListener("htmx:load", (event) => {
  tellTimes(event.detail.elt);
  for (const box of event.detail.elt.querySelectorAll?.("[data-toast]") ?? []) dressToast(box);
});
