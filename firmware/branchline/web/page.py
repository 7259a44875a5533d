"""The status page: one self-contained text, which asks the API again and again.

Whatever the API tells becomes text nodes, never markup.
"""

HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    # The script and style below, requests to where the page came from, and nothing else.
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}

PAGE = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>Branchline</title>
<style>
:root{--bg:#f4f5f7;--card:#fff;--ink:#1a1d21;--dim:#667080;--line:#e1e4e9;--good:#137a43;
--fair:#946000;--bad:#c02626}
@media(prefers-color-scheme:dark){:root{--bg:#121417;--card:#1c2025;--ink:#e8eaed;--dim:#98a1ae;
--line:#2d333b;--good:#4ccb82;--fair:#e5b143;--bad:#ff7b72}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:68rem;padding:1rem;background:var(--bg);color:var(--ink);
font:15px/1.45 system-ui,sans-serif}
header{display:flex;flex-wrap:wrap;gap:.1rem .8rem;align-items:baseline;margin-bottom:.8rem}
h1{font-size:1.5rem;margin:0}
h2{font-size:1rem;margin:1.6rem 0 .5rem}
.dim,dt,th{color:var(--dim)}
.good{color:var(--good)}.fair{color:var(--fair)}.bad{color:var(--bad)}
#alarm{border-radius:.5rem;padding:.6rem .9rem;margin-bottom:.8rem;background:var(--bad);
color:var(--bg);font-weight:600}
#alarm:empty{display:none}
#tunnels{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,20rem),1fr));gap:.8rem}
article,.box{background:var(--card);border:1px solid var(--line);border-radius:.6rem}
article{padding:.8rem 1rem}
h3{display:flex;justify-content:space-between;font-size:1.1rem;margin:0 0 .4rem}
p{margin:.2rem 0 .6rem;overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem .9rem;margin:0}
dd{margin:0;text-align:right;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
.box{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.4rem .8rem;text-align:left;vertical-align:top}
th{font-weight:500;font-size:.85rem}
tr+tr,tbody tr{border-top:1px solid var(--line)}
td:not(:last-child){white-space:nowrap}
.wide td:last-child{min-width:12rem}
@media(max-width:36rem){.wide thead{display:none}.wide tr{display:flex;flex-wrap:wrap;
gap:0 .8rem;padding:.4rem .8rem}.wide td{padding:0}.wide td:first-child{color:var(--dim)}
.wide td:last-child{flex-basis:100%;overflow-wrap:anywhere}}
.none{padding:.6rem .8rem;margin:0;color:var(--dim)}
</style>
<header><h1 id="name">Branchline</h1><span class="dim" id="about"></span></header>
<div id="alarm" role="alert"></div>
<main id="main"></main>
<noscript>This page needs JavaScript; the same is at /api/v1/status.</noscript>
<script>
"use strict";
const PERIOD = 2000, JOURNAL = 30;
const CLASSES = {up: "good", degraded: "fair", setup: "fair", teardown: "fair", down: "bad"};
const $ = id => document.getElementById(id);
function el(tag, content, name) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  for (const part of Array.isArray(content) ? content : [content])
    if (part !== null && part !== undefined) made.append(part);
  return made;
}
const known = value => value !== null && value !== undefined && value !== "";
function time(seconds) {
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, size]) => seconds >= size);
  if (first < 0) return "0 s";
  const [unit, size] = units[first], next = units[first + 1];
  const rest = next ? Math.floor(seconds % size / next[1]) : 0;
  return Math.floor(seconds / size) + " " + unit + (rest ? " " + rest + " " + next[0] : "");
}
function octets(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (count >= 1000 && unit < 4) { count /= 1000; unit++; }
  return (unit && count < 100 ? count.toFixed(1) : Math.round(count)) + " " + units[unit];
}
const ms = value =>
  known(value) ? (value < 10 ? value.toFixed(1) : Math.round(value)) + " ms" : null;
function when(unix) {
  const date = new Date(unix * 1000), today = new Date().toDateString() === date.toDateString();
  return (today ? "" : date.toLocaleDateString() + " ") + date.toLocaleTimeString();
}
function tunnel(t) {
  const health = t.health || {}, damping = t.damping || {};
  const up = t.state === "up", ill = up && known(health.state) && health.state !== "up" &&
    health.state !== "unknown";
  const state = ill ? health.state : t.state;
  const since = up && known(health.for_s) && health.state === "up" ? " " + time(health.for_s) : "";
  const rtt = ms(known(health.rtt_ms) ? health.rtt_ms : t.rtt_ms);
  const rows = [
    ["Remote", t.remote], ["Engine", t.engine], ["Cipher", t.cipher],
    ["Address", t.address && t.address.replaceAll(",", ", ")], ["Device", t.device],
    ["Round trip", rtt && rtt +
      (known(health.jitter_ms) ? " \\u00b1 " + ms(health.jitter_ms) : "")],
    ["Loss", known(health.loss) ? Math.round(100 * health.loss) + " %" : null],
    ["Sent", known(t.tx_octets) ? octets(t.tx_octets) : null],
    ["Received", known(t.rx_octets) ? octets(t.rx_octets) : null],
    ["Flap penalty", damping.penalty ? damping.penalty + (damping.suppressed ? ", suppressed" +
      (known(damping.reuse_in_s) ? ", back in " + time(damping.reuse_in_s) : "") : "") : null],
    ["Attempts", t.attempts > 1 || !up ? t.attempts : null],
    ["Waits for", t.waits_for]];
  return el("article", [
    el("h3", [t.name, el("span", state + since, CLASSES[state] || "dim")]),
    t.problem ? el("p", t.problem, "bad") : null,
    ill && health.reason ? el("p", health.reason, CLASSES[state]) : null,
    el("dl", rows.filter(row => known(row[1])).flatMap(
      ([key, value]) => [el("dt", key), el("dd", String(value))]))]);
}
function table(title, heads, rows, wide) {
  const body = rows.length
    ? el("table", [el("thead", el("tr", heads.map(head => el("th", head)))),
        el("tbody", rows.map(row => el("tr", row.map(
          cell => el("td", known(cell) ? String(cell) : "\\u2013")))))])
    : el("p", "none", "none");
  return [el("h2", title), el("div", body, wide ? "box wide" : "box")];
}
function show(status) {
  document.title = status.name + " \\u2013 Branchline";
  $("name").textContent = status.name;
  const up = status.tunnels.filter(t => t.state === "up").length;
  const hub = status.role === "hub";
  $("about").textContent = [hub ? "hub" : up + " of " + status.tunnels.length + " tunnels up",
    known(status.uptime_s) ? "running for " + time(status.uptime_s) : null,
    status.version ? "version " + status.version : null].filter(known).join(" \\u00b7 ");
  const cards = el("div", status.tunnels.map(tunnel));
  cards.id = "tunnels";
  const parts = [cards], routing = status.routing;
  if (hub) {
    parts.push(...table("Servers", ["Name", "Device", "Clients", "State"],
      status.servers.map(s => [s.name, s.device, s.clients, s.problem || s.state])));
    parts.push(...table("Clients", ["Name", "Server", "From", "For", "Announced"],
      status.clients.map(c => [c.name, c.server, c.from, time(c.for_s),
        c.announced.join(", ") || c.note])));
    parts.push(...table("Other hubs", ["Name", "Address", "Heard"], status.hubs.map(
      h => [h.name, h.address, known(h.heard_s) ? time(h.heard_s) + " ago" : null])));
  }
  if (routing) {
    parts.push(...table("Routes", ["Prefix", "Via", "Device", "Metric"],
      (routing.routes || []).map(r => [r.prefix, r.via, r.device, r.metric])));
    parts.push(...table("Neighbours", ["Address", "Device", "Cost", "Round trip"],
      (routing.neighbours || []).map(n => [n.address, n.device,
        n.cost === 65535 ? "unreachable" : n.cost, ms(n.rtt_ms)])));
  }
  if (status.journal)
    parts.push(...table("Journal", ["Time", "Subject", "Event", "Reason"],
      status.journal.slice(-JOURNAL).reverse().map(j => [when(j.last), j.subject,
        j.event + (j.count > 1 ? " \\u00d7" + j.count : ""), j.reason]), true));
  $("main").replaceChildren(...parts);
  $("alarm").textContent = status.safe_mode
    ? "Safe mode: the gateway crashed again and again; only the tunnels run." : "";
}
async function refresh() {
  if (!document.hidden)
    try {
      const answer = await fetch("/api/v1/status", {signal: AbortSignal.timeout(5000)});
      const status = await answer.json();
      if (!answer.ok) throw new Error(status.error);
      show(status);
    } catch (error) {
      $("alarm").textContent = "The gateway does not answer: " + error.message;
    }
  setTimeout(refresh, PERIOD);
}
refresh();
</script>
</html>
"""
