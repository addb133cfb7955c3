"use strict";
// The page as it is next takes the place of its parts, so that neither the reader's place, focus nor words are lost.
const every = 2000, parts = ["top", "now", "list"], $ = id => document.getElementById(id);
document.body.classList.add("live");
let timer, asked = 0, since = null;
async function refresh() {
  clearTimeout(timer);
  const turn = ++asked;
  try {
    const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(10000) });
    if (!answer.ok) throw new Error(answer.status);
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (turn !== asked) return;
    since = null;
    document.body.classList.remove("stale");
    if (getSelection().isCollapsed) show(next); // else a reader copies something
  } catch {
    if (turn !== asked) return;
    since ??= new Date();
    document.body.classList.add("stale");
    $("state").className = "pill bad";
    $("state").textContent = "no answer since " + since.toISOString().slice(0, 19).replace("T", " ") + " UTC";
    document.title = "⚠ no answer · docker_logs";
  }
  timer = setTimeout(refresh, document.hidden ? 5 * every : every);
}
function show(next) {
  document.title = next.title;
  const link = document.activeElement?.closest?.("#list a")?.getAttribute("href");
  for (const id of parts) $(id).replaceWith(document.adoptNode(next.getElementById(id)));
  if (link) [...document.querySelectorAll("#list a")].find(a => a.getAttribute("href") === link)?.focus();
}
$("filter").addEventListener("input", () => {
  const to = new URL(location.href), words = $("filter").value;
  if (words) to.searchParams.set("filter", words); else to.searchParams.delete("filter");
  history.replaceState(null, "", to);
  clearTimeout(timer);
  timer = setTimeout(refresh, 200);
});
timer = setTimeout(refresh, every);
