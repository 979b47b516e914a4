// What is seen, from what is known.

import { h } from "preact";
import htm from "htm";
import { address, begin, cancel, choose, copy, enter, folders, go, history_, notify, picture, recent, state, toggled } from "./actions.js";
import { signIn, token } from "./api.js";
import { ago, ARCHIVES, bytes, counted, headline, KINDS, missing, reason, SINGLE, STATES, sums, when } from "./words.js";

const html = htm.bind(h);

function Link({ href, children, ...more }) {
  const follow = (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    go(href);
  };
  return html`<a href=${href} onClick=${follow} ...${more}>${children}</a>`;
}

const field = (name, then) => (event) => {
  event.preventDefault();
  then(new FormData(event.target).get(name).trim());
};

export function App() {
  const { project, id } = state;
  const View = state.fault ? Trouble : !project ? Home : id ? Watch : Plan;
  return html`<a class="skip" href="#main">Skip to the content</a>
    <header><${Link} href="/" class="brand">Export<//>${id && html`<${Link} href=${address(project)}>The project<//>`}</header>
    <main id="main" tabindex="-1"><${View} /></main>`;
}

function Home() {
  return html`<h1>Take a project into your editor</h1>
    <p class="lead">Every finished file, numbered in story order, with the script beside it.</p>
    <form class="card" onSubmit=${field("project", (id) => go(address(id)))}><label for="project">Project</label>
      <div class="row"><input id="project" name="project" aria-describedby="hint" required autocomplete="off" spellcheck="false" /><button class="main">Open</button></div>
      <p id="hint" class="quiet">Its id, as in the studio’s addresses. The demo’s is lighthouse.</p>
      ${recent().length > 0 && html`<p class="quiet">Opened before: ${recent().map((id) => html`<${Link} href=${address(id)}>${id}<//> `)}</p>`}
    </form>`;
}

function Trouble() {
  const { status, message } = state.fault;
  if (status === 401)
    return html`<form class="card" onSubmit=${field("token", (text) => { signIn(text); enter(); })}><h1>Sign in</h1>
      <label for="token">Access token</label>
      <div class="row"><input id="token" name="token" type="password" required autocomplete="off" /><button class="main">Go on</button></div></form>`;
  return html`<section class="card bad" role="alert"><h1>${status === 404 ? "Nothing here" : "That did not work"}</h1>
    <p>${message}</p><div class="actions"><button onClick=${enter}>Try again</button><${Link} href="/">Open another project<//></div></section>`;
}

// ---- before

const FORMS = {
  none: "Everything in a ZIP",
  changes: "What is new or changed, to be unpacked over the folder of an earlier export",
  otioz: "A timeline bundle for DaVinci Resolve (.otioz)",
};

function Plan() {
  const { plan, kinds, form, busy, project } = state;
  if (!plan) return html`<p class="lead" role="status">Looking at the files…</p>`;
  const { texts = [] } = plan;
  const lost = missing(plan.omissions);
  const earlier = folders();
  return html`<h1>${plan.project.name || project}</h1>
    <p class="lead">${counted(plan.files_total + texts.length, "file")}: ${plan.files_total} of media (${bytes(plan.size_bytes)}), ${texts.length} beside them</p>
    <p class="quiet">The script, timelines for editing programs and captions are part of it. ${plan.archive_size_bytes !== null && `${form === "changes" ? "At least" : "About"} ${bytes(plan.archive_size_bytes)} to download.`}</p>
    <fieldset class="kinds"><legend>What to export</legend>${Object.keys(KINDS).map((kind) => {
      const { exported, omitted, size_bytes } = plan.counts[kind];
      const chosen = kinds.includes(kind);
      return html`<label class="card kind"><input type="checkbox" checked=${chosen} onChange=${() => choose({ kinds: toggled(kind) })} />
        <strong>${KINDS[kind]}</strong><span>${chosen ? sum(exported, size_bytes) : "left out"}</span>
        ${chosen && omitted > 0 && html`<span class="lacking">${omitted} not in it</span>`}</label>`;
    })}</fieldset>
    <fieldset class="forms"><legend>How to download it</legend>${Object.entries(FORMS).map(([name, says]) => (name !== "changes" || earlier.length > 0) && html`<label>
      <input type="radio" name="form" checked=${form === name} onChange=${() => choose({ form: name })} /> ${says}</label>`)}
      ${form === "changes" && html`<label>The folder is of the export of
        <select onChange=${({ target }) => choose({ since: target.value })}>${earlier.map((one) => html`<option value=${one.export_id}>${when(one.requested_at, "medium")}</option>`)}</select></label>`}</fieldset>
    <div class="actions"><button class="main big" disabled=${busy || !kinds.length} onClick=${begin}>${lost ? "Export anyway" : "Export"}</button>
      ${!kinds.length && html`<p>Choose something to export.</p>`}
      ${lost && html`<p class="lacking">${plan.omissions_total > plan.omissions.length && "More than "}${lost} missing.</p>`}</div>
    <${Holdings} ...${plan} total=${plan.omissions_total} /><${Past} />`;
}

const sum = (files, size) => `${counted(files, "file")}, ${bytes(size)}`;

// ---- while it runs, and after

function Watch() {
  const { shown, plan, link, heard } = state;
  if (!shown) return html`<p class="lead" role="status">Looking for the export…</p>`;
  const { result, links } = shown;
  const age = (Date.now() - heard) / 1000;
  const of = result ?? plan;
  return html`<p class="quiet">${shown.project_name || state.project} · ${when(shown.requested_at)}</p>
    <p class="spoken" role="status">${result ? headline(shown) : `${STATES[shown.state]}, ${shown.percent - (shown.percent % 25)} %`}</p>
    ${!result && (link === "stale" || (link === "lost" && age > 2)) && html`<p class="banner">${link === "stale" ? "News comes slower than usual." : `No connection; last heard ${ago(age)}. Trying again…`} The export goes on.</p>`}
    ${result ? html`<${Ended} ...${shown} />` : html`<${Running} ...${shown} />`}
    ${plan && (!result || links.download) && html`<${Holdings} ...${plan} omissions=${of.omissions} total=${of.omissions_total} warnings=${of.warnings} />`}
    <${Past} />`;
}

function Running({ state: stage, percent, files, bytes: moved, by_kind, rate_bytes_per_second: rate, current }) {
  const { stopping, eta } = state;
  return html`<section class="card"><h1>${STATES[stage]}</h1>
    <progress aria-label="The whole export" max="100" value=${percent}></progress>
    <p class="figures"><strong>${percent} %</strong>
      ${files?.total > 0 && html`<span>${files.done} of ${counted(files.total, "media file")}</span><span>${bytes(moved.done)} of ${bytes(moved.total)}</span>`}
      ${rate > 0 && html`<span>${bytes(rate)}/s</span>`}${eta && html`<span>${eta}</span>`}</p>
    <div class="bars">${Object.entries(by_kind ?? {}).map(([kind, { done, total }]) => total > 0 && html`<label>${KINDS[kind]} <span class="quiet">${done} of ${total}</span><progress max=${total} value=${done}></progress></label>`)}</div>
    <p class="quiet mono line">${current ?? "\u00a0"}</p>
    <div class="actions">${stage !== "cancelling" && html`<button onClick=${cancel}>${stopping ? "Undo: go on exporting" : "Cancel"}</button>`}
      ${stopping && html`<span role="status">Stops in 5 seconds</span>`}
      ${globalThis.Notification?.permission === "default" && html`<button onClick=${notify}>Tell me when it is ready</button>`}</div>
    <p class="quiet">You may close this page; the export goes on.</p></section>`;
}

function Ended({ state: end, result, links, ...shown }) {
  const { outcome, error, folder, omissions_total, expires_at } = result;
  const { archive_size_bytes: size, archive_crc32: sum32 } = state.plan ?? {};
  const tone = { complete: "good", partial: "notice", empty: "notice" }[outcome] ?? (end === "failed" ? "bad" : "");
  return html`<section class=${`card ${tone}`}><h1>${headline({ state: end, result })}</h1>
    ${error && html`<p><strong>${error.title}.</strong> ${error.detail}</p>
      ${end === "failed" && html`<p>${error.retryable ? "Trying again may help." : "Trying again will not help before that is changed."}</p>`}`}
    ${folder && html`<p>${sum(folder.files, folder.size_bytes)}${omissions_total > 0 && `; ${counted(omissions_total, "asset")} not in it`}${expires_at && `; kept until ${when(expires_at)}`}</p>`}
    <div class="actions">${links.download && html`<a class="button main big" href=${links.download} download>Download ${ARCHIVES[result.archive?.layout] ?? "ZIP"}</a>
      <button onClick=${copy}>${state.copied ? "Link copied" : "Copy link"}</button>`}
      <${Link} href=${address(state.project)} class="button">Export again<//></div>
    ${links.download && sum32 && html`<p class="quiet">${bytes(size)}, CRC-32 <span class="mono">${sum32}</span></p>`}
    ${links.download && result.archive?.layout in ARCHIVES && html`<p class="quiet"><a href=${`${links.download}&which=folder`} download>The whole folder as a ZIP</a></p>`}</section>`;
}

// ---- what is in it, and what is not

let drawn = [];

// Drawn anew only when it is another one: thousands of rows need not be compared four times a second.
function Holdings({ folder, tree, tree_total, texts = [], counts, omissions, total, warnings }) {
  const chosen = omissions.filter((one) => one.reason === "excluded");
  const thumbnails = state.shown?.links.thumbnails;
  if (drawn[0] !== tree || drawn[1] !== omissions || drawn[2] !== thumbnails)
    drawn = [tree, omissions, thumbnails, html`${warnings.length > 0 && html`<section class="card notice"><h2>Worth a look</h2><ul>${warnings.map((one) => html`<li>${one}</li>`)}</ul></section>`}
    ${total > 0 && html`<details class="card" open=${total < 20}><summary><h2>Not in the export <span class="quiet">${total}</span></h2></summary>
      <ul class="rows">${chosen.length > 0 && html`<li>${sums(chosen)}: ${reason("excluded")}</li>`}
        ${omissions.map((one) => one.reason !== "excluded" && html`<li><span class="seq">${one.seq}</span><span>${SINGLE[one.kind]} of sentence ${one.seq}: ${reason(one.reason)}${one.detail && ` (${one.detail})`}</span></li>`)}</ul>
      ${total > omissions.length && html`<p class="quiet">and ${total - omissions.length} more; all are in manifest.json</p>`}</details>`}
    <section class="card"><h2 class="mono">${folder}/</h2>
      ${["audio", "image", "video"].map((kind) => html`<details class="folder" open=${kind === "image" && counts[kind].exported < 30}>
        <summary><span class="mono">${kind === "audio" ? kind : `${kind}s`}/</span> <span class="quiet">${sum(counts[kind].exported, counts[kind].size_bytes)}</span></summary>
        <ul class="rows">${tree.filter((file) => file.kind === kind).map((file) => html`<li>
          ${kind === "image" && thumbnails && html`<${Thumbnail} href=${`${thumbnails}/${file.seq}`} />`}
          <span class="name"><span class="mono">${file.name.split("/")[1]}</span><span class="quiet line">${file.section}${file.text && ` · ${file.text}`}</span></span>
          <span class="quiet size">${file.packed === false && `${state.shown ? "not changed" : "as long as before"} · `}${bytes(file.size_bytes)}</span></li>`)}</ul></details>`)}
      <p class="quiet"><span class="mono">${texts.join(", ")}</span>${tree_total > tree.length && ` · ${tree.length} of ${tree_total} media files are shown`}</p></section>`];
  return drawn[3];
}

// A picture cannot send a token: with one it is fetched, when it is about to be seen.
const seen = new IntersectionObserver((entries) => entries.forEach(({ isIntersecting, target }) => {
  if (isIntersecting) {
    seen.unobserve(target);
    picture(target, target.dataset.href);
  }
}));

const Thumbnail = ({ href }) => html`<span class="thumbnail"><img alt="" loading="lazy" width="96" height="54" onError=${({ target }) => { target.hidden = true; }}
  ...${token() ? { "data-href": href, ref: (box) => box && seen.observe(box) } : { src: href }} /></span>`;

function Past() {
  const { past, project, id } = state;
  const others = past?.exports.filter((one) => one.export_id !== id) ?? [];
  return others.length > 0 && html`<section class="card"><h2>Earlier exports</h2><ul class="rows">${others.map((one) => html`<li>
    <span class="name"><${Link} href=${address(project, one.export_id)}>${when(one.requested_at, "medium")}<//>
      <span class="quiet line">${headline(one)}${one.result?.archive && ` · ${ARCHIVES[one.result.archive.layout] ?? "ZIP"}`}${one.result?.folder && ` · ${sum(one.result.folder.files, one.result.folder.size_bytes)}`}</span></span>
    ${one.links.download && html`<a class="button small" href=${one.links.download} download aria-label=${`Download the export of ${when(one.requested_at, "medium")}`}>Download</a>`}</li>`)}</ul>
    ${past.next && html`<button class="small" onClick=${() => history_(past.next)}>Show older ones</button>`}</section>`;
}
