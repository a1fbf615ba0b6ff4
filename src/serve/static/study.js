"use strict";

const part = (id) => document.getElementById(id);
const names = { signal: "the recording", sound: "what the network paid attention to" };
let trial = null;
let shown = null; // when all parts of the trial were there
let following = null; // what comes after the feedback of a trial for practice

function say(words, isWrong = false) {
  part("status").textContent = words;
  part("status").classList.toggle("wrong", isWrong);
  if (isWrong || following) part("status").scrollIntoView({ block: "nearest" }); // the button is below a picture
}

async function ask(path, options) {
  try {
    const response = await fetch(path, options);
    const told = await response.json();
    if (response.ok) return told;
    say(told.error ?? "The server did not understand that; load the page again.", true);
  } catch {
    say("The server cannot be reached. Your earlier answers are kept; try again.", true);
  }
  return null;
}

const loaded = (player) => new Promise((done, failed) => {
  if (player.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA) return done();
  player.addEventListener("canplay", done, { once: true });
  player.addEventListener("error", failed, { once: true });
});

async function show(told) {
  [trial, shown, following] = [told, null, null];
  part("progress").value = told.number / told.trials;
  part("trial").hidden = told.finished;
  if (told.finished) {
    part("heading").textContent = "Thank you!";
    part("link").hidden = true;
    return say("All your answers are kept. You can close this page.");
  }
  part("answer").reset();
  part("wanted").hidden = !told.wanted;
  part("wanted").textContent = told.wanted ? `This step checks your attention: whatever you hear, say that the network said ${told.wanted}.` : "";
  const place = `${location.pathname}/trial/${told.number}`;
  part("sounds").replaceChildren(...told.parts.filter((name) => name in names).map((name) =>
    playerOf(names[name], `${place}/${name}`, part("cursor"), told.time_axis)));
  part("cursor").hidden = true;
  part("rating").hidden = part("rating").disabled = told.parts.every((name) => name === "signal");
  part("figure").hidden = part("key").hidden = !told.parts.includes("picture");
  if (told.parts.includes("picture")) part("picture").src = `${place}/picture`;
  say(`${told.block === "training" ? "Practice. " : ""}Step ${told.number + 1} of ${told.trials}.`);
  const parts = [...document.querySelectorAll("audio")].map(loaded);
  if (told.parts.includes("picture")) parts.push(part("picture").decode());
  try {
    await Promise.all(parts);
  } catch {
    if (trial === told) say("A part of this step cannot be loaded; load the page again.", true);
  }
  if (trial === told) shown = performance.now();
}

async function answer(event) {
  event.preventDefault();
  if (following) return next(following);
  if (![...document.querySelectorAll("audio")].every((player) => player.dataset.played)) return say("Listen to every sound first.", true);
  const chosen = new FormData(part("answer")), button = part("answer").querySelector("button");
  const reply = { trial: trial.number, guess: chosen.get("guess"), rating: chosen.has("rating") ? Number(chosen.get("rating")) : null };
  button.disabled = true;
  const body = JSON.stringify({ ...reply, seconds: shown === null ? 0 : (performance.now() - shown) / 1000 });
  const told = await ask(`${location.pathname}/answer`, { method: "POST", body, headers: { "Content-Type": "application/json" } });
  button.disabled = false;
  if (!told) return;
  if (!told.feedback) return next(told);
  following = told;
  say(`The network had said ${told.feedback}. Look and listen again, then go on.`);
}

function next(told) {
  show(told);
  part("heading").focus();
}

if (part("begin")) {
  part("begin").addEventListener("click", async () => {
    part("begin").disabled = true; // a second click would add a participant who never answers
    const told = await ask("/participants", { method: "POST" });
    if (told) return location.assign(told.link);
    part("begin").disabled = false;
    part("begin").focus(); // a button that is disabled loses it
  });
} else if (part("answer")) {
  part("answer").addEventListener("submit", answer);
  part("sounds").addEventListener("play", ({ target }) => { target.dataset.played = "yes"; }, true); // in the capture phase, as "play" does not bubble
  ask(`${location.pathname}/trial`).then((told) => told && show(told));
}
