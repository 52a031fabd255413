// What the console does beyond plain pages. Everything works without it but copying and live updates.
"use strict";

const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const isTyping = (target) => target.closest("input, textarea, select, [contenteditable]") !== null;

document.documentElement.classList.add("js");

// On a phone the navigation is a row that scrolls.
document.querySelector(".nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// Times. The server's clock counts, in the words of web/text.rs.
const ahead = Date.parse(document.body.dataset.now) - Date.now();
const MINUTE = 60e3, HOUR = 60 * MINUTE, DAY = 24 * HOUR;

function words(millis) {
  const far = Math.abs(millis);
  if (far < MINUTE) return "just now";
  const [size, unit] =
    far < HOUR ? [MINUTE, "min"] :
    far < DAY ? [HOUR, "h"] :
    far < 60 * DAY ? [DAY, "d"] :
    far < 730 * DAY ? [30 * DAY, "mo"] : [365 * DAY, "y"];
  return millis < 0 ? `in ${Math.round(far / size)} ${unit}` : `${Math.floor(far / size)} ${unit} ago`;
}

function refreshTimes() {
  const now = Date.now() + ahead;
  for (const time of all("time[datetime]")) {
    const text = words(now - Date.parse(time.dateTime));
    if (time.textContent !== text) time.textContent = text;
  }
}
setInterval(refreshTimes, 20e3);

// Copying. Plain HTTP has no clipboard API, but a copy event can be given any text.
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const give = (event) => {
    event.clipboardData.setData("text/plain", text);
    event.preventDefault();
  };
  document.addEventListener("copy", give, { once: true });
  document.execCommand("copy");
}

async function copyFrom(button) {
  await copy(button.dataset.copy);
  document.getElementById("said").textContent = "Copied";
  button.classList.add("copied");
  setTimeout(() => button.classList.remove("copied"), 1500);
}

// Confirmations open in front of the page; where anything is unusual, as the page that they are.
async function openDialog(link) {
  const answer = await fetch(link.href, { headers: { "HX-Request": "true" } }).catch(() => null);
  if (!answer?.ok || answer.redirected) {
    location.assign(link.href);
    return;
  }
  const dialog = document.getElementById("dialog");
  dialog.innerHTML = await answer.text();
  htmx.process(dialog);
  if (!dialog.open) dialog.showModal();
}

// A press beside an open dialog closes it: not one on its edge, nor a selection that ends outside.
let pressedBeside = false;
document.addEventListener("mousedown", ({ target, clientX: x, clientY: y }) => {
  const box = target.matches("dialog") ? target.getBoundingClientRect() : null;
  pressedBeside = box !== null && (x < box.left || x > box.right || y < box.top || y > box.bottom);
});

document.addEventListener("click", (event) => {
  const plain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
  const target = event.target.closest("[data-copy], a[data-dialog], [data-close]");
  const dialog = event.target.closest("dialog");
  if (target?.matches("[data-copy]")) {
    copyFrom(target);
  } else if (plain && target?.matches("a[data-dialog]")) {
    event.preventDefault();
    openDialog(target);
  } else if (plain && dialog && (target?.matches("[data-close]") || (event.target === dialog && pressedBeside))) {
    event.preventDefault();
    dialog.close();
  }
});

// A double click sends a form once: what a second answer says, such as that the name of a token is taken,
// would hide what the first one shows, this once.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (event.timeStamp - (form.sentAt ?? -Infinity) < 3e3) event.preventDefault();
  else form.sentAt = event.timeStamp;
});

// Search. What was found stands under the box; arrows walk it, and it goes when it is left.
const found = document.getElementById("found");

function moveFound(event) {
  const places = [document.getElementById("search"), ...all("a", found)];
  const at = places.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1);
  places[at]?.focus();
  event.preventDefault();
}

document.addEventListener("focusin", (event) => {
  if (found?.hasChildNodes() && !event.target.closest(".search")) found.replaceChildren();
});
found?.closest("form").addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") moveFound(event);
  if (event.key === "Escape") found.replaceChildren();
});
document.addEventListener("click", (event) => {
  if (!event.target.closest(".search")) found?.replaceChildren();
});

// Keys.
function moveRow(step) {
  const links = all("main .row-link");
  const at = links.findIndex((link) => link.closest("tr, li").contains(document.activeElement));
  const next = at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + step, 0), links.length - 1);
  links[next]?.focus();
}

let afterG = -Infinity;
document.addEventListener("keydown", (event) => {
  if (event.metaKey || event.ctrlKey || event.altKey || isTyping(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (document.querySelector("dialog[open]")) return;
  const section = event.timeStamp - afterG < 1500 && document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  afterG = event.key === "g" ? event.timeStamp : -Infinity;
  if (section) section.click();
  else if (event.key === "/") document.getElementById("search")?.focus();
  else if (event.key === "?") document.getElementById("keys").showModal();
  else if (event.key === "j") moveRow(1);
  else if (event.key === "k") moveRow(-1);
  else return;
  event.preventDefault();
});

// Live: whatever carries hx-trigger="live from:body" asks again. A page that nobody looks at holds
// no connection, and asks once when it is looked at again.
let source = null;
let pending = 0;
let wasLost = false;
let refusals = 0;

// What somebody reads just now stays as it is.
document.addEventListener("htmx:beforeRequest", (event) => {
  const { elt, requestConfig } = event.detail;
  if (requestConfig.triggeringEvent?.type === "live" && elt.querySelector("details[open]")) event.preventDefault();
});

// What others publish, promote or withdraw is said in a corner for a while.
function toast({ text, href }) {
  const toasts = document.getElementById("toasts");
  const line = document.createElement("div");
  line.className = "toast";
  const words = document.createElement("span");
  words.textContent = text;
  line.append(words);
  if (href) {
    const link = document.createElement("a");
    link.href = href;
    link.textContent = "Show";
    line.append(link);
  }
  toasts.append(line);
  while (toasts.children.length > 3) toasts.firstChild.remove();
  setTimeout(() => line.remove(), 10e3);
}

function hear(event) {
  const told = JSON.parse(event.data);
  if (!told.own && /^(release|channel)\./.test(told.action)) toast(told);
  announce();
}

function announce() {
  pending ||= setTimeout(() => {
    pending = 0;
    htmx.trigger(document.body, "live");
  }, 300);
}

function listen() {
  const url = document.body.dataset.live;
  if (!url || document.hidden || source) return;
  source = new EventSource(url);
  source.onmessage = hear;
  source.onerror = () => {
    wasLost = true;
    // Browsers connect again by themselves, but not after a bad answer, such as a proxy's while the server
    // starts. What stays bad is a session that has ended.
    if (source.readyState !== EventSource.CLOSED) return;
    source = null;
    if (refusals < 8) setTimeout(listen, 2e3 * 2 ** refusals++);
  };
  // What happened while the connection was gone is asked for once it is back.
  source.onopen = () => {
    if (wasLost) announce();
    wasLost = false;
    refusals = 0;
  };
}
listen();

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    source?.close();
    source = null;
  } else if (!source) {
    listen();
    announce();
    refreshTimes();
  }
});
