/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * One status after the other goes through take(): into the history, then draw(). Where they come
 * from is all that differs between the two lives of this page:
 *
 *   served   fetch("/v1/events") with the token of the address' fragment; one status an event
 *   saved    the JSON within #data, written by `rdlink report`: the same statuses, each with its time
 *
 * Every text of a status is hostile: names come from guests and files. It gets into the page as text
 * nodes only, inside <bdi> so that it cannot turn the letters around it. There is no innerHTML here, and
 * the page's policy (trusted types) forbids it.
 *
 * A section is built anew only when what it shows has changed (show()), so that focus, selection and
 * opened details stay while counters move. Bounds: RING samples, SPANS changes of a condition, LANES
 * conditions, EVENT_MAX characters of an event.
 */
'use strict';
(() => {
const RING = 600, SPANS = 600, LANES = 200, EVENT_MAX = 8 << 20;
const SILENT_MS = 40000; // the service sends a heartbeat every 15 s
const SVG = 'http://www.w3.org/2000/svg';

const past = { samples: [], lanes: new Map(), began: 0, now: 0, latest: null, goneSince: 0 };
const shown = new Map(); // id of a section: what it shows, as text
const opened = new Set(); // reasons whose help is open
let isSaved = false, savedNote = '';

/* ---- nodes ------------------------------------------------------------------------------- */

const byId = (id) => document.getElementById(id);

function node(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function draft(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const foreign = (text) => node('bdi', null, String(text));

/* Builds a section anew when @key says that it shows something else. */
function show(id, key, build) {
  const text = JSON.stringify(key);
  if (shown.get(id) === text) return;
  shown.set(id, text);
  byId(id).replaceChildren(...build());
}

/* ---- words ------------------------------------------------------------------------------- */

function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

/* "for 3 min", kept up to date by tick(), of which a screen reader does not speak. */
function since(iso, word = 'for ') {
  const at = Date.parse(iso);
  if (Number.isNaN(at)) return '';
  return node('time', { datetime: iso, title: new Date(at).toLocaleString(), 'aria-live': 'off',
    'data-at': at, 'data-word': word });
}

function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  for (; n >= 1024 && unit < units.length - 1; unit++) n /= 1024;
  return `${n < 10 && unit ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}

const now = () => (isSaved ? past.now : Date.now());

/* The troubleshooting page, as { reason: paragraphs }. */
const help = (() => {
  const entries = new Map();
  for (const part of byId('help').textContent.split(/^#+ /m)) {
    const [title, ...rest] = part.split('\n');
    const text = rest.join('\n').trim();
    if (/^[A-Z]\w*$/.test(title)) entries.set(title, [entries.get(title), text].filter(Boolean).join('\n\n'));
  }
  return entries;
})();

/* Its Markdown, as far as that page uses it: paragraphs, code, links (their text). */
function prose(text) {
  return text.split(/\n\n+/).map((paragraph) => node('p', null,
    ...paragraph.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').split('`')
      .map((piece, i) => (i % 2 ? node('code', null, piece) : piece))));
}

function advice(reason, isOpen) {
  const text = help.get(reason);
  if (!text) return [];
  const title = `What to do (troubleshooting.md, ${reason})`;
  const made = node('details', isOpen || opened.has(reason) ? { open: '' } : null,
    node('summary', null, title), ...prose(text));
  made.addEventListener('toggle', () => (made.open ? opened.add(reason) : opened.delete(reason)));
  return [made];
}

/* ---- what a status says ------------------------------------------------------------------ */

const list = (value) => (Array.isArray(value) ? value.filter((v) => v && typeof v === 'object') : []);

/* Everything that has conditions and counters, with a name that a person knows it by. */
function parts(status) {
  const out = [{ name: 'rdlink', of: status }];
  for (const c of list(status.components)) out.push({ name: c.name, of: c });
  for (const i of list(status.instances)) {
    out.push({ name: i.vm, of: i });
    if (i.agent) out.push({ name: `${i.vm} agent`, of: i.agent });
    if (i.netAgent) out.push({ name: `${i.vm} net agent`, of: i.netAgent });
  }
  return out;
}

function total(status, name) {
  let sum = 0;
  for (const c of list(status.components)) sum += Number((c.counters || {})[name]) || 0;
  return sum;
}

function sampleOf(status, at) {
  const sum = (...names) => names.reduce((n, name) => n + total(status, name), 0);
  return {
    at,
    netIn: sum('rx_bytes'), netOut: sum('tx_bytes'),
    dockerIn: sum('bytes_from_guest'), dockerOut: sum('bytes_to_guest'),
    flows: sum('tcp_flows', 'udp_flows'), clients: sum('connections_active'),
    dns: sum('dns_own', 'dns_forwarded'), dnsFailed: sum('dns_failed'),
  };
}

/* A condition's bar begins where the service says that it began. */
function follow(part, condition, at) {
  const key = `${part.name}\n${condition.type}`;
  let lane = past.lanes.get(key);
  if (!lane) {
    if (past.lanes.size >= LANES) return;
    lane = { part: part.name, type: condition.type, spans: [] };
    past.lanes.set(key, lane);
  }
  lane.seen = at;
  const last = lane.spans[lane.spans.length - 1];
  if (last && !last.to && last.status === condition.status && last.reason === condition.reason) return;
  let from = at;
  if (!last || last.status !== condition.status) from = Date.parse(condition.lastTransitionTime) || at;
  if (last && !last.to) last.to = from;
  lane.spans.push({ from, to: 0, status: condition.status, reason: condition.reason });
  if (lane.spans.length > SPANS) lane.spans.shift();
}

function endLanes(at) {
  for (const lane of past.lanes.values()) {
    const last = lane.spans[lane.spans.length - 1];
    if (lane.seen !== at && !last.to) last.to = at;
  }
}

function take(status, at) {
  past.began = past.began || at;
  past.now = at;
  past.latest = status;
  past.goneSince = 0;
  past.samples.push(sampleOf(status, at));
  if (past.samples.length > RING) past.samples.shift();
  for (const part of parts(status))
    for (const condition of list(part.of.conditions)) follow(part, condition, at);
  endLanes(at);
}

/* No status: the service is gone, or hangs. */
function lose(at) {
  past.began = past.began || at;
  past.now = at;
  past.goneSince = past.goneSince || at;
  endLanes(at);
}

/* ---- is it working? ---------------------------------------------------------------------- */

function drawVerdict(status) {
  if (past.goneSince || !status) {
    show('verdict', ['gone', past.goneSince, Boolean(status)], () => [
      node('div', { class: 'verdict gone' },
        node('strong', null, isSaved ? 'The service did not answer' : 'The service does not answer'),
        node('p', null, status ? 'Below is the last that it said. ' : '',
          'Start it: systemctl start rdlinkd, sc start RancherDesktopLink, or rdlinkd run.'))]);
    return;
  }
  const ready = list(status.conditions).find((c) => c.type === 'Ready') || {};
  show('verdict', [status.phase, ready], () => [
    node('div', { class: `verdict ${String(status.phase).replace(/\W/g, '')}` },
      node('strong', null, foreign(status.phase)), ' ', since(ready.lastTransitionTime),
      node('p', null, foreign(ready.message || '')),
      ...(status.ready ? [] : advice(ready.reason, true)))]);
}

function drawProblems(status) {
  const wrong = [];
  for (const part of parts(status))
    for (const c of list(part.of.conditions))
      if (c.status === 'False' && !(part.of === status && c.type === 'Ready')) wrong.push([part.name, c]);
  const key = wrong.map(([name, c]) => [name, c.type, c.reason, c.message]);
  show('problems', key, () => (wrong.length === 0 ? [] : [
    node('h2', null, 'What is wrong, and what to do'),
    node('ul', { class: 'cards' }, ...wrong.map(([name, c]) => node('li', { class: 'card' },
      node('h3', null, foreign(name), ': ', foreign(c.type)),
      node('p', null, node('span', { class: 'bad' }, foreign(c.reason)), ' ', since(c.lastTransitionTime)),
      node('p', null, foreign(c.message)), ...advice(c.reason, false))))]));
}

/* ---- parts ------------------------------------------------------------------------------- */

function facts(rows) {
  const made = node('dl', null);
  for (const [name, value] of rows)
    if (value !== null && value !== undefined && value !== '')
      made.append(node('dt', null, name), node('dd', null, value instanceof Node ? value : foreign(value)));
  return made;
}

function state(word, isGood, isBad) {
  return node('span', { class: isGood ? 'good' : isBad ? 'bad' : 'unsure' }, foreign(word));
}

function exitOf(c) {
  const e = c.lastExit;
  return e ? `${e.reason}: ${e.message}` : null;
}

function drawComponents(status) {
  const all = list(status.components);
  const key = all.map((c) => [c.name, c.state, c.process, c.since, c.restarts, c.pid, c.lastExit, c.crashLoop]);
  show('components', key, () => all.map((c) => node('li', { class: 'card' },
    node('h3', null, foreign(c.name)),
    node('p', null, state(c.state, c.state === 'SERVING', c.state === 'NOT_SERVING'), ' ',
      c.crashLoop ? node('span', { class: 'bad' }, 'ends again and again') : ''),
    facts([['process', c.process], ['for', since(c.since, '')], ['pid', c.pid], ['restarts', c.restarts],
      ['last exit', exitOf(c)], ['next start', c.nextStart]]))));
}

function drawGuests(status) {
  const vms = list(status.instances), ends = list(status.endpoints);
  const key = [vms.map((i) => [i.vm, i.state, i.generation, i.since, i.lastError]),
    ends.map((e) => [e.name, e.state, e.address, e.since, e.instance, e.message])];
  show('guests', key, () => [
    ...vms.map((i) => node('li', { class: 'card' },
      node('h3', null, 'Virtual machine ', foreign(i.vm)),
      node('p', null, state(i.state, i.state === 'linked' || i.state === 'control', i.state === 'probing')),
      facts([['for', since(i.since, '')], ['generation', i.generation], ['address', i.address],
        ['last error', i.lastError]]))),
    ...ends.map((e) => node('li', { class: 'card' },
      node('h3', null, 'Endpoint ', foreign(e.name)),
      node('p', null, state(e.state, e.state === 'listening', e.state === 'taken' || e.state === 'off')),
      facts([['for', since(e.since, '')], ['address', e.address], ['asked for', e.requested],
        ['leads to', e.instance], ['why', e.message]])))]);
}

/* As the status has them: those that wait for their port come first. */
function drawForwards(status) {
  const all = list(status.forwards);
  const key = all.map((f) => [f.vm, f.proto, f.host, f.guest, f.state, f.message]);
  show('forwards', key, () => (all.length === 0 ? [] : [
    node('h2', null, 'Ports that lead into guests'),
    node('ul', { class: 'cards' }, ...all.map((f) => node('li', { class: 'card' },
      node('h3', null, foreign(f.proto), ' ', foreign(f.host)),
      node('p', null, state(f.state, f.state === 'listening', f.state === 'waiting')),
      facts([['leads to', f.guest], ['of', f.vm], ['why', f.message]]))))]));
}

/* ---- drawings ---------------------------------------------------------------------------- */

/* From the oldest sample to the newest, a minute at least; conditions may have begun long before. */
function windowOf() {
  const first = past.samples.length ? past.samples[0].at : past.began;
  return [Math.min(first, past.now - 60000), past.now];
}

function laneBar(lane, from, to) {
  const drawing = draft('svg', { viewBox: '0 0 1000 20', preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  const scale = (at) => Math.min(1000, Math.max(0, (at - from) / (to - from) * 1000));
  // Heights differ too: what is wrong is seen without its colour.
  const tops = { True: 12, False: 0, Unknown: 6 };
  for (const s of lane.spans) {
    const left = scale(s.from), right = scale(s.to || past.now), top = tops[s.status];
    if (top === undefined || (s.to && s.to <= from)) continue;
    drawing.append(draft('rect', { class: s.status, x: left, y: top, width: Math.max(3, right - left),
      height: 20 - top }));
  }
  return drawing;
}

function drawLanes() {
  const [from, to] = windowOf();
  const lanes = [...past.lanes.values()];
  byId('lanes').replaceChildren(...lanes.map((lane) => {
    const last = lane.spans[lane.spans.length - 1];
    return node('div', { class: 'lane' },
      node('span', null, foreign(lane.part), ' ', foreign(lane.type), ': ',
        foreign(last.to ? 'not told now' : `${last.status}, ${last.reason}`)),
      laneBar(lane, from, to));
  }));
}

/* Change a second between neighbours; a part that started anew counts from nothing. */
function rates(name) {
  return past.samples.slice(1).map((s, i) => {
    const before = past.samples[i], seconds = Math.max(0.001, (s.at - before.at) / 1000);
    return { at: s.at, value: Math.max(0, s[name] - before[name]) / seconds };
  });
}

const levels = (name) => past.samples.map((s) => ({ at: s.at, value: s[name] }));
const latestOf = (points) => (points.length ? points[points.length - 1].value : 0);

function lineOf(points, from, to, top, kind) {
  const spots = points.map((p) => `${((p.at - from) / (to - from) * 1000).toFixed(1)} ` +
    `${(98 - p.value / top * 94).toFixed(1)}`);
  return draft('path', { class: kind, d: spots.length ? `M${spots.join('L')}` : '' });
}

/* Two lines over one scale, and both said in words. */
function chart(title, lines, unit) {
  const [from, to] = windowOf();
  const top = Math.max(1, ...lines.flatMap((l) => l.points.map((p) => p.value)));
  const kinds = ['one', 'two'];
  const says = lines.map((l) => `${l.name} ${unit(latestOf(l.points))}`).join(', ');
  return node('div', { class: 'card chart' },
    node('h3', null, title),
    draft('svg', { viewBox: '0 0 1000 100', preserveAspectRatio: 'none', role: 'img',
      'aria-label': `${title}: ${says}; at most ${unit(top)} in ${span(to - from)}` },
      ...lines.map((l, i) => lineOf(l.points, from, to, top, kinds[i]))),
    node('p', null, ...lines.flatMap((l, i) => [
      node('span', { class: kinds[i] }, `${i ? '- -' : '\u2014'} ${l.name}`), ` ${unit(latestOf(l.points))} `]),
      node('span', { class: 'quiet' }, `(top ${unit(top)}, last ${span(to - from)})`)));
}

function drawCharts() {
  const perSecond = (n) => `${bytes(n)}/s`, count = (n) => String(Math.round(n));
  const often = (n) => `${n < 10 ? n.toFixed(1) : Math.round(n)}/s`;
  byId('charts').replaceChildren(
    chart('Guests\u2019 network', [{ name: 'from guests', points: rates('netIn') },
      { name: 'to guests', points: rates('netOut') }], perSecond),
    chart('Docker', [{ name: 'from guests', points: rates('dockerIn') },
      { name: 'to guests', points: rates('dockerOut') }], perSecond),
    chart('Flows', [{ name: 'network flows', points: levels('flows') },
      { name: 'docker connections', points: levels('clients') }], count),
    chart('DNS', [{ name: 'answered', points: rates('dns') },
      { name: 'failed', points: rates('dnsFailed') }], often));
}

/* ---- all of it --------------------------------------------------------------------------- */

function drawAbout(status) {
  const p = status.program || {}, source = status.source || {};
  const waits = ((status.config || {}).pending || []).join(', ');
  const pending = waits ? ` New values that wait for the next start: ${waits}.` : '';
  const left = status.leftOut ? ` ${status.leftOut} parts were left out for want of room.` : '';
  show('about', [p, source, left, pending], () => [node('p', null, foreign(`${p.name} ${p.version}`),
    ` (process ${p.pid}), `, since(p.startedAt), '. Virtual machines from ', foreign(source.address),
    source.exists ? '.' : ', which is not there now.', left, pending)]);
}

function draw() {
  const status = past.latest;
  drawVerdict(status);
  drawLanes();
  drawCharts();
  if (status) {
    drawProblems(status);
    drawComponents(status);
    drawGuests(status);
    drawForwards(status);
    drawAbout(status);
  }
  document.title = `rdlink: ${past.goneSince || !status ? 'no answer' : status.phase}`;
  tick();
}

function tick() {
  for (const time of document.querySelectorAll('time'))
    time.textContent = time.dataset.word + span(now() - Number(time.dataset.at));
  byId('freshness').textContent = isSaved ? savedNote
    : past.latest && !past.goneSince ? `Live; last told ${span(Date.now() - past.now)} ago.`
      : 'Not connected; trying again.';
}

function refuse(text) {
  byId('freshness').textContent = text;
  byId('verdict').replaceChildren(node('div', { class: 'verdict' }, node('p', null, text)));
}

/* ---- served ------------------------------------------------------------------------------ */

/* The fragment never leaves the browser; it goes from the address bar so that nobody reads it there. */
function takeToken() {
  const given = /^#token=([0-9a-f]+)$/.exec(location.hash);
  if (given) {
    sessionStorage.setItem('token', given[1]);
    history.replaceState(null, '', location.pathname);
  }
  return sessionStorage.getItem('token');
}

function takeEvent(text) {
  for (const line of text.split('\n'))
    if (line.startsWith('data: ')) {
      take(JSON.parse(line.slice(6)), Date.now());
      draw();
    }
}

async function readEvents(body, heard) {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    heard();
    rest += decoder.decode(value, { stream: true });
    const events = rest.split('\n\n');
    rest = events.pop();
    if (rest.length > EVENT_MAX) throw new Error('an event without an end');
    events.forEach(takeEvent);
  }
}

/* One connection until it ends or is silent. False: the token is not taken. */
async function listen(token) {
  const control = new AbortController();
  let silence = setTimeout(() => control.abort(), SILENT_MS);
  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(() => control.abort(), SILENT_MS);
  };
  try {
    const answer = await fetch('/v1/events', { headers: { Authorization: `Bearer ${token}` },
      cache: 'no-store', credentials: 'omit', redirect: 'error', signal: control.signal });
    if (answer.status === 401) return false;
    if (answer.ok) await readEvents(answer.body, heard);
  } catch {
    // Gone, or not there yet: told as such below, and tried again.
  } finally {
    clearTimeout(silence);
    control.abort();
  }
  return true;
}

async function serve() {
  const token = takeToken();
  if (!token) return refuse('This page needs its token: open the address that `rdlink page` prints.');
  setInterval(tick, 1000);
  let pause = 500;
  for (;;) {
    const began = Date.now();
    if (!await listen(token))
      return refuse('The service was started anew or the token is wrong: open what `rdlink page` prints.');
    lose(Date.now());
    draw();
    pause = Date.now() - began > SILENT_MS ? 500 : Math.min(pause * 2, 10000);
    await new Promise((go) => setTimeout(go, pause));
  }
}

/* ---- saved ------------------------------------------------------------------------------- */

function showSaved(text) {
  isSaved = true;
  try {
    const data = JSON.parse(text);
    for (const one of list(data.history)) {
      if (one.status) take(one.status, one.at);
      else lose(one.at);
    }
    savedNote = `Saved ${new Date(data.savedAt).toLocaleString()}; it does not change. `;
    if (data.from === 'file')
      savedNote += 'The service did not answer: this is what its status file said last.';
    draw();
  } catch {
    refuse('The data in this report cannot be read: it was damaged.');
  }
}

const data = byId('data').textContent.trim();
if (data) showSaved(data);
else serve();
})();
