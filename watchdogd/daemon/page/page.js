"use strict";

// Everything is built with textContent: nothing that a server said can become markup.
function el(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  for (const child of children) if (child !== null && child !== undefined) node.append(child);
  return node;
}

const TONE = {
  steady: "good", suspect: "warn", acting: "acting", frozen: "bad",
  active: "good", follows: "good", leaderless: "warn", sealed: "warn", uninit: "warn", silent: "bad",
  ours: "quiet", strange: "quiet",
  primary: "good", secondary: "good", up: "good", down: "bad", unknown: "quiet", wrong: "bad",
  page: "bad", warn: "warn", info: "quiet",
};
const pill = (text, tone) => el("span", `pill ${tone || TONE[text] || "quiet"}`, text);
const seconds = (s) => (s === null || s === undefined ? "" : s < 120 ? `${Math.round(s)} s` : `${Math.round(s / 60)} min`);
const card = (title, ...children) => el("section", "card", el("h3", "", title), ...children);

function rows(...lines) {
  const body = el("tbody");
  for (const cells of lines) {
    const row = el("tr");
    for (const cell of cells) row.append(el("td", "", cell));
    body.append(row);
  }
  return el("table", "", body);
}

function clusterCard(cluster) {
  const head = el("div", "head", el("strong", "", cluster.cluster), pill(cluster.side),
    el("span", "dim", `${cluster.part}${cluster.version ? `, Vault ${cluster.version}` : ""}`));
  const nodes = rows(...cluster.nodes.map((node) => [
    pill(node.reading), el("span", "", el("code", "", node.node.replace(/^https:\/\//, "")),
      el("div", "dim", node.why)), el("span", "dim age", seconds(node.age_s)),
  ]));
  const wal = [cluster.state, cluster.last_wal !== null ? `WAL ${cluster.last_wal}` : null,
    cluster.last_remote_wal ? `remote ${cluster.last_remote_wal}` : null].filter(Boolean).join(", ");
  return card("cluster", head, nodes, el("div", "dim", wal), cluster.wrong ? el("p", "bad", cluster.wrong) : null);
}

function windowsCard(facts) {
  const lines = facts.windows.map((one) => {
    const bar = el("progress");
    bar.max = 1;
    bar.value = one.progress;
    return el("div", "", el("div", "", one.why), bar,
      el("div", "dim", one.full_in_s !== null && !one.full ? `full in ${seconds(one.full_in_s)}` : ""));
  });
  return card("evidence of a loss", ...(lines.length ? lines : [el("span", "dim", "nobody is elected yet")]));
}

function gatesCard(gates) {
  const closed = gates.filter((gate) => !gate.open);
  const open = gates.filter((gate) => gate.open).map((gate) => gate.gate).join(", ");
  return card("gates of a failover",
    ...closed.map((gate) => el("div", "gate", pill(gate.gate, "warn"), el("span", "", gate.why))),
    el("div", "dim", `open: ${open || "none"}`));
}

function stepLine(step, run) {
  const unsure = run.state === "open" ? ": sent, its outcome is not seen yet" : ": outcome unknown";
  return el("li", step.done ? "good" : "acting", `${step.step}${step.done ? ": done" : step.unsure ? unsure : ""}`);
}

function runCard(run) {
  if (!run) return card("run", el("span", "dim", "no run is open"));
  const steps = el("ol", "", ...run.steps.map((step) => stepLine(step, run)));
  return card("run", el("div", "head", el("strong", "", `${run.runbook} ${run.source} → ${run.target}`),
    pill(run.state, run.state === "parked" ? "bad" : "acting")), el("div", "dim", run.run_id), steps,
    run.parked ? el("p", "bad", `${run.parked.step}: ${run.parked.why}`) : null);
}

function durableCard(facts) {
  const name = facts.name;
  return card("on record", rows(
    ["elected", el("span", "", `${facts.elected || "nobody"}, epoch ${facts.epoch}`)],
    ["name", el("span", "", `${name.situation} ${name.why}${name.serving ? ` (${name.serving})` : ""}`)],
    ["debt", el("span", "", facts.debts.map((d) => `${d.debtor} owes its demotion (${d.state})`).join(", ") || "none")],
    ["fence", el("span", "", facts.fences.map((f) => `${f.cluster} ${f.state}`).join(", ") || "none held")],
    ["loss", el("span", "", facts.estimated_loss_s === null ? "unknown" : `at least ${facts.estimated_loss_s} s by ${facts.estimated_loss_by}${facts.estimated_loss_age_s === null ? "" : `, read ${Math.round(facts.estimated_loss_age_s)} s ago`}`)],
    ["last life", el("span", "", facts.last_sign_of_life ? `${seconds(facts.last_sign_of_life.age_s)} ago: ${facts.last_sign_of_life.by}` : "never")],
  ));
}

function approvalNotice(approval) {
  const gates = approval.blocked_by.map((gate) => gate.gate).join(", ") || "a row that asks for it";
  const until = new Date(approval.until_utc_s * 1000).toISOString().replace(/\.\d+/, "");
  const past = approval.waivers.length ? `, past ${approval.waivers.join(", ")}` : "";
  return el("div", "notice acting", el("p", "", `approved: ${approval.action} to ${approval.target} (row ${approval.situation}, `
    + `plan ${approval.plan_hash})${past} by uid ${approval.asked_by_uid}, until ${until}; waits for ${gates}`));
}

function pairSection(pair) {
  const status = pair.status, explain = pair.explain;
  const section = el("section", "pair");
  section.append(el("div", "head", el("h2", "", status.pair), pill(status.phase), pill(status.situation || "starting", "quiet"),
    status.paused ? pill(`paused: ${status.paused}`, "warn") : null, status.hold ? pill("held", "warn") : null,
    status.failover_ready ? pill("ready", "good") : pill("not ready", "warn"),
    el("span", "dim", `failover = ${status.level}; for ${seconds(status.since_s)}`)));
  const run = explain && explain.facts.run;
  section.append(el("p", "why", run ? status.action : `${status.why}. ${status.action || ""}`));
  if (status.run_waits) section.append(el("p", "bad", `waits at ${status.run_waits}`));
  if (status.approval) section.append(approvalNotice(status.approval));
  for (const notice of status.notices || []) {
    section.append(el("div", `notice ${TONE[notice.severity]}`, el("p", "", notice.summary),
      notice.command ? el("code", "", notice.command) : null));
  }
  if (explain) {
    section.append(el("div", "grid", ...explain.facts.clusters.map(clusterCard), windowsCard(explain.facts),
      runCard(explain.facts.run), gatesCard(explain.gates), durableCard(explain.facts),
      run ? null : card("would act when", el("ul", "", ...explain.would_act_when.map((line) => el("li", "", line))))));
  }
  return section;
}

const source = new EventSource("events");
const link = document.getElementById("link");
source.onmessage = (event) => {
  const state = JSON.parse(event.data);
  document.getElementById("version").textContent = state.version;
  document.getElementById("pairs").replaceChildren(...state.pairs.map(pairSection));
  link.textContent = "connected";
  link.className = "pill good";
};
source.onerror = () => {
  link.textContent = "not connected: what you see is old";
  link.className = "pill bad";
};
