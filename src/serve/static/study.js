"use strict";

const part = (id) => document.getElementById(id);
const names = { signal: "the recording", sound: "what the network paid attention to" };
let trial = null;
let shown = 0; // when

function say(words, isWrong = false) {
  part("status").textContent = words;
  part("status").classList.toggle("wrong", isWrong);
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

function show(told) {
  trial = told;
  part("progress").value = told.number / told.trials;
  part("trial").hidden = told.finished;
  if (told.finished) {
    part("heading").textContent = "Thank you!";
    part("link").hidden = true;
    return say("All your answers are kept. You can close this page.");
  }
  part("answer").reset();
  part("wanted").hidden = !told.wanted;
  part("wanted").textContent = told.wanted ? `To see that you are there: whatever you hear, answer ${told.wanted} here.` : "";
  const place = `${location.pathname}/trial/${told.number}`;
  part("sounds").replaceChildren(...told.parts.filter((name) => name in names).map((name) =>
    playerOf(names[name], `${place}/${name}`, part("cursor"), told.time_axis)));
  part("cursor").hidden = true;
  part("rating").hidden = part("rating").disabled = told.parts.every((name) => name === "signal");
  part("figure").hidden = part("key").hidden = !told.parts.includes("picture");
  if (told.parts.includes("picture")) part("picture").src = `${place}/picture`;
  say(`${told.block === "training" ? "Practice. " : ""}Step ${told.number + 1} of ${told.trials}.`);
  shown = performance.now();
}

async function answer(event) {
  event.preventDefault();
  const chosen = new FormData(part("answer")), button = part("answer").querySelector("button");
  const given = { trial: trial.number, guess: chosen.get("guess"), rating: chosen.has("rating") ? Number(chosen.get("rating")) : null };
  button.disabled = true;
  const body = JSON.stringify({ ...given, seconds: (performance.now() - shown) / 1000 });
  const told = await ask(`${location.pathname}/answer`, { method: "POST", body, headers: { "Content-Type": "application/json" } });
  button.disabled = false;
  if (!told) return;
  show(told);
  if (told.feedback) say(`The network had said ${told.feedback}. ${part("status").textContent}`);
  part("heading").focus();
}

if (part("begin")) {
  part("begin").addEventListener("click", async () => {
    const told = await ask("/participants", { method: "POST" });
    if (told) location.assign(told.link);
  });
} else if (part("answer")) {
  part("answer").addEventListener("submit", answer);
  ask(`${location.pathname}/trial`).then((told) => told && show(told));
}
