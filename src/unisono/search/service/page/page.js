// The page: a question, its hits, what they can be narrowed by, and the player.
import { html, render, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./preact.js";
import { Cover, Curve, Icon, Player, byOf, clock, nameOf, url, usePlayer } from "./player.js";

const LISTS = ["like", "where"];
const NONE = [];
const FIRST = 8; // hits that are painted at once, the others right after
const TITLE = "unisono";
const KEYS = [["/", "to the search field"], ["Space", "play or pause"], ["n, p", "next, previous track"], ["← →", "10 seconds back or on"], ["?", "this list"]];

/** Ask the API; a refusal is thrown with its message and hint. */
async function ask(route, values, body) {
  const asked = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let answer;
  try { answer = await fetch(values ? `api/v1/${route}?${values}` : `api/v1/${route}`, asked); }
  catch { throw { error: "The service does not answer.", hint: "Is it still running, and is this device in its network?" }; }
  const found = await answer.json().catch(() => ({ error: `The service answered with an error (${answer.status}).` }));
  if (!answer.ok) throw { ...found, status: answer.status };
  return found;
}

const read = () => {
  const given = new URLSearchParams(location.search);
  return { q: given.get("q") ?? "", without: given.get("without") ?? "", like: given.getAll("like"), where: given.getAll("where") };
};
const parameters = asked => {
  const values = new URLSearchParams();
  for (const name of ["q", "without"]) if (asked[name]) values.set(name, asked[name]);
  for (const name of LISTS) asked[name].forEach(value => values.append(name, value));
  return values;
};
const isEmpty = asked => !asked.q && !asked.without && !asked.like.length && !asked.where.length;
const key = asked => ({ q: asked.q ? [asked.q] : [], without: asked.without ? [asked.without] : [], like: asked.like });
const counted = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
const rangeOf = hits => {
  const scores = hits.flatMap(hit => hit.curve.map(([, score]) => score));
  return scores.length ? [scores.reduce((a, b) => Math.min(a, b)), scores.reduce((a, b) => Math.max(a, b))] : [0, 1];
};

const focused = element => element?.focus();
/** Do something once what there is to see is painted. */
const later = act => requestAnimationFrame(() => (window.requestIdleCallback ?? setTimeout)(act));

function Login({ onDone }) {
  const [said, setSaid] = useState(""), [busy, setBusy] = useState(false);
  const submit = async event => {
    event.preventDefault();
    setBusy(true);
    try { await ask("login", null, { password: event.target.password.value }); onDone(); }
    catch (refused) { setSaid(refused.error); setBusy(false); event.target.password.select(); }
  };
  return html`<main class="login"><form onSubmit=${submit}>
    <h1>unisono</h1>
    <input type="text" name="username" autocomplete="username" value="unisono" hidden />
    <label>Password<input type="password" name="password" autocomplete="current-password" required ref=${focused} aria-describedby="said" /></label>
    <button class="primary" disabled=${busy}>Sign in</button>
    <p id="said" class="problem" role="alert">${said}</p>
  </form></main>`;
}

function Search({ asked, onAsk, field }) {
  const [text, setText] = useState(asked.q), [without, setWithout] = useState(asked.without);
  const [open, setOpen] = useState(Boolean(asked.without));
  useEffect(() => { setText(asked.q); setWithout(asked.without); setOpen(Boolean(asked.without)); }, [asked]);
  const submit = event => { event.preventDefault(); onAsk({ ...asked, q: text.trim(), without: without.trim() }); };
  return html`<form class="search" role="search" onSubmit=${submit}>
    <div class="field">
      <input ref=${field} type="search" name="q" aria-label="Describe the music" placeholder="calm acoustic guitar" maxlength="1000" enterkeyhint="search"
        value=${text} onInput=${event => setText(event.target.value)} />
      <button class="primary" aria-label="Search"><${Icon} name="search" /><span>Search</span></button>
    </div>
    ${!open && html`<button type="button" class="quiet" onClick=${() => setOpen(true)}>but not …</button>`}
    ${open && html`<label class="without">but not<input type="search" name="without" placeholder="vocals" maxlength="1000" value=${without} ref=${asked.without ? undefined : focused} onInput=${event => setWithout(event.target.value)} /></label>`}
  </form>`;
}

const signed = value => { const size = Math.abs(value).toFixed(1); return size === "0.0" ? size : (value > 0 ? "+" : "−") + size; };
const playlistName = like => like.replace(/(subsonic|jellyfin):.*#/, "").replace(/\.m3u8$/, "");

function Chosen({ asked, names, onAsk }) {
  const chips = [
    ...asked.like.map(id => ["like", id, `like ${names[id] ?? playlistName(id)}`]),
    ...asked.where.map(condition => ["where", condition, condition.replace("=", ": ").replaceAll(",", ", ")]),
  ];
  if (!chips.length) return null;
  const drop = (name, value) => onAsk({ ...asked, [name]: asked[name].filter(each => each !== value) });
  return html`<ul class="chips chosen" aria-label="Chosen">
    ${chips.map(([name, value, label]) => html`<li key=${name + value}><button class="chip on" aria-label=${`Remove: ${label}`} onClick=${() => drop(name, value)}><span>${label}</span><${Icon} name="close" /></button></li>`)}
  </ul>`;
}

// A value of a chip: of a group of which a track has one value, "genre=Rock" and "genre=Folk" together are "genre=Rock,Folk".
const columnOf = condition => condition.match(/^[a-z_]*/)[0];
const valuesOf = (where, column) => where.filter(each => each.startsWith(`${column}=`)).flatMap(each => each.slice(column.length + 1).split(","));
const isChosen = (where, condition) => where.includes(condition) || valuesOf(where, columnOf(condition)).includes(condition.slice(columnOf(condition).length + 1));
function toggled(where, condition) {
  const column = columnOf(condition), value = condition.slice(column.length + 1), on = isChosen(where, condition);
  if (column === "tags") return on ? where.filter(each => each !== condition) : [...where, condition];
  const others = where.filter(each => columnOf(each) !== column);
  if (where.includes(condition)) return others;
  if (!condition.startsWith(`${column}=`) || value.includes(",")) return [...others, condition];
  const before = valuesOf(where, column), values = on ? before.filter(each => each !== value) : [...before, value];
  return values.length ? [...others, `${column}=${values.join(",")}`] : others;
}

/** The playlists that a question can be like; they are asked for when the list is opened. */
function Playlists({ asked, onAsk }) {
  const [found, setFound] = useState(null), [said, setSaid] = useState("");
  const opened = event => {
    if (!event.currentTarget.open || found) return;
    setSaid("Asking …");
    ask("playlists", "on_servers=true").then(answer => {
      const all = [...answer.files.map(name => `${name}.m3u8`), ...answer.on_servers];
      setFound(all); setSaid(all.length ? "" : "There are none yet.");
    }, refused => setSaid(refused.error));
  };
  return html`<details onToggle=${opened}><summary>Like a playlist</summary>
    ${said && html`<p role="status" class="facts">${said}</p>`}
    <ul class="chips">${(found ?? []).map(like => {
      const on = asked.like.includes(like);
      return html`<li key=${like}><button class=${on ? "chip on" : "chip"} aria-pressed=${String(on)} title=${like} onClick=${() => onAsk({ ...asked, like: on ? asked.like.filter(each => each !== like) : [...asked.like, like] })}><span>${playlistName(like)}</span></button></li>`;
    })}</ul>
  </details>`;
}

function Filters({ facets, asked, onAsk }) {
  const toggle = condition => onAsk({ ...asked, where: toggled(asked.where, condition) });
  const narrows = (facet, group) => facet.tracks < group.total || isChosen(asked.where, facet.where);
  const groups = facets.groups.map(group => ({ ...group, facets: group.facets.filter(facet => narrows(facet, group)) })).filter(group => group.facets.length);
  return groups.map((group, place) => html`
    <details key=${group.name} open=${place < 3}><summary>${group.name}</summary>
      <ul class="chips">${group.facets.map(facet => {
        const on = isChosen(asked.where, facet.where);
        return html`<li key=${facet.where}><button class=${on ? "chip on" : "chip"} aria-pressed=${String(on)} onClick=${() => toggle(facet.where)}><span>${facet.label}</span> <small>${facet.tracks.toLocaleString("en")}</small></button></li>`;
      })}</ul>
    </details>`);
}

function Hit({ found, place, range, now, isNow, isPlaying, missing }) {
  const { track } = found, name = nameOf(track);
  const by = byOf(track), facts = [track.year, clock(track.duration_s)].filter(Boolean).join(" · ");
  const why = Object.keys(found.why).slice(0, 3);
  const parts = Object.entries(found.parts).map(([part, value]) => `${part.startsWith("like ") ? playlistName(part) : part} ${signed(value)}`);
  const rejected = found.verdict === "reject", kept = found.verdict === "keep";
  return html`<li class=${`hit${isNow ? " now" : ""}${rejected ? " rejected" : ""}`}>
    <button class="art" aria-label=${isPlaying ? `Pause ${name}` : `Play ${name}`} onClick=${() => isNow ? now.current.player.toggle() : now.current.onPlay(place)}>
      <${Cover} track=${track} size="72" /><span class="over"><${Icon} name=${isPlaying ? "pause" : "play"} /></span>
    </button>
    <div class="what">
      <h2>${name}</h2>
      <p class="by" title=${by}>${by}</p>
      ${missing ? html`<p class="problem">Its file is not there, or cannot be played.</p>` : html`<p class="why"><small>${facts}</small>${why.map(tag => html`<span key=${tag}>${tag}</span>`)}</p>`}
      ${parts.length > 0 && html`<p class="by" title="What each part of the question says, in standard deviations">${parts.join(" · ")}</p>`}
    </div>
    <div class="fit">
      <p>${found.percentile !== null && html`<span title="The share of your library that fits less">better than ${(Math.floor(found.percentile * 10) / 10).toFixed(1)} %</span>`}
        ${found.curve.length > 1 && html`<span>best at ${clock(found.moment_s)}</span>`}</p>
      ${found.curve.length > 1 && html`<button class="moments" aria-label=${`Play ${name} from its best moment, ${clock(found.moment_s)}`} onClick=${event => {
        const box = event.currentTarget.getBoundingClientRect();
        now.current.onPlay(place, event.detail ? track.start_s + (track.duration_s * (event.clientX - box.left)) / box.width : found.moment_s);
      }}><${Curve} found=${found} range=${range} /></button>`}
    </div>
    <div class="acts">
      <button class="act" title="More like this" aria-label=${`More like ${name}`} onClick=${() => now.current.onMore(track)}><${Icon} name="more" /><span>More</span></button>
      <button class="act" title="Less like this" aria-pressed=${String(rejected)} aria-label=${`Less like ${name}`} onClick=${() => now.current.onJudge(found, rejected ? "" : "reject")}><${Icon} name="less" /><span>Less</span></button>
      <button class="act" title="Keep" aria-pressed=${String(kept)} aria-label=${`Keep ${name}`} onClick=${() => now.current.onJudge(found, kept ? "" : "keep")}><${Icon} name="keep" /><span>Keep</span></button>
      <button class="act" title="Add to the queue" aria-label=${`Add ${name} to the queue`} onClick=${() => now.current.player.add(found)}><${Icon} name="add" /><span>Queue</span></button>
    </div>
  </li>`;
}

function Dialog({ title, onClose, children }) {
  const dialog = useRef(null);
  useEffect(() => { dialog.current.showModal(); }, []);
  return html`<dialog ref=${dialog} aria-labelledby="dialog-title" onClose=${onClose} onClick=${event => event.target === dialog.current && dialog.current.close()}>
    <div class="sheet"><header><h2 id="dialog-title">${title}</h2><button class="round" aria-label="Close" onClick=${() => dialog.current.close()}><${Icon} name="close" /></button></header>${children}</div>
  </dialog>`;
}

function Save({ asked, hits, onClose }) {
  const kept = hits.filter(hit => hit.verdict === "keep"), wanted = hits.filter(hit => hit.verdict !== "reject");
  const [targets, setTargets] = useState(null), [said, setSaid] = useState(null), [busy, setBusy] = useState(false);
  useEffect(() => { ask("playlists").then(found => setTargets(found.targets), setSaid); }, []);
  const submit = async event => {
    event.preventDefault();
    const form = event.target, chosen = form.which?.value === "kept" ? kept : wanted;
    setBusy(true);
    try { setSaid(await ask("playlists", null, { name: form.name.value.trim(), target: form.target.value, tracks: chosen.map(hit => hit.track.id) })); }
    catch (refused) { setSaid(refused); }
    setBusy(false);
  };
  return html`<${Dialog} title="Save as playlist" onClose=${onClose}><form class="stack" onSubmit=${submit}>
    <label>Name<input name="name" required maxlength="100" value=${asked.q || "unisono"} /></label>
    <label>Where<select name="target">${(targets ?? ["file"]).map(target => html`<option key=${target} value=${target}>${target === "file" ? "A file (.m3u8) of the service" : target}</option>`)}</select></label>
    ${kept.length > 0 && html`<fieldset><legend>Which</legend>
      <label class="inline"><input type="radio" name="which" value="all" checked /> all ${wanted.length} results</label>
      <label class="inline"><input type="radio" name="which" value="kept" /> the ${kept.length} kept</label></fieldset>`}
    <button class="primary" disabled=${busy || !targets?.length}>Save</button>
    <p role="status" class=${said?.error ? "problem" : ""}>${said && (said.error ? [said.error, said.hint].filter(Boolean).join(" ") : html`Saved ${counted(said.tracks, "track")} as “${said.name}”${said.left_out > 0 ? `; ${said.left_out} could not be` : ""}. ${said.target === "file" && html`<a href=${url("playlist.m3u8", { name: said.name })} download>Download it</a>`}`)}</p>
  </form></${Dialog}>`;
}

const Queue = ({ player, onClose }) => html`<${Dialog} title="Queue" onClose=${onClose}><ol class="queue">
  ${player.queue.map((found, place) => html`<li key=${place + found.track.id} class=${place === player.place ? "now" : ""}>
    <button class="line" aria-current=${place === player.place ? "true" : undefined} onClick=${() => player.play(player.queue, place)}><strong>${nameOf(found.track)}</strong><span>${found.track.artist}</span></button>
    <button class="round" aria-label=${`Remove ${nameOf(found.track)}`} disabled=${place === player.place} onClick=${() => player.remove(place)}><${Icon} name="close" /></button></li>`)}
</ol></${Dialog}>`;

const Help = ({ keys, onKeys, about, onClose }) => html`<${Dialog} title="Keys" onClose=${onClose}>
  <dl class="keys">${KEYS.map(([name, what]) => html`<dt key=${name}><kbd>${name}</kbd></dt><dd>${what}</dd>`)}</dl>
  <label class="inline"><input type="checkbox" checked=${keys} onChange=${event => onKeys(event.target.checked)} /> Use these keys</label>
  <p class="facts">unisono ${about.version}, model ${about.model}. <a href="api/v1/openapi.json">API</a></p>
</${Dialog}>`;

/** The keys of the keyboard, outside of fields. */
function useKeys(on, player, field, onHelp) {
  const latest = useRef();
  latest.current = { player, onHelp };
  useEffect(() => {
    if (!on) return undefined;
    const pressed = event => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
      const { player: now, onHelp: help } = latest.current;
      const acts = {
        "/": () => { field.current.focus(); field.current.select(); }, n: () => now.step(1), p: () => now.step(-1), "?": help,
        " ": event.target.closest("button, summary, a") ? null : now.toggle,
        ArrowLeft: now.current && (() => now.seek(now.time - 10)), ArrowRight: now.current && (() => now.seek(now.time + 10)),
      };
      if (acts[event.key]) { event.preventDefault(); acts[event.key](); }
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [on]);
}

function App() {
  const [asked, setAsked] = useState(read), [result, setResult] = useState(null), [problem, setProblem] = useState(null);
  const [about, setAbout] = useState(null), [facets, setFacets] = useState({ total: 0, groups: [] }), [suggestions, setSuggestions] = useState([]);
  const [busy, setBusy] = useState(false), [locked, setLocked] = useState(false), [shown, setShown] = useState("");
  const [names, setNames] = useState({}), [missing, setMissing] = useState({}), [again, setAgain] = useState(0);
  const [keys, setKeys] = useState(() => localStorage.getItem("keys") !== "off"), [judged, setJudged] = useState(0);
  const [whole, setWhole] = useState(null);
  const field = useRef(null), round = useRef(0), known = useRef(new Map());
  const player = usePlayer(useCallback(found => setMissing(before => ({ ...before, [found.track.id]: true })), []));
  const open = name => setShown(name), close = () => setShown("");
  useKeys(keys, player, field, () => open("help"));

  const refused = useCallback(found => (found.status === 401 ? setLocked(true) : setProblem(found)), []);
  const onAsk = next => {
    if (String(parameters(next)) !== String(parameters(asked))) history.pushState(null, "", `?${parameters(next)}`);
    else known.current.delete(String(parameters(next)));
    setAsked({ ...next });
    scrollTo(0, 0);
  };
  useEffect(() => {
    const back = () => setAsked(read());
    addEventListener("popstate", back);
    return () => removeEventListener("popstate", back);
  }, []);
  useEffect(() => {
    ask("about").then(found => { setAbout(found); setLocked(false); return ask("suggestions").then(each => setSuggestions(each.suggestions)); }).catch(refused);
  }, [again]);
  useLayoutEffect(() => {
    const mine = ++round.current, values = parameters(asked), isMine = act => found => mine === round.current && act(found);
    document.title = asked.q ? `${asked.q} · ${TITLE}` : TITLE;
    setProblem(null); setJudged(0);
    const where = new URLSearchParams(asked.where.map(condition => ["where", condition]));
    const count = () => later(() => ask("facets", where).then(isMine(setFacets), () => {}));
    for (const id of asked.like) if (!names[id] && !/#|\.m3u8$/.test(id)) ask("track", new URLSearchParams({ id })).then(track => setNames(before => ({ ...before, [id]: nameOf(track) }))).catch(() => {});
    const before = known.current.get(String(values));
    if (isEmpty(asked) || before) { setResult(before ?? null); setWhole(before?.hits); setBusy(false); count(); return; }
    const began = performance.now(), slow = setTimeout(isMine(() => setBusy(true)), 150);
    ask("search", values).then(isMine(found => {
      found.ms = Math.round(performance.now() - began); found.range = rangeOf(found.hits);
      if (known.current.size > 50) known.current.clear();
      known.current.set(String(values), found);
      setResult(found);
    })).catch(isMine(found => { setResult(null); refused(found); })).finally(() => { clearTimeout(slow); isMine(() => { setBusy(false); count(); })(); });
  }, [asked, again]);
  useLayoutEffect(() => {
    let isLast = true;
    later(() => isLast && setWhole(result?.hits));
    return () => { isLast = false; };
  }, [result]);

  const onJudge = (found, verdict) => {
    found.verdict = verdict;
    setResult({ ...result });
    setJudged(judged + 1);
    ask("feedback", null, { ...key(asked), id: found.track.id, verdict }).catch(refused);
  };
  const onMore = track => { setNames({ ...names, [track.id]: nameOf(track) }); onAsk({ ...asked, like: [...new Set([...asked.like, track.id])] }); };
  const hits = result?.hits ?? NONE, played = player.current?.track.id, now = useRef();
  now.current = { player, onMore, onJudge, onPlay: (place, at) => player.play(hits, place, at) };
  // What takes long to lay out is only made again when it is another.
  const list = useMemo(() => html`<ol class="hits" aria-label="Results">${(whole === hits ? hits : hits.slice(0, FIRST)).map((found, place) => html`<${Hit} key=${found.track.id} found=${found} place=${place}
    range=${result.range} now=${now} isNow=${found.track.id === played} isPlaying=${found.track.id === played && player.playing} missing=${missing[found.track.id]} />`)}</ol>`, [hits, whole, judged, missing, played, player.playing]);
  const aside = useMemo(() => html`<aside aria-label="Filters"><details class="all" open=${matchMedia("(min-width: 60rem)").matches}><summary class="filters"><${Icon} name="filter" /> Filters</summary><${Filters} facets=${facets} asked=${asked} onAsk=${onAsk} /><${Playlists} asked=${asked} onAsk=${onAsk} /></details></aside>`, [facets, asked]);
  if (locked) return html`<${Login} onDone=${() => setAgain(again + 1)} />`;
  const signOut = async () => { await ask("logout", null, {}).catch(() => {}); location.reload(); };
  return html`
    <a class="skip" href="#found">Skip to the results</a>
    <header class="top"><div class="bar">
      <a class="brand" href="." onClick=${event => { event.preventDefault(); onAsk({ q: "", without: "", like: [], where: [] }); }}><img src="icon.svg" alt="" width="28" height="28" /><span>unisono</span></a>
      <${Search} asked=${asked} onAsk=${onAsk} field=${field} />
      <div class="tools"><button class="round" aria-label="Keys and help" onClick=${() => open("help")}><${Icon} name="help" /></button>
        ${about?.signed_in && html`<button class="quiet" onClick=${signOut}>Sign out</button>`}</div>
    </div></header>
    <div class="columns">
      ${aside}
      <main id="found" tabindex="-1" aria-busy=${String(busy)}>
        <h1 class=${result || problem ? "hidden" : ""}>What would you like to hear?</h1>
        <${Chosen} asked=${asked} names=${names} onAsk=${onAsk} />
        <div class="status"><p role="status">${busy ? "Searching …" : result ? `${hits.length} of ${counted(result.searched, "track")}, ${result.ms} ms` : !problem && about ? `${counted(about.tracks, "track")} in ${about.label}` : ""}</p>
          ${judged > 0 && html`<button class="primary" onClick=${() => onAsk({ ...asked })}>Search again with your choices</button>`}
          ${hits.length > 0 && html`<button class="quiet" onClick=${() => player.play(hits, 0)}><${Icon} name="play" /> Play all</button><button class="quiet" onClick=${() => open("save")}><${Icon} name="save" /> Save</button>`}</div>
        ${problem && html`<div class="notice" role="alert"><p><strong>${problem.error}</strong></p>${problem.hint && html`<p>${problem.hint}</p>`}
          ${asked.where.length > 0 && html`<button class="primary" onClick=${() => onAsk({ ...asked, where: [] })}>Remove the filters</button>`}</div>`}
        ${result && !result.fits && html`<p class="notice">Nothing here fits this well. The nearest:</p>`}
        ${result?.notes.map(note => html`<p class="notice" key=${note}>${note}</p>`)}
        ${about?.tracks === 0 && html`<div class="notice"><p><strong>No music is embedded yet.</strong></p><p>Bring it in with <code>unisono library add ~/Music</code> and <code>unisono library sync</code>: it appears here without a restart.</p></div>`}
        ${!result && !problem && !busy && html`<ul class="chips suggested" aria-label="Suggestions">${suggestions.map(each => html`<li key=${each}><button class="chip" onClick=${() => onAsk({ ...asked, q: each })}><span>${each}</span></button></li>`)}</ul>`}
        ${list}
      </main>
    </div>
    <${Player} player=${player} range=${rangeOf(player.queue)} onQueue=${() => open("queue")} />
    ${shown === "save" && html`<${Save} asked=${asked} hits=${hits} onClose=${close} />`}
    ${shown === "queue" && html`<${Queue} player=${player} onClose=${close} />`}
    ${shown === "help" && about && html`<${Help} keys=${keys} about=${about} onKeys=${on => { setKeys(on); localStorage.setItem("keys", on ? "on" : "off"); }} onClose=${close} />`}`;
}

render(html`<${App} />`, document.body);
