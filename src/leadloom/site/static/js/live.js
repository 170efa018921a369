/* A dashboard that fills while a run goes on. The server sends counters and ids; rows and cards are fetched as HTML.

   Counters are written as text, never as HTML. Rows are fetched at once when the first leads are in, then at most three
   times a second; not while somebody reads further down or marks text. Hidden tabs hold no stream. */

const ROWS_PACE_MS = 330;
const CARDS_PACE_MS = 1000;
const AGAIN_MS = 4000;

const number = new Intl.NumberFormat("en");
const runs = new Map(); // the last word of each run
const began = new Map(); // when a refresh was first seen here
let source = null;

/* At once the first time, then at most once in `pace` ms, the last call never lost. */
function paced(act, pace) {
  let last = 0;
  let waiting = null;
  return () => {
    if (waiting) return;
    const wait = Math.max(last + pace - Date.now(), 0);
    waiting = setTimeout(() => {
      waiting = null;
      last = Date.now();
      act();
    }, wait);
  };
}

const ask = (element) => element && window.htmx?.trigger(element, "refresh");

function isReading(body) {
  const selection = getSelection();
  const marks = selection && !selection.isCollapsed && body.contains(selection.anchorNode);
  return marks || body.getBoundingClientRect().top < -120;
}

const refreshRows = paced(() => {
  const body = document.querySelector("#threads-body[data-first-page]");
  if (!body) return;
  if (isReading(body)) return offerFresh(body);
  document.querySelector(".threads-fresh")?.remove();
  ask(body);
}, ROWS_PACE_MS);

function offerFresh(body) {
  if (document.querySelector(".threads-fresh")) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn btn-primary btn-small threads-fresh";
  button.textContent = "Show new activity";
  button.addEventListener("click", () => {
    button.remove();
    getSelection()?.removeAllRanges();
    document.querySelector("#threads").scrollIntoView();
    ask(body.isConnected ? body : document.querySelector("#threads-body"));
  });
  document.querySelector("main").append(button);
}

/* Cards under somebody's hand stay as they are: a menu that closes by itself, or a button replaced between the press
   and the release, loses a click. */
let isPressed = false;
document.addEventListener("pointerdown", (event) => (isPressed = Boolean(event.target.closest("#connections"))), true);
for (const end of ["pointerup", "pointercancel"]) {
  // The click comes after the release: wait until it has been heard.
  document.addEventListener(end, () => setTimeout(() => (isPressed = false)), true);
}
const isInUse = (cards) => isPressed || Boolean(cards.querySelector("[data-menu][open]"));

const refreshCards = paced(() => {
  const cards = document.querySelector("#connections");
  if (!cards) return;
  if (isInUse(cards)) return setTimeout(refreshCards, CARDS_PACE_MS);
  ask(cards);
}, CARDS_PACE_MS);

document.addEventListener("htmx:beforeSwap", (event) => {
  const { target, requestConfig } = event.detail;
  if (target?.id !== "connections" || requestConfig?.triggeringEvent?.type !== "refresh" || !isInUse(target)) return;
  event.detail.shouldSwap = false; // asked for before the hand came
  setTimeout(refreshCards, CARDS_PACE_MS);
});

const refreshEnded = paced(() => {
  ask(document.querySelector("#refresh-line[data-runs]"));
  for (const element of document.querySelectorAll("[data-refresh-when-ended]")) ask(element);
}, 200);

/* Words of the server -------------------------------------------------------------------------------------------- */

function hear(word) {
  if (word.kind === "look_again") return lookAgain();
  if (word.kind === "connection") return refreshCards();
  if (word.kind === "lead") return refreshRows();
  if (word.kind !== "run" || !word.run) return;
  const before = runs.get(word.run);
  if (before?.ended) return;
  runs.set(word.run, word);
  showRun(word);
  const rowsChanged = ["created", "updated", "linked", "gone"].some((name) => (word[name] ?? 0) !== (before?.[name] ?? 0));
  if (rowsChanged || word.ended) refreshRows();
  const isShown = document.querySelector(`[data-run-line="${word.run}"]`);
  if (word.ended || word.state !== before?.state || !isShown || rowsChanged) refreshCards();
  if (word.ended) refreshEnded();
}

function lookAgain() {
  refreshCards();
  refreshRows();
  refreshEnded();
}

function showRun(word) {
  for (const line of document.querySelectorAll(`[data-run-line="${word.run}"]`)) {
    const figure = (name) => line.querySelector(`[data-figure="${name}"]`);
    const write = (name, text) => {
      const place = figure(name);
      if (place && place.textContent !== text) place.textContent = text;
    };
    write("seen", number.format(word.seen ?? 0));
    write("of", word.total ? `of ${number.format(word.total)} seen` : "seen");
    write("created", number.format(word.created ?? 0));
    write("updated", number.format(word.updated ?? 0));
    write("skipped", number.format((word.skipped ?? 0) + (word.failed ?? 0)));
    write("rate", number.format(word.rate ?? 0));
    const bar = figure("bar");
    if (bar && word.total) {
      bar.max = Math.max(word.total, word.seen);
      bar.value = word.seen;
    }
    const first = figure("first");
    if (first && word.first_lead_s != null) {
      first.hidden = false;
      first.textContent = `first lead ${word.first_lead_s.toFixed(1)} s`;
    }
  }
}

/* The stream ------------------------------------------------------------------------------------------------------- */

function open() {
  if (source || document.hidden || !document.querySelector("[data-live]")) return;
  source = new EventSource("/live");
  source.addEventListener("ready", lookAgain);
  source.onmessage = (event) => hear(JSON.parse(event.data));
  source.onerror = () => {
    if (source?.readyState !== EventSource.CLOSED) return; // it comes back by itself
    source = null;
    setTimeout(open, AGAIN_MS);
  };
}

function close() {
  source?.close();
  source = null;
}

document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
window.addEventListener("pagehide", close);
window.addEventListener("pageshow", open);

/* Rows that were not there before ----------------------------------------------------------------------------------- */

let shown = null;
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target?.id !== "threads-body") return;
  const isOurs = event.detail.requestConfig?.triggeringEvent?.type === "refresh";
  const ids = [...document.querySelectorAll("#threads-rows > tr")].map((row) => row.id);
  shown = isOurs && ids.length ? new Set(ids) : null;
});
document.addEventListener("htmx:afterSettle", (event) => {
  if (!shown || event.detail.elt?.id !== "threads-body") return;
  for (const row of document.querySelectorAll("#threads-rows > tr")) {
    if (!shown.has(row.id)) row.classList.add("is-fresh");
  }
  shown = null;
});

/* Seconds of a refresh ---------------------------------------------------------------------------------------------- */

function tick() {
  for (const place of document.querySelectorAll("[data-seconds-since]")) {
    const key = place.dataset.secondsSince;
    if (!began.has(key)) began.set(key, Date.now());
    place.textContent = `${Math.floor((Date.now() - began.get(key)) / 1000)} s`;
  }
}
setInterval(tick, 500);

document.addEventListener("htmx:load", () => {
  open();
  tick();
  // A run may have ended before the line that waits for it was on the page.
  const line = document.querySelector("#refresh-line[data-runs]");
  if (line?.dataset.runs.split(",").some((run) => runs.get(Number(run))?.ended)) refreshEnded();
});
open();
