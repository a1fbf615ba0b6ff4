"use strict";

const TAKE = 2000; // milliseconds to speak
const DOT = 500; // milliseconds of each dot of the countdown; a number might be taken for the word
const [SOFT, LOUD] = [0.1, 0.95]; // peaks
const part = (id) => document.getElementById(id);
const wait = (time) => new Promise((done) => setTimeout(done, time));
let state = null; // as the server says: { done, total, next: [{ place, word }, ...] }
let microphone = null; // while it is open
let asked = null; // the prompt that was shown last
let sound = null; // the recording that is shown
let loudest = 0; // peak since the check of the level began
let turn = 0; // number of the turn: what began in an earlier one must not go on

function say(words, isWrong = false) {
  part("status").textContent = words;
  part("status").classList.toggle("wrong", isWrong);
}

// Returns the server's answer. If something is wrong, says so, and returns nothing.
async function told(path, options = {}) {
  try {
    const response = await fetch(location.pathname + path, options);
    const answer = await response.json();
    if (response.ok) return answer;
    say(answer.error ?? "The server did not understand that.", true);
    if (response.status === 409) await load();
  } catch {
    say("The server cannot be reached. Is it still running? What you kept is safe; try again.", true);
  }
}

const sent = (path, body = sound) => told(path, { method: "POST", body, headers: { "Content-Type": "application/octet-stream" } });

function show(name) {
  for (const id of ["check", "ask"]) part(id).hidden = id !== name;
  part("series").hidden = name !== "check";
}

function update(answer) {
  state = answer;
  [part("share").max, part("share").value] = [state.total, state.done];
  part("count").textContent = `${state.done} of ${state.total} recorded`;
  part("upcoming").textContent = state.next.map(({ word }) => word).join(" · ");
  if (!state.next.length) finish();
}

async function load() {
  const answer = await told("/state");
  if (!answer) return;
  await close();
  if (answer.done) part("welcome").textContent = "Welcome back";
  update(answer);
}

async function close() {
  turn++;
  const own = microphone;
  [microphone, sound] = [null, null];
  show("check");
  for (const id of ["level", "verdict", "begin"]) part(id).hidden = true;
  part("open").hidden = false;
  await own?.close();
}

async function finish() {
  await close();
  part("welcome").textContent = "All words are recorded";
  part("advice").textContent = "Thank you! You can close this page.";
  part("open").hidden = part("series").hidden = true;
  part("welcome").focus();
}

async function open() {
  if (recorder) await stopSeries(false);
  say("");
  part("open").hidden = true;
  try {
    microphone = await openMicrophone(heard);
  } catch (error) {
    part("open").hidden = false;
    return say(withoutMicrophone(error, "try again"), true);
  }
  loudest = 0;
  for (const id of ["level", "verdict", "begin"]) part(id).hidden = false;
  part("verdict").textContent = "Say a few words as you will while recording.";
  part("begin").focus();
}

function heard(peak) {
  if (part("check").hidden) return;
  part("level").value = Math.max(peak, 0.9 * part("level").value);
  if (peak <= loudest) return;
  loudest = peak;
  if (loudest > LOUD) part("verdict").textContent = "Too loud: go back a little, or turn the microphone down, and check again.";
  else if (loudest > SOFT) part("verdict").textContent = "Good. You can begin.";
}

async function ask() {
  const own = ++turn;
  show("ask");
  say("");
  for (const id of ["review", "keep", "again"]) part(id).hidden = true;
  part("hint").textContent = "";
  [asked] = state.next;
  part("prompt").textContent = asked.word;
  part("ask").classList.remove("now");
  part("prompt").focus();
  for (const dots of ["● ● ●", "● ●", "●"]) {
    part("phase").textContent = dots;
    if (dots === "●") microphone.begin(); // some speak early
    await wait(DOT);
    if (own !== turn) return;
  }
  part("ask").classList.add("now");
  part("phase").textContent = "Speak now";
  await wait(TAKE);
  if (own !== turn) return;
  part("ask").classList.remove("now");
  part("phase").textContent = "…";
  sound = microphone.end();
  const take = await sent("/take");
  if (own === turn) review(take);
}

// Draws the recording with the word that would be kept, and loads its sound.
function draw({ envelope, start, stop, seconds, sound }, wave, player) {
  const scale = 49 / Math.max(0.25, ...envelope); // soft words look soft, but not flat
  const edge = (sign) => envelope.map((peak, x) => `${x},${(50 + sign * Math.max(0.5, scale * peak)).toFixed(1)}`);
  wave.querySelector("path").setAttribute("d", `M${[...edge(-1), ...edge(1).reverse()].join("L")}Z`);
  wave.querySelector("rect").setAttribute("x", 240 * start);
  wave.querySelector("rect").setAttribute("width", 240 * (stop - start));
  wave.setAttribute("aria-label", `The recording; the word that would be kept lasts ${seconds.toFixed(2)} seconds`);
  player.src = sound;
}

function review(take) {
  part("phase").textContent = take ? `${take.seconds.toFixed(2)} seconds` : "";
  part("review").hidden = part("keep").hidden = !take;
  part("again").hidden = false;
  if (!take) return part("again").focus();
  draw(take, part("wave"), part("player"));
  part("hint").textContent = take.advice;
  part("keep").focus();
}

async function keep() {
  const own = turn;
  part("keep").disabled = part("again").disabled = true;
  const answer = await sent(`/keep?place=${asked.place}`);
  part("keep").disabled = part("again").disabled = false;
  if (!answer) return part("ask").hidden || part("keep").focus();
  sound = null;
  update(answer);
  if (own === turn) ask();
}

async function pause() {
  await close();
  part("welcome").textContent = "Paused";
  part("open").focus();
  say("What you kept is safe. Go on here, or later with your personal link.");
}

async function remove() {
  await close();
  if (!await told("", { method: "DELETE" })) return;
  document.querySelector("main").replaceChildren(Object.assign(document.createElement("h1"), { textContent: "Everything of yours is deleted", tabIndex: -1 }));
  document.querySelector("h1").focus();
}

for (const [id, act] of Object.entries({ open, begin: ask, keep, again: ask, pause, delete: remove })) part(id).addEventListener("click", act);
part("copy").addEventListener("click", async () => {
  part("address").select();
  try {
    await navigator.clipboard.writeText(location.href);
    say("The link is copied.");
  } catch {
    say("The link is marked: copy it with Ctrl-C, or by holding it.");
  }
});
part("address").value = location.href;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.matches("input, select, audio")) return;
  const button = { k: "keep", a: "again", p: "pause" }[event.key.toLowerCase()];
  if (button && part("ask")?.hidden === false && !part(button).hidden) part(button).click();
});
document.addEventListener("visibilitychange", () => { if (document.hidden && microphone) pause(); });
load();
