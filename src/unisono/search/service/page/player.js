// The player: one audio element, its queue, the keys of the keyboard and of the system.
import { html, useEffect, useRef, useState } from "./preact.js";

export const url = (route, values) => `api/v1/${route}?${new URLSearchParams(values)}`;
export const clock = seconds =>
  `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
export const nameOf = track => track.title || track.id;
/** Artist and album; of a file without them its folder. */
export const byOf = track =>
  [track.artist, track.album].filter(Boolean).join(" · ") || (track.audio_path.includes("://") ? "" : track.audio_path.split("/").at(-2) ?? "");

const ICONS = {
  play: "M8 5v14l11-7z", pause: "M7 5h4v14H7zM13 5h4v14h-4z", next: "M6 5v14l9-7zM16 5h3v14h-3z",
  previous: "M18 5v14l-9-7zM5 5h3v14H5z", queue: "M4 6h16v2H4zM4 11h16v2H4zM4 16h10v2H4z", close: "M6 7.4 7.4 6 12 10.6 16.6 6 18 7.4 13.4 12 18 16.6 16.6 18 12 13.4 7.4 18 6 16.6 10.6 12z",
  keep: "M12 20.5 4.6 13a5 5 0 0 1 7.1-7.1l.3.4.3-.4a5 5 0 0 1 7.1 7.1z", less: "M5 11h14v2H5z",
  more: "M11 5h2v6h6v2h-6v6h-2v-6H5v-2h6z", add: "M4 6h12v2H4zM4 11h12v2H4zM4 16h7v2H4zM17 14h2v3h3v2h-3v3h-2v-3h-3v-2h3z",
  search: "M10 4a6 6 0 1 0 3.7 10.7l4.8 4.8 1.4-1.4-4.8-4.8A6 6 0 0 0 10 4zm0 2a4 4 0 1 1 0 8 4 4 0 0 1 0-8z",
  save: "M5 4h11l3 3v13H5zM8 6v4h7V6zM8 14v4h8v-4z", filter: "M3 6h18v2H3zM7 11h10v2H7zM10 16h4v2h-4z", help: "M11 17h2v2h-2zM12 4a5 5 0 0 0-5 5h2a3 3 0 1 1 4.6 2.5C12 12.5 11 13.5 11 15.5h2c0-1 .6-1.6 1.6-2.5A5 5 0 0 0 12 4z",
};
export const Icon = ({ name }) => html`<svg class=${`icon i-${name}`} viewBox="0 0 24 24" aria-hidden="true"><path d=${ICONS[name]} /></svg>`;

export function Cover({ track, size }) {
  const [absent, setAbsent] = useState(false);
  useEffect(() => setAbsent(false), [track.id]);
  const words = track.album || track.artist || nameOf(track);
  const hue = [...words].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 360, 7);
  return absent
    ? html`<span class="cover" style=${{ "--hue": hue }} aria-hidden="true">${[...words][0].toUpperCase()}</span>`
    : html`<img class="cover" src=${url("cover", { id: track.id })} alt="" width=${size} height=${size} loading="lazy" onError=${() => setAbsent(true)} />`;
}

const LEAST_SPREAD = 0.3;

/** The score of each window as a line; the best moment is marked. */
export function Curve({ found, range }) {
  const { curve, moment_s: moment, track } = found;
  if (curve.length < 2) return null;
  const scores = curve.map(([, score]) => score), begin = track.start_s, length = track.duration_s || 1;
  const spread = Math.max(Math.max(...scores) - Math.min(...scores), LEAST_SPREAD * (range[1] - range[0])); // no hills out of noise
  const high = Math.max(...scores), low = high - spread;
  const x = second => Math.min(100, Math.max(0, (100 * (second - begin)) / length));
  const y = score => 22 - (20 * (score - low)) / (high - low || 1);
  const step = curve[1][0] - curve[0][0];
  const points = curve.map(([second, score]) => `${x(second + step / 2)},${y(score)}`);
  const ends = [`0,${y(curve[0][1])}`, ...points, `100,${y(curve[curve.length - 1][1])}`];
  return html`<svg class="curve" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">
    <path class="area" d=${`M0,24 L${ends.join(" L")} L100,24 z`} />
    <path class="line" d=${`M${ends.join(" L")}`} vector-effect="non-scaling-stroke" />
    <rect class="moment" x=${x(moment)} width=${Math.min(100 - x(moment), Math.max(1, (100 * step) / length))} y="0" height="24" />
  </svg>`;
}

/** What plays: `queue` of hits, the place in it, and what may be done. */
export function usePlayer(onMissing) {
  const audio = useRef(null), wish = useRef({});
  const [queue, setQueue] = useState([]), [place, setPlace] = useState(-1);
  const [playing, setPlaying] = useState(false), [time, setTime] = useState(0);
  if (!audio.current) audio.current = Object.assign(new Audio(), { preload: "auto" });
  const element = audio.current, current = queue[place];

  const start = (found, at, route = "audio") => {
    wish.current = { found, at, route };
    element.src = `${url(route, { id: found.track.id })}#t=${at}`;
    setTime(at);
    element.play().catch(() => {});
  };
  const go = (hits, to, at) => {
    if (to < 0 || to >= hits.length) return;
    setQueue(hits); setPlace(to); start(hits[to], at ?? hits[to].track.start_s);
  };
  const momentOf = found => found?.moment_s ?? found?.track.start_s ?? 0;
  const player = {
    queue, place, current, playing, time,
    play: (hits, to, at) => go(hits, to, at ?? momentOf(hits[to])),
    add: found => { if (queue.length) setQueue([...queue, found]); else go([found], 0, momentOf(found)); },
    remove: at => {
      setQueue(queue.filter((_, each) => each !== at));
      if (at < place) setPlace(place - 1);
    },
    step: by => go(queue, place + by, momentOf(queue[place + by])),
    toggle: () => { if (!current) return; if (element.paused) element.play().catch(() => {}); else element.pause(); },
    seek: to => { element.currentTime = Math.max(0, to); setTime(to); },
  };
  const latest = useRef(player);
  latest.current = player;

  useEffect(() => {
    const ended = () => { const now = latest.current; go(now.queue, now.place + 1); };
    const on = {
      play: () => setPlaying(true), pause: () => setPlaying(false), ended,
      timeupdate: () => {
        setTime(element.currentTime);
        const track = latest.current.current?.track; // an excerpt ends before its file does
        if (track && element.currentTime > track.start_s + track.duration_s + 0.5 && track.duration_s) { element.pause(); ended(); }
      },
      loadedmetadata: () => { if (Math.abs(element.currentTime - wish.current.at) > 1) element.currentTime = wish.current.at; },
      error: () => {
        const { found, at, route } = wish.current; // a format that browsers do not know plays as MP3
        if (route === "audio") start(found, at, "audio.mp3");
        else { setPlaying(false); onMissing(found); }
      },
    };
    Object.entries(on).forEach(([kind, act]) => element.addEventListener(kind, act));
    return () => Object.entries(on).forEach(([kind, act]) => element.removeEventListener(kind, act));
  }, [queue, place]);

  useEffect(() => {
    const session = navigator.mediaSession;
    if (!session || !current) return;
    const { track } = current;
    session.metadata = new MediaMetadata({
      title: nameOf(track), artist: track.artist, album: track.album,
      artwork: [{ src: new URL(url("cover", { id: track.id }), location.href).href }],
    });
    const now = () => latest.current;
    const acts = {
      play: () => now().toggle(), pause: () => now().toggle(), nexttrack: () => now().step(1),
      previoustrack: () => now().step(-1), seekto: event => now().seek(event.seekTime),
      seekbackward: () => now().seek(now().time - 10), seekforward: () => now().seek(now().time + 10),
    };
    for (const [name, act] of Object.entries(acts)) try { session.setActionHandler(name, act); } catch { /* unknown here */ }
  }, [current]);
  return player;
}

export function Player({ player, range, onQueue }) {
  const { current, place, queue, playing, time } = player;
  if (!current) return null;
  const { track } = current, length = track.duration_s || 1, at = Math.min(length, Math.max(0, time - track.start_s));
  return html`<footer class="player" aria-label="Player">
    <div class="progress">
      <${Curve} found=${current} range=${range} />
      <input type="range" min="0" max=${length} step="1" value=${at} aria-label="Position" aria-valuetext=${`${clock(at)} of ${clock(length)}`}
        style=${{ "--done": `${(100 * at) / length}%` }} onInput=${event => player.seek(track.start_s + Number(event.target.value))} />
    </div>
    <div class="deck">
      <div class="track"><${Cover} track=${track} size="48" />
        <div class="names"><strong>${nameOf(track)}</strong><span>${byOf(track)}</span></div>
      </div>
      <div class="controls">
        <button class="round" aria-label="Previous" disabled=${place < 1} onClick=${() => player.step(-1)}><${Icon} name="previous" /></button>
        <button class="round main" aria-label=${playing ? "Pause" : "Play"} onClick=${player.toggle}><${Icon} name=${playing ? "pause" : "play"} /></button>
        <button class="round" aria-label="Next" disabled=${place + 1 >= queue.length} onClick=${() => player.step(1)}><${Icon} name="next" /></button>
      </div>
      <div class="side"><span class="time">${clock(at)} / ${clock(length)}</span>
        <button class="round" aria-label=${`Queue, ${queue.length} tracks`} onClick=${onQueue}><${Icon} name="queue" /></button>
      </div>
    </div>
  </footer>`;
}
