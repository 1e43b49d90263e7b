const element = id => document.getElementById(id);
function show(hit, place) {
  const item = document.createElement("li"), words = document.createElement("div"), audio = document.createElement("audio");
  const name = document.createElement("b"), score = document.createElement("span"), more = document.createElement("div");
  name.textContent = [hit.artist, hit.title].filter(Boolean).join(" – ") || hit.id;
  score.textContent = ` ${hit.score.toFixed(3)}`; score.className = "score";
  more.textContent = [hit.genre, ...hit.tags, hit.dataset, hit.license].filter(Boolean).join(" · "); more.className = "quiet";
  audio.controls = true; audio.preload = "none";
  audio.src = `/audio/${hit.number}#t=${hit.start_s},${hit.start_s + hit.duration_s}`;
  words.append(`${place}. `, name, score, more); item.append(words, audio);
  return item;
}
async function search() {
  element("message").textContent = "Searching …";
  const asked = new URLSearchParams({q: element("query").value});
  if (element("where").value.trim()) asked.append("where", element("where").value.trim());
  history.replaceState(null, "", "#" + asked);
  const began = performance.now();
  const answer = await fetch("/search?" + asked).then(r => r.json()).catch(e => ({error: String(e)}));
  const found = answer.error ? [] : answer;
  element("message").textContent = answer.error || (found.length ? `${Math.round(performance.now() - began)} ms` : "No track fulfils the condition.");
  element("found").replaceChildren(...found.map((hit, place) => show(hit, place + 1)));
}
element("form").addEventListener("submit", event => { event.preventDefault(); search(); });
fetch("/about").then(r => r.json()).then(about => {
  document.querySelector("h1").textContent = `Search ${about.tracks.toLocaleString("en")} tracks by description`;
});
const before = new URLSearchParams(location.hash.slice(1));
if (before.get("q")) { element("query").value = before.get("q"); element("where").value = before.get("where") || ""; search(); }
